"""What is on a FlashArray volume when it is mounted: made if blank, checked, grown, refused, or only read."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flex.node import filesystem
from tests.flex.blocks import GiB, block, bytes_of, check_given_back, failure, host_of, put_bytes, ran, wwid
from tests.flex.driver import SUCCESS

pytestmark = pytest.mark.usefixtures("blank_volume")


# File systems

@pytest.mark.parametrize("fs_type, check", [("ext4", ["fsck.ext4"]), ("ext3", ["fsck.ext3"]), ("btrfs", [])])
def test_other_file_systems(flex: Any, node: Any, array: Any, pod: Path, fs_type: str, check: list[str]) -> None:
    """An ext is checked before it is mounted again; the others replay their logs themselves."""
    assert flex("mount", pod / "pvc-1", block(fs_type=fs_type)) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    flex("unmount", pod / "pvc-1")
    before = len(node.commands)
    assert flex("mount", pod / "pvc-1", block(fs_type=fs_type)) == SUCCESS
    assert [command.argv[0] for command in node.commands[before:]] == ["blkid", *check, "mount"]
    assert node.read(f"{pod}/pvc-1/hello") == "world"


def test_a_file_system_of_another_type_is_refused_naming_both(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-65: never formatted, never mounted as something else."""
    flex("mount", pod / "pvc-1", block(fs_type="ext4"))
    flex("unmount", pod / "pvc-1")
    before = hashlib.sha256(bytes_of(array)).digest()
    message = failure(flex("mount", pod / "pvc-1", block(fs_type="xfs")))
    assert "ext4" in message and "xfs" in message and "k8s-pvc-1" in message
    assert hashlib.sha256(bytes_of(array)).digest() == before
    check_given_back(node, array)


def test_raw_data_that_blkid_calls_nothing_is_never_formatted(flex: Any, node: Any, array: Any, pod: Path) -> None:
    put_bytes(array, 1 << 20, b"a raw data base")
    put_bytes(array, 8192, b"and its header")
    before = bytes_of(array)
    assert "not blank" in failure(flex("mount", pod / "pvc-1", block()))
    assert bytes_of(array) == before
    check_given_back(node, array)


