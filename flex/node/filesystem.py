"""File systems on a block device: what is there, whether it may be made, making, checking and growing it.

Speaks to blkid of util-linux 2.23 or later, mkfs.*, fsck.ext*, xfs_growfs, resize2fs and btrfs; reads superblocks itself to
know how much of a device a file system fills. `blkid` alone never proves a device blank: it says so too of one that
cannot be read, of random data and of a damaged ext4 (node-attach.md 2.5). Reading zeros proves it.
"""

import fcntl
import os
import struct

from arrays.errors import CommandFailed, NeverHappened
from arrays.tuples import NamedTuple
from flex import container
from flex.node import blockdev, command
from flex.node.aside import Aside
from flex.paths import Paths
from flex.trouble import NodeLacks, NotTheVolume
from flex.wait import Deadline


EXT = ("ext2", "ext3", "ext4")
GROWABLE = ("xfs", "btrfs", *EXT)
SLACK = 16 << 20                # bytes at a device's end that a file system may leave out for want of a whole group
START = 68 << 10                # bytes of a device in which the superblocks of all these kinds are
XFS_IN_PROGRESS = 126           # sb_inprogress of an xfs superblock: 1 until mkfs.xfs is through
LOOK = 30.0                     # seconds for blkid
MAKE = 60.0                     # seconds for mkfs; without discard it takes one or two
CHECK = 60.0                    # seconds for fsck -p, which replays a journal

BLANK, AMBIVALENT = 2, 8        # exit statuses of blkid -p
CORRECTED = (0, 1)              # fsck(8): no errors, errors corrected

_XFS_GEOMETRY = (2 << 30) | (112 << 16) | (ord("X") << 8) | 100        # XFS_IOC_FSGEOMETRY_V1, xfs_fs.h
_PACKAGES = {"xfs": "xfsprogs", "btrfs": "btrfs-progs", **dict.fromkeys(EXT, "e2fsprogs")}


class Found(NamedTuple):
    """What a probe of a device saw; nothing at all means no signature was found, not that the device is blank."""

    type: str = ""              # "xfs", "ext4", "LVM2_member", "crypto_LUKS", …
    table: str = ""             # partition table: "gpt", "dos"
    ambivalent: bool = False    # more than one signature

    def __bool__(self) -> bool:
        return bool(self.type or self.table or self.ambivalent)

    def __str__(self) -> str:
        if self.ambivalent:
            return "signatures of several kinds"
        return f"a partition table ({self.table})" if self.table else self.type or "no signature"


def no_replay(fs_type: str, kernel: str = "") -> tuple[str, ...]:
    """The options with which a read-only mount replays no log: xfs(5), ext4(5), btrfs(5).

    btrfs has a new word for it since Linux 5.9, and no longer the old one; before 4.6 it has none, and the mount is refused.
    """
    if fs_type == "btrfs":
        version = [int(part) if part.isdigit() else 0 for part in (kernel or os.uname().release).split(".")[:2]]
        return ("rescue=nologreplay",) if version >= [5, 9] else ("nologreplay",)
    return {"xfs": ("norecovery",), "ext3": ("noload",), "ext4": ("noload",)}.get(fs_type, ())


# Looking --------------------------------------------------------------------------------------------------------------

def probe(device: str, timeout: float = LOOK) -> Found:
    """The signatures on a device, read from the device itself and not from blkid's cache."""
    done = _tool("util-linux", "blkid", "-p", "-o", "export", device, timeout=timeout, allow=(0, BLANK, AMBIVALENT))
    return Found(ambivalent=True) if done.status == AMBIVALENT else parse_probe(done.output)


def parse_probe(text: str) -> Found:
    """Read `blkid -p -o export`, one KEY=value a line: TYPE=xfs, PTTYPE=gpt, USAGE=filesystem, DEVNAME=…"""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Found(values.get("TYPE", ""), values.get("PTTYPE", ""))


def is_unfinished_xfs(start: bytes) -> bool:
    """Whether a device begins with what a killed mkfs.xfs leaves."""
    return start[:4] == b"XFSB" and start[XFS_IN_PROGRESS:XFS_IN_PROGRESS + 1] == b"\1"


def parse_size(fs_type: str, start: bytes) -> int | None:
    """The bytes a file system covers, from the first 68 KiB of its device; None when no superblock is recognised.

    Layouts: xfs_format.h (struct xfs_dsb), Documentation/filesystems/ext4/super.rst, btrfs_tree.h.
    """
    start = start.ljust(START, b"\0")
    if fs_type == "xfs" and start[:4] == b"XFSB":
        block, blocks = struct.unpack_from(">IQ", start, 4)
        return int(block * blocks)
    if fs_type in EXT and start[1024 + 0x38:1024 + 0x3A] == b"\x53\xef":
        low, shift = struct.unpack_from("<I", start, 1024 + 4)[0], struct.unpack_from("<I", start, 1024 + 0x18)[0]
        high = struct.unpack_from("<I", start, 1024 + 0x150)[0]
        return int((high << 32 | low) * (1024 << min(shift, 6)))
    if fs_type == "btrfs" and start[0x10040:0x10048] == b"_BHRfS_M":
        return int(struct.unpack_from("<Q", start, 0x10070)[0])
    return None


