"""The real form of a node: the machine's own mkfs, blkid, mount and umount on loop devices, as root.

The tools are started by the executables in `bin`, after the node has had its say: it logs the call, lets a fault strike,
waits while the device's I/O waits, and refuses what only it can know:

* Both nodes share one kernel. A volume mounted read-write by one node is locked (flock on its file), and a second
  node's mount is refused with an alarm: real machines would mount it, and destroy it.
* xfs refuses a UUID that is mounted already. On real machines another node's mount is no reason: it may be a dead
  node's, or a clone's, in a mount namespace that cannot be seen from here. So every xfs is mounted with `nouuid`, and a
  UUID that this node itself has mounted is refused here, in the kernel's stead.
* There is no NFS server: an export is the simulator's directory, bound in place. The node's mountinfo says nfs.

/proc/self/mountinfo below the root is the kernel's table with those NFS lines changed; it is rewritten after each tool,
and whenever the kernel says that its table changed. What a pod writes is written by the test, as root.
"""

import contextlib
import os
import select
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from simulator.node import loops, nfs
from simulator.node.call import Call, ToolFails
from simulator.node.disk_tools import split
from simulator.node.disks import Disk
from simulator.node.formats import signatures
from simulator.node.guard import Guard
from simulator.node.machine import Machine
from simulator.node.mount_tools import FAILED, VALUES, option_list
from simulator.node.mounts import escape, opened
from simulator.node.views import MountInfo

PASSED_ON = ("blkid", "wipefs", "mkfs", "mkfs.xfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.btrfs", "fsck", "e2fsck",
             "fsck.ext2", "fsck.ext3", "fsck.ext4", "fsck.xfs", "fsck.btrfs", "xfs_growfs", "resize2fs", "btrfs",
             "mountpoint")


class Bound(NamedTuple):
    """An export that is bound at a directory."""

    server: str
    source: str                 # "192.0.2.31:/k8s-pvc-1"
    fstype: str
    options: tuple[str, ...]
    forced: bool = False


class RealMounts:
    """The kernel's mount table as this node sees it."""

    def __init__(self, machine: Machine, disks: Callable[[], list[Disk]]) -> None:
        self._machine, self._disks = machine, disks
        self.alarms: list[str] = []
        self.bound: dict[str, Bound] = {}
        self.guard = Guard(machine, self.alarms)
        self._stop = -1                    # closing it ends the watcher

    # -- the table

    def clear(self) -> None:
        """The node boots, or its power is cut: none of its mounts is left."""
        loops.unmount([disk.number for disk in self._disks()])
        for directory in list(self.bound):
            loops.lazily(directory)
        self.bound.clear()
        self.guard.release_all()
        self.show()

    def show(self) -> None:
        table = loops.mounted()
        here = {each.directory for each in table}
        self.bound = {directory: bound for directory, bound in self.bound.items() if directory in here}
        lines = "".join(self._line(each) for each in table)
        self._machine.tree.write("/proc/self/mountinfo", lines.encode("utf-8", "surrogateescape"))
        for disk in self.guard.holders():
            if not any(each.device == disk.number for each in table):
                self.guard.release(disk)

    def _line(self, each: loops.Mounted) -> str:
        bound = self.bound.get(each.directory)
        if bound is None:
            return each.text + "\n"
        words = each.text.partition(" - ")[0].split(" ")
        words[2], words[3] = "0:60", "/"
        return f"{' '.join(words)} - {bound.fstype} {escape(bound.source)} {','.join(bound.options)}\n"

    def entries(self) -> list[MountInfo]:
        """Mounts of this node's devices and exports."""
        wwids = {disk.number: getattr(disk, "wwid", "") for disk in self._disks()}
        found = []
        for each in loops.mounted():
            bound = self.bound.get(each.directory)
            source = loops.unescape(each.text.partition(" - ")[2].split(" ")[1])
            if bound:
                found.append(MountInfo(each.directory, bound.source, bound.fstype, bound.options, "0:60", ""))
            elif each.device in wwids:
                options = tuple(dict.fromkeys(each.options.split(",")))
                found.append(MountInfo(each.directory, source, each.fstype, options, each.device, wwids[each.device]))
        return found

    def own_disks(self) -> list[Disk]:
        return self._disks()

    def why_open(self, disk: Disk) -> str:
        """Who uses a disk, as far as the kernel tells."""
        if mounted := [each for each in loops.mounted() if each.device == disk.number]:
            return f"mounted at {mounted[0].directory}"
        try:
            os.close(os.open(self._machine.tree.at(disk.path), os.O_RDONLY | os.O_EXCL))
        except OSError:
            return "a file system without a mount, or a process"
        return ""

    def follow_disks(self) -> None:
        """A volume that was taken away was shut down by loops.py: others may have it now."""
        for disk in self.guard.holders():
            if disk.file is None and not disk.stalled:
                self.guard.release(disk)

    # -- following the kernel

    def start(self) -> None:
        self._stop, stopped = os.pipe2(os.O_CLOEXEC)[::-1]
        threading.Thread(target=self._watch, args=(stopped,), name="mountinfo", daemon=True).start()

    def stop(self) -> None:
        """Let the watcher end by itself: it may be waiting for the lock that the caller has."""
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1

    def _watch(self, stopped: int) -> None:
        with open("/proc/self/mountinfo", "rb") as table, os.fdopen(stopped, "rb"):
            poll = select.poll()
            poll.register(table, select.POLLPRI | select.POLLERR)
            poll.register(stopped, select.POLLIN | select.POLLHUP)
            while stopped not in dict(poll.poll()):
                with self._machine.lock:
                    if self._machine.running:
                        self.show()


