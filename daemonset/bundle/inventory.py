"""What is inside the bundle: licence texts and a list of components (CycloneDX 1.5) for tracking vulnerabilities."""

import json
import shutil
from pathlib import Path

from daemonset.bundle.modules import REQUIREMENTS

COPYRIGHTS = Path("/usr/share/doc")
SOURCES = """\
The programs and libraries in ../bin and ../so and the loader are Debian's own files, unmodified but for stripped symbols
(the loader: unmodified). Debian keeps the exact source of each package version named in ../components.json, for example
by `apt-get source PACKAGE=VERSION`. The C library is LGPL-2.1-or-later: replace ../so/libc.so.6 and ../ld.so together to
use another. The launcher is linked with musl (MIT). The Python packages' own texts are beside their modules.
"""


def put(runtime: Path, debian: dict[str, str], version: str) -> None:
    """Write licenses/ and components.json below `runtime`; `debian` is package -> version."""
    folder = runtime / "licenses"
    folder.mkdir()
    for package in debian:
        shutil.copyfile(COPYRIGHTS / package / "copyright", folder / f"{package}.txt")
    (folder / "README").write_text(SOURCES)
    (runtime / "components.json").write_text(bill(debian, REQUIREMENTS, version))


def bill(debian: dict[str, str], requirements: Path, version: str) -> str:
    """The components as a CycloneDX document, without time stamps so that builds are reproducible."""
    python = (line.split(" ")[0].split("==") for line in requirements.read_text().splitlines() if "==" in line)
    components = [_component("deb/debian", name, at) for name, at in debian.items()]
    components += [_component("pypi", name, at) for name, at in python]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
                "metadata": {"component": {"type": "application", "name": "pure-flex", "version": version}},
                "components": components}
    return json.dumps(document, indent=1) + "\n"


def _component(kind: str, name: str, version: str) -> dict[str, str]:
    return {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/{name}@{version}"}
