"""iSCSI on a pretend node, below iscsiadm: sessions, their connections and hosts in sysfs, and what becomes of them.

A session whose portal goes dark is LOGGED_IN until the ping times out, then FAILED; its devices wait until the
recovery time has passed and then fail. All that time a write to its host's scan file blocks (node-attach.md, fact 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.node.arrays import Arrays
from simulator.node.machine import Machine
from simulator.node.scsi import Host, Scsi, Unit

PLATFORM = "/sys/devices/platform"
AGAIN = 2.0                     # seconds until a session is logged in again after its portal came back


@dataclass(eq=False)
class Session:
    """One login: a target through one portal."""

    number: int
    target: str
    portal: str                 # "192.0.2.11:3260"
    record: Mapping[str, str]   # settings of the node record at login
    host: Host
    arrays: Arrays
    initiator: str
    sysfs: str = "LOGGED_IN"    # what /sys/class/iscsi_session/…/state says
    devices: str = "running"
    dark: int = 0               # how often the portal went dark: timers of an older time do nothing
    is_dark: bool = False
    connection: str = field(default="")

    def state(self) -> str:
        return self.devices

    def units(self) -> dict[int, Unit]:
        return self.arrays.units(self.initiator, self.target)

    @property
    def recovery(self) -> float:
        return float(self.record.get("node.session.timeo.replacement_timeout", 120))


class Sessions:
    """All sessions of the node."""

    def __init__(self, machine: Machine, scsi: Scsi, arrays: Arrays) -> None:
        self._machine, self._tree, self._scsi, self._arrays = machine, machine.tree, scsi, arrays
        self.all: dict[int, Session] = {}
        self.pending: set[tuple[str, str]] = set()         # (target, portal) that iscsid is still trying
        self._next = 1

    def find(self, target: str, portal: str) -> Session | None:
        return next((session for session in self.all.values()
                     if (session.target, session.portal) == (target, portal)), None)

    # -- login

    def open(self, target: str, portal: str, record: Mapping[str, str]) -> Session:
        """The login went through: show the session; LUNs appear by themselves only with node.session.scan=auto."""
        host = self._scsi.add_host(PLATFORM, "iscsi_tcp")
        session = Session(self._next, target, portal, record, host, self._arrays, self._machine.iqn)
        self._next += 1
        self.all[session.number] = session
        host.channels[0, 0] = (session, f"{host.directory}/session{session.number}/target{host.number}:0:0")
        self._show(session)
        if record.get("node.session.scan", self._machine.settings.scan) == "auto":
            self._scsi.scan(host)
        if portal in self._machine.faults.scan_hangs:
            self._machine.events.block(self._scsi.scan_file(host))
        return session

    def _show(self, session: Session) -> None:
        number, host = session.number, session.host
        below = f"{host.directory}/session{number}"
        here = f"{below}/iscsi_session/session{number}"
        self._tree.put(here, {
            "targetname": f"{session.target}\n", "state": f"{session.sysfs}\n", "initiatorname": f"{session.initiator}\n",
            "ifacename": "default\n", "tpgt": "1\n", "recovery_tmo": f"{session.recovery:g}\n", "username": "(null)\n",
            "creator": "0\n", "target_state": "SCANNED\n"})
        self._tree.link(f"{here}/device", below)
        address, _, port = session.portal.rpartition(":")
        session.connection = f"connection{number}:0"
        connection = f"{below}/{session.connection}/iscsi_connection/{session.connection}"
        self._tree.put(connection, {
            "persistent_address": f"{address.strip('[]')}\n", "persistent_port": f"{port}\n",
            "address": f"{address.strip('[]')}\n", "port": f"{port}\n", "state": "up\n"})
        self._tree.link(f"{connection}/device", f"{below}/{session.connection}")
        owner = f"{host.directory}/iscsi_host/host{host.number}"
        self._tree.put(owner, {"initiatorname": f"{session.initiator}\n", "ipaddress": "198.51.100.10\n",
                               "netdev": "default\n", "hwaddress": "default\n"})
        self._tree.link(f"{owner}/device", host.directory)
        self._tree.link(f"/sys/class/iscsi_host/host{host.number}", owner)
        self._tree.link(f"/sys/class/iscsi_connection/{session.connection}", connection)
        self._tree.link(f"/sys/class/iscsi_session/session{number}", here)

    # -- logout

    def close(self, session: Session) -> None:
        """Remove the session with its host and devices; nobody checks whether they are in use (fact 2)."""
        if self.all.pop(session.number, None) is None:
            return
        session.devices = "transport-offline"
        self._tree.remove(f"/sys/class/iscsi_session/session{session.number}")
        self._tree.remove(f"/sys/class/iscsi_connection/{session.connection}")
        self._tree.remove(f"/sys/class/iscsi_host/host{session.host.number}")
        self._scsi.remove_host(session.host)

    def rescan(self, session: Session) -> None:
        """iscsiadm -R: bring in every LUN and read the sizes of all again; nothing is removed."""
        self._scsi.scan(session.host)
        for path in [path for path in self._scsi.paths.values() if path.host is session.host]:
            self._scsi.rescan(path)

    # -- what becomes of them

    def refresh(self) -> None:
        """Follow what the portals do."""
        for session in list(self.all.values()):
            state = self._arrays.portals(session.target).get(session.portal, "dark")
            if state != "up" and not session.is_dark:
                self._lose(session, 0.0 if state in ("refused", "absent") else self._machine.settings.noop)
            elif state == "up" and session.is_dark:
                session.is_dark, session.dark = False, session.dark + 1
                self._at(session, AGAIN, "LOGGED_IN", "running")
            self._guard_scan(session)

    def _guard_scan(self, session: Session) -> None:
        file = self._scsi.scan_file(session.host)
        hangs = session.portal in self._machine.faults.scan_hangs or session.is_dark and session.devices == "running"
        if hangs or session.devices == "blocked":
            self._machine.events.block(file)
        else:
            self._machine.events.open(file)

    def _lose(self, session: Session, noticed: float) -> None:
        session.is_dark, session.dark = True, session.dark + 1
        if noticed:
            self._at(session, noticed, "FAILED", "blocked")
        else:
            self._set(session, "FAILED", "blocked")
        self._at(session, noticed + session.recovery, "FAILED", "transport-offline")

    def _at(self, session: Session, seconds: float, sysfs: str, devices: str) -> None:
        time = session.dark
        self._machine.later(seconds, lambda: self._set(session, sysfs, devices) if session.dark == time else None)

    def _set(self, session: Session, sysfs: str, devices: str) -> None:
        if session.number not in self.all:
            return
        session.sysfs, session.devices = sysfs, devices
        self._tree.write(f"/sys/class/iscsi_session/session{session.number}/state", f"{sysfs}\n")
        self._scsi.refresh()
        self._guard_scan(session)