def test_a_device_that_cannot_be_read_is_never_taken_for_blank(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """blkid exits 2 for it, as for a blank one."""
    node.settings.polling_interval = 10 ** 6            # multipathd has not noticed yet
    node.faults.io_error = {wwid(array)}
    assert "cannot be read" in failure(flex("mount", pod / "pvc-1", block()))
    assert ran(node, "mkfs.xfs") == []
    node.faults.io_error = set()


def test_options_of_the_volume_reach_mkfs_and_mount(flex: Any, node: Any, array: Any, pod: Path) -> None:
    assert flex("mount", pod / "pvc-1", block(createOptions="-q -L data", mountOptions="discard,noatime")) == SUCCESS
    assert ran(node, "mkfs.xfs")[0][1:-1] == ("-q", "-L", "data", "-K")
    assert {"discard", "noatime"} <= set(node.mounts[0].options)


def test_settings_stand_in_for_options_that_the_volume_has_not(flex: Any, node: Any, array: Any, pod: Path) -> None:
    assert flex("mount", pod / "pvc-1", block(), PURE_DEFAULT_BLOCK_FS_TYPE="ext4", PURE_DEFAULT_BLOCK_FS_OPT="-q -m 0",
                PURE_DEFAULT_BLOCK_MNT_OPT="discard") == SUCCESS
    assert node.mounts[0].fstype == "ext4" and "discard" in node.mounts[0].options
    assert ran(node, "mkfs.ext4")[0][1:4] == ("-q", "-m", "0")


def test_a_clone_is_mounted_beside_its_source(flex: Any, node: Any, array: Any, sim: Any, pod: Path) -> None:
    """An xfs that was copied has its origin's UUID: the kernel refuses it without nouuid."""
    from arrays import fleet
    from arrays.flasharray import FlashArray
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/hello", "world")
    entry, = fleet.load(str(flex.executable.with_name(".pure.json"))).flash_arrays
    FlashArray(entry).clone_volume("k8s-pvc-1", "k8s-pvc-2")
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert node.read(f"{pod}/pvc-2/hello") == "world"


def test_a_volume_that_grew_while_it_was_mounted_nowhere_is_grown_at_mount(flex: Any, node: Any, array: Any,
                                                                           pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    flex("unmount", pod / "pvc-1")
    array.resize_volume("k8s-pvc-1", 2 * GiB)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert ran(node, "xfs_growfs") == [("xfs_growfs", str(pod / "pvc-1"))]
    assert node.maps[0].size == 2 * GiB


# Read-only

def test_a_blank_volume_is_not_formatted_for_a_reader(flex: Any, node: Any, array: Any, pod: Path) -> None:
    assert "read-only" in failure(flex("mount", pod / "pvc-1", block(mode="ro")))
    assert bytes_of(array) == bytes(2 << 20)
    check_given_back(node, array)


def test_a_reader_mounts_read_only_and_changes_nothing(flex: Any, node: Any, array: Any, pod: Path) -> None:
    flex("mount", pod / "pvc-1", block(fs_type="ext4"))
    node.write(f"{pod}/pvc-1/hello", "world")
    flex("unmount", pod / "pvc-1")
    before, checks = bytes_of(array), len(ran(node, "fsck.ext4"))
    assert flex("mount", pod / "pvc-1", block(fs_type="ext4", mode="ro")) == SUCCESS
    assert node.read(f"{pod}/pvc-1/hello") == "world" and node.mounts[0].options[0] == "ro"
    assert bytes_of(array) == before and len(ran(node, "fsck.ext4")) == checks


def test_many_nodes_read_a_read_only_many_volume(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                                 pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    flex("unmount", pod / "pvc-1")
    for driver in (flex, flex2):
        assert driver("mount", pod / "pvc-1", block(access="ReadOnlyMany")) == SUCCESS
    assert {machine.mounts[0].options[0] for machine in (node, node2)} == {"ro"}
    assert len(array.connections("k8s-pvc-1")) == 2


@pytest.mark.parametrize("fs_type, without", [("xfs", "norecovery"), ("ext4", "noload"), ("ext3", "noload"),
                                              ("btrfs", *filesystem.no_replay("btrfs"))])
def test_a_reader_replays_no_log_that_another_host_may_be_writing(flex: Any, node: Any, array: Any, pod: Path,
                                                                  fs_type: str, without: str) -> None:
    """Even a read-only mount replays the log, that is, writes: under a writer elsewhere, say of an imported volume, that
    destroys its file system."""
    flex("mount", pod / "pvc-1", block(fs_type=fs_type))
    flex("unmount", pod / "pvc-1")
    reader = block(fs_type=fs_type, access="ReadOnlyMany")
    assert flex("mount", pod / "pvc-1", reader) == SUCCESS
    assert without not in ran(node, "mount")[-1][4]
    flex("unmount", pod / "pvc-1")
    array.add_host("builder", iqns=["iqn.2000-01.example:builder"])
    array.connect("builder", "k8s-pvc-1")
    assert flex("mount", pod / "pvc-1", reader) == SUCCESS
    assert {"ro", without} <= set(ran(node, "mount")[-1][4].split(","))


def test_a_reader_that_has_the_volume_for_itself_replays_its_log(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """What a dead writer had committed is in the log."""
    flex("mount", pod / "pvc-1", block())
    flex("unmount", pod / "pvc-1")
    array.add_host("dead", iqns=["iqn.2000-01.example:dead"])
    array.connect("dead", "k8s-pvc-1")
    assert flex("mount", pod / "pvc-1", block(mode="ro"), PURE_PREEMPT_RWO_GRACE="0") == SUCCESS
    assert list(array.connections("k8s-pvc-1")) == [host_of(array, node)]
    assert ran(node, "mount")[-1][4] == "ro"


def test_two_nodes_never_write_one_file_system(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                               pod: Path) -> None:
    """AT-36: the provisioner refuses ReadWriteMany for block; a PV written by hand meets this."""
    assert flex("mount", pod / "pvc-1", block(access="ReadWriteMany")) == SUCCESS
    message = failure(flex2("mount", pod / "pvc-1", block(access="ReadWriteMany")))
    assert host_of(array, node) in message and "backend file" in message
    assert node2.mounts == []
