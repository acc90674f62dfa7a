"""The things a FlashArray keeps. Compared by identity: a rename changes a field, not the thing.

Who sees what is kept from both sides (`Host.luns`, `Volume.hosts`), so that no question walks over all objects.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.state.array import ArrayState


@dataclass(eq=False)
class Volume:
    """A volume, live or destroyed and pending."""

    name: str                          # as first written; compared without case
    serial: str                        # 24 upper-case hex digits
    size: int                          # bytes
    source: str | None
    created: float                     # epoch seconds
    due: float | None = None           # when it is eradicated by itself; None while live
    bandwidth_limit: int | None = None
    iops_limit: int | None = None
    used: int = 0                      # what `space=true` reports; set by tests
    tags: dict[tuple[str, str], str] = field(default_factory=dict)     # (namespace, key) -> value
    snapshots: dict[str, "Snapshot"] = field(default_factory=dict)     # by lower-cased suffix, pending ones too
    hosts: set["Host"] = field(default_factory=set)                    # private connections
    groups: set["HostGroup"] = field(default_factory=set)              # shared connections

    @property
    def destroyed(self) -> bool:
        return self.due is not None

    @property
    def pod(self) -> str:
        """The pod's name, "" outside pods."""
        return self.name.rpartition("::")[0]


@dataclass(eq=False)
class Snapshot:
    """A snapshot of a volume; its name follows the volume's."""

    volume: Volume
    suffix: str
    serial: str
    size: int
    created: float
    due: float | None = None
    with_volume: bool = False          # destroyed because its volume was

    @property
    def name(self) -> str:
        return f"{self.volume.name}.{self.suffix}"

    @property
    def destroyed(self) -> bool:
        return self.due is not None


@dataclass(eq=False)
class HostGroup:
    """Hosts that share connections."""

    name: str
    hosts: list["Host"] = field(default_factory=list)
    luns: dict[Volume, int] = field(default_factory=dict)


@dataclass(eq=False)
class Host:
    """An array's record of a node: its initiators and its private connections."""

    name: str
    array: "ArrayState" = field(repr=False)
    iqns: list[str] = field(default_factory=list)
    wwns: list[str] = field(default_factory=list)      # 16 upper-case hex digits
    nqns: list[str] = field(default_factory=list)
    group: HostGroup | None = None
    luns: dict[Volume, int] = field(default_factory=dict)
    personality: str | None = None
    preferred_arrays: list[str] = field(default_factory=list)
    chap: dict[str, str | None] = field(default_factory=dict)
    shown: dict[tuple[str, int], str] = field(default_factory=dict, repr=False)   # what the data plane was told

    def all_luns(self) -> dict[Volume, int]:
        """Volume -> LUN of everything this host sees, private and shared."""
        return {**self.group.luns, **self.luns} if self.group else self.luns

    def initiators(self) -> list[str]:
        return [*self.iqns, *self.wwns, *self.nqns]


@dataclass(eq=False)
class Pod:
    """A pod; stretched when it lives on more than one array."""

    name: str
    arrays: list["ArrayState"] = field(default_factory=list)
