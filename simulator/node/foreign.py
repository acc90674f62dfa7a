"""Disks on a pretend node that are not the driver's: the boot disk, and other people's FlashArray LUNs.

A driver that touches one of them is the worst report this field knows; `touched` tells what was done to them.
"""

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from simulator.node import formats
from simulator.node.arrays import Arrays, Foreign
from simulator.node.call import Call
from simulator.node.disks import Disk
from simulator.node.machine import Machine
from simulator.node.multipathd import Map, Multipathd
from simulator.node.records import defaults
from simulator.node.scsi import Path, Scsi, Unit
from simulator.node.sessions import Sessions
from simulator.node.views import MountInfo

SIZE = 16 << 20
TARGET = "iqn.2010-06.com.purestorage:flasharray.0f0e1610{:08x}"
PORTALS = ["203.0.113.11:3260", "203.0.113.12:3260"]
ATA = "/sys/devices/pci0000:00/0000:00:1f.2/ata1"


class LocalBus:
    """The boot disk's own host."""

    target, portal = "", "local"

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def state(self) -> str:
        return "running"

    def units(self) -> dict[int, Unit]:
        return {0: self._unit}


@dataclass
class Lun:
    """One foreign LUN and what it was like when it came."""

    unit: Unit
    target: str
    directory: str              # where it is mounted, or ""
    before: tuple[object, ...] = ()


class Strangers:
    """All disks that are not the driver's."""

    def __init__(self, machine: Machine, scsi: Scsi, arrays: Arrays, sessions: Sessions, multipathd: Multipathd,
                 mounts: Callable[[], list[MountInfo]]) -> None:
        self._machine, self._scsi, self._arrays = machine, scsi, arrays
        self._sessions, self._multipathd, self._mounts = sessions, multipathd, mounts
        self._folder = os.path.dirname(machine.tree.root) + "/foreign"
        self._luns: list[Lun] = []
        self.tools: dict[str, Callable[[Call], int]] = {}

    # -- at boot

    def start(self) -> None:
        """The boot disk is sda; LUNs of before are logged in to as at boot, and mounted."""
        host = self._scsi.add_host(ATA, "ahci")
        unit = Unit(0, "t10.ATA     PRETEND DISK                            S0", SIZE, self._file("boot"), "S0",
                    "ATA     ", "PRETEND DISK    ")
        host.channels[0, 0] = (LocalBus(unit), f"{host.directory}/target{host.number}:0:0")
        self._scsi.scan(host)
        for lun in self._luns:
            self._bring_up(lun)

    def _file(self, name: str, content: bytes = b"") -> str:
        os.makedirs(self._folder, exist_ok=True)
        path = f"{self._folder}/{name}"
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(content or formats.partition_table())
                file.truncate(SIZE)
        return path

    # -- other people's LUNs

    def add(self, lun: int, content: str, mounted: str) -> str:
        """Add a FlashArray LUN of another array; returns its WWID."""
        serial = f"{0xF0E1D2C3B4A5968700000000 + len(self._luns):024X}"
        contents = {"partition": formats.partition_table(), "lvm": formats.lvm_label(), "blank": bytes(1),
                    "raw": b"\x8d" * 4096}
        file = self._file(serial, contents.get(content, bytes(1)))
        unit = Unit(lun, "naa.624a9370" + serial.lower(), SIZE, file, serial, volume="other-people", array="foreign")
        new = Lun(unit, TARGET.format(len(self._luns)), mounted)
        self._luns.append(new)
        self._bring_up(new, content if content.startswith("ext") else "")
        return "3624a9370" + serial.lower()

    def _bring_up(self, lun: Lun, make: str = "") -> None:
        self._arrays.foreign[lun.target] = Foreign(PORTALS, {lun.unit.lun: lun.unit})
        for portal in PORTALS:
            self._sessions.open(lun.target, portal, defaults(lun.target, portal, self._machine.settings))
        wwid = "3" + lun.unit.wwid.removeprefix("naa.")
        made = self._multipathd.build(wwid, any_path=True)
        assert made
        self._multipathd.known += [path for path in made.paths if path not in self._multipathd.known]
        device = self._machine.tree.at(made.path)
        if make:
            self._do(f"mkfs.{make}", "-q", device)
        if lun.directory:
            os.makedirs(lun.directory, exist_ok=True)
            self._do("mount", device, lun.directory)
        lun.before = self._state(lun)

    def _do(self, *argv: str) -> None:
        """Use the node's tools as its administrator did, outside the log."""
        call = Call(list(argv), killed=lambda: False, run=lambda real: subprocess.run(real, check=False).returncode)
        status = self.tools[argv[0]](call)
        assert status == 0, f"{argv}: {call.err}"

    def _state(self, lun: Lun) -> tuple[object, ...]:
        wwid = "3" + lun.unit.wwid.removeprefix("naa.")
        paths = [(path.hctl, path.name, path.size) for path in self._paths(lun)]
        sessions = [session.number for session in self._sessions.all.values() if session.target == lun.target]
        made = self._multipathd.of_wwid(wwid)
        content = "" if lun.directory else digest(lun.unit.file)
        return (tuple(sessions), tuple(paths), made and made.name, made and made.queueing,
                lun.directory in [each.directory for each in self._mounts()], content)

    def _paths(self, lun: Lun) -> list[Path]:
        return [path for path in self._scsi.paths.values() if path.transport.target == lun.target]

    def has(self, target: str) -> bool:
        """Whether a target, "" for the boot disk's bus, is none of the driver's."""
        return not target or target in self._arrays.foreign

    def has_map(self, made: Map) -> bool:
        return any("3" + lun.unit.wwid.removeprefix("naa.") == made.wwid for lun in self._luns)

    @property
    def directories(self) -> set[str]:
        """Where they are mounted."""
        return {lun.directory for lun in self._luns}

    # -- what was done to them

    def touched(self) -> list[str]:
        """What was done to disks that are not the driver's: nothing, if all is well."""
        found = [f"{lun.unit.wwid}: was {lun.before}, is {self._state(lun)}"
                 for lun in self._luns if self._state(lun) != lun.before]
        ours = {lun.target for lun in self._luns}
        hosts = {session.host.directory for session in self._sessions.all.values() if session.target in ours}
        local = [path for path in self._scsi.paths.values() if isinstance(path.transport, LocalBus)]
        hosts |= {path.host.directory for path in local}
        found += [f"wrote {write.text!r} to {write.path}" for write in self._machine.sysfs_writes
                  if any(write.path.startswith(host + "/") for host in hosts)]
        names = self._names([*local, *(path for lun in self._luns for path in self._paths(lun))])
        found += [f"ran {' '.join(command.argv)}" for command in self._machine.commands
                  if any(name in names for word in command.argv[1:] for name in (word, word.rpartition("/")[2]))]
        if not local or local[0].name != "sda":
            found.append("the boot disk is gone")
        return found

    def _names(self, disks: list[Path]) -> set[str]:
        maps: list[Disk] = [made for made in self._multipathd.maps.values() if set(made.paths) & set(disks)]
        aliases = {made.alias for made in self._multipathd.maps.values() if made in maps}
        return {disk.name for disk in [*disks, *maps]} | aliases | {lun.target for lun in self._luns}


def digest(file: str) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha1").hexdigest()
