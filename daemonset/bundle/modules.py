"""The Python half of the runtime: standard library, dependencies and driver, as unchecked-hash .pyc without sources.

Unchecked-hash .pyc is valid whatever time stamp a copy gets and is never written again. PYTHONHASHSEED=0 and stripped paths
make two builds equal to the byte.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from daemonset.bundle import packages
from daemonset.bundle.libraries import INTERPRETER

STANDARD = Path("/usr/lib/python3.11")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CHECKOUT = Path(__file__).resolve().parents[2]

# Do not trim by what a run imports: click._textwrap (usage texts) and encodings.cp437 (zipfile) load on the odd day.
UNWANTED = {"test", "idlelib", "tkinter", "ensurepip", "lib2to3", "unittest", "turtledemo", "curses", "sqlite3", "dbm",
            "asyncio", "wsgiref", "xmlrpc", "venv", "pydoc_data", "lib-dynload", "__pycache__", "turtle.py",
            "antigravity.py", "this.py", "sitecustomize.py", "distutils"}

LICENCES = ("LICENSE", "LICENCE", "NOTICE", "COPYING")

SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")


def put(runtime: Path) -> None:
    """Write every module below `runtime`/lib/python3.11, and main.pyc beside it."""
    library = runtime / "lib/python3.11"
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch) / "lib"
        standard(sources)
        packages.unpack(REQUIREMENTS, sources, Path(scratch))
        _driver(sources)
        compiled(sources, library)
    (library / "main.pyc").rename(runtime / "main.pyc")


def standard(target: Path) -> None:
    """The standard library less what none of us needs; of distutils only `version`, which purestorage imports."""
    shutil.copytree(STANDARD, target, ignore=lambda _, names: {name for name in names if name in UNWANTED
                                                               or name.startswith("config-3.11-")})    # for C, by machine
    (target / "distutils").mkdir()
    for name in ("__init__.py", "version.py"):
        shutil.copyfile(STANDARD / "distutils" / name, target / "distutils" / name)


def compiled(sources: Path, target: Path, records: tuple[str, ...] = LICENCES) -> None:
    """Compile a tree and copy it without the sources: x.pyc lies where x.py was, as a sourceless tree is imported.

    Of what installers record of packages (*.dist-info), only files are kept whose names begin with one of `records`.

    One process: files compiled side by side could differ in how marshal shares objects.
    """
    script = ("import compileall, py_compile, sys; sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, legacy=True, "
              "stripdir=sys.argv[1], invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))")
    subprocess.run([str(INTERPRETER), "-I", "-c", script, str(sources)], check=True,
                   env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0"})
    for path in sorted(sources.rglob("*")):
        if path.is_file() and _is_shipped(path.relative_to(sources), records):
            _copy(path, target / path.relative_to(sources))


def _driver(sources: Path) -> None:
    """Our own packages; flex/ under the name `driver` (see main.py)."""
    shutil.copytree(CHECKOUT / "flex", sources / "driver", ignore=SKIPPED)
    shutil.copytree(CHECKOUT / "arrays", sources / "arrays", ignore=SKIPPED)
    shutil.copyfile(Path(__file__).with_name("main.py"), sources / "main.py")


def _is_shipped(path: Path, records: tuple[str, ...]) -> bool:
    """Compiled modules, data and the wanted ones of installers' records; no sources, caches or type stubs."""
    if any(part.endswith((".dist-info", ".egg-info")) for part in path.parts):
        return path.name.upper().startswith(records)
    return path.suffix not in (".py", ".pyi", ".typed") and "__pycache__" not in path.parts


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
