"""Call-outs cut by SIGKILL at every boundary between two steps, then repeated as kubelet does.

Each cut call is a process of its own (a fork of this one) that kills itself at the boundary: locks, children and half-done
work are left as a real kill leaves them.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flex import state
from flex.node import command
from flex.paths import Paths
from flex.wait import wait_for
from tests.flex.blocks import (
    GiB, block, bytes_of, check_given_back, check_mounted, failure, host_of, hurry, ran, reboot, records, wwid)
from tests.flex.driver import SUCCESS

pytestmark = pytest.mark.timeout(240)      # each cuts a call a dozen times; seconds, unless the machine is very busy


@pytest.fixture(autouse=True)
def quick(node: Any) -> None:
    hurry(node)


def steps_of(call: Callable[[], Any]) -> list[str]:
    """The names of the boundaries that a call passes."""
    steps: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "at_step", steps.append)
        assert call() == SUCCESS
    return steps


def killed_at(number: int, call: Callable[[], Any]) -> str:
    """Make a call that is killed at its boundary of this number; the boundary's name, "" when it ended before."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def at_step(step: str) -> None:
            nonlocal count
            count += 1
            if count > number:
                os.write(writer, step.encode())
                os.kill(os.getpid(), signal.SIGKILL)
        command.at_step = at_step
        try:
            os.closerange(3, writer)                # the arrays' and the node's sockets are not the driver's
            os.closerange(writer + 1, 4096)
            call()
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    step = os.read(reader, 4096).decode()
    os.close(reader)
    assert bool(step) == (status == signal.SIGKILL)
    return step


