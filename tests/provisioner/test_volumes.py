"""Making and unmaking on one array, against an array in memory (1.4.5, 1.7.4-1.7.6; checklist 28, 36, 37)."""

from collections.abc import Sequence

import pytest

from arrays.entries import Entry, FlashArrayEntry
from arrays.errors import ConfigError, NotFound, Refused, VolumeDiffers
from provisioner.claims import Claim
from provisioner.stores import Found, Measure, Wishes
from provisioner.volumes import InUse, NotMade, make, name_of, unmake
from tests.provisioner.given import UID, GiB, claim, pv_record

NAME = f"k8s-pvc-{UID}"


class Array:
    """Holds volumes and refuses what a FlashArray refuses."""

    backend = "block"

    def __init__(self, *volumes: Found, hosts: Sequence[str] = ()) -> None:
        self.entry: Entry = FlashArrayEntry("1.2.3.4", "fake-token")
        self.volumes = {volume.name: volume for volume in volumes}
        self.hosts = list(hosts)
        self.completed: list[str] = []
        self.connects_late = ""

    def measure(self) -> Measure:
        return Measure(0, 0, len(self.volumes))

    def find(self, name: str) -> Found | None:
        return self.volumes.get(name)

    def create(self, name: str, claim: Claim, wishes: Wishes) -> Found:
        if name in self.volumes:
            raise Refused("FlashArray 1.2.3.4", f"create volume {name}", "Volume already exists.")
        return self.volumes.setdefault(name, Found(name, claim.size, False, wishes.source))

    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None:
        self.completed.append(name)

    def users(self, name: str) -> Sequence[str]:
        return self.hosts

    def grow(self, name: str, size: int) -> None:
        self.volumes[name] = self.volumes[name]._replace(size=size)

    def recover(self, name: str) -> None:
        self.volumes[name] = self.volumes[name]._replace(destroyed=False)

    def destroy(self, name: str) -> None:
        if self.connects_late:
            self.hosts.append(self.connects_late)
        if self.hosts:
            raise Refused("FlashArray 1.2.3.4", f"destroy volume {name}", "existing connections")
        self.volumes[name] = self.volumes[name]._replace(destroyed=True)

    def eradicate(self, name: str) -> None:
        if name not in self.volumes:
            raise NotFound("FlashArray 1.2.3.4", f"volume {name}")
        del self.volumes[name]

    def export(self, name: str) -> str:
        return ""

    def holdings(self, prefix: str) -> Sequence[Found]:
        return list(self.volumes.values())

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("there", [
    (), (Found(NAME, 10 * GiB, False),), (Found(NAME, 4 * GiB, False),), (Found(NAME, 10 * GiB, True),),
    (Found(NAME, 4 * GiB, True),)], ids=["nothing", "made before", "too small", "destroyed", "destroyed and too small"])
def test_whatever_an_attempt_left_the_volume_is_there_in_the_end(there: tuple[Found, ...]) -> None:
    array = Array(*there)
    assert make(array, NAME, claim(), Wishes()) == Found(NAME, 10 * GiB, False)
    assert array.volumes == {NAME: Found(NAME, 10 * GiB, False)} and (not there or array.completed == [NAME])


def test_a_larger_one_is_taken_as_it_is() -> None:
    assert make(Array(Found(NAME, 40 * GiB, False)), NAME, claim(), Wishes()).size == 40 * GiB


def test_one_in_use_is_not_taken() -> None:
    with pytest.raises(Refused, match="connected to node1"):
        make(Array(Found(NAME, 10 * GiB, False), hosts=["node1"]), NAME, claim(), Wishes())


@pytest.mark.parametrize("source, wanted", [("k8s-pvc-other", ""), ("", "k8s-pvc-1"), ("k8s-pvc-2", "k8s-pvc-1.daily")])
def test_one_with_other_data_is_not_taken(source: str, wanted: str) -> None:
    """An empty volume is no copy, and a copy no empty volume."""
    with pytest.raises(VolumeDiffers):
        make(Array(Found(NAME, 10 * GiB, False, source)), NAME, claim(), Wishes(source=wanted))


def test_a_refusal_that_is_not_about_the_name_is_passed_on() -> None:
    class Full(Array):
        def create(self, name: str, claim: Claim, wishes: Wishes) -> Found:
            raise Refused("FlashArray 1.2.3.4", f"create volume {name}", "limit reached")

    with pytest.raises(NotMade, match="limit reached"):
        make(Full(), NAME, claim(), Wishes())


def test_destroyed_and_recoverable_unless_told_otherwise() -> None:
    array = Array(Found(NAME, GiB, False))
    unmake(array, array.volumes[NAME])
    assert array.volumes[NAME].destroyed
    unmake(array, array.volumes[NAME], eradicate=True)
    unmake(array, Found(NAME, GiB, True), eradicate=True)
    assert not array.volumes


def test_a_volume_that_somebody_recovers_while_it_is_eradicated_stays() -> None:
    """And the PV with it: it is not said to be deleted."""
    class Recovering(Array):
        def eradicate(self, name: str) -> None:
            self.recover(name)
            raise Refused("FlashArray 1.2.3.4", f"eradicate volume {name}", "Volume is not destroyed.")

    array = Recovering(Found(NAME, GiB, False))
    with pytest.raises(Refused, match="not destroyed"):
        unmake(array, array.volumes[NAME], eradicate=True)
    assert not array.volumes[NAME].destroyed


@pytest.mark.parametrize("late", [False, True], ids=["before", "between look and destroy"])
def test_nothing_connected_is_destroyed(late: bool) -> None:
    array = Array(Found(NAME, GiB, False), hosts=[] if late else ["node1"])
    array.connects_late = "node1" if late else ""
    with pytest.raises(InUse, match="still connected to node1"):
        unmake(array, array.volumes[NAME])
    assert not array.volumes[NAME].destroyed


@pytest.mark.parametrize("changes, ours", [
    ({}, True), ({"volume": f"pod1::{NAME}"}, True), ({"volume": "", "prefix": ""}, True), ({"volume": ""}, True),
    ({"volume": "", "prefix": "k9"}, False), ({"volume": "production-db"}, False), ({"volume": NAME + "0"}, False),
    ({"name": "pvc-other"}, False)], ids=str)
def test_what_is_provably_ours(changes: dict[str, str], ours: bool) -> None:
    """Design 3.5.2: prefix and PV name, in every shape our PVs ever had."""
    if ours:
        assert name_of(pv_record(**changes), "k8s") == NAME
    else:
        with pytest.raises(ConfigError, match="not ours"):
            name_of(pv_record(**changes), "k8s")