class RealTools:
    """The machine's own tools, after the node has had its say."""

    def __init__(self, machine: Machine, mounts: RealMounts, client: nfs.Client, find: Callable[[str], Disk | None],
                 binaries: str) -> None:
        self._machine, self._mounts, self._nfs, self._find = machine, mounts, client, find
        self._path = ":".join(folder for folder in [*os.environ.get("PATH", "").split(":"), *loops.SYSTEM_PATH.split(":")]
                              if folder and os.path.realpath(folder) != os.path.realpath(binaries))

    def table(self) -> dict[str, Callable[[Call], int]]:
        """Tool -> what is done for it; tools that this machine lacks are missing on the node too."""
        passed = {name: self.pass_on for name in PASSED_ON if self.real(name)}
        return passed | {"mount": self.mount, "umount": self.umount, "mount.nfs": self.mount_nfs,
                         "mount.nfs4": self.mount_nfs}

    def real(self, name: str) -> str:
        return shutil.which(name, path=self._path) or ""

    def pass_on(self, call: Call) -> int:
        """Run the tool as it is."""
        self._wait_for_devices(call)
        return self._run(call, [self.real(call.tool), *call.argv[1:]])

    def _wait_for_devices(self, call: Call) -> None:
        for name in call.argv[1:]:
            if disk := self._find(name):
                self._machine.wait(lambda disk=disk: not disk.stalled, None)
        if seconds := self._machine.faults.slow.get(call.tool, 0.0):
            self._machine.wait(call.killed, seconds * self._machine.settings.speed)

    def _run(self, call: Call, argv: list[str]) -> int:
        """Let the executable run a program, without the lock; the mount table is right again before it ends."""
        self._machine.lock.release()
        try:
            status = call.run(argv)
        finally:
            self._machine.lock.acquire()
        if self._machine.running:
            self._mounts.show()
        return 137 if status is None else status

    # -- mount

    def mount(self, call: Call) -> int:
        options, names = split(call.argv[1:], with_value=VALUES)
        chosen = option_list(call.argv)
        fstype = options.get("-t") or options.get("--types") or ""
        if len(names) == 2 and (fstype.startswith("nfs") or not fstype and nfs.looks_like(names[0])):
            return self._mount_nfs(call, names, chosen, fstype or "nfs")
        disk = self._find(names[0]) if len(names) == 2 else None
        if disk is None:
            return self._run(call, [self.real("mount"), *call.argv[1:]])
        return self._mount_disk(call, disk, names[1], chosen)

    def _mount_disk(self, call: Call, disk: Disk, directory: str, chosen: list[str]) -> int:
        self._wait_for_devices(call)
        if getattr(disk, "map", None):
            raise ToolFails(FAILED, f"mount: {directory}: {disk.path} already mounted or mount point busy.")
        if "ro" not in chosen and disk.file and not self._mounts.guard.take(disk):
            raise ToolFails(FAILED, f"mount: {self._mounts.alarms[-1]}")
        own = {each.number for each in self._mounts.own_disks()}
        if disk.file:
            shut_down_others(disk, own)
        extra = []
        if disk.file and "nouuid" not in chosen and (uuids := xfs_uuids(disk.file)):
            if uuids & mounted_uuids(own):
                self._mounts.show()
                raise ToolFails(FAILED, f"mount: {directory}: wrong fs type, bad option, bad superblock on {disk.path}.\n"
                                "       dmesg(1): XFS: Filesystem has duplicate UUID - can't mount")
            extra = ["-o", "nouuid"]
        status = self._run(call, [self.real("mount"), *extra, *call.argv[1:]])
        if status:
            self._mounts.show()                       # lets the lock go unless it is mounted elsewhere on this node
        return status

    def mount_nfs(self, call: Call) -> int:
        _, names = split(call.argv[1:], with_value="-o")
        if len(names) != 2:
            raise ToolFails(1, "usage: mount.nfs remotetarget dir [-rvVwfnsh] [-o nfsoptions]")
        return self._mount_nfs(call, names, option_list(call.argv), call.tool[6:])

    def _mount_nfs(self, call: Call, names: list[str], chosen: list[str], fstype: str) -> int:
        source, directory = names[0], os.path.realpath(names[1])
        if not os.path.isdir(directory):
            raise ToolFails(FAILED, f"mount: {directory}: mount point does not exist.")
        export = self._nfs.grant(call, source, directory, chosen, fstype)
        if (bound := self._mounts.bound.get(directory)) and bound.source == source:
            return 0
        read_only = ["-o", "bind,ro"] if export.read_only else ["--bind"]
        self._mounts.bound[directory] = Bound(export.server, source, export.fstype, tuple(export.options))
        status = self._run(call, [self.real("mount"), *read_only, export.directory, directory])
        if status:
            self._mounts.bound.pop(directory, None)
        return status

    # -- umount

    def umount(self, call: Call) -> int:
        options, names = split(call.argv[1:], with_value="-t -O")
        flags = "".join(name.lstrip("-") for name in options if not name.startswith("--"))
        lazy, force = "l" in flags or "--lazy" in options, "f" in flags or "--force" in options
        directory = os.path.realpath(names[0]) if names else ""
        if bound := self._mounts.bound.get(directory):
            self._umount_nfs(directory, bound, lazy=lazy, force=force)
        elif not lazy:
            self._wait_or_refuse(directory)
        return self._run(call, [self.real("umount"), *call.argv[1:]])

    def _umount_nfs(self, directory: str, bound: Bound, *, lazy: bool, force: bool) -> None:
        if not lazy and self._nfs.is_dark(bound.server) and not (force and bound.forced):
            self._mounts.bound[directory] = bound._replace(forced=bound.forced or force)
            raise ToolFails(nfs.BUSY, f"umount.nfs4: {directory}: device is busy")

    def _wait_or_refuse(self, directory: str) -> None:
        faults = self._machine.faults
        if faults.umount_busy:
            faults.umount_busy -= 1
            raise ToolFails(FAILED, f"umount: {directory}: target is busy.")
        for each in loops.mounted():
            if each.directory == directory:
                for disk in self._mounts.own_disks():
                    if disk.number == each.device:
                        self._machine.wait(lambda disk=disk: not disk.stalled, None)


