"""SCSI on a pretend node: hosts, LUNs and their files in sysfs; scan, rescan, delete.

What a device is (WWID, size) is read from the array when it appears and again only when it is rescanned: a LUN number
that the array gave to another volume stays the old device until then, while its I/O reaches the new volume
(node-attach.md 2.7).
"""

import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulator.node.disks import Disk, Nodes, sd_name
from simulator.node.machine import Machine

FLAT = 0x4000                   # flat space addressing of LUNs above 255 (SAM-5 4.7.7.3)


@dataclass(frozen=True)
class Unit:
    """What a target shows at one LUN right now."""

    lun: int
    wwid: str                   # "naa.624a9370…"
    size: int
    file: str
    serial: str
    vendor: str = "PURE    "
    model: str = "FlashArray      "
    volume: str = ""
    array: str = ""


class Transport(Protocol):
    """What a SCSI host asks of the session or port below it."""

    target: str                 # IQN, or the array's WWN for FC
    portal: str

    def state(self) -> str:
        """State of the devices: "running", "blocked" (I/O waits), "transport-offline"."""

    def units(self) -> dict[int, Unit]:
        """LUN -> what is there."""


@dataclass(eq=False)
class Host:
    """One scsi_host."""

    number: int
    directory: str              # /sys/devices/…/host2
    channels: dict[tuple[int, int], tuple[Transport, str]] = field(default_factory=dict)   # (C, T) -> …, directory


@dataclass(eq=False)
class Path(Disk):
    """One LUN through one host."""

    host: Host = None           # type: ignore[assignment]
    channel: int = 0
    target_id: int = 0
    lun: int = 0                # as the node numbers it
    wwid: str = ""              # as last read: "naa.…" (sysfs form)
    transport: Transport = None  # type: ignore[assignment]
    directory: str = ""         # /sys/devices/…/2:0:0:1
    state: str = "running"
    unit: Unit | None = None    # what answers now
    map: object = None          # the multipath map that holds it

    @property
    def hctl(self) -> str:
        return f"{self.host.number}:{self.channel}:{self.target_id}:{self.lun}"

    @property
    def uuid(self) -> str:
        """The WWID in multipath's form: 3 + the NAA number."""
        return "3" + self.wwid.removeprefix("naa.") if self.wwid.startswith("naa.") else self.wwid


