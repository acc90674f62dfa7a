"""Volumes and their life: created, changed, destroyed and pending, recovered or eradicated."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Snapshot, Volume

if TYPE_CHECKING:
    from simulator.state.array import ArrayState


class Volumes:
    """All volumes of one array, by name without case; those of a stretched pod are in every array of the pod."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array
        self._by_name: dict[str, Volume] = {}
        self.next_due = math.inf       # when the first pending volume or snapshot is eradicated

    def all(self, *, live: bool = True, pending: bool = True) -> list[Volume]:
        return [volume for volume in self._by_name.values() if (pending if volume.destroyed else live)]

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Volume | None:
        """The volume of that name, live or pending."""
        return self._by_name.get(name.lower())

    def get(self, name: str, *, pending: bool = False) -> Volume:
        """The volume to look at; a pending one only if asked for."""
        volume = self.find(name)
        if volume is None or volume.destroyed and not pending:
            raise Refusal("Volume does not exist.", name)
        return volume

    def live(self, name: str) -> Volume:
        """The volume to do something with; a pending one says so."""
        volume = self.get(name, pending=True)
        if volume.destroyed:
            raise Refusal("Volume has been destroyed.", name)
        return volume

    def create(self, name: str, size: object) -> Volume:
        """A new volume of `size` (bytes or "5G"), all zeros."""
        self.check_new(name)
        wanted = rules.size(size, name, round_up_small=self._array.switches.round_up_small)
        return self._add(name, wanted, None)

    def copy(self, name: str, source: Volume | Snapshot, *, overwrite: bool = False) -> Volume:
        """A clone named `name`; with `overwrite` an existing volume gets the bytes and keeps serial and hosts."""
        if overwrite and (target := self.find(name)):
            return self._overwrite(target, source)
        self.check_new(name)
        origin = source.volume.name if isinstance(source, Snapshot) else source.name
        volume = self._add(name, source.size, origin)
        self._array.plane.copy(source.serial, volume.serial, volume.size)
        return volume

    def _overwrite(self, target: Volume, source: Volume | Snapshot) -> Volume:
        if target.destroyed:
            raise Refusal("Volume has been destroyed.", target.name)
        if source is target:
            raise Refusal("Invalid combination of parameters specified.", target.name)
        self._array.snapshots.undo(target)
        plane = self._array.plane
        target.source = source.volume.name if isinstance(source, Snapshot) else source.name
        target.size = source.size
        plane.resize(target.serial, target.size)
        plane.copy(source.serial, target.serial, target.size)
        return target

    def _add(self, name: str, size: int, source: str | None) -> Volume:
        array = self._array
        volume = Volume(name, array.next_serial(), size, source, array.clock.now())
        array.plane.create(array.name, volume.serial, size)
        self._enter(volume)
        return volume

    def _homes(self, name: str) -> "Iterable[Volumes]":
        """The registers a volume of that name belongs in: its pod's arrays, or this one."""
        pod = name.rpartition("::")[0]
        return [array.volumes for array in self._array.pods.get(pod).arrays] if pod else [self]

    def _enter(self, volume: Volume) -> None:
        for home in self._homes(volume.name):
            home._by_name[volume.name.lower()] = volume

    def adopt(self, volume: Volume) -> None:
        """Take in a volume whose pod was stretched to this array."""
        self._by_name[volume.name.lower()] = volume
        self.next_due = min(self.next_due, volume.due or math.inf)

    def _leave(self, volume: Volume) -> None:
        for home in self._homes(volume.name):
            home._by_name.pop(volume.name.lower(), None)

    def check_new(self, name: str) -> None:
        """Refuse what cannot be the name of one more volume."""
        rules.check_volume_name(name)
        pod = name.rpartition("::")[0]
        if pod:
            self._array.pods.get(pod)
        self._check_free(name)
        limit = self._array.switches.volume_limit
        if limit is not None and len(self) >= limit:
            raise Refusal("Maximum number of volumes is reached: limit reached.", name)
        if self._array.switches.full_refuses and self._array.total() >= self._array.capacity:
            raise Refusal("Insufficient space: the array is out of space.", name)

    def _check_free(self, name: str) -> None:
        for home in self._homes(name):
            if (taken := home.find(name)) is None:
                continue
            if taken.destroyed and self._array.switches.pending_name_says_destroyed:
                raise Refusal("Volume has been destroyed.", name)
            raise Refusal("Volume already exists.", name)

    def resize(self, name: str, size: object, *, truncate: bool) -> Volume:
        """Grow; or shrink if `truncate`, after an undo snapshot."""
        volume = self.live(name)
        wanted = rules.size(size, name, round_up_small=self._array.switches.round_up_small)
        if wanted < volume.size:
            if not truncate:
                raise Refusal("Invalid size: smaller than the current size; truncate is needed to shrink.", name)
            self._array.snapshots.undo(volume)
        volume.size = wanted
        self._array.plane.resize(volume.serial, wanted)
        return volume

    def rename(self, name: str, new: str) -> Volume:
        """Rename within the same pod; serial, connections and snapshots follow."""
        volume = self.live(name)
        rules.check_volume_name(new)
        if new.rpartition("::")[0].lower() != volume.pod.lower():
            raise Refusal("Invalid combination of parameters specified.", new)
        if new.lower() != volume.name.lower():
            self._check_free(new)
        return self._rename(volume, new)

    def move(self, name: str, pod: str) -> Volume:
        """Move a volume into a pod, or out of it with ""; not while it is connected to a stretched one's arrays."""
        volume = self.live(name)
        base = volume.name.rpartition("::")[2]
        new = f"{self._array.pods.get(pod).name}::{base}" if pod else base
        if new.lower() == volume.name.lower():
            raise Refusal("Volume already exists.", new)
        self._check_free(new)
        return self._rename(volume, new)

    def _rename(self, volume: Volume, new: str) -> Volume:
        self._leave(volume)
        volume.name = new
        self._enter(volume)
        return volume

    def set_limits(self, name: str, limits: dict[str, int | None]) -> Volume:
        """Change `bandwidth_limit` and `iops_limit`; None takes a limit away."""
        volume = self.live(name)
        for limit, value in limits.items():
            setattr(volume, limit, value)
        return volume

    def destroy(self, name: str) -> Volume:
        """Put a volume and its snapshots into pending; refused while anyone is connected."""
        volume = self.live(name)
        if volume.hosts or volume.groups:
            raise Refusal("Volume cannot be deleted due to existing connections.", name)
        volume.due = self.due()
        self._array.snapshots.destroyed_with(volume)
        return volume

    def due(self) -> float:
        """When something destroyed now is eradicated; makes sure `sweep` will look then."""
        due = self._array.clock.now() + self._array.switches.pending_seconds
        for array in self._array.pods.neighbours():
            array.volumes.next_due = min(array.volumes.next_due, due)
        return due

    def recover(self, name: str) -> Volume:
        volume = self.get(name, pending=True)
        if not volume.destroyed:
            raise Refusal("Volume is not destroyed.", name)
        volume.due = None
        self._array.snapshots.recovered_with(volume)
        return volume

    def eradicate(self, name: str) -> Volume:
        """End a destroyed volume and its snapshots for good."""
        volume = self.get(name, pending=True)
        if not volume.destroyed:
            raise Refusal("Volume must be destroyed before it can be eradicated.", name)
        if self._array.switches.safe_mode:
            raise Refusal("Eradication is disabled.", name)
        self._end(volume)
        return volume

    def _end(self, volume: Volume) -> None:
        self._leave(volume)
        for snapshot in list(volume.snapshots.values()):
            self._array.snapshots.end(snapshot)
        self._array.plane.remove(volume.serial)

    def sweep(self, now: float) -> None:
        """Eradicate all that is due by `now` and find out when to look again."""
        dues = [math.inf]
        for volume in self.all():
            if volume.due is not None and volume.due <= now:
                self._end(volume)
                continue
            for snapshot in list(volume.snapshots.values()):
                if snapshot.due is not None and snapshot.due <= now:
                    self._array.snapshots.end(snapshot)
            left: list[Volume | Snapshot] = [volume, *volume.snapshots.values()]
            dues += [each.due for each in left if each.due is not None]
        self.next_due = min(dues)

    def time_remaining(self, thing: Volume | Snapshot) -> int | None:
        """Whole seconds until eradication; None while live."""
        return None if thing.due is None else max(0, math.ceil(thing.due - self._array.clock.now()))
