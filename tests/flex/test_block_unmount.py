"""Unmounting FlashArray volumes: everything is given back, in the order that loses nothing, however often it is asked."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from arrays.errors import Unreachable
from flex import detach, state
from flex.machine import Node
from flex.node import mounts, multipath
from flex.paths import Paths
from flex.settings import Settings
from flex.wait import wait_for
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, host_of, hurry, ran, reboot, records, wwid

SUCCESS = {"status": "Success"}


@pytest.fixture
def place(flex: Any, node: Any, array: Any, pod: Path) -> Path:
    """A directory with a volume mounted on it, a file in it."""
    array.add_volume("k8s-pvc-1", GiB)
    hurry(node)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    return pod / "pvc-1"


def failure(answer: dict[str, Any]) -> str:
    assert answer["status"] == "Failure", answer
    return str(answer["message"])


def paths_fail(node: Any) -> None:
    """Wait until multipathd has noticed that no path works."""
    def failed() -> bool:
        node.refresh()
        return not any(multipath.has_usable_path(Paths(str(node.root)), made.wwid) for made in node.maps)
    wait_for(failed, "the paths to fail", 10)


# The good case

def test_everything_is_given_back_and_the_sessions_stay(flex: Any, node: Any, array: Any, place: Path) -> None:
    sessions = node.sessions
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)
    assert node.sessions == sessions and ran(node, "iscsiadm")[-1][-1] == "--login"


def test_the_order_is_unmount_flush_map_paths_and_only_then_the_array(flex: Any, node: Any, array: Any, place: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """The other order leaves faulty paths, and a LUN number that is given out while the old device is there."""
    steps: list[str] = []
    monkeypatch.setattr("flex.node.command.at_step", steps.append)
    flex("unmount", place)
    wanted = [f"after umount {place}", "flushed", "map removed", "paths deleted", "disconnected"]
    assert [step for step in steps if step in wanted] == wanted


def test_ten_repeats_give_the_same_success(flex: Any, node: Any, array: Any, place: Path) -> None:
    assert [flex("unmount", place) for _ in range(10)] == [SUCCESS] * 10
    check_given_back(node, array)


def test_a_directory_that_was_never_mounted_is_success(flex: Any, node: Any, pod: Path) -> None:
    assert flex("unmount", pod / "pvc-9") == SUCCESS


def test_without_a_record_the_volume_is_found_from_the_mount_table(flex: Any, node: Any, array: Any, place: Path) -> None:
    state.remove(Paths(str(node.root)), str(place))
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_without_a_record_or_a_mount_nothing_is_done(flex: Any, node: Any, array: Any, place: Path) -> None:
    """After a reboot the array's connection is all that is left, and without a record nobody knows of it."""
    state.remove(Paths(str(node.root)), str(place))
    reboot(node)
    assert flex("unmount", place) == SUCCESS


def test_stacked_mounts_are_all_removed(flex: Any, node: Any, array: Any, place: Path, sim: Any) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    second = place.with_name("pvc-2")
    flex("mount", second, block("pvc-2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", node.environment()["PATH"])
        mounts.bind(str(second), str(place), (), 10)
        mounts.bind(str(place), str(place), (), 10)
    assert flex("unmount", place) == SUCCESS
    check_mounted(node, array, second, "k8s-pvc-2")
    assert [mount.directory for mount in node.mounts] == [str(second)]
    assert array.connections("k8s-pvc-1") == {}


def test_friendly_names_change_nothing(flex: Any, node: Any, array: Any, pod: Path) -> None:
    node.settings.user_friendly_names = True
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    assert node.maps[0].alias == "mpatha"
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)


def test_one_session_down_does_not_keep_the_volume(flex: Any, node: Any, array: Any, place: Path) -> None:
    node.settings.speed = 200
    array.set_portal(array.portals[0], "refused")
    node.refresh()
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


# Not yet

def test_a_busy_directory_is_told_and_a_repeat_succeeds(flex: Any, node: Any, array: Any, place: Path) -> None:
    with node.writer(str(place)):
        assert "busy" in failure(flex("unmount", place))
        check_mounted(node, array, place)
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_no_lazy_unmount_ever(flex: Any, node: Any, array: Any, place: Path) -> None:
    """It says done while the file system lives on unseen, and another node may mount the volume meanwhile."""
    with node.writer(str(place)):
        flex("unmount", place)
    flex("unmount", place)
    assert all("-l" not in argv and "-f" not in argv for argv in ran(node, "umount"))


