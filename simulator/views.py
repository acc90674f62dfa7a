"""What a pretend array shows of its state to tests and other threads: frozen copies of one moment."""

from collections.abc import Mapping
from typing import NamedTuple


class VolumeView(NamedTuple):
    """A volume at one moment; sizes in bytes."""

    name: str
    serial: str                        # 24 upper-case hex digits; the node's WWID is 3624a9370 + this in lower case
    size: int
    source: str | None
    created: float                     # epoch seconds
    destroyed: bool
    time_remaining: int | None         # seconds until eradication; None while live
    bandwidth_limit: int | None
    iops_limit: int | None
    snapshots: tuple[str, ...]         # suffixes of live ones
    file: str | None                   # where the data plane keeps the bytes


class HostView(NamedTuple):
    """A host at one moment."""

    name: str
    iqns: tuple[str, ...]
    wwns: tuple[str, ...]
    nqns: tuple[str, ...]
    group: str | None
    luns: Mapping[str, int]            # volume name -> LUN, shared ones too
    personality: str | None


class FileSystemView(NamedTuple):
    """A file system of a FlashBlade at one moment."""

    name: str
    size: int                          # provisioned bytes; 0 is unlimited
    used: int
    hard_limit: bool
    rules: str
    v3: bool
    v4_1: bool
    snapshot_directory: bool
    destroyed: bool
    time_remaining: int | None         # milliseconds
    directory: str | None              # where the data plane keeps the files
