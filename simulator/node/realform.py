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
and whenever the kernel says that its table changed (realmounts.py). What a pod writes is written by the test, as root.

Not real: a device whose I/O would wait for good (no path, queueing on) fails instead, since a loop device cannot be held
up; only the tools wait.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from simulator.node import loops, nfs
from simulator.node.call import Call, ToolFails, Tools
from simulator.node.disk_tools import split
from simulator.node.disks import Disk
from simulator.node.formats import signatures
from simulator.node.machine import Machine
from simulator.node.mount_tools import FAILED, VALUES, option_list
from simulator.node.mounts import opened
from simulator.node.realmounts import Bound, RealMounts

PASSED_ON = ("blkid", "wipefs", "mkfs", "mkfs.xfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.btrfs", "fsck", "e2fsck",
             "fsck.ext2", "fsck.ext3", "fsck.ext4", "fsck.xfs", "fsck.btrfs", "xfs_growfs", "resize2fs", "btrfs",
             "mountpoint")


class RealTools:
    """The machine's own tools, after the node has had its say."""

    def __init__(self, machine: Machine, mounts: RealMounts, client: nfs.Client, find: Callable[[str], Disk | None],
                 binaries: str) -> None:
        self._machine, self._mounts, self._nfs, self._find = machine, mounts, client, find
        self._path = ":".join(folder for folder in [*os.environ.get("PATH", "").split(":"), *loops.SYSTEM_PATH.split(":")]
                              if folder and os.path.realpath(folder) != os.path.realpath(binaries))

    def table(self) -> Tools:
        """Tool -> what is done for it; tools that this machine lacks are missing on the node too."""
        passed: Tools = {name: self.pass_on for name in PASSED_ON if self.real(name)}
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
                self._machine.wait(partial(works, disk), None)
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
        with self._mounts.announced(disk):
            status = self._mount_guarded(call, disk, directory, chosen)
        if status:
            self._mounts.show()                       # lets the lock go unless it is mounted elsewhere on this node
        elif disk.gone:
            loops.unmount([disk.number])              # the power was cut meanwhile
        return status

    def _mount_guarded(self, call: Call, disk: Disk, directory: str, chosen: list[str]) -> int:
        if "ro" not in chosen and disk.file and not self._mounts.guard.take(disk):
            raise ToolFails(FAILED, f"mount: {self._mounts.alarms[-1]}")
        own = {each.number for each in self._mounts.own_disks()}
        if disk.file:
            shut_down_others(disk, own)
        extra = []
        if disk.file and "nouuid" not in chosen and (uuids := xfs_uuids(disk.file)):
            if uuids & mounted_uuids(own - {disk.number}):
                raise ToolFails(FAILED, f"mount: {directory}: wrong fs type, bad option, bad superblock on {disk.path}.\n"
                                "       dmesg(1): XFS: Filesystem has duplicate UUID - can't mount")
            extra = ["-o", "nouuid"]
        return self._run(call, [self.real("mount"), *extra, *call.argv[1:]])

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
        with self._mounts.announced(directory):
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
                        self._machine.wait(partial(works, disk), None)


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


def works(disk: Disk) -> bool:
    """Whether I/O to the disk goes on, well or not."""
    return not disk.stalled


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