def size(paths: Paths, node: str, fs_type: str, mount_dir: str = "") -> int | None:
    """The bytes the file system on `node` covers; None when that cannot be told.

    A mounted xfs is asked, for its superblock on the device is written later.
    """
    device = f"{paths.dev}/{node}"

    def work() -> bytes:
        asked = _mounted_xfs_size(mount_dir) if fs_type == "xfs" and mount_dir else None
        if asked is None:
            with open(device, "rb", buffering=0) as file:
                asked = parse_size(fs_type, _read_start(file.fileno()))
        return b"%d" % asked if asked is not None else b""
    answer = Aside(work, f"reading the size of the file system on {device}").result(blockdev.PATIENCE)
    return int(answer) if answer else None


def _read_start(file: int) -> bytes:
    start = bytearray()
    while len(start) < START and (piece := os.pread(file, START - len(start), len(start))):
        start += piece
    return bytes(start)


def _mounted_xfs_size(mount_dir: str) -> int | None:
    directory = os.open(mount_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        geometry = fcntl.ioctl(directory, _XFS_GEOMETRY, bytes(112))
    except OSError:
        return None             # no xfs after all
    finally:
        os.close(directory)
    block, blocks = struct.unpack_from("=I", geometry)[0], struct.unpack_from("=Q", geometry, 32)[0]
    return int(block * blocks)


# Changing -------------------------------------------------------------------------------------------------------------

def make(device: str, fs_type: str, options: str, timeout: float = MAKE, *, again: bool = False,
         inherit: tuple[int, ...] = ()) -> None:
    """Make a file system. The caller has proved the device blank; `again` is for one whose making was cut short.

    Without `again`, mkfs.xfs and mkfs.btrfs refuse what has a signature: a second guard. mkfs.ext4 overwrites without
    asking when it has no terminal.
    """
    words = make_options(fs_type, options, again)
    _tool(_PACKAGES.get(fs_type, "a package with it"), f"mkfs.{fs_type}", *words, device, timeout=timeout, inherit=inherit)


def make_options(fs_type: str, options: str, again: bool = False) -> list[str]:
    """mkfs's options: the ones asked for, and not to discard, which takes minutes on a large volume that is thin anyway."""
    import shlex
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise NotTheVolume(f"mkfs options {options!r} cannot be read: {error}") from None
    if fs_type in ("xfs", "btrfs"):
        words += [word for word, wanted in (("-K", "-K" not in words), ("-f", again and "-f" not in words)) if wanted]
    if fs_type in EXT:
        words += [] if any(word.startswith("-E") for word in words) else ["-E", "nodiscard"]
        words += ["-F"] if again and "-F" not in words else []
    return words


def check(device: str, fs_type: str, timeout: float = CHECK, *, inherit: tuple[int, ...] = ()) -> None:
    """Replay the journal of an ext file system and mend what is safe to mend; other kinds do so when mounted."""
    if fs_type in EXT:
        _tool("e2fsprogs", f"fsck.{fs_type}", "-p", device, timeout=timeout, allow=CORRECTED, inherit=inherit)


def grow(paths: Paths, node: str, fs_type: str, mount_dir: str, deadline: Deadline) -> None:
    """Let a mounted file system fill its device, and make sure that it does; done when it does already."""
    device = f"{paths.dev}/{node}"
    if fs_type == "xfs":
        _tool("xfsprogs", "xfs_growfs", mount_dir, timeout=deadline.left())
    elif fs_type in EXT:
        _tool("e2fsprogs", "resize2fs", device, timeout=deadline.left())
    elif fs_type == "btrfs":
        _tool("btrfs-progs", "btrfs", "filesystem", "resize", "max", mount_dir, timeout=deadline.left())
    else:
        raise NotTheVolume(f"a file system of type {fs_type} cannot be grown: {', '.join(GROWABLE)} can")
    covered, whole = size(paths, node, fs_type, mount_dir), blockdev.size(paths, node)
    if covered is not None and covered + SLACK < whole:
        raise NeverHappened(f"the {fs_type} on {device} to grow: it covers {covered} of {whole} bytes", deadline.seconds)


def is_short(covered: int | None, whole: int) -> bool:
    """Whether a file system of `covered` bytes leaves so much of its device unused that it was meant to grow."""
    return covered is not None and covered + SLACK < whole


def _tool(package: str, *argv: str, timeout: float, allow: tuple[int, ...] = (0,),
          inherit: tuple[int, ...] = ()) -> command.Done:
    """Run a tool; NodeLacks naming its package when it is not installed."""
    try:
        return command.run(*argv, timeout=timeout, allow=allow, inherit=inherit)
    except CommandFailed as error:
        if error.status != command.NOT_INSTALLED:
            raise
        raise NodeLacks(f"{argv[0]} is not installed on this node: install {package}{container.advice()}") from None
