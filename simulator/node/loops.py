"""The real form's block devices: each sdX and dm-N is a loop device over the volume's file, with a node of its own below
the root. Needs root and loop devices (Linux 5.8 for LOOP_CONFIGURE).

A device that fails is cut to one sector, so that every access beyond fails with EIO (reads at the end return nothing).
Before that, a file system on it is shut down without writing its log: a machine that lost a volume, or its power, never
writes to it again, although in truth its kernel is the one that mounts it elsewhere next.

Each loop carries the address of its node in lo_file_name: left-overs of nodes that were killed are known by it.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

from simulator.node.disks import Disk
from simulator.node.server import CONTROL
from simulator.node.tree import Tree

# linux/loop.h
LOOP_CLR_FD, LOOP_SET_STATUS64, LOOP_GET_STATUS64, LOOP_SET_CAPACITY = 0x4C01, 0x4C04, 0x4C05, 0x4C07
LOOP_CONFIGURE, LOOP_CTL_GET_FREE = 0x4C0A, 0x4C82
READ_ONLY = 1
INFO = struct.Struct("=QQQQQIIII64s64s32sQQ")          # struct loop_info64
CONFIG = struct.Struct(f"=II{INFO.size}s64x")          # struct loop_config

BLKFLSBUF = 0x1261                                     # linux/fs.h
GOING_DOWN = 0x8004587D                                # XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN are the same number
NO_LOG_FLUSH = 2                                       # XFS_FSOP_GOING_FLAGS_NOLOGFLUSH, EXT4_GOING_FLAGS_NOLOGFLUSH
DEAD_SIZE = 512
TAG = "pretend-node/"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Mounted(NamedTuple):
    """A line of the kernel's mount table."""

    device: str                 # "7:3", also for btrfs
    directory: str
    fstype: str
    options: str
    text: str                   # the line itself


class LoopNodes:
    """Block devices of one node."""

    def __init__(self, tree: Tree, tag: str) -> None:
        self._tree, self._tag = tree, tag
        self._loops: dict[Disk, str] = {}              # -> "/dev/loop7"
        self._files: dict[Disk, str | None] = {}       # what the loop is over

    def add(self, disk: Disk) -> None:
        loop = attach(disk.file or os.devnull, disk.size, self._tag, read_only=disk.name.startswith("sd"))
        self._loops[disk], self._files[disk] = loop, disk.file
        disk.number = number(loop)
        os.mknod(self._tree.at(disk.path), stat.S_IFBLK | 0o660, os.stat(loop).st_rdev)

    def update(self, disk: Disk) -> None:
        loop = self._loops[disk]
        if disk.file is None:
            fence(disk.number)
            resize(loop, DEAD_SIZE)
        elif disk.file == self._files[disk]:
            resize(loop, disk.size)
        else:
            self._replace(disk, loop)

    def _replace(self, disk: Disk, loop: str) -> None:
        """The LUN is another volume now. A loop that is in use cannot be turned over; it stays dead."""
        fence(disk.number)
        resize(loop, DEAD_SIZE)
        if any(each.device == disk.number for each in mounted()):
            return
        with contextlib.suppress(OSError):
            detach(loop)
            configure(loop, disk.file or os.devnull, disk.size, self._tag, read_only=disk.name.startswith("sd"))
            self._files[disk] = disk.file

    def remove(self, disk: Disk) -> None:
        loop = self._loops.pop(disk)
        self._tree.remove(disk.path)
        if any(each.device == disk.number for each in mounted()):
            fence(disk.number)
            resize(loop, DEAD_SIZE)
        with contextlib.suppress(OSError):
            detach(loop)

    def flush(self, disk: Disk) -> None:
        with opened(self._loops[disk]) as fd:
            fcntl.ioctl(fd, BLKFLSBUF)

    def power_off(self) -> None:
        """Nothing of this node is written from now on: first all file systems stop, then all mounts go."""
        numbers = [disk.number for disk in self._loops]
        for disk, loop in self._loops.items():
            fence(disk.number)
            resize(loop, DEAD_SIZE)
        unmount(numbers)


# -- loop devices

def attach(file: str, size: int, tag: str, read_only: bool) -> str:
    """Put a free loop device over a file."""
    for _ in range(100):
        with opened("/dev/loop-control") as control:
            loop = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
        try:
            appear(loop)
            configure(loop, file, size, tag, read_only)
            return loop
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENXIO):
                raise
    raise OSError(errno.EBUSY, "no free loop device")


def appear(loop: str) -> None:
    """Make the device node where no devtmpfs does; else wait for it."""
    for _ in range(50):
        if os.path.exists(loop):
            return
        time.sleep(0.01)
    os.mknod(loop, stat.S_IFBLK | 0o660, os.makedev(7, int(loop.removeprefix("/dev/loop"))))


