"""Block devices of a pretend node: their files below /dev, and where their I/O goes.

`Nodes` puts a device at /dev/<name>. In the pretend form it is a regular file: a hard link to the array's file, so that
the driver's own reads see true bytes; a device whose I/O fails is a link to /proc/self/mem, whose first page cannot be
read by anybody (EIO). loops.py has the other form, real block devices.
"""

import os
from dataclasses import dataclass
from typing import Protocol

from simulator.node.tree import Tree

FAILING = "/proc/self/mem"


@dataclass(eq=False)
class Disk:
    """One block device as the kernel sees it."""

    name: str                          # "sda", "dm-0"
    number: str = ""                   # "8:0"
    size: int = 0                      # bytes, as last read from the array
    file: str | None = None            # where I/O goes; None: it fails with EIO
    stalled: bool = False              # I/O waits: a path that is being given up, or a map that queues
    held_until: float = 0.0            # real time until which udev has it open
    gone: bool = False                 # removed from the node

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"


class Nodes(Protocol):
    """Where device files come from."""

    def add(self, disk: Disk) -> None:
        """Make /dev/<name> and set `disk.number`."""

    def update(self, disk: Disk) -> None:
        """The size or the file behind the disk changed."""

    def remove(self, disk: Disk) -> None:
        """The device is gone."""

    def flush(self, disk: Disk) -> None:
        """Write out and forget what is cached of the device."""


class PretendNodes:
    """Regular files for devices; no privilege needed."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def add(self, disk: Disk) -> None:
        disk.number = number(disk.name)
        self.update(disk)

    def update(self, disk: Disk) -> None:
        staged = self._tree.staged()
        if disk.file is None:
            os.symlink(FAILING, staged)
        else:
            try:
                os.link(disk.file, staged)
            except OSError:                        # another file system
                os.symlink(disk.file, staged)
        os.rename(staged, self._tree.at(disk.path))
        if os.path.lexists(staged):                # rename(2) between two links of one file does nothing
            os.unlink(staged)

    def remove(self, disk: Disk) -> None:
        self._tree.remove(disk.path)

    def flush(self, disk: Disk) -> None:
        pass


def number(name: str) -> str:
    """major:minor of "sda" or "dm-3" (Documentation/admin-guide/devices.txt: 16 minors a disk, 16 disks a major)."""
    if name.startswith("dm-"):
        return f"253:{name[3:]}"
    index = sd_index(name)
    majors = (8, *range(65, 72), *range(128, 136))
    return f"{majors[index // 16 % len(majors)]}:{index % 16 * 16 + index // 256 * 256}"


def sd_name(index: int) -> str:
    """0 -> sda, 25 -> sdz, 26 -> sdaa."""
    letters = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        letters = chr(97 + letter) + letters
    return "sd" + letters


def sd_index(name: str) -> int:
    index = 0
    for letter in name.removeprefix("sd"):
        index = index * 26 + ord(letter) - 96
    return index - 1
