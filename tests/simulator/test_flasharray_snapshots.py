"""FlashArray: snapshots. Points 37-40 of array-rest.md section 8."""

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from tests.simulator.arrayclient import GiB, Rest, names, refusal


@pytest.fixture
def two(client: Client) -> Client:
    """A client whose array has volumes v1 and v2."""
    client.create_volume("v1", GiB)
    client.create_volume("v2", 2 * GiB)
    return client


def test_37_one_call_snaps_several_volumes(two: Client) -> None:
    first, second = two.create_snapshots(["v1", "v2"], suffix="s1")
    assert (first["name"], first["source"], first["size"]) == ("v1.s1", "v1", GiB)
    assert (second["name"], second["source"], second["size"]) == ("v2.s1", "v2", 2 * GiB)
    assert len({first["serial"], second["serial"], two.get_volume("v1")["serial"]}) == 3
    assert first.keys() == {"name", "source", "serial", "size", "created"}


def test_37_a_number_is_the_default_suffix_and_rises(two: Client) -> None:
    numbers = [int(two.create_snapshot("v1")["name"].partition(".")[2]) for _ in range(3)]
    assert numbers == sorted(set(numbers))


def test_37_all_or_none(array: FlashArray, two: Client) -> None:
    with refusal("does not exist"):
        two.create_snapshots(["v1", "nix"], suffix="s1")
    two.create_snapshot("v2", suffix="s1")
    with refusal("already exists"):
        two.create_snapshots(["v1", "v2"], suffix="s1")
    assert array.volume("v1").snapshots == ()


@pytest.mark.parametrize("body", [{}, {"snap": True}, {"snap": True, "source": []}, {"source": ["v1"]}])
def test_37_needs_snap_and_source(rest: Rest, two: Client, body: object) -> None:
    rest.refused("POST", "volume", body)


def test_38_by_name_only_with_snap(two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    with refusal("does not exist"):
        two.get_volume("v1.s1")
    assert names(two.get_volume("v1.s1", snap=True)) == ["v1.s1"]
    assert names(two.get_volume("v1", snap=True)) == ["v1.s1"]
    assert two.get_volume("v2", snap=True) == []
    assert names(two.list_volumes(snap=True)) == ["v1.s1"]
    with refusal("No such volume or snapshot", "does not exist"):
        two.get_volume("v1.nix", snap=True)


def test_38_lists_can_be_narrowed_by_names(two: Client) -> None:
    two.create_snapshots(["v1", "v2"], suffix="s1")
    assert names(two.list_volumes(snap=True, names="v1.*")) == ["v1.s1"]
    assert names(two.list_volumes(snap=True, names=["v2.s1"])) == ["v2.s1"]


@pytest.mark.parametrize("suffix", ["s1", "S1"])
def test_39_a_suffix_is_used_once(two: Client, suffix: str) -> None:
    """Without case, and also while that snapshot is pending."""
    two.create_snapshot("v1", suffix="s1")
    with refusal("already exists"):
        two.create_snapshot("v1", suffix=suffix)
    two.destroy_volume("v1.s1")
    with refusal("already exists"):
        two.create_snapshot("v1", suffix=suffix)


@pytest.mark.parametrize("suffix", ["", "-a", "a-", "a.b", "a_b", "a" * 64, "ä"])
def test_39_bad_suffixes(rest: Rest, two: Client, suffix: str) -> None:
    assert "suffix" in rest.refused("POST", "volume", {"snap": True, "source": ["v1"], "suffix": suffix})


def test_40_life_of_one_snapshot(two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    with refusal():
        two.eradicate_volume("v1.s1")
    with refusal():
        two.recover_volume("v1.s1")
    assert two.destroy_volume("v1.s1") == {"name": "v1.s1"}
    with refusal("has been destroyed"):
        two.destroy_volume("v1.s1")
    assert two.get_volume("v1.s1", snap=True, pending=True)[0]["time_remaining"] > 86000
    assert two.recover_volume("v1.s1") == {"name": "v1.s1"}
    two.destroy_volume("v1.s1")
    assert two.eradicate_volume("v1.s1") == {"name": "v1.s1"}
    for order in (two.destroy_volume, two.recover_volume, two.eradicate_volume):
        with refusal("does not exist"):
            order("v1.s1")


def test_40_eradication_is_refused_in_safe_mode(array: FlashArray, two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    two.destroy_volume("v1.s1")
    array.switches.safe_mode = True
    with refusal("Eradication is disabled."):
        two.eradicate_volume("v1.s1")


def test_40_a_snapshot_keeps_what_was(two: Client) -> None:
    """Size of the time it was taken; its clone does not care about the volume any more."""
    two.create_snapshot("v1", suffix="s1")
    two.extend_volume("v1", 5 * GiB)
    assert two.copy_volume("v1.s1", "v3")["size"] == GiB
    two.destroy_volume("v1")
    two.eradicate_volume("v1")
    assert two.get_volume("v3")["source"] == "v1"


def test_40_clone_of_a_destroyed_snapshot(two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    two.destroy_volume("v1.s1")
    with refusal("Volume snapshot has been destroyed."):
        two.copy_volume("v1.s1", "v3")


def test_40_a_snapshot_cannot_be_connected(array: FlashArray, two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    array.add_host("h1", group="g1")
    with refusal():
        two.connect_host("h1", "v1.s1")
    with refusal():
        two.connect_hgroup("g1", "v1.s1")


def test_only_the_suffix_of_a_snapshot_can_be_renamed(two: Client) -> None:
    two.create_snapshot("v1", suffix="s1")
    two.create_snapshot("v1", suffix="s2")
    assert two.rename_volume("v1.s1", "v1.S1") == {"name": "v1.S1"}
    with refusal("already exists"):
        two.rename_volume("v1.s1", "v1.s2")
    with refusal("only the suffix"):
        two.rename_volume("v1.s1", "v2.s3")
    with refusal("suffix"):
        two.rename_volume("v1.s1", "v1.s_3")
    assert two.rename_volume("v1.s1", "v1.s3") == {"name": "v1.s3"}
    with refusal("does not exist"):
        two.rename_volume("v1.s1", "v1.s4")
    with refusal():
        two.extend_volume("v1.s3", 2 * GiB)
