"""The storage network as a pretend node sees it: LUNs, portals and exports of every array of a simulator.

`LocalFabric` looks at a simulator in this process, `RemoteFabric` asks one in another process over its control
socket (control.py). Both have the same methods and return the same plain dicts.
"""

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from simulator.fleet import Simulator

Row = dict[str, Any]
SOCKET = "control.sock"


class Fabric(Protocol):
    """What a pretend node needs of the arrays."""

    def luns(self, initiator: str) -> list[Row]:
        """What the arrays show this IQN or WWN, one row a LUN:

            {"array": "fa1", "target": "iqn.2010-06…", "portals": [{"portal": "192.0.2.11:3260", "state": "up"}],
             "wwns": [], "lun": 1, "volume": "k8s-pvc-1", "serial": "F92A…", "size": 1073741824, "file": "/…" or None}
        """

    def portals(self, target: str = "") -> list[Row]:
        """Portals of one target or of all: {"array", "target", "portal", "state", "chap"…}; see `LocalFabric`."""

    def discover(self, portal: str) -> list[Row]:
        """What sendtargets at a portal would list: the portals of its array; [] when nothing answers there."""

    def chap(self, initiator: str, target: str) -> Row:
        """CHAP names and secrets the target wants of this initiator; {} for none."""

    def login(self, initiator: str, portal: str) -> None:
        """Tell the array that an initiator has logged in at a portal."""

    def logout(self, initiator: str, portal: str) -> None:
        """Tell the array that it has logged out."""

    def exports(self) -> list[Row]:
        """Every NFS export: {"blade", "server", "path", "rules", "size", "used", "v3", "v4_1", "directory"}."""

    def count(self, serial: str, **counts: int) -> None:
        """Report I/O to a volume that no data plane sees: reads, writes, read_bytes, written_bytes…"""


class LocalFabric:
    """The fabric of a simulator in this process."""

    def __init__(self, sim: "Simulator") -> None:
        self._sim = sim

    def luns(self, initiator: str) -> list[Row]:
        with self._sim.lock:
            return [self._lun(array, seen) for array in self._sim.flash_arrays for seen in array.seen_by(initiator)]

    @staticmethod
    def _lun(array: Any, seen: Any) -> Row:
        volume = seen.volume
        return {"array": array.name, "target": array.iqn, "portals": _portals(array), "wwns": array.wwns,
                "lun": seen.lun, "volume": volume.name, "serial": volume.serial, "size": volume.size,
                "file": array.plane.file(volume.serial)}

    def portals(self, target: str = "") -> list[Row]:
        with self._sim.lock:
            return [{"array": array.name, "target": array.iqn, **row} for array in self._sim.flash_arrays
                    if target in ("", array.iqn) for row in _portals(array)]

    def discover(self, portal: str) -> list[Row]:
        with self._sim.lock:
            for array in self._sim.flash_arrays:
                if portal in array.portals and array.portal_state(portal) == "up":
                    return [row for row in self.portals(array.iqn) if row["state"] != "absent"]
            return []

    def chap(self, initiator: str, target: str) -> Row:
        with self._sim.lock:
            for array in self._sim.flash_arrays:
                host = array.state.hosts.with_initiator(initiator)
                if array.iqn == target and host:
                    return {key: value for key, value in host.chap.items() if value}
            return {}

    def login(self, initiator: str, portal: str) -> None:
        with self._sim.lock:
            for array in self._sim.flash_arrays:
                if portal in array.portals:
                    array.state.ports.logins[initiator, portal] = None

    def logout(self, initiator: str, portal: str) -> None:
        with self._sim.lock:
            for array in self._sim.flash_arrays:
                array.state.ports.logins.pop((initiator, portal), None)

    def exports(self) -> list[Row]:
        return [{"blade": blade.name, "server": blade.nfs_endpoint, "path": f"/{system.name}", "rules": system.rules,
                 "size": system.size, "used": system.used, "v3": system.v3, "v4_1": system.v4_1,
                 "directory": system.directory} for blade in self._sim.flash_blades for system in blade.exports()]

    def count(self, serial: str, **counts: int) -> None:
        with self._sim.lock:
            self._sim.plane.count(serial, **counts)


def _portals(array: Any) -> list[Row]:
    return [{"portal": portal, "state": array.portal_state(portal)} for portal in array.portals]


class RemoteFabric:
    """The fabric of a simulator in another process: `directory` is the one it was started with."""

    def __init__(self, directory: str | os.PathLike[str], timeout: float = 10.0) -> None:
        self._directory, self._timeout = Path(directory), timeout

    def luns(self, initiator: str) -> list[Row]:
        return self._rows("/luns", initiator=initiator)

    def portals(self, target: str = "") -> list[Row]:
        return self._rows("/portals", target=target)

    def discover(self, portal: str) -> list[Row]:
        return self._rows("/discover", portal=portal)

    def chap(self, initiator: str, target: str) -> Row:
        return dict(self.ask("GET", "/chap", {"initiator": initiator, "target": target}))

    def login(self, initiator: str, portal: str) -> None:
        self.ask("POST", "/login", {"initiator": initiator, "portal": portal})

    def logout(self, initiator: str, portal: str) -> None:
        self.ask("POST", "/logout", {"initiator": initiator, "portal": portal})

    def exports(self) -> list[Row]:
        return self._rows("/exports")

    def count(self, serial: str, **counts: int) -> None:
        self.ask("POST", "/io", {"serial": serial, **counts})

    def _rows(self, path: str, **arguments: str) -> list[Row]:
        return list(self.ask("GET", path, arguments))

    def ask(self, method: str, path: str, arguments: Mapping[str, Any]) -> Any:
        """One request to the control socket; RuntimeError with the simulator's words when it refuses."""
        connection = _UnixConnection(self._directory, self._timeout)
        try:
            connection.request(method, path, json.dumps(arguments), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            answer = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise RuntimeError(answer["error"])
        return answer


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over `<directory>/control.sock`."""

    def __init__(self, directory: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._directory = directory

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        with short_path(self._directory) as directory:
            self.sock.connect(f"{directory}/{SOCKET}")


@contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """A short name for a directory while in the block: a socket's path may have 107 characters, tests' have more."""
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
