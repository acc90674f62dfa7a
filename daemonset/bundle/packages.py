"""Python packages by pinned content: downloaded, unpacked, never run.

Speaks to `pip download`. A wheel is a zip and a source archive a tar, so nothing of them has to be executed to be shipped.
"""

import platform
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

PURE = ("--platform", "any", "--implementation", "py", "--abi", "none")
MACHINE = platform.machine()
COMPILED = ("--platform", f"manylinux2014_{MACHINE}", "--platform", f"manylinux_2_17_{MACHINE}",
            "--platform", f"manylinux_2_28_{MACHINE}", "--platform", "any",
            "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none")
SOURCE_ONLY = ("purestorage",)      # published as source archives only


def unpack(requirements: Path, target: Path, scratch: Path, wheels: Sequence[str] = PURE) -> None:
    """Put every package that `requirements` pins below `target`; `wheels` says which kinds of wheel will do."""
    pins = [line for line in requirements.read_text().splitlines() if line and not line.startswith("#")]
    archives = [line for line in pins if line.startswith(SOURCE_ONLY)]
    downloads = scratch / "downloads"
    _download([line for line in pins if line not in archives], downloads,
              ["--only-binary", ":all:", "--python-version", "3.11", *wheels])
    _download(archives, downloads, ["--no-binary", ":all:"])
    for wheel in sorted(downloads.glob("*.whl")):
        zipfile.ZipFile(wheel).extractall(target)
    for source in sorted(downloads.glob("*.tar.gz")):
        _extract(source, target)


def _download(pins: list[str], downloads: Path, options: list[str]) -> None:
    downloads.mkdir(parents=True, exist_ok=True)
    listing = downloads / "pins.txt"
    listing.write_text("".join(f"{line}\n" for line in pins))
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes",
                    "--dest", str(downloads), "-r", str(listing), *options], check=True)


def _extract(source: Path, target: Path) -> None:
    """Take the package folder and the licence out of a source archive `name-version.tar.gz`."""
    name = source.name.split("-")[0]
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            inside = member.name.split("/", 1)[-1]
            if member.isfile() and (inside.startswith(f"{name}/") or inside.upper().startswith("LICENSE")):
                path = target / (inside if "/" in inside else f"{name}/{inside}")
                path.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                assert content is not None
                path.write_bytes(content.read())
