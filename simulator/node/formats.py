"""Signatures on a device, and the pretend form's file systems: real magic numbers, real geometry, and the files.

A pretend file system keeps the superblock where the real one has it, so that blkid and the driver's own reads find it,
and its files as one JSON object at 512 KiB. All functions take a file descriptor and do no locking.
"""

import json
import os
import struct
import time
import uuid
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

FILES_AT = 512 << 10
FILES_MAGIC = b"PRETEND1"
EXT_AT, BTRFS_AT = 1024, 64 << 10
XFS_IN_PROGRESS = 126           # sb_inprogress: 1 while mkfs.xfs is at work


class Signature(NamedTuple):
    """What blkid -p would find."""

    kind: str                   # "xfs", "ext4", "btrfs", "LVM2_member", "crypto_LUKS", "swap"; "dos", "gpt" for tables
    usage: str                  # "filesystem", "raid", "crypto", "other", "table"
    uuid: str = ""


@dataclass
class Super:
    """A pretend file system as it lies on the device."""

    kind: str
    uuid: str
    size: int                   # bytes it covers
    label: str = ""
    clean: bool = True
    files: dict[str, str] = field(default_factory=dict)      # path -> latin-1 text of the bytes


def signatures(fd: int) -> list[Signature]:
    """All signatures that are on the device."""
    head = os.pread(fd, 8192, 0)
    found = []
    if head[:4] == b"XFSB":
        found.append(Signature("xfs", "filesystem", str(uuid.UUID(bytes=head[32:48]))))
    if head[EXT_AT + 0x38:EXT_AT + 0x3A] == b"\x53\xef":
        found.append(Signature(ext_kind(head), "filesystem", str(uuid.UUID(bytes=head[EXT_AT + 0x68:EXT_AT + 0x78]))))
    btrfs = os.pread(fd, 4096, BTRFS_AT)
    if btrfs[0x40:0x48] == b"_BHRfS_M":
        found.append(Signature("btrfs", "filesystem", str(uuid.UUID(bytes=btrfs[0x20:0x30]))))
    if head[512:520] == b"LABELONE" and head[536:544] == b"LVM2 001":
        found.append(Signature("LVM2_member", "raid"))
    if head[:6] == b"LUKS\xba\xbe":
        found.append(Signature("crypto_LUKS", "crypto"))
    if head[4086:4096] == b"SWAPSPACE2":
        found.append(Signature("swap", "other"))
    if head[512:520] == b"EFI PART":
        found.append(Signature("gpt", "table"))
    elif head[510:512] == b"\x55\xaa" and any(head[446:510]) and not found:
        found.append(Signature("dos", "table"))
    return found


def ext_kind(head: bytes) -> str:
    """ext4 when it has extents, ext3 with a journal, else ext2 (libblkid, superblocks/ext.c)."""
    compatible, incompatible = struct.unpack_from("<II", head, EXT_AT + 0x5C)
    return "ext4" if incompatible & 0x40 else "ext3" if compatible & 4 else "ext2"


def begin(fd: int, kind: str) -> None:
    """What a mkfs that is killed right away leaves: xfs a superblock in progress, the others no signature."""
    os.pwrite(fd, b"\0" * 4096, 0)
    os.pwrite(fd, b"\0" * 4096, BTRFS_AT)
    if kind == "xfs":
        superblock = bytearray(xfs_superblock(Super("xfs", str(uuid.uuid4()), os.fstat(fd).st_size)))
        superblock[XFS_IN_PROGRESS] = 1
        os.pwrite(fd, bytes(superblock), 0)
    else:
        os.pwrite(fd, b"\xff" * 4096, 256 << 10)
    os.fsync(fd)


def finish(fd: int, made: Super) -> None:
    """Write a whole new file system: the signature goes last."""
    save_files(fd, made)
    save_super(fd, made)


def save_super(fd: int, made: Super) -> None:
    writers = {"xfs": (0, xfs_superblock), "btrfs": (BTRFS_AT, btrfs_superblock)}
    at, build = writers.get(made.kind, (EXT_AT, ext_superblock))
    if made.kind != "xfs":
        os.pwrite(fd, b"\0" * 4, 0)
    os.pwrite(fd, build(made), at)
    os.fsync(fd)


def save_files(fd: int, made: Super) -> None:
    text = zlib.compress(json.dumps({"files": made.files, "clean": made.clean, "size": made.size,
                                     "label": made.label}).encode())
    os.pwrite(fd, FILES_MAGIC + struct.pack("<QI", len(text), zlib.crc32(text)) + text, FILES_AT)
    os.fsync(fd)


