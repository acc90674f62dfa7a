"""Volumes: what is made, what is adopted, what is refused and in which words. Copies of them are test_copies'."""

import pytest

from arrays.errors import ConfigError, NotFound, Refused, VolumeDiffers
from arrays.flasharray import FlashArray
from arrays.units import GiB, MiB
from simulator.flasharray import FlashArray as PretendArray

NAME = "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"


# Making

def test_a_new_volume(pretend: PretendArray, array: FlashArray) -> None:
    made = array.create_volume(NAME, 10 * GiB)
    there = pretend.volume(NAME)
    assert (made.name, made.serial, made.size) == (NAME, there.serial, 10 * GiB)
    assert made == array.volume(NAME) and not made.destroyed and made.source == ""


def test_a_volume_left_by_an_interrupted_attempt_is_adopted(array: FlashArray) -> None:
    made = array.create_volume(NAME, GiB)
    assert array.create_volume(NAME, GiB) == made


def test_names_are_one_whatever_their_case(array: FlashArray) -> None:
    made = array.create_volume("Vol1", GiB)
    assert array.create_volume("vol1", GiB) == made == array.volume("VOL1")


def test_a_namesake_of_another_size_is_not_touched(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_volume(NAME, GiB)
    with pytest.raises(VolumeDiffers) as error:
        array.create_volume(NAME, 2 * GiB)
    assert str(error.value) == (f"FlashArray {pretend.endpoint} already has volume {NAME} with 1GiB, and 2GiB was "
                                "asked for")
    assert pretend.volume(NAME).size == GiB


def test_a_namesake_with_somebody_s_data_is_not_handed_out(array: FlashArray) -> None:
    array.create_volume("other", GiB)
    array.clone_volume("other", NAME)
    with pytest.raises(VolumeDiffers, match="with a copy of other, and a blank volume was asked for"):
        array.create_volume(NAME, GiB)


@pytest.mark.parametrize("says_destroyed", [True, False])
def test_a_destroyed_namesake_is_left_to_the_caller(pretend: PretendArray, array: FlashArray,
                                                    says_destroyed: bool) -> None:
    """Which words arrays use for a name that waits for eradication is unverified, so they are not looked at."""
    pretend.switches.pending_name_says_destroyed = says_destroyed
    array.create_volume(NAME, GiB)
    array.destroy_volume(NAME)
    pretend.clock.advance(3600 * 1.5)
    with pytest.raises(Refused) as error:
        array.create_volume(NAME, GiB)
    assert not isinstance(error.value, VolumeDiffers)
    assert str(error.value).endswith("a destroyed volume keeps that name for 22 hours more: recover or eradicate it on "
                                     "the array")


def test_a_full_array_refuses_in_its_own_words(pretend: PretendArray, array: FlashArray) -> None:
    pretend.switches.volume_limit = 1
    array.create_volume("first", GiB)
    with pytest.raises(Refused, match=f"refused to create volume {NAME}: .*limit reached"):
        array.create_volume(NAME, GiB)


@pytest.mark.parametrize("list_form", [True, False])
def test_both_forms_of_error_bodies_are_read(pretend: PretendArray, array: FlashArray, list_form: bool) -> None:
    pretend.switches.error_is_list = list_form
    with pytest.raises(NotFound, match="has no volume v: Volume does not exist."):
        array.volume("v")


@pytest.mark.parametrize("size", [0, -512, 513])
def test_sizes_no_array_takes_are_not_sent(pretend: PretendArray, array: FlashArray, size: int) -> None:
    with pytest.raises(ConfigError, match="no multiple of 512"):
        array.create_volume(NAME, size)
    assert pretend.requests == []


@pytest.mark.parametrize("name", ["", "a/../b", "a b", "x" * 64, "a?eradicate=true", "a.b"])
def test_names_that_would_reach_another_object_are_not_sent(pretend: PretendArray, array: FlashArray,
                                                            name: str) -> None:
    for call in (array.volume, array.destroy_volume, array.eradicate_volume, array.recover_volume, array.connections,
                 array.volume_activity, array.snapshots, lambda name: array.create_volume(name, GiB),
                 lambda name: array.grow_volume(name, GiB), lambda name: array.set_limits(name, 100, None),
                 lambda name: array.clone_volume("x", name), lambda name: array.move_volume(name, "pod1"),
                 lambda name: array.connect("h", name), lambda name: array.disconnect("h", name)):
        with pytest.raises(ConfigError):
            call(name)
    assert pretend.requests == []


# Limits

def test_limits_are_set_with_the_volume(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB, iops_limit=30000, bandwidth_limit=10 * GiB)
    there = pretend.volume(NAME)
    assert (there.iops_limit, there.bandwidth_limit) == (30000, 10 * GiB)


def test_an_adopted_volume_gets_the_limits_too(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    array.create_volume(NAME, GiB, iops_limit=1000)
    assert pretend.volume(NAME).iops_limit == 1000


def test_limits_are_changed_left_and_lifted(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB, iops_limit=1000, bandwidth_limit=MiB)
    array.set_limits(NAME, None, 2 * MiB)
    assert (pretend.volume(NAME).iops_limit, pretend.volume(NAME).bandwidth_limit) == (1000, 2 * MiB)
    array.set_limits(NAME, 0, 0)
    assert (pretend.volume(NAME).iops_limit, pretend.volume(NAME).bandwidth_limit) == (None, None)
    pretend.clear_requests()
    array.set_limits(NAME, None, None)
    assert pretend.requests == []


@pytest.mark.parametrize("newest, words", [
    ("1.13", "its REST is older than 1.14, which a bandwidth limit needs"),
    ("1.16", "its REST is older than 1.17, which an IOPS limit needs")])
def test_old_arrays_have_no_limits(pretend: PretendArray, array: FlashArray, newest: str, words: str) -> None:
    pretend.switches.versions = ("1.7", newest)
    with pytest.raises(Refused, match=f"refused to create volume {NAME}: {words}"):
        array.create_volume(NAME, GiB, iops_limit=1000, bandwidth_limit=MiB)
    assert pretend.volumes == {}
    array.create_volume(NAME, GiB)


# Looking

def test_a_destroyed_volume_is_seen_only_when_asked_for(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    array.destroy_volume(NAME)
    assert array.find_volume(NAME) is None and array.volumes() == []
    found = array.volume(NAME, pending=True)
    assert found.destroyed and 86000 < found.time_remaining <= 86400
    assert array.volumes(pending=True) == [found]
    with pytest.raises(NotFound):
        array.volume(NAME)


def test_a_release_that_says_destroyed_means_not_found(pretend: PretendArray, array: FlashArray) -> None:
    pretend.faults.add(path="volume/*", status=400, body='[{"msg": "Volume has been destroyed.", "ctx": "v"}]', times=1)
    assert array.find_volume("v") is None


def test_volumes_by_pattern(pretend: PretendArray, array: FlashArray) -> None:
    for name in ("k8s-pvc-1", "k8s-pvc-2", "oracle"):
        pretend.add_volume(name, GiB)
    assert [volume.name for volume in array.volumes("k8s-*")] == ["k8s-pvc-1", "k8s-pvc-2"]
    assert [volume.name for volume in array.volumes()] == ["k8s-pvc-1", "k8s-pvc-2", "oracle"]
    assert array.volumes("nothing-*") == []


@pytest.mark.parametrize("fails", [True, False])
def test_a_pattern_without_star_that_fits_nothing(pretend: PretendArray, array: FlashArray, fails: bool) -> None:
    pretend.switches.unknown_name_fails = fails
    assert array.volumes("nothing") == []


def test_a_long_list_comes_in_pages(pretend: PretendArray, array: FlashArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arrays.calls.PAGE", 10)
    names = [f"v{number:03}" for number in range(35)]
    for name in names:
        pretend.add_volume(name, GiB)
    assert [volume.name for volume in array.volumes()] == names
    assert [request.path for request in pretend.requests].count("volume") == 4


def test_counting_fetches_one_row(pretend: PretendArray, array: FlashArray) -> None:
    for number in range(5):
        pretend.add_volume(f"v{number}", GiB)
    pretend.destroy_volume("v0")
    assert array.volume_count() == 5
    assert [request.path for request in pretend.requests].count("volume") == 1


def test_counting_where_the_total_is_not_told(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_volume("v", GiB)
    array.volumes()
    pretend.faults.add(path="volume", body='[{"name": "v", "serial": "0", "size": 1, "time_remaining": null}]')
    assert array.volume_count() == 1


# Growing

def test_a_volume_grows(pretend: PretendArray, array: FlashArray) -> None:
    made = array.create_volume(NAME, GiB)
    assert array.grow_volume(NAME, 2 * GiB) == made._replace(size=2 * GiB)
    assert pretend.volume(NAME).size == 2 * GiB


@pytest.mark.parametrize("size", [GiB, 2 * GiB])
def test_a_volume_never_shrinks(pretend: PretendArray, array: FlashArray, size: int) -> None:
    made = array.create_volume(NAME, 2 * GiB)
    assert array.grow_volume(NAME, size) == made
    assert pretend.volume(NAME).size == 2 * GiB


def test_a_missing_volume_does_not_grow(array: FlashArray) -> None:
    with pytest.raises(NotFound, match=f"has no volume {NAME}"):
        array.grow_volume(NAME, GiB)


# The end of a volume

def test_destroying_can_be_repeated_and_keeps_the_data(pretend: PretendArray, array: FlashArray) -> None:
    serial = array.create_volume(NAME, GiB).serial
    array.destroy_volume(NAME)
    array.destroy_volume(NAME)
    assert pretend.volume(NAME).destroyed
    assert array.recover_volume(NAME).serial == serial
    assert array.recover_volume(NAME).serial == serial
    assert not pretend.volume(NAME).destroyed


def test_a_connected_volume_is_not_destroyed_and_its_hosts_are_named(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_volume(NAME, GiB)
    for number in (1, 2):
        pretend.add_host(f"node{number}", iqns=[f"iqn.2020-01.com.example:{number}"])
        pretend.connect(f"node{number}", NAME)
    pretend.add_host("node3", group="group1")
    pretend.add_volume("shared", GiB)
    pretend.connect_group("group1", "shared")
    with pytest.raises(Refused, match=f"refused to destroy volume {NAME}: .*It is connected to node1, node2.$"):
        array.destroy_volume(NAME)
    with pytest.raises(Refused, match="It is connected to group1.$"):
        array.destroy_volume("shared")
    assert not pretend.volume(NAME).destroyed


def test_the_array_s_words_stand_when_the_hosts_cannot_be_had(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_volume(NAME, GiB)
    pretend.faults.add(method="DELETE", status=400, body='[{"msg": "Volume is protected.", "ctx": ""}]')
    with pytest.raises(Refused, match="Volume is protected.$"):
        array.destroy_volume(NAME)
    pretend.faults.add(method="GET", path="volume/*/host", status=500)
    with pytest.raises(Refused, match="Volume is protected.$"):
        array.destroy_volume(NAME)


def test_eradicating_can_be_repeated_and_frees_the_name(pretend: PretendArray, array: FlashArray) -> None:
    serial = array.create_volume(NAME, GiB).serial
    array.destroy_volume(NAME)
    array.eradicate_volume(NAME)
    array.eradicate_volume(NAME)
    assert pretend.volumes == {}
    assert array.create_volume(NAME, GiB).serial != serial


def test_a_live_volume_is_not_eradicated(pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume(NAME, GiB)
    with pytest.raises(Refused, match=f"refused to eradicate volume {NAME}"):
        array.eradicate_volume(NAME)
    assert not pretend.volume(NAME).destroyed


def test_a_volume_that_is_said_to_be_destroyed_is_not_yet_eradicated(pretend: PretendArray, array: FlashArray) -> None:
    pretend.faults.add(method="DELETE", status=400, body='[{"msg": "Volume has been destroyed.", "ctx": "v"}]')
    with pytest.raises(NotFound, match="has been destroyed"):
        array.eradicate_volume("v")


def test_eradication_may_be_forbidden(pretend: PretendArray, array: FlashArray) -> None:
    pretend.switches.safe_mode = True
    array.create_volume(NAME, GiB)
    array.destroy_volume(NAME)
    with pytest.raises(Refused, match="Eradication is disabled."):
        array.eradicate_volume(NAME)


def test_what_is_gone_cannot_be_recovered(array: FlashArray) -> None:
    with pytest.raises(NotFound, match=f"has no volume {NAME}"):
        array.recover_volume(NAME)


# Pods

def test_volumes_in_pods(pretend: PretendArray, array: FlashArray) -> None:
    pretend.state.pods.create("pod1")
    made = array.create_volume(f"pod1::{NAME}", GiB)
    assert made.name == f"pod1::{NAME}" and array.create_volume(f"pod1::{NAME}", GiB) == made
    assert array.move_volume(f"pod1::{NAME}", "") == NAME
    assert array.move_volume(NAME, "pod1") == f"pod1::{NAME}"
    assert array.volume(f"pod1::{NAME}").serial == made.serial
    assert array.move_volume(f"pod1::{NAME}", "pod1") == f"pod1::{NAME}"


def test_a_volume_in_a_pod_that_is_not_there(array: FlashArray) -> None:
    with pytest.raises(Refused, match="refused to create volume nowhere::v: Pod does not exist."):
        array.create_volume("nowhere::v", GiB)


def test_moves_that_cannot_be(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_volume(NAME, GiB)
    with pytest.raises(Refused):
        array.move_volume(NAME, "nowhere")
    with pytest.raises(NotFound):
        array.move_volume("nothing", "")
    with pytest.raises(ConfigError):
        array.move_volume(NAME, "no.pod")
    pretend.switches.versions = ("1.7", "1.12")
    with pytest.raises(Refused, match="its REST is older than 1.13, which a pod needs"):
        FlashArray(array.entry).move_volume(NAME, "pod1")
    assert pretend.volume(NAME).name == NAME
