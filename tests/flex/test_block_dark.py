"""Unmounting when no path works any more: nobody waits for a volume that is lost, and unsaved data gets its grace."""

import time
from pathlib import Path
from typing import Any

import pytest

from flex.node import mounts, multipath
from flex.paths import Paths
from flex.wait import wait_for
from tests.flex.blocks import GiB, block, check_given_back, failure, host_of, ran, wwid
from tests.flex.driver import SUCCESS


def paths_fail(node: Any) -> None:
    """Wait until multipathd has noticed that no path works."""
    def failed() -> bool:
        node.refresh()
        return not any(multipath.has_usable_path(Paths(str(node.root)), made.wwid) for made in node.maps)
    wait_for(failed, "the paths to fail", 10)


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


def lose_all_paths_with_unsaved_data(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """k8s-pvc-1 is mounted, its paths are gone, and I/O waits for them."""
    node.settings.no_path_retry = "queue"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/unsaved", "kept", sync=False)
    all_dark(node, array)


def test_unsaved_data_gets_its_grace_when_all_paths_are_lost(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """umount would hang: the call says so in time, and the data is saved when a path comes back."""
    lose_all_paths_with_unsaved_data(flex, node, array, pod)
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


def test_a_suspended_node_does_not_count_that_time_against_its_paths(flex: Any, node: Any, array: Any, pod: Path,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes up, and multipathd has had no time yet to see that the paths are back."""
    lose_all_paths_with_unsaved_data(flex, node, array, pod)
    assert "path" in failure(flex("unmount", pod / "pvc-1"))
    clock = time.clock_gettime
    with monkeypatch.context() as patch:
        patch.setattr(time, "clock_gettime", lambda which: clock(which) + 599 * (which == time.CLOCK_BOOTTIME))
        assert "path" in failure(flex("unmount", pod / "pvc-1", PURE_UNMOUNT_NO_PATH_GRACE="300"))
    assert len(node.mounts) == 1


def test_an_array_that_is_away_keeps_the_unsaved_data_waiting(flex: Any, node: Any, array: Any, pod: Path) -> None:
    lose_all_paths_with_unsaved_data(flex, node, array, pod)
    array.faults.add(reset=True)
    assert "path" in failure(flex("unmount", pod / "pvc-1"))
    assert len(node.mounts) == 1
    array.faults.clear()
