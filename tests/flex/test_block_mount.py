"""Mounting FlashArray volumes: given arrays and a node, one call-out, then the state of both."""

from pathlib import Path
from typing import Any

import pytest

from flex import state
from flex.node import mounts
from flex.paths import Paths
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, failure, host_of, ran, reboot, wwid
from tests.flex.driver import SUCCESS

pytestmark = pytest.mark.usefixtures("blank_volume")


# The first mount, and the ones after it

def test_a_blank_volume_is_connected_formatted_and_mounted(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-52: host by initiator, connection, login, device, file system, mount."""
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")
    assert sorted(session.portal for session in node.sessions) == sorted(array.portals)
    assert node.mounts[0].fstype == "xfs" and ran(node, "mkfs.xfs") == [("mkfs.xfs", "-q", "-K", f"{node.root}/dev/dm-0")]


def test_what_it_stands_for_is_written_down_without_secrets(flex: Any, node: Any, array: Any, pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    record = state.load(Paths(str(node.root)), str(pod / "pvc-1"))
    assert record and (record.backend, record.volume, record.array) == ("block", "k8s-pvc-1", array.endpoint)
    assert (record.wwid, record.host, record.stage) == (wwid(array), host_of(array, node), state.MOUNTED)
    assert array.token not in repr(record.fields())


def test_data_outlives_the_pod_and_nothing_is_formatted_twice(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-54."""
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/hello", "world")
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)
    flex("mount", pod / "pvc-1", block())
    assert node.read(f"{pod}/pvc-1/hello") == "world" and len(ran(node, "mkfs.xfs")) == 1


