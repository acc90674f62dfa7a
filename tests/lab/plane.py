"""The simulator's data plane on a real kernel: volumes are files behind LIO, file systems are NFS exports.

Bytes are FilePlane's sparse files, on an XFS that shares blocks, so that clones are instant; a LUN is a live mapping in
LIO's access list of the initiator; counters are those of the loop device under each volume.
"""

import os
import shutil
from collections.abc import Sequence

from simulator.planes import FilePlane
from tests.lab.inside import fcoe, lio


class LioPlane(FilePlane):
    """Each FlashArray is one target with one portal group; its ports can go dark or refuse."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self._groups: dict[str, lio.Group] = {}
        self._fc: dict[str, list[lio.Group]] = {}
        self._devices: dict[str, lio.Device] = {}
        self._breakable: set[str] = set()
        lio.load()

    def open_array(self, array: str, iqn: str, portals: Sequence[str]) -> None:
        group = self._groups[array] = lio.iscsi(iqn)
        group.make()
        for portal in portals:
            group.portal(portal, True)
        group.enable()

    def open_fc(self, array: str, wwpns: Sequence[str], initiators: Sequence[str]) -> None:
        """The array's FC ports; a port must know an initiator before that one's link comes up (node-attach.md 1.4)."""
        self._fc[array] = [fcoe.target(wwpn) for wwpn in wwpns]
        for group in self._fc[array]:
            for initiator in initiators:
                group.know(initiator)

    def portal(self, array: str, portal: str, state: str) -> None:
        lio.firewall(portal, state == "dark")
        self._groups[array].portal(portal, state in ("up", "dark"))

    def know(self, array: str, initiator: str) -> None:
        """Let an initiator log in that sees nothing yet, as a real array does."""
        self._groups[array].know(initiator)

    def group(self, array: str) -> lio.Group:
        return self._groups[array]

    def resize(self, serial: str, size: int) -> None:
        super().resize(serial, size)
        if device := self._devices.get(serial):
            device.resize()

    def remove(self, serial: str) -> None:
        if device := self._devices.pop(serial, None):
            device.remove()
        super().remove(serial)

    def show(self, array: str, initiator: str, lun: int, serial: str) -> None:
        super().show(array, initiator, lun, serial)
        if serial not in self._devices:
            self._devices[serial] = lio.Device(str(self.file(serial)), serial, breakable=serial in self._breakable)
            self.activity()                  # what the loop device counts from here on belongs to this volume
        for group in self._groups_of(array, initiator):
            group.show(_name(initiator), lun, self._devices[serial])

    def hide(self, array: str, initiator: str, lun: int, serial: str) -> None:
        super().hide(array, initiator, lun, serial)
        for group in self._groups_of(array, initiator):
            group.hide(_name(initiator), lun, self._devices[serial])

    def break_from(self, serial: str, byte: int | None) -> None:
        """Let a volume fail with I/O errors from `byte` on, None: no more; the first time before it is ever shown."""
        self._breakable.add(serial)
        if (device := self._devices.get(serial)) and device.breakable:
            device.breakable.break_from(byte)

    def _groups_of(self, array: str, initiator: str) -> list[lio.Group]:
        return [self._groups[array]] if initiator.startswith("iqn.") else self._fc[array]

    def create_export(self, blade: str, name: str) -> str | None:
        """A directory that the NFS server shows as server:/<name>; who may mount it is in the export rules."""
        path = self.directory / "exports" / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return str(path)

    def remove_export(self, blade: str, name: str) -> None:
        shutil.rmtree(self.directory / "exports" / name, ignore_errors=True)


def _name(initiator: str) -> str:
    """An initiator as LIO's access lists are named: IQNs as they are, WWNs in pairs with colons."""
    if initiator.startswith("iqn."):
        return initiator
    digits = initiator.replace(":", "").lower()
    return ":".join(digits[at:at + 2] for at in range(0, 16, 2))
