"""One FlashArray: what it is, what it has room for, its ports and pods; volumes.py and hosts.py have the rest.

Speaks REST 1.7 to 1.19 through `purestorage` 1.19.0. Every error names the array and the object. May be shared by
threads. An answer can be lost after the array has acted, so every change may be repeated (volumes.py says how).
"""

from arrays import records
from arrays.entries import FlashArrayEntry
from arrays.hosts import Hosts
from arrays.overview import Overview
from arrays.records import Activity, Connection, Host, Identity, Pod, Port, Snapshot, Space, Volume
from arrays.volumes import Volumes

__all__ = ["Activity", "Connection", "FlashArray", "Host", "Identity", "Pod", "Port", "Snapshot", "Space", "Volume"]


class FlashArray(Volumes, Hosts, Overview):
    """A FlashArray of the fleet: FlashArray(entry). No I/O happens before the first call.

    Beside what each method says, every call may raise Unreachable (no usable answer) and TokenRefused.
    """

    entry: FlashArrayEntry

    def __init__(self, entry: FlashArrayEntry, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        super().__init__(entry, connect_timeout=connect_timeout, read_timeout=read_timeout)

    def identity(self) -> Identity:
        """Name, id and Purity version; the cheapest call there is, so also the check of address and token."""
        row = self._ask("tell", "its name and version", lambda rest: rest.get())
        return Identity(row["array_name"], row["id"], row["version"])

    def space(self) -> Space:
        """Capacity and use. Old releases answer with an object, newer ones with a list of one."""
        found = self._ask("tell", "its space", lambda rest: rest.get(space=True))
        return records.space(found[0] if isinstance(found, list) else found)

    def activity(self) -> Activity:
        """What all hosts read and write just now."""
        found = self._ask("tell", "its activity", lambda rest: rest.get(action="monitor"))
        return records.activity(found[0] if isinstance(found, list) else found)

    def ports(self) -> list[Port]:
        """All target ports: iSCSI, FC and others; those of a kind have its fields set."""
        return [records.port(row) for row in self._ask("list", "ports", lambda rest: rest.list_ports())]

    def pods(self) -> list[Pod]:
        """The pods on this array; none where REST is older than 1.13."""
        if not self._ask("list", "pods", lambda rest: rest.speaks("1.13")):
            return []
        return [records.pod(row) for row in self._ask("list", "pods", lambda rest: rest.list_pods())]
