"""Block devices of this node: what a device is, who uses it, how large it is, whether it is blank.

Everything that only looks is read from sysfs, mountinfo and /proc/swaps. What touches the device itself (open, read, sync)
happens aside: with its paths gone and queueing on, such calls never return (node-attach.md 2.8).
"""

import errno
import mmap
import os

from arrays.errors import NeverHappened
from flex.node import mounts, sysfs
from flex.node.aside import Aside
from flex.node.mounts import Mount
from flex.node.scsi import wwid_of
from flex.paths import Paths

SECTOR = START = 512
MiB = 1 << 20
SAMPLES = 32                    # places looked at between the first and the last MiB
SAMPLE = 64 << 10
PATIENCE = 30.0                 # seconds for one read or sync of a device that works


def node_of(paths: Paths, number: str) -> str:
    """"dm-3" for "253:3", "" when there is no such device."""
    link = f"{paths.sys_dev_block}/{number}"
    return os.path.basename(os.path.realpath(link)) if os.path.exists(link) else ""


def number_of(paths: Paths, node: str) -> str:
    """"253:3" for "dm-3", "" when there is no such device."""
    return sysfs.read(f"{paths.sys_block}/{node}/dev")


def wwid_of_device(paths: Paths, number: str) -> str:
    """The WWID of a whole multipath map or a whole disk by "major:minor"; "" for anything else (partition, LVM, loop)."""
    directory = f"{paths.sys_dev_block}/{number}"
    uuid = sysfs.read(f"{directory}/dm/uuid")
    if uuid:
        return uuid.removeprefix("mpath-") if uuid.startswith("mpath-") else ""
    return wwid_of(sysfs.read(f"{directory}/device/wwid"))


def number_behind(paths: Paths, mount: Mount) -> str:
    """"major:minor" of the block device that a mount stands on, "" when there is none.

    btrfs shows an anonymous number ("0:45") in mountinfo (Linux 6.1); the source it shows is a device file or a link to one.
    """
    if not mount.device.startswith("0:"):
        return mount.device
    file = mount.source if mount.source.startswith(f"{paths.dev}/") else paths.at(mount.source)
    if mount.fstype != "btrfs" or not file.startswith(f"{paths.dev}/"):
        return ""
    try:
        found = os.stat(file).st_rdev
    except OSError:                             # a device of another mount namespace, say: not one of ours
        return ""
    return f"{os.major(found)}:{os.minor(found)}" if found else number_of(paths, os.path.basename(os.path.realpath(file)))


def volume_below(paths: Paths, number: str) -> str:
    """The WWID of the volume that a device is, or is a partition of: of a map (made by kpartx) or of a disk."""
    directory = f"{paths.sys_dev_block}/{number}"
    _, mpath, wwid = sysfs.read(f"{directory}/dm/uuid").partition("mpath-")
    if mpath:
        return wwid
    return wwid_of(sysfs.read(f"{directory}/device/wwid") or sysfs.read(f"{os.path.realpath(directory)}/../device/wwid"))


def mounted_volume(paths: Paths, wwid: str) -> list[str]:
    """Where a volume is mounted, be it through its map, one path alone, or a partition."""
    below: dict[str, str] = {}
    found = []
    for mount in mounts.certain(paths):
        number = number_behind(paths, mount)
        if number and below.setdefault(number, volume_below(paths, number)) == wwid:
            found.append(mount.mount_dir)
    return found


def mounts_of(paths: Paths, number: str) -> list[Mount]:
    """Everywhere that the block device "major:minor" is mounted, the oldest mount first."""
    return [mount for mount in mounts.table(paths) if number_behind(paths, mount) == number]


def wwid_of_mount(paths: Paths, mount: Mount) -> str:
    """The WWID of the volume that a mount stands on; "" for anything else."""
    number = number_behind(paths, mount)
    return wwid_of_device(paths, number) if number else ""


def size(paths: Paths, node: str) -> int:
    """Bytes, 0 when the device is not there."""
    return (sysfs.number(sysfs.read(f"{paths.sys_block}/{node}/size")) or 0) * SECTOR


