"""Builds the guest's kernel, initrd and root image from Debian's packages, and keeps them in .cache/lab/<key>.

Needs root, `mmdebstrap` and `mke2fs`; nothing is mounted. The cold build takes about a minute, most of it the unpacking
of packages; a warm one is the look at a directory.
"""

import fcntl
import lzma
import os
import platform
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.guest import recipe

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "lab"
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "dpkg-deb": "dpkg"}
BUILD_TIMEOUT = 600.0                        # seconds for the longest single step


@dataclass(frozen=True)
class Image:
    """A built guest; the files are never written to by a run."""

    kernel: Path
    initrd: Path
    root: Path


def image(say=print) -> Image:
    """The image of today's recipe, built if it is not in the cache; two callers at once build it once."""
    home = CACHE / recipe.key()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            need_tools(say)
            say(f"building the lab's guest {home.name} from Debian's packages")
            build(home)
    return Image(home / "vmlinux", home / "initrd", home / "root.img")


def need_tools(say=print) -> None:
    """Install what the build and the run need, or say in one line what is missing."""
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=_path()) is None})
    if not missing:
        return
    if os.geteuid() != 0:
        sys.exit(f"the lab needs root and: apt-get install --no-install-recommends {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    run("apt-get", "update", "-q")
    run("apt-get", "install", "-qy", "--no-install-recommends", *missing)


def build(home: Path) -> None:
    """Make everything in a directory beside `home`, then rename: a cut build leaves nothing that looks whole."""
    work = home.with_name(f"{home.name}.making")
    shutil.rmtree(work, ignore_errors=True)
    root, kernel = work / "root", work / "kernel"
    work.mkdir(parents=True)
    _bootstrap(root)
    _unpack_kernel(kernel)
    release = _install_modules(kernel, root)
    _initrd(root, release, work)
    _own_files(root)
    (work / "vmlinux").write_bytes(_vmlinux((kernel / "boot" / f"vmlinuz-{release}").read_bytes()))
    run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", str(root),
        str(work / "root.img"), recipe.ROOT_SIZE)
    shutil.rmtree(root)
    shutil.rmtree(kernel)
    work.rename(home)


def _bootstrap(root: Path) -> None:
    left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.LEFT_OUT_OF_PACKAGES]
    run("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--skip=check/qemu",
        f"--include={','.join(recipe.PACKAGES)}", '--aptopt=APT::Install-Recommends "false"', *left_out,
        recipe.SUITE, str(root), *sources(recipe.SUITE))


def sources(suite: str) -> list[str]:
    """The host's own Debian sources for another release, so that a mirror set up there is used here too."""
    deb822, own = Path("/etc/apt/sources.list.d/debian.sources"), CACHE / f"{suite}.sources"
    if not deb822.exists():
        return []
    own.write_text(deb822.read_text().replace(platform.freedesktop_os_release()["VERSION_CODENAME"], suite))
    return [str(own)]


def _unpack_kernel(kernel: Path) -> None:
    """The image package without its dependencies: no initramfs-tools, no boot loader."""
    depends = run("apt-cache", "depends", recipe.KERNEL)
    package = next(line.split()[1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    kernel.mkdir()
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=kernel)
    run("dpkg-deb", "-x", str(next(kernel.glob("*.deb"))), str(kernel))


def _install_modules(kernel: Path, root: Path) -> str:
    modules = next((kernel / "lib" / "modules").iterdir())
    for name in recipe.LEFT_OUT_OF_MODULES:
        shutil.rmtree(modules / "kernel" / name, ignore_errors=True)
    shutil.copytree(modules, root / "lib" / "modules" / modules.name, symlinks=True)
    run("chroot", str(root), "depmod", modules.name)
    return modules.name


def _vmlinux(image: bytes) -> bytes:
    """The kernel packed in a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).

    QEMU starts it by its PVH note. Unpacked in the guest it takes seconds more of each boot under emulation, and a minute
    or two after a reset: it is written over the kernel that ran there, whose translated code is looked up at each store.
    """
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    return lzma.LZMADecompressor().decompress(image[start:start + length])


def _initrd(root: Path, release: str, work: Path) -> None:
    tree = work / "initrd.d"
    for name in ("bin", "dev", "lib", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(root / "bin" / "busybox", tree / "bin" / "busybox")
    shutil.copy(recipe.FILES / "initrd-init", tree / "init")
    (tree / "init").chmod(0o755)
    order = _module_order(root / "lib" / "modules" / release)
    for path in order:
        shutil.copy(path, tree / "lib" / path.name)
    (tree / "modules").write_text("".join(f"{path.name}\n" for path in order))
    (work / "initrd").write_bytes(_cpio(tree))
    shutil.rmtree(tree)


def _module_order(modules: Path) -> list[Path]:
    """The wanted modules, each after those it needs (modules.dep lists them nearest first)."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[Path(name).stem.replace("-", "_")] = [*reversed(rest.split()), name]
    wanted = [path for name in recipe.INITRD_MODULES for path in needs.get(name, ())]
    return [modules / path for path in dict.fromkeys(wanted)]


def _cpio(tree: Path) -> bytes:
    """The tree in cpio's "newc" format, which is what the kernel unpacks (initramfs buffer format of the kernel)."""
    out = bytearray()
    entries = sorted(path.relative_to(tree) for path in tree.rglob("*"))
    for number, name in enumerate(entries, 1):
        path = tree / name
        _cpio_entry(out, number, str(name), path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
    _cpio_entry(out, 0, "TRAILER!!!", 0, b"")
    return bytes(out)


def _cpio_entry(out: bytearray, number: int, name: str, mode: int, data: bytes) -> None:
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    out += b"\0" * (-len(out) % 4) + data
    out += b"\0" * (-len(out) % 4)


def _own_files(root: Path) -> None:
    lab = root / "lab"
    lab.mkdir()
    for name in ("start", "agent"):
        shutil.copy(recipe.FILES / name, lab / name)
        (lab / name).chmod(0o755)
    shutil.copy(recipe.FILES / "inittab", root / "etc" / "inittab")
    (root / "sbin" / "init").unlink(missing_ok=True)
    (root / "sbin" / "init").symlink_to("/bin/busybox")
    (root / "etc" / "fstab").write_text("")
    (root / "etc" / "resolv.conf").unlink(missing_ok=True)
    (root / "etc" / "iscsi" / "initiatorname.iscsi").unlink(missing_ok=True)     # each guest has its own
    shutil.rmtree(root / "var" / "lib" / "apt", ignore_errors=True)
    shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def run(*argv: str, cwd: Path | None = None) -> str:
    """Run a step at low priority; its stdout. A step that fails ends the lab with all it said."""
    done = subprocess.run(["nice", "-n", "10", *argv], cwd=cwd, capture_output=True, text=True, timeout=BUILD_TIMEOUT,
                          env={**os.environ, "PATH": _path(), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode:
        sys.exit(f"lab image: {' '.join(argv)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