class Scsi:
    """All hosts and LUNs."""

    def __init__(self, machine: Machine, nodes: Nodes) -> None:
        self._machine, self._tree, self._nodes = machine, machine.tree, nodes
        self.hosts: dict[int, Host] = {}
        self.paths: dict[str, Path] = {}               # H:C:T:L -> path
        self.added: list[Callable[[Path], None]] = []
        self.changed: list[Callable[[Path], None]] = []
        self.removed: list[Callable[[Path], None]] = []
        self._next_host = 0

    def boot(self) -> None:
        """Count hosts from 0 again."""
        self._next_host = 0

    # -- hosts

    def add_host(self, parent: str, proc_name: str) -> Host:
        """Make scsi_host/hostN below `parent`, with a `scan` file."""
        host = Host(self._next_host, f"{parent}/host{self._next_host}")
        self._next_host += 1
        here = f"{host.directory}/scsi_host/host{host.number}"
        self._tree.put(here, {"proc_name": f"{proc_name}\n", "state": "running\n", "unique_id": f"{host.number}\n",
                              "active_mode": "Initiator\n"})
        self._tree.link(f"{here}/device", host.directory)
        self._machine.acting_file(f"{here}/scan", lambda text: self._asked_to_scan(host, text))
        self._tree.link(f"/sys/class/scsi_host/host{host.number}", here)
        self.hosts[host.number] = host
        return host

    def scan_file(self, host: Host) -> str:
        return self._tree.at(f"{host.directory}/scsi_host/host{host.number}/scan")

    def remove_host(self, host: Host) -> None:
        for path in [path for path in self.paths.values() if path.host is host]:
            self.delete(path)
        self.hosts.pop(host.number, None)
        self._tree.remove(f"/sys/class/scsi_host/host{host.number}")
        self._machine.events.forget(self._tree.at(host.directory + "/"))
        self._tree.remove(host.directory)

    # -- scan

    def _asked_to_scan(self, host: Host, text: str) -> None:
        for channel, target_id, lun in parse_scan(text):
            self.scan(host, channel, target_id, lun)

    def scan(self, host: Host, channel: str = "-", target_id: str = "-", lun: str = "-") -> None:
        """Look for LUNs and add those that are new; "-" is any. What is there already is left as it is."""
        if self._machine.faults.scan_lost:
            self._machine.faults.scan_lost -= 1
            return
        for (c, t), (transport, directory) in list(host.channels.items()):
            if channel not in ("-", str(c)) or target_id not in ("-", str(t)) or transport.state() != "running":
                continue
            for unit in transport.units().values():
                shown = self._shown_as(unit.lun)
                if lun in ("-", str(shown), str(unit.lun)) and f"{host.number}:{c}:{t}:{shown}" not in self.paths:
                    self._add(host, c, t, shown, transport, directory, unit)

    def _shown_as(self, lun: int) -> int:
        return lun + FLAT if lun > 255 and self._machine.settings.flat_luns else lun

    def _add(self, host: Host, channel: int, target_id: int, lun: int,
             transport: Transport, directory: str, unit: Unit) -> None:
        path = Path(self._free_name(), size=unit.size, file=unit.file, host=host, channel=channel,
                    target_id=target_id, lun=lun, wwid=unit.wwid, transport=transport, unit=unit)
        path.directory = f"{directory}/{path.hctl}"
        self._nodes.add(path)
        self.paths[path.hctl] = path
        self._show(path, unit)
        for tell in self.added:
            tell(path)

    def _free_name(self) -> str:
        used = {path.name for path in self.paths.values()}
        return next(name for index in range(len(used) + 1) if (name := sd_name(index)) not in used)

    def _show(self, path: Path, unit: Unit) -> None:
        here, block = path.directory, f"{path.directory}/block/{path.name}"
        attributes: dict[str, str | bytes | None] = {
            "wwid": f"{path.wwid}\n", "vendor": f"{unit.vendor}\n", "model": f"{unit.model}\n", "rev": "8888\n",
            "type": "0\n", "scsi_level": "7\n", "state": "running\n", "timeout": "30\n", "queue_depth": "32\n",
            "vpd_pg80": page_80(unit.serial), "vpd_pg83": page_83(path.wwid),
        }
        attributes |= {f"block/{path.name}/{name}": content for name, content in block_attributes(path).items()}
        self._tree.put(here, attributes)
        self._tree.link(f"{block}/device", here)
        self._machine.acting_file(f"{here}/delete", lambda _: self.delete(path))
        self._machine.acting_file(f"{here}/rescan", lambda _: self.rescan(path))
        for name in ("class/scsi_device", "bus/scsi/devices"):
            self._tree.link(f"/sys/{name}/{path.hctl}", here)
        # node-attach.md, fact 9: these come after the device's own directory.
        self._tree.link(f"/sys/block/{path.name}", block)
        self._tree.link(f"/sys/class/block/{path.name}", block)
        self._tree.link(f"/sys/dev/block/{path.number}", block)

    # -- rescan, delete

    def rescan(self, path: Path) -> None:
        """Read the device's identity and size anew."""
        unit = self._reach(path)
        if unit is None or path.gone:
            return
        self._nodes.flush(path)
        path.wwid, path.size, path.unit, path.file = unit.wwid, unit.size, unit, unit.file
        self._nodes.update(path)
        self._tree.write(f"{path.directory}/block/{path.name}/size", f"{path.size // 512}\n")
        self._tree.write(f"{path.directory}/vpd_pg83", page_83(path.wwid))
        self._tree.write(f"{path.directory}/wwid", f"{path.wwid}\n")
        for tell in self.changed:
            tell(path)

    def delete(self, path: Path) -> None:
        """Remove the device from the node, whoever uses it."""
        if self.paths.pop(path.hctl, None) is None:
            return
        path.gone, path.file = True, None
        self._tree.remove(f"/sys/block/{path.name}")
        self._tree.remove(f"/sys/class/block/{path.name}")
        self._tree.remove(f"/sys/dev/block/{path.number}")
        for name in ("class/scsi_device", "bus/scsi/devices"):
            self._tree.remove(f"/sys/{name}/{path.hctl}")
        self._machine.events.forget(self._tree.at(path.directory + "/"))
        self._nodes.remove(path)
        self._tree.remove(path.directory)
        for tell in self.removed:
            tell(path)

    # -- what the array shows now

    def refresh(self) -> None:
        """Follow what transports and arrays do to the devices that are there."""
        for path in list(self.paths.values()):
            self._follow(path)

    def _follow(self, path: Path) -> None:
        state, unit = path.transport.state(), self._reach(path)
        if state != path.state:
            path.state = state
            self._tree.write(f"{path.directory}/state", f"{state}\n")
        file = unit.file if unit else None
        stalled = state == "blocked"
        if (file, stalled) != (path.file, path.stalled):
            path.file, path.stalled, path.unit = file, stalled, unit
            self._nodes.update(path)
            for tell in self.changed:
                tell(path)

    def _reach(self, path: Path) -> Unit | None:
        """What answers at this path's LUN; None when nothing does, and while it is unknown."""
        if path.transport.state() == "transport-offline":
            return None
        units = path.transport.units()
        unit = units.get(path.lun) or units.get(path.lun - FLAT)
        if unit and {path.uuid, "3" + unit.wwid.removeprefix("naa.")} & self._machine.faults.io_error:
            return None
        return unit


def parse_scan(text: str) -> list[tuple[str, str, str]]:
    """Read what was written to a scan file: "C T L", where each may be "-".

    Writers without a newline that meet in the FIFO run together: "0 0 1" and "0 0 2" arrive as "0 0 10 0 2". A
    channel is one character here, so they can be told apart again.
    """
    words = text.split()
    wanted = []
    while len(words) > 3:
        last, first = words[2][:-1], words[2][-1]
        wanted.append((words[0], words[1], last))
        words = [first, *words[3:]]
    if len(words) == 3:
        wanted.append((words[0], words[1], words[2]))
    return [triple for triple in wanted if all(re.fullmatch(r"\d+|-", word) for word in triple)]


def block_attributes(disk: Disk) -> dict[str, str | bytes | None]:
    """What every block device shows in sysfs."""
    return {"size": f"{disk.size // 512}\n", "dev": f"{disk.number}\n", "ro": "0\n", "removable": "0\n",
            "range": "16\n", "queue/rotational": "0\n", "queue/logical_block_size": "512\n", "holders": None,
            "slaves": None, "uevent": f"DEVNAME={disk.name}\nDEVTYPE=disk\n"}


def page_80(serial: str) -> bytes:
    """Vital product data, unit serial number (SPC-4 7.8.13)."""
    return bytes((0, 0x80, 0, len(serial))) + serial.encode()


def page_83(wwid: str) -> bytes:
    """Vital product data, device identification with one NAA designator (SPC-4 7.8.6)."""
    digits = wwid.removeprefix("naa.")
    try:
        name = binascii.unhexlify(digits)
    except binascii.Error:
        return bytes((0, 0x83, 0, 0))
    return bytes((0, 0x83, 0, 4 + len(name), 1, 3, 0, len(name))) + name
