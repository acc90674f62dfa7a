"""What arrays tell, as values: read from JSON once, at the door, and never changed.

Named tuples and not dataclasses: nine of those would cost each call-out of the driver 9 ms at import, these 0.1 ms.
Sizes are bytes, rates per second, latencies microseconds. Rows of REST 1.x are quoted where they are read.
"""

from arrays.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Row = Mapping[str, Any]


class Identity(NamedTuple):
    """Which array this is: its own name, its unchanging id, the version of Purity it runs."""

    name: str
    id: str
    version: str


class Space(NamedTuple):
    """Bytes an array has and uses after reduction; ratios are 1.0 on a fresh array.

    `total_reduction` counts thin provisioning in, `data_reduction` does not.
    """

    capacity: int
    used: int
    data_reduction: float
    total_reduction: float

    @property
    def free(self) -> int:
        return max(self.capacity - self.used, 0)

    @property
    def fullness(self) -> float:
        """Used part of the capacity, 0.0 to 1.0 (and above, when an array is overfull); 1.0 without any capacity."""
        return self.used / self.capacity if self.capacity else 1.0


class Activity(NamedTuple):
    """Mean over the last sampling interval (some seconds). Checks of paths (TUR) are no I/O to the array."""

    reads_per_sec: int
    writes_per_sec: int
    read_bytes_per_sec: int
    written_bytes_per_sec: int
    usec_per_read: int
    usec_per_write: int

    @property
    def idle(self) -> bool:
        """Whether nobody read or wrote."""
        return not (self.reads_per_sec or self.writes_per_sec or self.read_bytes_per_sec or self.written_bytes_per_sec)


class Volume(NamedTuple):
    """A volume. `source` is the volume it was copied from, "" when none; `created` is ISO 8601 in UTC.

    A destroyed volume can be recovered for `time_remaining` seconds more; a live one has 0 there.
    """

    name: str
    serial: str
    size: int
    source: str = ""
    created: str = ""
    destroyed: bool = False
    time_remaining: int = 0


class Snapshot(NamedTuple):
    """A snapshot, `name` = "volume.suffix"; fields as in Volume. It cannot be connected: clone it first."""

    name: str
    source: str
    serial: str
    size: int
    created: str = ""
    destroyed: bool = False
    time_remaining: int = 0


class Host(NamedTuple):
    """An array's record of a node: its name there and the initiators it is known by.

    `group` is the host group it is in ("" for none), from which it may have shared connections.
    """

    name: str
    iqns: tuple[str, ...] = ()
    wwns: tuple[str, ...] = ()
    nqns: tuple[str, ...] = ()
    group: str = ""

    @property
    def initiators(self) -> tuple[str, ...]:
        return self.iqns + self.wwns + self.nqns


class Connection(NamedTuple):
    """A volume shown to a host at a LUN; `shared` when the host has it through its host group."""

    host: str
    volume: str
    lun: int
    shared: bool = False


class Port(NamedTuple):
    """One target port. iSCSI: `iqn` and `portal` ("10.1.1.10:3260", IPv6 in brackets); FC: `wwn`; "" for the others."""

    name: str
    iqn: str = ""
    portal: str = ""
    wwn: str = ""


class Pod(NamedTuple):
    """A pod and the arrays it is stretched over; `online` when each of them says so."""

    name: str
    arrays: tuple[str, ...] = ()
    online: bool = True


def volume(row: "Row") -> Volume:
    """{"name", "serial", "size", "source", "created"} and, when asked for with pending, "time_remaining"."""
    left = row.get("time_remaining")
    return Volume(row["name"], row["serial"], int(row["size"]), row.get("source") or "", row.get("created") or "",
                  left is not None, int(left or 0))


def snapshot(row: "Row") -> Snapshot:
    """{"name", "source", "serial", "size", "created"} and, when asked for with pending, "time_remaining"."""
    left = row.get("time_remaining")
    return Snapshot(row["name"], row.get("source") or "", row["serial"], int(row["size"]), row.get("created") or "",
                    left is not None, int(left or 0))


def host(row: "Row") -> Host:
    """{"name", "iqn": [...], "wwn": [...], "hgroup"} and, from REST 1.16 on, "nqn"."""
    return Host(row["name"], tuple(row.get("iqn") or ()), tuple(row.get("wwn") or ()), tuple(row.get("nqn") or ()),
                row.get("hgroup") or "")


def port(row: "Row") -> Port:
    """{"name", "iqn", "portal", "wwn"}; what a port does not have is null."""
    return Port(row["name"], row.get("iqn") or "", row.get("portal") or "", row.get("wwn") or "")


def pod(row: "Row") -> Pod:
    """{"name", "arrays": [{"name", "status": "online"}]}."""
    arrays = row.get("arrays") or ()
    return Pod(row["name"], tuple(array["name"] for array in arrays),
               all(array.get("status", "online") == "online" for array in arrays))


def space(row: "Row") -> Space:
    """{"capacity", "total", "data_reduction", "total_reduction"}; `total` is what is physically used."""
    return Space(int(row["capacity"]), int(row.get("total") or 0), float(row.get("data_reduction") or 1.0),
                 float(row.get("total_reduction") or 1.0))


def space_of(row: "Row") -> Space:
    """{"size", "total", "data_reduction", "total_reduction"} of one volume."""
    return space({**row, "capacity": row["size"]})


def activity(row: "Row") -> Activity:
    """A row of action=monitor: "output" is what hosts read, "input" what they wrote."""
    return Activity(*(int(row.get(key) or 0) for key in (
        "reads_per_sec", "writes_per_sec", "output_per_sec", "input_per_sec", "usec_per_read_op", "usec_per_write_op")))