def configure(loop: str, file: str, size: int, tag: str, read_only: bool) -> None:
    with opened(loop) as fd, opened(file, os.O_RDONLY if read_only else os.O_RDWR) as backing:
        info = INFO.pack(0, 0, 0, 0, size, 0, 0, 0, READ_ONLY if read_only else 0, tag.encode()[:63], b"", b"", 0, 0)
        fcntl.ioctl(fd, LOOP_CONFIGURE, CONFIG.pack(backing, 0, info))


def resize(loop: str, size: int) -> None:
    """Let the device show the first `size` bytes of its file."""
    with opened(loop) as fd:
        try:
            fields = list(INFO.unpack(fcntl.ioctl(fd, LOOP_GET_STATUS64, bytes(INFO.size))))
        except OSError as error:
            if error.errno == errno.ENXIO:             # detached already
                return
            raise
        fields[4] = size
        fcntl.ioctl(fd, LOOP_SET_STATUS64, INFO.pack(*fields))
        fcntl.ioctl(fd, LOOP_SET_CAPACITY, 0)


def detach(loop: str) -> None:
    """Take the device off its file; while somebody has it open, that waits for the last one."""
    with opened(loop) as fd:
        fcntl.ioctl(fd, LOOP_CLR_FD, 0)


def loops() -> Iterator[tuple[str, str, str]]:
    """(device, backing file, tag) of every loop device in use."""
    for name in os.listdir("/sys/block"):
        if not name.startswith("loop"):
            continue
        try:
            with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8", errors="surrogateescape") as file:
                backing = file.read().rstrip("\n")
            with opened(f"/dev/{name}", os.O_RDONLY) as fd:
                info = INFO.unpack(fcntl.ioctl(fd, LOOP_GET_STATUS64, bytes(INFO.size)))
        except OSError:
            continue                                   # not attached, or just going
        yield f"/dev/{name}", backing, info[9].rstrip(b"\0").decode(errors="replace")


def number(device: str) -> str:
    """"major:minor" of a block device."""
    found = os.stat(device).st_rdev
    return f"{os.major(found)}:{os.minor(found)}"


@contextlib.contextmanager
def opened(path: str, flags: int = os.O_RDWR) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


# -- file systems on them

def mounted() -> list[Mounted]:
    """The kernel's mount table."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return [parse_line(line) for line in file.read().split("\n") if line]


def parse_line(text: str) -> Mounted:
    left, _, right = text.partition(" - ")
    front, back = left.split(" "), right.split(" ")
    device = front[2]
    if back[0] == "btrfs":                             # shows an anonymous number, for it may span devices
        with contextlib.suppress(OSError):
            device = number(unescape(back[1]))
    return Mounted(device, unescape(front[4]), back[0], f"{front[5]},{back[2]}", text)


def unescape(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1").decode(
        "utf-8", "surrogateescape") if "\\" in text else text


def fence(device: str) -> None:
    """Shut down the file system on a device, wherever it is mounted: nothing of it is written any more, log included."""
    for each in mounted():
        if each.device == device and each.fstype in ("xfs", "ext2", "ext3", "ext4"):
            with contextlib.suppress(OSError), opened(each.directory, os.O_RDONLY | os.O_DIRECTORY) as fd:
                fcntl.ioctl(fd, GOING_DOWN, struct.pack("=I", NO_LOG_FLUSH))


def unmount(numbers: list[str]) -> None:
    """Take all mounts of these devices away, also from under those who use them."""
    for each in reversed(mounted()):
        if each.device in numbers:
            lazily(each.directory)


def lazily(directory: str) -> None:
    """Take the uppermost mount of a directory away; those who use it keep what is left of it."""
    subprocess.run(["umount", "-l", directory], stderr=subprocess.DEVNULL, check=False,
                   env={"PATH": SYSTEM_PATH, "LC_ALL": "C"})


def tag_of(address: str) -> str:
    """What the loops of a node are marked with: its address, and the network namespace in which that is one."""
    return f"{address.removeprefix(chr(0))}@{os.stat('/proc/self/ns/net').st_ino}"


def clean_up() -> list[str]:
    """Remove the loops and mounts of nodes whose process is gone; returns what was removed.

    Only devices that carry the address of a pretend node are looked at, and only if nothing listens there any more. An
    abstract socket is seen in its own network namespace only, so those of other namespaces are left alone.
    """
    removed = []
    here = tag_of("")
    for loop, _, tag in list(loops()):
        address = tag.removesuffix(here)
        if tag.startswith(TAG) and address != tag and not answers("\0" + address + CONTROL):
            fence(number(loop))
            resize(loop, DEAD_SIZE)
            unmount([number(loop)])
            with contextlib.suppress(OSError):
                detach(loop)
            removed.append(loop)
    return removed


def answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:
            return False
        return True


def why_not() -> str:
    """Why the real form is not possible here; empty when it is."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    try:
        with opened("/dev/loop-control") as control:
            fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    except OSError as error:
        return f"loop devices cannot be had: {error.strerror}"
    return ""
