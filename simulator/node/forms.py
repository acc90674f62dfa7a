"""The two forms of a node's devices, mounts and file system tools: pretend (no privileges) and real (root, loop devices).

Everything else of a node is the same in both.
"""

import contextlib
from collections.abc import Callable
from typing import Protocol

from simulator.node import loops, nfs
from simulator.node.call import Tools
from simulator.node.disk_tools import DiskTools
from simulator.node.disks import Disk, Nodes, PretendNodes
from simulator.node.machine import Machine
from simulator.node.mount_tools import MountTools
from simulator.node.mounts import Mounts
from simulator.node.pods import Pods
from simulator.node.realform import RealPods, RealTools
from simulator.node.realmounts import RealMounts
from simulator.node.server import address_of
from simulator.node.views import MountInfo


class MountTable(Protocol):
    """What the rest of the node asks of its mounts."""

    alarms: list[str]

    def clear(self) -> None: ...
    def entries(self) -> list[MountInfo]: ...
    def why_open(self, disk: Disk) -> str: ...
    def follow_disks(self) -> None: ...


class PodFiles(Protocol):
    """Files as pods have them."""

    def write(self, path: str, data: bytes, sync: bool) -> None: ...
    def read(self, path: str) -> bytes: ...
    def held(self, path: str) -> contextlib.AbstractContextManager[None]: ...


class Form(Protocol):
    """Devices, mounts, files and tools of a node."""

    @property
    def nodes(self) -> Nodes: ...
    @property
    def mounts(self) -> MountTable: ...
    @property
    def pods(self) -> PodFiles: ...

    def tools(self, find: Callable[[str], Disk | None]) -> Tools: ...
    def start(self) -> None: ...
    def lose(self) -> None: ...


class PretendForm:
    """Regular files for devices, a mount table that only the node's own tools look at."""

    def __init__(self, machine: Machine, address: str) -> None:
        self._machine, self._address = machine, address
        self.nodes = PretendNodes(machine.tree)
        self.mounts = Mounts(machine)
        self.pods = Pods(machine, self.mounts)

    def tools(self, find: Callable[[str], Disk | None]) -> Tools:
        disks = DiskTools(self._machine, self.mounts, find)
        client = nfs.Client(self._machine, self._address)
        mounting = MountTools(self._machine, self.mounts, disks, client)
        tools: Tools = {
            "blkid": disks.blkid, "wipefs": disks.wipefs, "xfs_growfs": disks.xfs_growfs, "resize2fs": disks.resize2fs,
            "btrfs": disks.btrfs, "mount": mounting.mount, "umount": mounting.umount, "mountpoint": mounting.mountpoint,
            "mount.nfs": mounting.mount_nfs, "mount.nfs4": mounting.mount_nfs}
        tools |= {f"mkfs{suffix}": disks.mkfs for suffix in ("", ".xfs", ".ext2", ".ext3", ".ext4", ".btrfs")}
        return tools | dict.fromkeys(("fsck", "e2fsck", "fsck.ext2", "fsck.ext3", "fsck.ext4", "fsck.xfs",
                                      "fsck.btrfs"), disks.fsck)

    def start(self) -> None:
        self.mounts.clear()

    def lose(self) -> None:
        """Power is cut: what was not written is lost."""
        for fs in self.mounts.file_systems:
            self.mounts.shut_down(fs)
        self.mounts.clear()


class RealForm:
    """Loop devices and the machine's own tools."""

    def __init__(self, machine: Machine, directory: str, address: str, disks: Callable[[], list[Disk]]) -> None:
        if reason := loops.why_not():
            raise OSError(f"a node in its real form is not possible here: {reason}")
        self._machine, self._address, self._binaries = machine, address, f"{directory}/bin"
        self.nodes = loops.LoopNodes(machine.tree, loops.tag_of(address_of(directory)))
        self.mounts = RealMounts(machine, disks)
        self.pods = RealPods()

    def tools(self, find: Callable[[str], Disk | None]) -> Tools:
        client = nfs.Client(self._machine, self._address)
        return RealTools(self._machine, self.mounts, client, find, self._binaries).table()

    def start(self) -> None:
        self.mounts.clear()
        self.mounts.start()

    def lose(self) -> None:
        """Power is cut: the file systems of all devices stop first, then their mounts go."""
        self.nodes.power_off()
        self.mounts.stop()
        self.mounts.clear()
