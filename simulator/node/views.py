"""What a pretend node shows of itself to tests: plain values of one moment."""

from typing import NamedTuple


class SessionInfo(NamedTuple):
    """An iSCSI session; state as in sysfs."""

    number: int
    target: str
    portal: str
    host: int
    state: str


class PathInfo(NamedTuple):
    """One LUN through one host: "sda" at "2:0:0:1"; size in bytes as the node believes it; map is "dm-0" or ""."""

    name: str
    hctl: str
    wwid: str
    size: int
    state: str
    portal: str
    map: str


class MapInfo(NamedTuple):
    """A multipath map: "dm-0", its dm name, and the names of its paths."""

    name: str
    alias: str
    wwid: str
    size: int
    paths: tuple[str, ...]
    queueing: bool


class MountInfo(NamedTuple):
    """An entry of the mount table; wwid of a multipath device, else ""."""

    directory: str
    source: str
    fstype: str
    options: tuple[str, ...]
    device: str
    wwid: str