def test_a_repeated_mount_is_success_and_asks_nobody(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """kubelet repeats a mount after a restart: no array is asked, no tool is run, no second layer appears."""
    flex("mount", pod / "pvc-1", block())
    commands, mounts = node.commands, node.mounts
    array.clear_requests()
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert (node.commands, node.mounts, array.requests) == (commands, mounts, [])


def test_a_repeated_mount_is_success_when_the_record_was_lost(flex: Any, node: Any, array: Any, pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    state.remove(Paths(str(node.root)), str(pod / "pvc-1"))
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert len(node.mounts) == 1


def test_a_directory_with_another_volume_is_refused_and_left_as_it_is(flex: Any, node: Any, array: Any,
                                                                      pod: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-1", block())
    mounts = node.mounts
    message = failure(flex("mount", pod / "pvc-1", block("pvc-2")))
    assert wwid(array) in message and wwid(array, "k8s-pvc-2") in message
    assert node.mounts == mounts and array.connections("k8s-pvc-2") == {}


def test_mounting_costs_three_processes_on_a_node_that_is_logged_in(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """blkid, mkfs, mount; without mkfs the second time; umount alone on the way back."""
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-2", block("pvc-2"))
    for tools in (["blkid", "mkfs.xfs", "mount"], ["blkid", "mount"]):
        before = len(node.commands)
        flex("mount", pod / "pvc-1", block())
        assert [command.argv[0] for command in node.commands[before:]] == tools
        before = len(node.commands)
        flex("unmount", pod / "pvc-1")
        assert [command.argv[0] for command in node.commands[before:]] == ["umount"]


# Two pods of one node

@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["first first", "second first"])
def test_two_pods_of_a_node_share_the_device_and_the_last_gives_it_back(flex: Any, node: Any, array: Any, pod: Path,
                                                                        order: tuple[int, int]) -> None:
    places = {1: pod / "pvc-1", 2: Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"}
    for place in places.values():
        assert flex("mount", place, block()) == SUCCESS
    assert len(node.maps) == 1 and len(node.mounts) == 2 and len(ran(node, "blkid")) == 1
    node.write(f"{places[1]}/hello", "world")
    assert flex("unmount", places[order[0]]) == SUCCESS
    check_mounted(node, array, places[order[1]])
    assert node.read(f"{places[order[1]]}/hello") == "world"
    assert flex("unmount", places[order[1]]) == SUCCESS
    check_given_back(node, array)


def test_a_second_pod_that_only_reads_gets_a_read_only_bind(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """One device has one super block: the kernel refuses to mount it read-only beside a writing mount."""
    second = Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"
    flex("mount", pod / "pvc-1", block())
    assert flex("mount", second, block(mode="ro")) == SUCCESS
    assert ran(node, "mount")[-1] == ("mount", "-o", "bind,ro", str(pod / "pvc-1"), str(second))
    for place in (pod / "pvc-1", second):
        flex("unmount", place)
    check_given_back(node, array)


def test_a_writer_beside_a_reader_of_the_same_node_is_refused(flex: Any, node: Any, array: Any, pod: Path) -> None:
    second = Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"
    flex("mount", pod / "pvc-1", block())
    flex("unmount", pod / "pvc-1")
    flex("mount", pod / "pvc-1", block(mode="ro"))
    assert "read-only" in failure(flex("mount", second, block()))
    check_mounted(node, array, pod / "pvc-1")


def test_a_second_pod_gets_the_whole_volume_and_not_the_first_ones_subpath(flex: Any, node: Any, array: Any, pod: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """kubelet mounts a subPath of its own, which may have outlived the mount it was made from."""
    places = [Path(str(pod).replace("uid-1", f"uid-{number}")) / "pvc-1" for number in (1, 2, 3)]
    subpath = pod.parents[1] / "volume-subpaths/data/web/0"
    subpath.mkdir(parents=True)
    flex("mount", places[0], block())
    with monkeypatch.context() as patch:
        patch.setenv("PATH", node.environment()["PATH"])
        mounts.bind(f"{places[0]}/sub", str(subpath), [], 10)
    flex("mount", places[1], block())
    assert flex("unmount", places[0]) == SUCCESS
    assert [mount.directory for mount in node.mounts] == [str(subpath), str(places[1])]
    assert flex("mount", places[2], block(mode="ro")) == SUCCESS
    assert ran(node, "mount")[-1] == ("mount", "-o", "bind,ro", str(places[1]), str(places[2]))
    for place in places[1:]:
        flex("unmount", place)
    assert str(subpath) in failure(flex("mount", places[2], block(mode="ro")))


# Failure

@pytest.mark.parametrize("fault", ["map", "mount", "mkfs"])
def test_a_mount_that_fails_gives_everything_back(flex: Any, node: Any, array: Any, pod: Path, fault: str,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """kubelet may never come again for a pod whose mount failed."""
    monkeypatch.setattr("flex.device.MAP", 0.5)
    if fault == "map":
        node.faults.map_never = True
    else:
        node.faults.fail = {{"mount": "mount", "mkfs": "mkfs.xfs"}[fault]: 1}
    assert failure(flex("mount", pod / "pvc-1", block()))
    node.faults.map_never, node.faults.fail = False, {}
    assert (node.mounts, node.maps, node.paths, array.connections("k8s-pvc-1")) == ([], [], [], {})
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


def test_a_node_without_an_initiator_name_says_what_to_install(flex: Any, node: Any, array: Any, pod: Path) -> None:
    Path(f"{node.root}/etc/iscsi/initiatorname.iscsi").unlink()
    assert "open-iscsi" in failure(flex("mount", pod / "pvc-1", block()))
    assert array.hosts == {}


def test_a_node_without_multipathd_says_what_to_start(flex: Any, node: Any, array: Any, pod: Path) -> None:
    node.settings.multipathd = "stopped"
    node.refresh()
    assert "multipathd" in failure(flex("mount", pod / "pvc-1", block()))
    assert node.mounts == [] and array.connections("k8s-pvc-1") == {}


# Reboot

def test_after_a_reboot_the_mount_finds_its_volume_again(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """Sessions, devices and mounts are gone; records, node records and the array's connection are not."""
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/hello", "world")
    reboot(node)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert node.read(f"{pod}/pvc-1/hello") == "world"
    check_mounted(node, array, pod / "pvc-1")


def test_after_a_reboot_the_unmount_of_a_pod_that_is_gone_gives_the_volume_back(flex: Any, node: Any, array: Any,
                                                                                pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    reboot(node)
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)


def test_after_a_reboot_a_record_that_cannot_be_read_is_no_success(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """Nothing else tells that the array still shows the volume to this node."""
    flex("mount", pod / "pvc-1", block())
    reboot(node)
    file = spoil_record(node)
    message = failure(flex("unmount", pod / "pvc-1"))
    assert str(file) in message and "disconnect" in message
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]
    file.unlink()
    assert flex("unmount", pod / "pvc-1") == SUCCESS


@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "rebooted"])
def test_a_mount_writes_a_record_that_cannot_be_read_anew(flex: Any, node: Any, array: Any, pod: Path,
                                                          mounted: bool) -> None:
    flex("mount", pod / "pvc-1", block())
    if not mounted:
        reboot(node)
    spoil_record(node)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)


def test_an_unmount_needs_no_record_while_the_volume_is_mounted(flex: Any, node: Any, array: Any, pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    spoil_record(node)
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    check_given_back(node, array)


def spoil_record(node: Any) -> Path:
    """Make the one record of a node a file that the kernel cannot open; a disk says EIO, this is ELOOP."""
    file, = Path(f"{node.root}/var/lib/pure-flex/mounts").glob("*.json")
    file.unlink()
    file.symlink_to(file.name)
    return file