class RealPods:
    """Files below real mounts are real files."""

    def write(self, path: str, data: bytes, sync: bool) -> None:
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Keep the directory or file open."""
        fd = os.open(path if os.path.exists(path) else os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield
        finally:
            os.close(fd)


def shut_down_others(disk: Disk, own: set[str]) -> None:
    """We hold the volume's lock: whoever else still has it mounted is dead, and must not write any more."""
    for loop, backing, tag in loops.loops():
        number = loops.number(loop)
        if backing == disk.file and number not in own and tag.startswith(loops.TAG):
            if any(each.device == number for each in loops.mounted()):
                loops.fence(number)
                loops.resize(loop, loops.DEAD_SIZE)


def xfs_uuids(file: str) -> set[str]:
    """The UUID of the xfs in a volume; empty for anything else."""
    with opened(file, os.O_RDONLY) as fd:
        return {mark.uuid for mark in signatures(fd) if mark.kind == "xfs"}


def mounted_uuids(own: set[str]) -> set[str]:
    """UUIDs of the xfs that are mounted from these devices."""
    backing = {loops.number(loop): file for loop, file, _ in loops.loops()}
    files = {backing.get(each.device, "") for each in loops.mounted() if each.device in own and each.fstype == "xfs"}
    return {uuid for file in files if os.path.exists(file) for uuid in xfs_uuids(file)}
