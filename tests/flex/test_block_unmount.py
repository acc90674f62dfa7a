"""Unmounting FlashArray volumes: everything is given back, in the order that loses nothing, however often it is asked."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flex import state
from flex.node import mounts
from flex.paths import Paths
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, failure, ran, reboot, wwid
from tests.flex.driver import SUCCESS


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


def test_an_unmount_that_does_not_see_its_mount_is_no_success(flex: Any, node: Any, array: Any, place: Path,
                                                              hidden: Callable[..., None]) -> None:
    """Before Linux 5.8 a reading of the table may lack a line. The record would have been forgotten all the same."""
    hidden(str(place), 3)
    assert str(place) in failure(flex("unmount", place))
    check_mounted(node, array, place)
    assert flex("unmount", place) == SUCCESS
    check_given_back(node, array)
