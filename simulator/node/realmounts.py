"""The kernel's mount table as a node in its real form sees it, rewritten below the node's root whenever it changes.

Exports are bound directories; here they become the NFS lines a real node would show (realform.py).
"""

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from simulator.node import loops
from simulator.node.call import ToolFails
from simulator.node.disks import Disk
from simulator.node.guard import Guard
from simulator.node.machine import Machine
from simulator.node.mounts import escape
from simulator.node.views import MountInfo


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
        self.under_way: list[object] = []  # directories and disks whose mount(8) has not ended: not there, but coming
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
        self.bound = {directory: bound for directory, bound in self.bound.items()
                      if directory in here or directory in self.under_way}
        lines = "".join(self._line(each) for each in table)
        self._machine.tree.write("/proc/self/mountinfo", lines.encode("utf-8", "surrogateescape"))
        for disk in self.guard.holders():
            if disk not in self.under_way and not any(each.device == disk.number for each in table):
                self.guard.release(disk)

    @contextlib.contextmanager
    def announced(self, coming: object) -> Iterator[None]:
        """A mount of this directory or disk is under way; when it failed, the next `show` forgets it."""
        self.under_way.append(coming)
        try:
            yield
        except ToolFails:
            self.under_way.remove(coming)
            self.show()
            raise
        self.under_way.remove(coming)

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