def test_a_mount_killed_at_any_boundary_is_finished_by_its_repeat(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """On a node that is logged in, with a blank volume each time."""
    array.add_volume("k8s-first", GiB)
    flex("mount", pod / "first", block("first"))
    number, step = 0, "none yet"
    while step:
        pv, place = f"pvc-{number}", pod / f"pvc-{number}"
        array.add_volume(f"k8s-{pv}", GiB)
        step = killed_at(number, lambda: flex("mount", place, block(pv)))
        assert flex("mount", place, block(pv)) == SUCCESS, step
        check_mounted(node, array, place, f"k8s-{pv}")
        node.write(f"{place}/hello", step)
        assert flex("unmount", place) == SUCCESS, step
        assert array.connections(f"k8s-{pv}") == {} and len(node.maps) == 1 and len(records(node)) == 1, step
        number += 1
    assert number > 12
    assert len(ran(node, "mkfs.xfs")) <= number + 3         # made again only where the making was cut


def test_an_unmount_killed_at_any_boundary_is_finished_by_its_repeat(flex: Any, node: Any, array: Any, pod: Path) -> None:
    place = pod / "pvc-1"
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", place, block())
    node.write(f"{place}/hello", "world")
    number, step = 0, "none yet"
    while step:
        step = killed_at(number, lambda: flex("unmount", place))
        assert flex("unmount", place) == SUCCESS, step
        check_given_back(node, array)
        assert flex("mount", place, block()) == SUCCESS, step
        assert node.read(f"{place}/hello") == "world", step
        number += 1
    assert number > 7 and len(ran(node, "mkfs.xfs")) == 1


def test_a_mount_killed_before_it_shows_is_cleared_by_an_unmount(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """The pod was deleted instead of started again."""
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    flex("unmount", pod / "pvc-1")
    number, step = 0, "none yet"
    while step:
        step = killed_at(number, lambda: flex("mount", pod / "pvc-1", block()))
        assert flex("unmount", pod / "pvc-1") == SUCCESS, step
        check_given_back(node, array)
        number += 1
    assert number > 8


def test_a_first_login_killed_at_any_boundary_is_finished_by_the_repeat(flex: Any, node: Any, array: Any,
                                                                        pod: Path) -> None:
    """Node records and logins included; iscsiadm outlives the call that started it."""
    array.add_volume("k8s-pvc-1", GiB)
    login = 0
    steps = steps_of(lambda: flex("mount", pod / "pvc-1", block()))
    for number in range(steps.index("logged in") + 1):
        flex("unmount", pod / "pvc-1")
        reboot(node)
        shutil.rmtree(f"{node.root}/etc/iscsi/nodes")
        os.mkdir(f"{node.root}/etc/iscsi/nodes")
        step = killed_at(number, lambda: flex("mount", pod / "pvc-1", block()))
        login += "iscsiadm" in step
        assert flex("mount", pod / "pvc-1", block()) == SUCCESS, step
        check_mounted(node, array, pod / "pvc-1")
        assert len(node.sessions) == len(array.portals), step
    assert login > 5


def test_a_preemption_killed_at_any_boundary_is_finished_by_the_repeat(flex: Any, flex2: Any, node: Any, node2: Any,
                                                                       array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex2("mount", pod / "pvc-1", block())
    flex2("unmount", pod / "pvc-1")
    number, step = 0, "none yet"
    while "preempt" in step or number < 2:
        flex("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0")
        node.power_off()
        step = killed_at(number, lambda: flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0"))
        assert flex2("mount", pod / "pvc-1", block(), PURE_PREEMPT_RWO_GRACE="0") == SUCCESS, step
        assert list(array.connections("k8s-pvc-1")) == [host_of(array, node2)], step
        flex2("unmount", pod / "pvc-1")
        node.power_on()
        number += 1


# Calls that meet, and mkfs

def begun(flex: Any, node: Any, tool: str, *words: object) -> Any:
    """A call that is under way in a process of its own and has come to the point where it runs `tool`."""
    call = flex.start(*words)
    wait_for(lambda: ran(node, tool), tool, 20)
    return call


def test_a_mkfs_that_outlives_its_call_keeps_the_volume_locked(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """The repeat waits for it, and finds a finished file system."""
    array.add_volume("k8s-pvc-1", GiB)
    node.faults.slow = {"mkfs.xfs": 0.7}
    call = begun(flex, node, "mkfs.xfs", "mount", pod / "pvc-1", block())
    call.kill()
    call.communicate()
    start = time.monotonic()
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert time.monotonic() - start > 0.3
    assert len(ran(node, "mkfs.xfs")) == 1
    check_mounted(node, array, pod / "pvc-1")


def test_a_mount_that_meets_an_unmount_under_way_mounts_again(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """kubelet was restarted in the middle of an unmount, and the directory is wanted again: what is still mounted goes."""
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    node.faults.slow = {"umount": 0.7}
    call = begun(flex, node, "umount", "unmount", pod / "pvc-1")
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert flex.finish(call) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


def test_an_unmount_that_meets_a_mount_under_way_undoes_it(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """kubelet was restarted in the middle of a mount, and the pod deleted: the mount comes to its end first."""
    array.add_volume("k8s-pvc-1", GiB)
    node.faults.slow = {"mkfs.xfs": 0.7}
    call = begun(flex, node, "mkfs.xfs", "mount", pod / "pvc-1", block())
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert flex.finish(call) == SUCCESS
    check_given_back(node, array)


@pytest.mark.parametrize("fs_type", ["xfs", "ext4", "btrfs"])
def test_a_mkfs_that_was_killed_half_way_is_made_again_by_the_node_that_began_it(
        flex: Any, flex2: Any, node: Any, node2: Any, array: Any, pod: Path, fs_type: str,
        monkeypatch: pytest.MonkeyPatch) -> None:
    """design.md 3.4.1: another node has no mark and refuses, saying what to do."""
    array.add_volume("k8s-pvc-1", GiB)
    node.faults.slow = {f"mkfs.{fs_type}": 30.0}
    with monkeypatch.context() as patch:
        patch.setattr("flex.node.filesystem.MAKE", 0.2)
        assert flex("mount", pod / "pvc-1", block(fs_type=fs_type))["status"] == "Failure"
    node.faults.slow = {}
    half = bytes_of(array)
    assert half != bytes(len(half)) and array.connections("k8s-pvc-1") == {}
    refused = flex2("mount", pod / "pvc-1", block(fs_type=fs_type))
    assert refused["status"] == "Failure" and bytes_of(array) == half
    assert flex("mount", pod / "pvc-1", block(fs_type=fs_type)) == SUCCESS
    assert node.mounts[0].fstype == fs_type
    flex("unmount", pod / "pvc-1")
    check_given_back(node, array)


@pytest.mark.parametrize("fs_type", ["xfs", "ext4", "btrfs"])
def test_an_old_mark_and_a_blkid_that_cannot_read_do_not_format_what_is_finished(
        flex: Any, node: Any, array: Any, pod: Path, fs_type: str) -> None:
    """mkfs ended and the call was killed before the mark was removed; another node has used the volume since, and now a
    path fails while blkid reads: it says "nothing here", as for a blank one (node-attach.md, fact 1)."""
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block(fs_type=fs_type)) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    state.begin_mkfs(Paths(str(node.root)), wwid(array))
    node.faults.fail = {"blkid": 2}
    assert "blkid" in failure(flex("mount", pod / "pvc-1", block(fs_type=fs_type)))
    node.faults.fail = {}
    assert flex("mount", pod / "pvc-1", block(fs_type=fs_type)) == SUCCESS
    assert node.read(f"{pod}/pvc-1/hello") == "world" and len(ran(node, f"mkfs.{fs_type}")) == 1
