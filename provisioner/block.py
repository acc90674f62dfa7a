"""A FlashArray as the provisioner uses it: the same few questions and steps as a FlashBlade (file.py)."""

from collections.abc import Sequence

from arrays import names
from arrays.client import same
from arrays.entries import FlashArrayEntry
from arrays.errors import Refused
from arrays.flasharray import FlashArray, Volume
from provisioner.claims import Claim
from provisioner.stores import Found, Measure, Scrap, Wishes
from provisioner.wellknown import BLOCK

_MEANINGFUL = 100           # operations a second


class BlockStore:
    """Volumes on one FlashArray; safe for threads. Names returned have their pod."""

    backend = BLOCK

    def __init__(self, entry: FlashArrayEntry, connect_timeout: float, read_timeout: float) -> None:
        self.entry = entry
        self.array = FlashArray(entry, connect_timeout=connect_timeout, read_timeout=read_timeout)

    def measure(self) -> Measure:
        """Capacity, use and load; counts destroyed volumes too if the array does, for they use up its limit."""
        space = self.array.space()
        return Measure(space.capacity, space.used, self.array.volume_count(), self._pods(), self._wait())

    def _wait(self) -> float:
        """Mean milliseconds its hosts wait for an answer; 0 when it does not tell, or too few ask to mean anything."""
        try:
            load = self.array.activity()
        except Refused:
            return 0.0
        operations = load.reads_per_sec + load.writes_per_sec
        if operations < _MEANINGFUL:
            return 0.0
        return (load.reads_per_sec * load.usec_per_read + load.writes_per_sec * load.usec_per_write) / operations / 1000

    def find(self, name: str) -> Found | None:
        """The volume, live or destroyed and still recoverable: where `name` says it is, else in the replication pods."""
        home, _, base = name.rpartition("::")
        for pod in dict.fromkeys((home, *self.entry.replication_pods, "")):
            volume = self.array.find_volume(names.in_pod(pod, base), pending=True)
            if volume is not None:
                return as_found(volume)
        return None

    def create(self, name: str, claim: Claim, wishes: Wishes) -> Found:
        """Make the volume with its limits in one call, so that it never exists without them; a copy gets them after."""
        wanted = claim.volume_class
        if wishes.source:
            return self._copy(names.in_pod(wishes.pod, name), claim, wishes)
        return as_found(self.array.create_volume(names.in_pod(wishes.pod, name), claim.size,
                                                 iops_limit=wanted.iops_limit, bandwidth_limit=wanted.bandwidth_limit))

    def _copy(self, name: str, claim: Claim, wishes: Wishes) -> Found:
        found = as_found(self.array.clone_volume(wishes.source, name))
        if found.size < claim.size:
            self.array.grow_volume(name, claim.size)
        self.complete(name, claim, wishes)
        return found._replace(size=max(found.size, claim.size))

    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None:
        """Give an adopted volume what a crash may have kept from it."""
        wanted = claim.volume_class
        if wanted.iops_limit is not None or wanted.bandwidth_limit is not None:
            self.array.set_limits(name, wanted.iops_limit, wanted.bandwidth_limit)

    def tidy(self, source: str, uid: str) -> None:
        """A volume is copied as it is."""

    def scraps(self, prefix: str) -> Sequence[Scrap]:
        return ()

    def users(self, name: str) -> Sequence[str]:
        """Hosts the volume is connected to."""
        return [connection.host for connection in self.array.connections(name)]

    def stretched(self, name: str) -> bool:
        """Whether the volume's pod is on more arrays than this one; each of them knows its own connections only."""
        home = names.pod_of(name)
        return bool(home) and any(len(pod.arrays) > 1 for pod in self.array.pods() if same(pod.name, home))

    def grow(self, name: str, size: int) -> None:
        self.array.grow_volume(name, size)

    def recover(self, name: str) -> None:
        self.array.recover_volume(name)

    def destroy(self, name: str) -> None:
        self.array.destroy_volume(name)

    def eradicate(self, name: str) -> None:
        self.array.eradicate_volume(name)

    def export(self, name: str) -> str:
        """A block volume is not exported."""
        return ""

    def holdings(self, prefix: str) -> Sequence[Found]:
        """All live volumes whose name begins with `prefix`, for reports; as long a list as there are volumes."""
        patterns = [f"{prefix}-*", *(f"{pod}::{prefix}-*" for pod in self.entry.replication_pods)]
        return [as_found(volume) for pattern in patterns for volume in self.array.volumes(pattern)]

    def close(self) -> None:
        self.array.close()

    def _pods(self) -> dict[str, int]:
        """Volumes in each replication pod that pure.json names."""
        return {pod: len(self.array.volumes(f"{pod}::*", pending=True)) for pod in self.entry.replication_pods}


def as_found(volume: Volume) -> Found:
    """A volume in the words of both kinds of array."""
    return Found(volume.name, volume.size, volume.destroyed, volume.source, volume.created, volume.serial)
