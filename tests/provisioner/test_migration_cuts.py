"""A migration cut at every moment and begun again (AT-75 to AT-78)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.kube import Kube
from provisioner.migration import csi, steps
from provisioner.migration.record import Record
from provisioner.objects import Raw
from tests.provisioner.cluster import CLAIMS, PVS
from tests.provisioner.migrating import PV, VOLUME, World, pause


class Cut(BaseException):
    """kill -9."""


class Cuts:
    """Ends the work at one moment: each effect on the cluster or on the record has one before and one after."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.moments = at, 0

    def around(self, act: Callable[[], Any]) -> Any:
        self._moment()
        answer = act()
        self._moment()
        return answer

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Cut


def way(world: World, cuts: Cuts) -> None:
    """All steps, each from the record on disk as the commands do it."""
    kube, begin = CuttingKube(world.access, cuts, world.path), recording(cuts)
    found, record = steps.survey(kube, "k8s"), begin(world.path, "k8s")
    steps.remember(record, steps.movers(kube, found))
    world.scale(0)
    for one in found:
        steps.retain(kube, world.fleet, record, one)
    for step in (lambda pv: steps.snapshot(world.fleet, record, pv),
                 lambda pv: steps.delete(kube, world.fleet, record, pv, pause)):
        record = begin(world.path, "k8s")
        for pv in [pv for pv, entry in record.volumes.items() if not entry["pv_deleted"]]:
            step(pv)
    for workload in begin(world.path, "k8s").workloads:
        steps.give_back(kube, workload)
    record = begin(world.path, "k8s")
    for pv in [pv for pv, entry in record.volumes.items() if entry["snapshot"]]:
        steps.drop_snapshot(world.fleet, record, pv)


class CuttingKube(Kube):
    """Dies at a moment; and deletes nothing of which the record on disk could not make a new one."""

    def __init__(self, access: Any, cuts: Cuts, path: Path) -> None:
        super().__init__(access)
        self._cuts, self._path = cuts, path

    def merge(self, path: str, body: Raw) -> Raw:
        return dict(self._cuts.around(lambda: super(CuttingKube, self).merge(path, body)))

    def delete(self, path: str, uid: str) -> Raw:
        entry = Record.load(self._path).volumes[PV]
        assert entry["pv"]["spec"]["flexVolume"] and entry["claim"]["spec"]["volumeName"] == PV
        return dict(self._cuts.around(lambda: super(CuttingKube, self).delete(path, uid)))


def recording(cuts: Cuts) -> Callable[[Path, str], Record]:
    """Record.begin whose records die at a moment of their saving."""
    class CuttingRecord(Record):
        def save(self) -> None:
            cuts.around(super().save)
    return CuttingRecord.begin


@pytest.mark.slow
def test_cut_at_any_moment_and_begun_again(world: World) -> None:
    """From the plan to the clean-up: after each cut the volume is there, and the same commands finish the work."""
    whole = Cuts()
    way(world, whole)
    created = world.array.volume(VOLUME).created
    assert whole.moments >= 20
    for at in range(1, whole.moments + 1):
        world.path.unlink()
        world.array.clock.advance(25 * 3600)        # the array forgets the snapshot of the last time
        world.make()
        with pytest.raises(Cut):
            way(world, Cuts(at))
        assert not world.array.volume(VOLUME).destroyed, at
        way(world, Cuts())
        entry = Record.load(world.path).volumes[PV]
        assert entry["claim_deleted"] and entry["pv_deleted"] and entry["snapshot"] == "", at
        assert [one["kind"] for one in csi.manifests(entry)] == ["PersistentVolume", "PersistentVolumeClaim"], at
        assert not world.api.objects(PVS) and not world.api.objects(CLAIMS) and world.replicas == 3, at
        found = world.array.volume(VOLUME)
        assert (found.destroyed, found.created, found.snapshots) == (False, created, ()), at
