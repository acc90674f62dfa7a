"""Roots that stand for other nodes: an older Debian's own libc and tools, a libc that is not glibc, an old kernel's calls.

A user land with CentOS 7's glibc 2.17 is on no registry of ours. What stands in for it: the oldest release that Debian's
mirror still has (its real libc and its real `umount`), a root with musl, one without any libc, and a kernel that knows
no system call younger than CentOS 7's 3.10.
"""

import ctypes
import platform
import shutil
import struct
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache/roots"
MIRROR = "http://deb.debian.org/debian"
# Oldest first. The last is what the bundle itself is built from, so one of them is always to be had.
RELEASES = ("buster", "bullseye", "bookworm")
# A libc, a shell and an umount of that release, and the libraries these are linked to.
PACKAGES = ("libc6", "dash", "mount", "libmount1", "libblkid1", "libselinux1", "libpcre2-8-0", "libpcre3", "libuuid1")


def older_debian() -> tuple[str, Path]:
    """Release and root with the files of PACKAGES, from the cache or the mirror."""
    for release in RELEASES:
        root = CACHE / release
        if root.exists() or _fetch(release, root):
            return release, root
    raise AssertionError(f"{MIRROR} has none of {', '.join(RELEASES)}")


def apt_of(folder: Path, release: str, *more: str) -> tuple[str, ...]:
    """Options that make apt look at another release, with everything it keeps in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial", "debs"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "etc/sources.list").write_text(
        f"deb [check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {MIRROR} {release} main\n")
    return ("-qq", "-o", f"Dir::Etc={folder}/etc", "-o", f"Dir::State={folder}/state", "-o",
            f"Dir::State::status={folder}/status", "-o", f"Dir::Cache={folder}/cache", "-o", "Acquire::Languages=none",
            "-o", "APT::Sandbox::User=root", *more)


def _fetch(release: str, root: Path) -> bool:
    """Unpack PACKAGES of a release below `root`; False when the mirror has it no more. apt gets folders of its own."""
    apt = CACHE / f"apt-{release}"
    options = apt_of(apt, release)
    try:
        subprocess.run(["apt-get", *options, "update", "--error-on=any"], check=True, capture_output=True, timeout=300)
        known = subprocess.run(["apt-cache", *options, "pkgnames"], check=True, capture_output=True, text=True).stdout
        subprocess.run(["apt-get", *options, "download", *sorted({*PACKAGES} & {*known.split()})], cwd=apt / "debs",
                       check=True, capture_output=True, timeout=300)
    except subprocess.CalledProcessError:
        return False
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for package in sorted((apt / "debs").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, part], check=True)
    shutil.rmtree(apt)
    part.rename(root)
    return True


def add_older_debian(root: Path) -> str:
    """Put that release's files into a root; the name of the release."""
    release, files = older_debian()
    shutil.copytree(files, root, symlinks=True, dirs_exist_ok=True)
    return release


def add_musl(root: Path, code: str, name: str) -> None:
    """Put musl's loader, which is its libc too, into a root, and a program `name` linked to it that runs C `code`."""
    loader = next(Path("/lib").glob("ld-musl-*.so.1"))
    (root / "lib").mkdir(exist_ok=True)
    shutil.copyfile(loader.resolve(), root / "lib" / loader.name)
    (root / "lib" / loader.name).chmod(0o755)
    program = root / "bin" / name
    program.parent.mkdir(exist_ok=True)
    subprocess.run(["musl-gcc", "-O1", "-x", "c", "-o", program, "-"], input=code, text=True, check=True)


# Kernel 3.10 (CentOS 7): the highest system call number of each machine. seccomp(2), linux/filter.h, linux/audit.h.
YOUNGEST_OF_3_10 = {"x86_64": 313, "aarch64": 273}
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER, _ALLOW, _ENOSYS = 38, 22, 2, 0x7FFF0000, 0x00050000 | 38
_LOAD, _IF_GREATER, _RETURN = 0x20, 0x25, 0x06


# OpenSSL asks uname whether /dev/urandom may be trusted, and uname tells this kernel's age. On an old one it leaves this
# mark, in System V shared memory, once it has seen entropy (openssl/providers/implementations/rands/seeding/rand_unix.c).
_NEW_IPC, _SEEDED, _CREATE = 0x08000000, 114, 0o1000


def kernel_3_10() -> None:
    """In a child before exec: from here on each younger system call answers ENOSYS."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_IPC) or libc.shmget(_SEEDED, 1, _CREATE | 0o444) < 0:
        raise OSError(ctypes.get_errno(), "OpenSSL's mark")
    lines = [(_LOAD, 0, 0, 0), (_IF_GREATER, 0, 1, YOUNGEST_OF_3_10[platform.machine()]), (_RETURN, 0, 0, _ENOSYS),
             (_RETURN, 0, 0, _ALLOW)]
    program = b"".join(struct.pack("=HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(program)
    filters = ctypes.create_string_buffer(struct.pack("=H6xQ", len(lines), ctypes.addressof(buffer)))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, ctypes.byref(filters), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