def load(fd: int) -> Super | None:
    """The pretend file system on a device; None when there is none that can be mounted."""
    found = [each for each in signatures(fd) if each.usage == "filesystem"]
    if len(found) != 1 or (found[0].kind == "xfs" and os.pread(fd, 1, XFS_IN_PROGRESS) != b"\0"):
        return None
    head = os.pread(fd, len(FILES_MAGIC) + 12, FILES_AT)
    if head[:8] != FILES_MAGIC:
        return None
    length, check = struct.unpack("<QI", head[8:])
    text = os.pread(fd, length, FILES_AT + len(head))
    if zlib.crc32(text) != check:
        return None
    kept = json.loads(zlib.decompress(text))
    return Super(found[0].kind, found[0].uuid, kept["size"], kept["label"], kept["clean"], kept["files"])


def xfs_superblock(made: Super) -> bytes:
    """The first sector (xfs_format.h, struct xfs_dsb): geometry, UUID, label, nothing in progress."""
    block, groups = 4096, 4
    blocks = made.size // block
    sector = bytearray(512)
    struct.pack_into(">4sIQQQ16sQ", sector, 0, b"XFSB", block, blocks, 0, 0, uuid.UUID(made.uuid).bytes, 0)
    struct.pack_into(">QQQ", sector, 56, 128, 129, 130)                    # root, bitmap and summary inodes
    struct.pack_into(">IIIIIHHHH", sector, 80, 1, blocks // groups, groups, 0, 2560, 0xB4B5, 512, 512, 8)
    sector[108:120] = made.label.encode()[:12].ljust(12, b"\0")
    sector[120:126] = bytes((12, 9, 9, 3, 22, 0))
    struct.pack_into(">QQQQ", sector, 128, 64, 61, max(0, blocks - 2600), 0)
    return bytes(sector)


def ext_superblock(made: Super) -> bytes:
    """Superblock at 1024 (Documentation/filesystems/ext4/super.rst)."""
    sector = bytearray(1024)
    blocks = made.size // 4096
    struct.pack_into("<IIIII", sector, 0, 65536, blocks & 0xFFFFFFFF, blocks // 20 & 0xFFFFFFFF,
                     max(0, blocks - 2000) & 0xFFFFFFFF, 65525)
    struct.pack_into("<III", sector, 0x14, 0, 2, 2)
    struct.pack_into("<IIII", sector, 0x20, 32768, 32768, 8192, int(time.time()) & 0xFFFFFFFF)
    struct.pack_into("<HHHH", sector, 0x38, 0xEF53, 1 if made.clean else 2, 1, 0)
    features = {"ext4": (0x3C, 0x2C2, 0x46B), "ext3": (0x3C, 2, 3)}.get(made.kind, (0x38, 2, 3))
    struct.pack_into("<IHHIII", sector, 0x54, 11, 256, 0, *features)
    sector[0x68:0x78] = uuid.UUID(made.uuid).bytes
    sector[0x78:0x88] = made.label.encode()[:16].ljust(16, b"\0")
    struct.pack_into("<I", sector, 0x4C, 1)
    struct.pack_into("<I", sector, 0x150, blocks >> 32)
    return bytes(sector)


def btrfs_superblock(made: Super) -> bytes:
    """Superblock at 64 KiB (btrfs_tree.h, struct btrfs_super_block), without the trees."""
    sector = bytearray(4096)
    sector[0x20:0x30] = uuid.UUID(made.uuid).bytes
    struct.pack_into("<QQ", sector, 0x30, BTRFS_AT, 1)
    sector[0x40:0x48] = b"_BHRfS_M"
    struct.pack_into("<QQ", sector, 0x70, made.size, 147456)
    struct.pack_into("<QII", sector, 0x88, 1, 4096, 16384)
    sector[0x12B:0x12B + len(made.label)] = made.label.encode()
    return bytes(sector)


def partition_table() -> bytes:
    """A DOS partition table with one Linux partition."""
    sector = bytearray(512)
    sector[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xfe\xff\xff", 2048, 1 << 20)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def lvm_label() -> bytes:
    """The first two sectors of an LVM physical volume."""
    return bytes(512) + b"LABELONE" + struct.pack("<QII", 1, 0, 32) + b"LVM2 001" + bytes(480)
