"""Somebody else is quicker than a step of a migration: deletes, changes or makes anew what it was about to change."""

from collections.abc import Callable
from typing import Any

import pytest

from arrays.errors import Busy, NotFound, Refused
from provisioner.kube import Kube
from provisioner.migration import steps
from provisioner.migration.record import Record
from provisioner.objects import Raw
from tests.provisioner.cluster import CLAIMS, PVS
from tests.provisioner.migrating import PV, VOLUME, World, pause


class Racing(Kube):
    """Somebody does something between our look at an object and our change of it, once."""

    def __init__(self, world: World, meanwhile: Callable[[], Any]) -> None:
        super().__init__(world.access)
        self._meanwhile: Callable[[], Any] | None = meanwhile

    def _race(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()

    def merge(self, path: str, body: Raw) -> Raw:
        self._race()
        return super().merge(path, body)


class RacingDeletion(Racing):
    def merge(self, path: str, body: Raw) -> Raw:
        return Kube.merge(self, path, body)

    def delete(self, path: str, uid: str) -> Raw:
        self._race()
        return super().delete(path, uid)


def remove_pv(world: World) -> None:
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}})
    world.api.delete(PVS, PV)
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}}) if world.api.get(PVS, PV) else None


def leaving(world: World, kind: str, name: str) -> None:
    """Deleted, and held by somebody's finalizer."""
    world.api.patch(kind, name, {"metadata": {"finalizers": ["example.com/slow"]}})
    world.api.delete(kind, name)


@pytest.mark.parametrize(("kind", "name"), [(PVS, PV), (CLAIMS, "data")])
def test_what_somebody_deletes_at_this_moment_is_not_migrated(world: World, kind: str, name: str) -> None:
    """It can only go: a record of it would bring it back under CSI, and its volume may be on its way out."""
    [volume] = steps.survey(world.kube, "k8s")
    leaving(world, kind, name)
    with pytest.raises(Refused, match=f"retain {name}: somebody deleted it at .* held by example.com/slow"):
        steps.retain(world.kube, world.fleet, Record.begin(world.path, "k8s"), volume)
    assert not world.path.exists()


@pytest.mark.parametrize("kept", [True, False])
def test_a_pv_that_goes_before_it_is_retained_is_done_only_if_its_volume_stayed(world: World, kept: bool) -> None:
    [volume], record = steps.survey(world.kube, "k8s"), Record.begin(world.path, "k8s")

    def meanwhile() -> None:
        remove_pv(world)
        if not kept:
            world.array.destroy_volume(VOLUME)

    if kept:
        steps.retain(Racing(world, meanwhile), world.fleet, record, volume)
    else:
        with pytest.raises(NotFound, match="is destroyed"):
            steps.retain(Racing(world, meanwhile), world.fleet, record, volume)
    assert Record.load(world.path).volumes[PV]["claim"]


def test_a_pv_that_controllers_change_is_tried_again(world: World) -> None:
    """The PV controller says Released at the very moment at which our finalizer is taken off."""
    record = world.retained()
    racing = Racing(world, lambda: world.api.patch(PVS, PV, {"metadata": {"labels": {"changed": "yes"}}}))
    steps.delete(racing, world.fleet, record, PV, pause)
    assert not world.api.objects(PVS) and not world.array.volume(VOLUME).destroyed


def test_a_pv_set_to_delete_meanwhile_is_refused(world: World) -> None:
    record = world.retained()
    racing = Racing(world, lambda: world.api.patch(PVS, PV, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}))
    with pytest.raises(Refused, match="not Retain"):
        steps.delete(racing, world.fleet, record, PV, pause)
    assert world.api.get(PVS, PV)


def test_a_pv_that_changes_all_the_time_is_said(world: World) -> None:
    record, numbers = world.retained(), iter(range(99))

    class Restless(Kube):
        def merge(self, path: str, body: Raw) -> Raw:
            world.api.patch(PVS, PV, {"metadata": {"labels": {"changed": str(next(numbers))}}})
            return super().merge(path, body)

    with pytest.raises(Busy, match="changes all the time"):
        steps.delete(Restless(world.access), world.fleet, record, PV, pause)


@pytest.mark.parametrize("racing", [Racing, RacingDeletion])
def test_a_pv_that_goes_meanwhile_is_deleted(world: World, racing: type[Racing]) -> None:
    record = world.retained()
    world.api.delete(CLAIMS, "data")
    record.mark(PV, claim_deleted=True)
    steps.delete(racing(world, lambda: remove_pv(world)), world.fleet, record, PV, pause)
    assert Record.load(world.path).volumes[PV]["pv_deleted"]


def test_a_claim_made_anew_meanwhile_stays(world: World) -> None:
    """Deletion names the uid; the new claim of the same name is told from ours by it."""
    record = world.retained()

    def meanwhile() -> None:
        world.api.delete(CLAIMS, "data")
        world.cluster.until(lambda: world.api.get(CLAIMS, "data") is None, "claim gone")
        world.put(CLAIMS, "data", {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                   "resources": {"requests": {"storage": "1Gi"}}})

    steps.delete(RacingDeletion(world, meanwhile), world.fleet, record, PV, pause)
    assert world.claim["spec"]["storageClassName"] == "none" and not world.api.objects(PVS)


def test_a_workload_that_goes_before_it_is_scaled_is_no_failure(world: World) -> None:
    [shop] = steps.movers(world.kube, steps.survey(world.kube, "k8s"))
    world.scale(0)
    assert steps.give_back(Racing(world, lambda: world.api.delete("deployments", "shop")), shop) is False
