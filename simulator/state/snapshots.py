"""Snapshots of volumes: made alone or in groups, destroyed with their volume or by themselves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Snapshot, Volume

if TYPE_CHECKING:
    from simulator.state.array import ArrayState

_FIRST_NUMBER = 4127                   # suffixes the array makes up count up from here: "v5.4128"


class Snapshots:
    """The snapshots of one array; each is kept with its volume."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array
        self._number = _FIRST_NUMBER

    def all(self) -> list[Snapshot]:
        """Every snapshot, pending ones too, in order of their volumes."""
        return [snapshot for volume in self._array.volumes.all() for snapshot in volume.snapshots.values()]

    def find(self, name: str) -> Snapshot | None:
        """The snapshot "volume.suffix", live or pending."""
        owner, dot, suffix = name.rpartition(".")
        volume = self._array.volumes.find(owner) if dot else None
        return volume.snapshots.get(suffix.lower()) if volume else None

    def get(self, name: str, *, pending: bool = False) -> Snapshot:
        snapshot = self.find(name)
        if snapshot is None or snapshot.destroyed and not pending:
            raise Refusal("No such volume or snapshot.", name)
        return snapshot

    def source(self, name: str) -> Volume | Snapshot:
        """What a clone is made from: a live volume or a live snapshot."""
        found: Volume | Snapshot | None = self.find(name) if "." in name else self._array.volumes.find(name)
        if found is None:
            raise Refusal("No such volume or snapshot.", name)
        if found.destroyed:
            what = "Volume snapshot" if isinstance(found, Snapshot) else "Volume"
            raise Refusal(f"{what} has been destroyed. It can be recovered by purevol recover and eradicated by "
                          "purevol eradicate.", name)
        return found

    def take(self, names: Sequence[str], suffix: object = None) -> list[Snapshot]:
        """One snapshot of each volume, all or none, under one suffix; without one the next number is used."""
        volumes = [self._array.volumes.live(name) for name in names]
        chosen = self._next_number() if suffix is None else rules.check_suffix(suffix, names[0] if names else "")
        for volume in volumes:
            if chosen.lower() in volume.snapshots:
                raise Refusal("Snapshot already exists.", f"{volume.name}.{chosen}")
        limit = self._array.switches.snapshot_limit
        if limit is not None and len(self.all()) + len(volumes) > limit:
            raise Refusal("Maximum number of snapshots is reached: limit reached.", names[0])
        return [self._add(volume, chosen) for volume in volumes]

    def undo(self, volume: Volume) -> None:
        """Keep the bytes a shrink or overwrite is about to lose: a snapshot already destroyed, gone after its time."""
        self._add(volume, self._next_number()).due = self._array.volumes.due()

    def _add(self, volume: Volume, suffix: str) -> Snapshot:
        array = self._array
        snapshot = Snapshot(volume, suffix, array.next_serial(), volume.size, array.clock.now())
        array.plane.create(array.name, snapshot.serial, snapshot.size)
        array.plane.copy(volume.serial, snapshot.serial, snapshot.size)
        volume.snapshots[suffix.lower()] = snapshot
        return snapshot

    def _next_number(self) -> str:
        self._number += 1
        return str(self._number)

    def rename(self, name: str, new: str) -> Snapshot:
        """Change the suffix; the volume's part must stay."""
        snapshot = self._live(name)
        owner, _, suffix = new.rpartition(".")
        if owner.lower() != snapshot.volume.name.lower():
            raise Refusal("Invalid snapshot name: only the suffix can be changed.", new)
        rules.check_suffix(suffix, new)
        holder = snapshot.volume.snapshots
        if suffix.lower() != snapshot.suffix.lower() and suffix.lower() in holder:
            raise Refusal("Snapshot already exists.", new)
        del holder[snapshot.suffix.lower()]
        snapshot.suffix = suffix
        holder[suffix.lower()] = snapshot
        return snapshot

    def _live(self, name: str) -> Snapshot:
        snapshot = self.find(name)
        if snapshot is None:
            raise Refusal("Snapshot does not exist.", name)
        if snapshot.destroyed:
            raise Refusal("Volume snapshot has been destroyed. It can be recovered by purevol recover and eradicated "
                          "by purevol eradicate.", name)
        return snapshot

    def destroy(self, name: str) -> Snapshot:
        snapshot = self._live(name)
        snapshot.due = self._array.volumes.due()
        return snapshot

    def recover(self, name: str) -> Snapshot:
        """Bring back a destroyed snapshot; not while its volume is destroyed."""
        snapshot = self._pending(name, "Snapshot is not destroyed.")
        if snapshot.volume.destroyed:
            raise Refusal("Volume has been destroyed.", snapshot.volume.name)
        snapshot.due, snapshot.with_volume = None, False
        return snapshot

    def eradicate(self, name: str) -> Snapshot:
        snapshot = self._pending(name, "Snapshot must be destroyed before it can be eradicated.")
        if self._array.switches.safe_mode:
            raise Refusal("Eradication is disabled.", name)
        self.end(snapshot)
        return snapshot

    def _pending(self, name: str, otherwise: str) -> Snapshot:
        snapshot = self.find(name)
        if snapshot is None:
            raise Refusal("Snapshot does not exist.", name)
        if not snapshot.destroyed:
            raise Refusal(otherwise, name)
        return snapshot

    def end(self, snapshot: Snapshot) -> None:
        """Forget a snapshot and its bytes."""
        del snapshot.volume.snapshots[snapshot.suffix.lower()]
        self._array.plane.remove(snapshot.serial)

    @staticmethod
    def destroyed_with(volume: Volume) -> None:
        """A volume takes its live snapshots along into pending."""
        for snapshot in volume.snapshots.values():
            if not snapshot.destroyed:
                snapshot.due, snapshot.with_volume = volume.due, True

    def recovered_with(self, volume: Volume) -> None:
        """Bring back the snapshots that went with the volume; those destroyed before stay destroyed."""
        if self._array.switches.recover_restores_snapshots:
            for snapshot in volume.snapshots.values():
                if snapshot.with_volume:
                    snapshot.due, snapshot.with_volume = None, False
