"""The Python half of the runtime: standard library, dependencies and driver, as unchecked-hash .pyc without sources.

Unchecked-hash .pyc is valid whatever time stamp a copy gets and is never written again. PYTHONHASHSEED=0 and stripped
paths make two builds equal to the byte.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from daemonset.bundle.libraries import INTERPRETER

STANDARD = Path("/usr/lib/python3.11")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CHECKOUT = Path(__file__).resolve().parents[2]

# Do not trim by what a run imports: click._textwrap (usage texts) and encodings.cp437 (zipfile) are loaded on the odd day.
UNWANTED = {"test", "idlelib", "tkinter", "ensurepip", "lib2to3", "unittest", "turtledemo", "curses", "sqlite3", "dbm",
            "venv", "pydoc_data", "lib-dynload", "__pycache__", "turtle.py", "antigravity.py", "this.py", "sitecustomize.py",
            "config-3.11-x86_64-linux-gnu", "distutils"}


def put(runtime: Path) -> None:
    """Write every module below `runtime`/lib/python3.11, and main.pyc beside it."""
    library = runtime / "lib/python3.11"
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / "lib"
        _standard(sources)
        _dependencies(sources, Path(scratch))
        _driver(sources)
        _compile(sources, runtime)
        for path in sorted(sources.rglob("*")):
            if path.is_file() and path.suffix in (".pyc", ".pem", ".typed") or _is_licence(path):
                _copy(path, library / path.relative_to(sources))
    (library / "main.pyc").rename(runtime / "main.pyc")


def _standard(sources: Path) -> None:
    """The standard library less what no driver needs; of distutils only `version`, which purestorage imports."""
    shutil.copytree(STANDARD, sources, ignore=lambda _, names: UNWANTED & {*names}, symlinks=False)
    (sources / "distutils").mkdir()
    for name in ("__init__.py", "version.py"):
        shutil.copyfile(STANDARD / "distutils" / name, sources / "distutils" / name)


def _dependencies(sources: Path, scratch: Path) -> None:
    """Unpack the pinned wheels and source archives; nothing of them is run."""
    downloads = scratch / "downloads"
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(downloads)]
    pins = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    wheels = scratch / "wheels.txt"
    wheels.write_text("".join(f"{line}\n" for line in pins if not line.startswith("purestorage")))
    archive = scratch / "archive.txt"      # published as a source archive only
    archive.write_text("".join(f"{line}\n" for line in pins if line.startswith("purestorage")))
    subprocess.run([*fetch, "--require-hashes", "-r", str(wheels), "--only-binary", ":all:", "--platform", "any",
                    "--python-version", "3.11", "--implementation", "py", "--abi", "none"], check=True)
    subprocess.run([*fetch, "--require-hashes", "-r", str(archive), "--no-binary", ":all:"], check=True)
    for wheel in sorted(downloads.glob("*.whl")):
        zipfile.ZipFile(wheel).extractall(sources)
    for source in sorted(downloads.glob("*.tar.gz")):
        _unpack(source, sources)


def _unpack(source: Path, sources: Path) -> None:
    """Take the package folder and the licence out of a source archive `name-version.tar.gz`."""
    name = source.name.split("-")[0]
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            inside = member.name.split("/", 1)[-1]
            if member.isfile() and (inside.startswith(f"{name}/") or inside.upper().startswith("LICENSE")):
                target = sources / (inside if "/" in inside else f"{name}/{inside}")
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(member)
                assert content is not None
                target.write_bytes(content.read())


def _driver(sources: Path) -> None:
    """Our own packages; flex/ under the name `driver` (see main.py)."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(CHECKOUT / "flex", sources / "driver", ignore=ignore)
    shutil.copytree(CHECKOUT / "arrays", sources / "arrays", ignore=ignore)
    shutil.copyfile(Path(__file__).with_name("main.py"), sources / "main.py")


def _compile(sources: Path, runtime: Path) -> None:
    """Compile in place (x.pyc beside x.py, as a tree without sources is imported), with the shipped interpreter.

    One process (-j 1): files compiled side by side could differ in how marshal shares objects.
    """
    script = ("import compileall, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, legacy=True, "
              "stripdir=sys.argv[1], invalidation_mode=__import__('py_compile').PycInvalidationMode.UNCHECKED_HASH))")
    subprocess.run([str(INTERPRETER), "-I", "-c", script, str(sources)], check=True,
                   env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0"})


def _is_licence(path: Path) -> bool:
    return path.is_file() and path.name.upper().startswith(("LICENSE", "LICENCE", "NOTICE", "COPYING"))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