def mounted(paths: Paths, node: str) -> list[str]:
    """Where a device, or one of its partitions, is mounted."""
    numbers = {number_of(paths, node), *_partitions(paths, node)} - {""}
    found = mounts.certain(paths) if numbers else []
    return [mount.mount_dir for mount in found if number_behind(paths, mount) in numbers]


def users(paths: Paths, node: str) -> list[str]:
    """Who uses a device: mount directories, devices on top of it (LVM, partitions of a map, …), swap. For messages too."""
    found = mounted(paths, node) + [f"device {holder}" for holder in sysfs.entries(f"{paths.sys_block}/{node}/holders")]
    return found + ([f"swap on {node}"] if _is_swap(paths, node) else [])


def _partitions(paths: Paths, node: str) -> list[str]:
    names = sysfs.entries(f"{paths.sys_block}/{node}", node)
    return [number for name in names if (number := sysfs.read(f"{paths.sys_block}/{node}/{name}/dev"))]


def _is_swap(paths: Paths, node: str) -> bool:
    try:
        with open(paths.swaps, encoding="utf-8", errors="replace") as file:
            return any(line.split()[0].rpartition("/")[2] == node for line in file if line.strip())
    except OSError:
        return False


def is_open(paths: Paths, node: str) -> bool:
    """Whether somebody has the device open for himself (a mount, a volume group, a program); sysfs does not tell all."""
    device = f"{paths.dev}/{node}"

    def work() -> bytes:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK))
        return b""
    try:
        Aside(work, f"opening {device}").result(PATIENCE)
    except NeverHappened:
        return True                 # whoever makes it hang uses it
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def flush(paths: Paths, node: str, timeout: float) -> None:
    """Write out what the kernel still holds for the device; OSError (EIO) when it cannot.

    Opened for reading, which is enough for that: udev looks at a device again, and holds it, whenever a writer closes it.
    """
    device = f"{paths.dev}/{node}"

    def work() -> bytes:
        os.fsync(os.open(device, os.O_RDONLY))
        return b""
    Aside(work, f"writing out {device}").result(timeout)


def look(paths: Paths, node: str, timeout: float = PATIENCE) -> tuple[bytes, int | None]:
    """The first 512 bytes of a device, and the offset of a block near which something other than zeros was read.

    The offset is None when all that was read is zero: the first and the last MiB and samples between, past the cache.
    OSError (EIO) when anything cannot be read: blkid calls such a device empty (node-attach.md, fact 1).
    """
    device = f"{paths.dev}/{node}"

    def work() -> bytes:
        file = os.open(device, os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, MiB)             # direct reads need aligned memory; the child ends before it is closed
        data = next((offset for offset, length in pieces(os.lseek(file, 0, os.SEEK_END))
                     if not _is_zero(_read(file, buffer, offset, length))), None)
        return _read(file, buffer, 0, 4096)[:START] + (b"" if data is None else b"%d" % data)
    answer = Aside(work, f"reading {device}").result(timeout)
    return answer[:START], int(answer[START:]) if answer[START:] else None


def pieces(whole: int) -> list[tuple[int, int]]:
    """(offset, length) of what is looked at on a device of `whole` bytes, in multiples of 4 KiB as direct reads need."""
    if whole <= 4 * MiB:
        return [(offset, min(MiB, whole - offset)) for offset in range(0, whole, MiB)]
    step = (whole - 2 * MiB) // (SAMPLES + 1)
    between = [(MiB + step * number) // SAMPLE * SAMPLE for number in range(1, SAMPLES + 1)]
    return [(0, MiB), *((offset, SAMPLE) for offset in between), ((whole - MiB) // 4096 * 4096, MiB)]


def _is_zero(data: bytes) -> bool:
    return data == bytes(len(data))         # any(data) takes 6 ms for a MiB, comparing 0.1 ms


def _read(file: int, buffer: mmap.mmap, offset: int, length: int) -> bytes:
    """One direct read; what is beyond the end is not read."""
    got = os.preadv(file, [memoryview(buffer)[:length]], offset)
    return buffer[:got]
