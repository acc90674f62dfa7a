"""The mount table of a pretend node, and what lives behind each entry.

Behind a block mount is a `FileSystem`: one for each device, shared by all its mounts, with the files it has in memory
and not yet written. Behind an NFS mount is a directory of the simulator. The pretend form shows the table in
/proc/self/mountinfo below the root; nothing is really mounted, so files are reached with PretendNode.write and read.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.node import formats
from simulator.node.call import ToolFails
from simulator.node.disks import Disk
from simulator.node.guard import Guard
from simulator.node.machine import Machine
from simulator.node.views import MountInfo


@dataclass(eq=False)
class FileSystem:
    """A mounted file system: what the kernel keeps of it while any mount or open file of it is left."""

    disk: Disk
    content: formats.Super
    read_only: bool
    open_files: int = 0                    # writers and readers that hold it
    dirty: bool = False                    # written, not yet on the device
    shut_down: bool = False                # the device failed under it: nothing works any more but umount


@dataclass(eq=False)
class Mount:
    """One line of mountinfo."""

    number: int
    parent: int
    device: str                            # "253:0"
    directory: str
    fstype: str
    source: str
    options: list[str] = field(default_factory=list)
    fs: FileSystem | None = None           # block
    export: str = ""                       # NFS: directory of the simulator
    server: str = ""
    forced: bool = False                   # umount -f was tried once
    root: str = "/"                        # what of the file system is shown

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


class Mounts:
    """The table, in the order of mounting."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._tree = machine, machine.tree
        self.table: list[Mount] = []
        self.file_systems: list[FileSystem] = []
        self.alarms: list[str] = []        # things that destroy data on real machines; tests assert there are none
        self.guard = Guard(machine, self.alarms)
        self._next = 21

    # -- the table

    def clear(self) -> None:
        """Power was cut: what was not written is lost."""
        for fs in self.file_systems:
            self.guard.release(fs.disk)
        self.file_systems.clear()
        self.table = [Mount(20, 1, "254:1", "/", "ext4", "/dev/vda1", ["rw", "relatime"])]
        self.show()

    def add(self, device: str, directory: str, fstype: str, source: str, options: list[str], *,
            fs: FileSystem | None = None, export: str = "", server: str = "", root: str = "/") -> Mount:
        parent = self.holding(directory) or self.table[0]
        made = Mount(self._next, parent.number, device, directory, fstype, source, options, fs, export, server,
                     root=root)
        self._next += 1
        self.table.append(made)
        self.show()
        return made

    def remove(self, mount: Mount) -> None:
        self.table.remove(mount)
        self.show()

    def show(self) -> None:
        self._tree.write("/proc/self/mountinfo", "".join(map(line, self.table)))
        self._tree.write("/proc/self/mounts", "".join(
            f"{escape(each.source)} {escape(each.directory)} {each.fstype} {','.join(each.options)} 0 0\n"
            for each in self.table))

    def entries(self) -> list[MountInfo]:
        """The table without the machine's own root."""
        return [MountInfo(each.directory, each.source, each.fstype, tuple(each.options), each.device,
                          getattr(each.fs.disk, "wwid", "") if each.fs else "")
                for each in self.table if each.directory != "/"]

    def at(self, directory: str) -> list[Mount]:
        """Mounts on exactly this directory, the visible one last."""
        return [each for each in self.table if each.directory == directory]

    def holding(self, path: str) -> Mount | None:
        """The mount that a file lies on."""
        inside = [each for each in self.table
                  if each.directory == "/" or path == each.directory or path.startswith(each.directory + "/")]
        return max(inside, key=lambda each: (len(each.directory), each.number), default=None)

    def on(self, disk: Disk) -> list[Mount]:
        return [each for each in self.table if each.fs and each.fs.disk is disk]

    # -- file systems

    def fs_of(self, disk: Disk) -> FileSystem | None:
        return next((fs for fs in self.file_systems if fs.disk is disk), None)

    def open_fs(self, disk: Disk, content: formats.Super, read_only: bool) -> FileSystem:
        """The device's file system was mounted for the first time."""
        fs = FileSystem(disk, content, read_only)
        if not read_only:
            if not self.guard.take(disk):
                raise ToolFails(32, f"mount: {self.alarms[-1]}")
            self.write_back(fs, clean=False)
        self.file_systems.append(fs)
        return fs

    def write_back(self, fs: FileSystem, clean: bool) -> None:
        """Put what is in memory on the device; nothing when that is read-only or shut down."""
        if fs.read_only or fs.shut_down:
            return
        if fs.disk.file is None:
            self.shut_down(fs)
            return
        fs.content.clean = clean
        with opened(fs.disk.file) as fd:
            formats.finish(fd, fs.content)
        fs.dirty = False

    def drop_fs(self, fs: FileSystem) -> None:
        """The last mount and the last open file are gone."""
        if fs not in self.file_systems or self._mounted(fs) or fs.open_files:
            return
        self.write_back(fs, clean=True)
        self.guard.release(fs.disk)
        self.file_systems.remove(fs)

    def _mounted(self, fs: FileSystem) -> bool:
        return any(each.fs is fs for each in self.table)

    def shut_down(self, fs: FileSystem) -> None:
        """The device failed for good: what was not written is lost, and nothing is ever written again."""
        fs.shut_down, fs.dirty = True, False
        self.guard.release(fs.disk)

    def follow_disks(self) -> None:
        """Volumes that were taken away may be written by others; one that came back must not have been."""
        for fs in self.file_systems:
            if fs.read_only or fs.shut_down:
                continue
            if fs.disk.file is None:
                self.guard.release(fs.disk)
            elif not self.guard.try_to_take(fs.disk):
                self.alarms.append(f"{fs.disk.file} came back to a node that still has it mounted, while another "
                                   "node writes to it")
                self.shut_down(fs)

    def why_open(self, disk: Disk) -> str:
        """Who uses a disk: a mount, or a file system that lives on after umount -l."""
        if mounted := self.on(disk):
            return f"mounted at {mounted[0].directory}"
        return "a file system without a mount" if self.fs_of(disk) else ""


@contextlib.contextmanager
def opened(file: str, flags: int = os.O_RDWR) -> Iterator[int]:
    """A volume's bytes."""
    fd = os.open(file, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def line(mount: Mount) -> str:
    """One line of mountinfo (proc(5))."""
    own = [option for option in mount.options if option in ("rw", "ro", "noatime", "relatime", "nosuid", "nodev")]
    return (f"{mount.number} {mount.parent} {mount.device} {escape(mount.root)} {escape(mount.directory)} {','.join(own)} "
            f"shared:1 - {mount.fstype} {escape(mount.source)} {','.join(mount.options)}\n")


def escape(text: str) -> str:
    """Blank, tab, newline and backslash as octal, as the kernel writes them."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in text)