def test_an_unmount_that_hangs_is_told_in_time_and_a_repeat_finishes(flex: Any, node: Any, array: Any, place: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """umount is left behind, for it may not even die; kubelet is answered."""
    node.faults.slow = {"umount": 20.0}
    monkeypatch.setattr("flex.block_unmount.UMOUNT", 0.3)
    message = failure(flex("unmount", place))
    assert "umount" in message and "no end" in message
    check_mounted(node, array, place)
    node.faults.slow = {}
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_a_map_that_somebody_holds_is_told_and_a_repeat_finishes(flex: Any, node: Any, array: Any, place: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flex.device.LET_GO", 0.3)
    node.faults.map_in_use = 10 ** 6
    assert "busy" in failure(flex("unmount", place))
    assert node.mounts == [] and len(node.maps) == 1 and array.connections("k8s-pvc-1")
    node.faults.map_in_use = 0
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


def test_a_mount_elsewhere_that_is_no_pods_is_told(flex: Any, node: Any, array: Any, place: Path, tmp_path: Path) -> None:
    """An administrator looks at the data: giving the device back would pull it from under him."""
    (tmp_path / "look").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", node.environment()["PATH"])
        mounts.bind(str(place), str(tmp_path / "look"), (), 10)
        assert str(tmp_path / "look") in failure(flex("unmount", place))
        assert len(node.maps) == 1
        mounts.umount(str(tmp_path / "look"), 10)
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


# The array's management is away

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


# The node's own disk

def test_a_disk_that_went_read_only_keeps_no_volume_connected(flex: Any, node: Any, array: Any, place: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """errors=remount-ro, and the node is drained: nothing can be forgotten any more, but all can be given back."""
    unlink = os.unlink

    def refuse(path: Any, **more: Any) -> None:
        if "/var/lib/pure-flex/" in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        unlink(path, **more)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert "Read-only" in failure(flex("unmount", place))
    assert (node.mounts, node.maps, array.connections("k8s-pvc-1")) == ([], [], {})
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)


# Paths that are gone

def test_a_preempted_node_ends_with_success_and_leaves_no_dead_device(flex: Any, node: Any, array: Any,
                                                                      place: Path) -> None:
    """Another node has the volume by now."""
    node.write(f"{place}/unsaved", "lost", sync=False)
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    paths_fail(node)
    sessions = node.sessions
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)
    assert node.sessions == sessions


def test_a_preempted_node_that_queues_ends_with_success_too(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """Waiting for paths would be in vain: the array says that another node has the volume now."""
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/unsaved", "lost", sync=False)
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    array.add_host("other", iqns=["iqn.2000-01.example:other"])
    array.connect("other", "k8s-pvc-1")
    paths_fail(node)
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)


def all_dark(node: Any, array: Any) -> None:
    node.settings.speed = 400
    for portal in array.portals:
        array.set_portal(portal, "refused")
    wait_for(lambda: node.refresh() or all(path.state == "transport-offline" for path in node.paths), "the sessions", 10)
    paths_fail(node)


def test_unsaved_data_gets_its_grace_when_all_paths_are_lost(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """umount would hang: the call says so in time, and the data is saved when a path comes back."""
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/unsaved", "kept", sync=False)
    all_dark(node, array)
    message = failure(flex("unmount", pod / "pvc-1"))
    assert "path" in message and "600 s" in message
    assert ran(node, "umount") == [] and len(node.maps) == 1
    for portal in array.portals:
        array.set_portal(portal, "up")
    wait_for(lambda: node.refresh() or all(path.state == "running" for path in node.paths), "the sessions", 10)
    wait_for(lambda: flex("unmount", pod / "pvc-1") == SUCCESS, "the unmount", 10)
    check_given_back(node, array)
    flex("mount", pod / "pvc-1", block())
    assert node.read(f"{pod}/pvc-1/unsaved") == "kept"


def test_what_a_cut_umount_still_writes_back_gets_the_same_grace(flex: Any, node: Any, array: Any, pod: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes a mount out of the table first and writes back then: an umount that was killed meanwhile leaves a
    file system that no table shows, and that has the device open until all is written."""
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    with node.writer(str(pod / "pvc-1")):
        node.write(f"{pod}/pvc-1/unsaved", "kept", sync=False)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", node.environment()["PATH"])
            mounts.umount(str(pod / "pvc-1"), 10, lazy=True)
        assert node.mounts == []
        all_dark(node, array)
        with monkeypatch.context() as patch:        # a pretend device is a file, which nobody can have for himself
            patch.setattr("flex.node.blockdev.is_open", lambda paths, device: True)
            message = failure(flex("unmount", pod / "pvc-1"))
        assert "path" in message and "600 s" in message
        for portal in array.portals:
            array.set_portal(portal, "up")
        wait_for(lambda: node.refresh() or multipath.has_usable_path(Paths(str(node.root)), wwid(array)), "a path", 10)
    wait_for(lambda: flex("unmount", pod / "pvc-1") == SUCCESS, "the unmount", 10)
    check_given_back(node, array)
    flex("mount", pod / "pvc-1", block())
    assert node.read(f"{pod}/pvc-1/unsaved") == "kept"


def test_after_the_grace_unsaved_data_is_given_up_and_that_is_logged(flex: Any, node: Any, array: Any,
                                                                     pod: Path) -> None:
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/unsaved", "lost", sync=False)
    all_dark(node, array)
    failure(flex("unmount", pod / "pvc-1", PURE_UNMOUNT_NO_PATH_GRACE="0.3"))
    wait_for(lambda: flex("unmount", pod / "pvc-1", PURE_UNMOUNT_NO_PATH_GRACE="0.3") == SUCCESS, "the unmount", 20)
    check_given_back(node, array)
    assert "giving up what was not yet written" in Path(f"{node.root}/var/log/pure-flex.log").read_text()


def test_an_array_that_is_away_keeps_the_unsaved_data_waiting(flex: Any, node: Any, array: Any, pod: Path) -> None:
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/unsaved", "kept", sync=False)
    all_dark(node, array)
    array.faults.add(reset=True)
    assert "path" in failure(flex("unmount", pod / "pvc-1"))
    assert len(node.mounts) == 1
    array.faults.clear()


# Half-done work of pods that are gone

def test_a_half_done_mount_of_a_pod_that_is_gone_is_cleared_by_a_later_call(flex: Any, node: Any, array: Any, pod: Path,
                                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """The node died in the middle of a mount, and the pod was deleted meanwhile: kubelet never asks again."""
    array.add_volume("k8s-pvc-1", GiB)
    array.add_volume("k8s-pvc-2", GiB)
    gone = Path(str(pod).replace("uid-1", "uid-gone")) / "pvc-1"

    def cut(step: str) -> None:
        if step == "map made":
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr("flex.node.command.at_step", cut)
        with pytest.raises(KeyboardInterrupt):
            flex("mount", gone, block())
    assert array.connections("k8s-pvc-1") and not gone.exists()
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert array.connections("k8s-pvc-1") == {} and [made.wwid for made in node.maps] == [wwid(array, "k8s-pvc-2")]
    check_mounted(node, array, pod / "pvc-2", "k8s-pvc-2")


def test_what_is_left_over_is_told_by_stage_and_by_kubelets_directories(tmp_path: Path) -> None:
    """A pod whose directory is gone asks for nothing any more, whatever was being done for it."""
    here, gone = (str(tmp_path / "pods" / uid / "volumes/pure~flex/pvc-1") for uid in ("here", "gone"))
    Path(here).mkdir(parents=True)
    for stage in (state.CONNECTING, state.MOUNTED, state.RELEASING):
        assert not state.is_left_over(state.Record(here, stage=stage, wwid="3624a93701"))
        assert state.is_left_over(state.Record(gone, stage=stage, wwid="3624a93701"))
        assert not state.is_left_over(state.Record("/mnt/by-hand", stage=stage, wwid="3624a93701"))
    assert state.is_left_over(state.Record(here, stage=state.DISCONNECT_LEFT, wwid="3624a93701"))
    assert not state.is_left_over(state.Record(gone, source="192.0.2.7:/k8s-pvc-1", stage=state.MOUNTED))


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
