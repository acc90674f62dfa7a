"""Unmounting while arrays are away, or volume and host have other names by now: the node first, then what is owed."""

import json
from pathlib import Path
from typing import Any

import pytest

from arrays.errors import Unreachable
from flex import detach, state
from flex.machine import Node
from flex.paths import Paths
from flex.settings import Settings
from tests.flex.blocks import GiB, block, check_given_back, failure, host_of, records, wwid
from tests.flex.driver import SUCCESS


def test_the_node_is_released_first_and_only_the_disconnection_is_left(flex: Any, node: Any, array: Any,
                                                                       place: Path) -> None:
    array.faults.add(reset=True)
    message = failure(flex("unmount", place))
    assert "only its disconnection" in message and "k8s-pvc-1" in message
    assert (node.mounts, node.maps, node.paths) == ([], [], [])
    assert array.connections("k8s-pvc-1")
    array.faults.clear()
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_a_later_call_about_another_volume_finishes_what_is_left(flex: Any, node: Any, array: Any, place: Path) -> None:
    """kubelet up to 1.7 does not repeat an unmount."""
    array.add_volume("k8s-pvc-2", GiB)
    array.faults.add(reset=True)
    failure(flex("unmount", place))
    array.faults.clear()
    for noted in Path(f"{node.root}/run/pure-flex").glob("failed.*"):
        noted.unlink()                  # a minute later
    assert flex("mount", place.with_name("pvc-2"), block("pvc-2")) == SUCCESS
    assert array.connections("k8s-pvc-1") == {} and len(records(node)) == 1


def test_an_answer_that_is_lost_is_no_harm(flex: Any, node: Any, array: Any, place: Path) -> None:
    array.faults.add(method="DELETE", lose_reply=True, times=1)
    answer = flex("unmount", place)
    if answer != SUCCESS:
        assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_a_volume_that_is_gone_on_the_array_counts_as_disconnected(flex: Any, node: Any, array: Any, place: Path) -> None:
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    array.destroy_volume("k8s-pvc-1")
    assert flex("unmount", place) == SUCCESS
    assert (node.mounts, node.maps, node.paths, records(node)) == ([], [], [], [])


def test_a_volume_that_was_renamed_is_disconnected_under_its_new_name(flex: Any, node: Any, array: Any,
                                                                      place: Path) -> None:
    array.rename_volume("k8s-pvc-1", "moved")
    assert flex("unmount", place) == SUCCESS
    assert array.connections("moved") == {}


def test_an_array_left_out_for_a_slip_in_pure_json_is_not_passed_over(flex: Any, node: Any, array: Any, sim: Any,
                                                                      place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody mistyped its entry: that the others do not know the volume is no proof that it is disconnected."""
    sim.add_flash_array("fa2")
    listed = sim.pure_json()
    slip = json.loads(json.dumps(listed))
    del slip["FlashArrays"][0]["APIToken"]
    with monkeypatch.context() as patch:
        patch.setattr(sim, "pure_json", lambda: slip)
        patch.setattr(sim, "write_pure_json", lambda file: file.write_text(json.dumps(slip)))
        message = failure(flex("unmount", place))
    assert "only its disconnection" in message and "add APIToken" in message
    assert (node.mounts, node.maps, node.paths) == ([], [], []) and array.connections("k8s-pvc-1")
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def rename_host(array: Any, node: Any) -> None:
    array.state.hosts.rename(array.state.hosts.get(host_of(array, node)), "rack7-node1")


def test_a_host_that_was_renamed_is_disconnected_under_its_new_name(flex: Any, node: Any, array: Any, place: Path) -> None:
    """An administrator has tidied up: "host does not exist" is no proof that this node is disconnected."""
    rename_host(array, node)
    assert flex("unmount", place) == SUCCESS
    assert array.connections("k8s-pvc-1") == {}


def test_a_renamed_host_and_a_renamed_volume_are_found_too(flex: Any, node: Any, array: Any, place: Path) -> None:
    rename_host(array, node)
    array.rename_volume("k8s-pvc-1", "moved")
    assert flex("unmount", place) == SUCCESS
    assert array.connections("moved") == {}


def test_another_volume_of_the_same_name_is_not_touched(flex: Any, node: Any, array: Any, place: Path) -> None:
    array.rename_volume("k8s-pvc-1", "moved")
    array.add_volume("k8s-pvc-1", GiB)
    array.connect(host_of(array, node), "k8s-pvc-1", 77)
    assert flex("unmount", place) == SUCCESS
    assert array.connections("moved") == {} and list(array.connections("k8s-pvc-1").values()) == [77]


def test_without_a_record_one_array_that_is_away_does_not_keep_another_connected(flex: Any, node: Any, array: Any,
                                                                                 sim: Any, place: Path) -> None:
    """Nobody knows which array it was; the volume is disconnected where it is found, and the rest is said."""
    away = sim.add_flash_array("fa0")
    away.faults.add(reset=True)
    state.remove(Paths(str(node.root)), str(place))
    assert "only its disconnection" in failure(flex("unmount", place))
    assert array.connections("k8s-pvc-1") == {} and node.maps == []
    away.faults.clear()
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def machine_of(node: Any, flex: Any) -> Node:
    """What a call-out on the pretend node works on."""
    flex.install()
    return Node(Paths(str(node.root)), Settings({"PURE_DISCOVERY_CONF": str(flex.executable.with_name(".pure.json"))}))


def test_what_cannot_be_asked_is_no_proof_that_a_volume_is_gone(flex: Any, node: Any, array: Any) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    machine = machine_of(node, flex)
    record = state.Record("/d", backend="block", volume="k8s-pvc-1", array=array.endpoint, wwid=wwid(array), host="n")
    assert not detach.is_lost(machine, record)              # merely disconnected: it may come back
    array.add_host("other", iqns=["iqn.2000-01.example:other"])
    array.connect("other", "k8s-pvc-1")
    assert detach.is_lost(machine, record)
    assert detach.is_lost(machine, record.but(volume="k8s-gone", wwid=f"3624a9370{'0' * 24}"))
    array.faults.add(reset=True)
    assert not detach.is_lost(machine, record)
    with pytest.raises(detach.OnlyDisconnectLeft) as error:
        detach.disconnect(machine, record)
    assert isinstance(error.value.__cause__, Unreachable)
