"""The compiled half of the runtime: interpreter, extension modules, shared libraries and their loader.

Speaks to `ldd` and `strip`, of the machine the bundle is built on. Everything is taken from Debian's packages as they are.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

INTERPRETER = Path("/usr/bin/python3.11")
EXTENSIONS = Path("/usr/lib/python3.11/lib-dynload")

# readline and gdbm are GPL-3, Berkeley DB is AGPL; the others are test code or need libraries no driver wants.
UNWANTED = ("readline", "_gdbm", "_dbm", "_curses", "_sqlite3", "_tkinter", "_test", "_ctypes_test", "_xx", "xxlimited",
            "nis", "ossaudiodev", "_lsprof", "_codecs_", "_multibytecodec", "audioop")

# glibc's own stubs. Name service modules of an older host need them (its myhostname, mdns, sss), or look-ups fail oddly.
STUBS = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libutil.so.1")

_LINE = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


def extensions() -> list[Path]:
    """The extension modules that are shipped."""
    return sorted(path for path in EXTENSIONS.glob("*.so") if not path.name.startswith(UNWANTED))


def needed(binaries: Iterable[Path]) -> dict[str, Path]:
    """Every shared library these binaries need, by the name they ask for; the loader is among them."""
    text = subprocess.run(["ldd", *map(str, binaries)], check=True, capture_output=True, text=True).stdout
    return {name or Path(path).name: Path(path) for name, path in _LINE.findall(text)}


def stubs(libraries: dict[str, Path]) -> list[Path]:
    """glibc's stub libraries, from the folder that has libc.so.6."""
    return [libraries["libc.so.6"].parent / name for name in STUBS]


def put(runtime: Path) -> None:
    """Copy interpreter, extensions, libraries and loader below `runtime`, stripped but for the loader."""
    modules = extensions()
    libraries = needed([INTERPRETER, *modules])
    libraries |= {path.name: path for path in stubs(libraries)}
    loader = next(path for name, path in libraries.items() if name.startswith("ld-linux"))

    copied = [_copy(INTERPRETER, runtime / "bin/python3.11")]
    copied += [_copy(path, runtime / "lib/python3.11/lib-dynload" / path.name) for path in modules]
    copied += [_copy(path, runtime / "so" / name) for name, path in libraries.items() if path != loader]
    subprocess.run(["strip", "--strip-unneeded", *map(str, copied)], check=True)
    _copy(loader, runtime / "ld.so")


def debian_packages(packages: Iterable[str] = (), files: Iterable[Path] = ()) -> dict[str, str]:
    """Debian package -> version of everything that `put` takes and of what else is named, for the list of components."""
    modules = extensions()
    taken = {INTERPRETER, *modules, *needed([INTERPRETER, *modules]).values(), *files}
    return {package: _version(package) for package in sorted({*map(_package, taken), *packages})}


def _package(path: Path) -> str:
    """The package that owns a file, also where /lib is a link to /usr/lib."""
    for name in (str(path), str(path.resolve()), str(path.resolve()).removeprefix("/usr")):
        owner = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
        if owner.returncode == 0:
            return owner.stdout.split(": ")[0].split(", ")[0].split(":")[0]
    raise SystemExit(f"no Debian package owns {path}: build the bundle where Debian's python3.11 is installed")


def _version(package: str) -> str:
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                          check=True, capture_output=True, text=True).stdout


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    return target
