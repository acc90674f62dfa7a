"""Clones and snapshots: what is made, what is adopted, what is refused and in which words."""

import pytest

from arrays.errors import ConfigError, NotFound, Refused, VolumeDiffers
from arrays.flasharray import FlashArray
from arrays.units import GiB
from simulator.flasharray import FlashArray as PretendArray

NAME = "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"


# Copies

def test_a_clone_of_a_volume_and_of_a_snapshot(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume("origin", GiB)
    array.snapshot("origin", "daily")
    for source, name in (("origin", "one"), ("origin.daily", "two")):
        clone = array.clone_volume(source, name)
        assert (clone.source, clone.size) == ("origin", GiB)
        assert array.clone_volume(source, name) == clone
    assert len({volume.serial for volume in pretend.volumes.values()}) == 3


@pytest.mark.parametrize("source", ["origin", "origin.daily"])
def test_a_clone_of_nothing(array: FlashArray, source: str) -> None:
    with pytest.raises(NotFound, match=f"has no volume or snapshot {source}"):
        array.clone_volume(source, NAME)


def test_a_clone_outlives_its_origin(array: FlashArray) -> None:
    """The repeat of a clone whose source went away meanwhile finds the clone."""
    array.create_volume("origin", GiB)
    clone = array.clone_volume("origin", NAME)
    array.destroy_volume("origin")
    array.eradicate_volume("origin")
    found = array.clone_volume("origin", NAME)
    assert found.serial == clone.serial


@pytest.mark.parametrize("blank", [True, False])
def test_a_namesake_that_is_no_such_clone_is_not_touched(pretend: PretendArray, array: FlashArray, blank: bool) -> None:
    array.create_volume("origin", GiB)
    if blank:
        array.create_volume(NAME, GiB)
    else:
        array.create_volume("other", GiB)
        array.clone_volume("other", NAME)
    serial = pretend.volume(NAME).serial
    with pytest.raises(VolumeDiffers, match="and a copy of origin was asked for"):
        array.clone_volume("origin", NAME)
    assert pretend.volume(NAME).serial == serial


def test_a_destroyed_clone_is_left_to_the_caller(array: FlashArray) -> None:
    array.create_volume("origin", GiB)
    array.clone_volume("origin", NAME)
    array.destroy_volume(NAME)
    for _ in range(2):
        with pytest.raises(Refused, match="a destroyed volume keeps that name"):
            array.clone_volume("origin", NAME)
        array.destroy_volume("origin")          # the second time the source is missing as well
        array.eradicate_volume("origin")


# Snapshots

def test_a_snapshot_is_taken_once(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    taken = array.snapshot(NAME, "daily-1")
    assert (taken.name, taken.source, taken.size, taken.destroyed) == (f"{NAME}.daily-1", NAME, GiB, False)
    assert array.snapshot(NAME, "daily-1") == taken
    assert array.snapshots(NAME) == [taken]
    assert pretend.volume(NAME).snapshots == ("daily-1",)


def test_a_snapshot_is_destroyed_once(array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    array.snapshot(NAME, "a")
    array.destroy_snapshot(f"{NAME}.a")
    array.destroy_snapshot(f"{NAME}.a")
    array.destroy_snapshot(f"{NAME}.never")
    assert array.snapshots(NAME) == []
    assert [found.destroyed for found in array.snapshots(NAME, pending=True)] == [True]
    with pytest.raises(Refused, match="a destroyed snapshot keeps that name until it is eradicated"):
        array.snapshot(NAME, "a")


def test_snapshots_of_nothing(array: FlashArray) -> None:
    with pytest.raises(NotFound, match=f"has no volume {NAME}"):
        array.snapshot(NAME, "a")
    with pytest.raises(NotFound, match=f"has no volume {NAME}"):
        array.snapshots(NAME)


def test_snapshots_an_array_refuses(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    pretend.switches.snapshot_limit = 0
    with pytest.raises(Refused, match=f"refused to take snapshot {NAME}.a: .*limit"):
        array.snapshot(NAME, "a")
    pretend.faults.add(method="DELETE", status=400, body='[{"msg": "Snapshot is held.", "ctx": ""}]')
    with pytest.raises(Refused, match="Snapshot is held."):
        array.destroy_snapshot(f"{NAME}.a")
    for suffix in ("a.b", "", "a/b"):
        with pytest.raises(ConfigError):
            array.snapshot(NAME, suffix)
