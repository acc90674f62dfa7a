"""Only one node may write to a volume: a lock on the volume's file while it is mounted read-write.

Two nodes that both write to it are what no driver may ever bring about. Where real machines would go on and destroy the
file system, here the second mount is refused and an alarm is raised.
"""

import fcntl
import os
import time

from simulator.node.disks import Disk
from simulator.node.machine import Machine

NOTICED = 1.0                   # real seconds: by then every node has noticed what the arrays show it


class Guard:
    """The locks one node holds; call with the machine's lock held."""

    def __init__(self, machine: Machine, alarms: list[str]) -> None:
        self._machine, self._alarms = machine, alarms
        self._locks: dict[Disk, int] = {}

    def take(self, disk: Disk) -> bool:
        """Lock the disk's volume; False, with an alarm, when another node has it.

        A node whose volume was taken away a moment ago lets go when it notices, so this waits a little.
        """
        give_up = time.monotonic() + NOTICED
        while not self.try_to_take(disk):
            if time.monotonic() > give_up:
                self._alarms.append(f"{disk.file} is mounted for writing on two nodes at once: on real machines it would "
                                    "now be destroyed")
                return False
            self._machine.changed.wait(0.02)
        return True

    def try_to_take(self, disk: Disk) -> bool:
        if disk in self._locks:
            return True
        if disk.file is None:
            return False
        lock = os.open(disk.file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks[disk] = lock
        return True

    def holders(self) -> list[Disk]:
        return list(self._locks)

    def release(self, disk: Disk) -> None:
        if (lock := self._locks.pop(disk, None)) is not None:
            os.close(lock)

    def release_all(self) -> None:
        for disk in self.holders():
            self.release(disk)
