"""Mounting FlashArray volumes: given arrays and a node, one call-out, then the state of both."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from flex import state
from flex.paths import Paths
from tests.flex.blocks import (
    GiB, block, bytes_of, check_given_back, check_mounted, host_of, hurry, original, put_bytes, ran, reboot, wwid)

SUCCESS = {"status": "Success"}


@pytest.fixture(autouse=True)
def volume(array: Any, node: Any) -> None:
    """A blank volume as the provisioner makes it."""
    array.add_volume("k8s-pvc-1", GiB)
    hurry(node)


def failure(answer: dict[str, Any]) -> str:
    assert answer["status"] == "Failure", answer
    return str(answer["message"])


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


def test_two_nodes_never_write_one_file_system(flex: Any, flex2: Any, node: Any, node2: Any, array: Any,
                                               pod: Path) -> None:
    """AT-36: the provisioner refuses ReadWriteMany for block; a PV written by hand meets this."""
    assert flex("mount", pod / "pvc-1", block(access="ReadWriteMany")) == SUCCESS
    message = failure(flex2("mount", pod / "pvc-1", block(access="ReadWriteMany")))
    assert host_of(array, node) in message and "backend file" in message
    assert node2.mounts == []


# Finding the volume and the host

def test_a_volume_of_the_original_driver_is_found_by_asking_the_fleet(flex: Any, node: Any, array: Any, sim: Any,
                                                                      pod: Path) -> None:
    """AT-66: its PV says neither array nor volume."""
    other = sim.add_flash_array("fa2")
    other.add_volume("k8s-pvc-7", GiB)
    assert flex("mount", pod / "pvc-7", original("pvc-7")) == SUCCESS
    check_mounted(node, other, pod / "pvc-7", "k8s-pvc-7")


def test_a_volume_found_nowhere_names_the_pv_and_the_arrays_asked(flex: Any, node: Any, array: Any, pod: Path) -> None:
    message = failure(flex("mount", pod / "pvc-9", block("pvc-9")))
    assert "pvc-9" in message and array.endpoint in message


def test_a_host_that_an_administrator_named_is_found_by_its_initiator(flex: Any, node: Any, array: Any,
                                                                      pod: Path) -> None:
    array.add_host("Rack7-Blade3", iqns=[node.iqn])
    flex("mount", pod / "pvc-1", block())
    assert list(array.connections("k8s-pvc-1")) == ["Rack7-Blade3"] and list(array.hosts) == ["Rack7-Blade3"]


def test_a_host_is_made_under_a_legal_and_stable_name(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-61."""
    name = Path(f"{node.root}/proc/sys/kernel/hostname")
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text("sn1-pool-c07-08.puretec.purestorage.com\n")
    flex("mount", pod / "pvc-1", block())
    made, = array.hosts
    assert "." not in made and made.startswith("sn1-pool-c07-08") and len(made) <= 63
    flex("unmount", pod / "pvc-1")
    flex("mount", pod / "pvc-1", block())
    assert list(array.hosts) == [made] and array.host(made).iqns == (node.iqn,)


def test_an_imported_volume_is_mounted_and_never_formatted(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("old-data", GiB)
    message = failure(flex("mount", pod / "pvc-1", block(volume="old-data")))
    assert "old-data" in message and "k8s-" in message
    assert bytes_of(array, "old-data") == bytes(2 << 20)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    flex("unmount", pod / "pvc-1")
    array.rename_volume("k8s-pvc-1", "imported")
    assert flex("mount", pod / "pvc-1", block(volume="imported")) == SUCCESS


def test_an_existing_connection_is_used_at_its_lun(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "k8s-pvc-1", 17)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert {path.hctl.rpartition(":")[2] for path in node.paths} == {"17"}


@pytest.mark.parametrize("flat", [False, True], ids=["plain", "flat addressing"])
def test_a_lun_above_255(flex: Any, node: Any, array: Any, pod: Path, flat: bool) -> None:
    node.settings.flat_luns = flat
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "k8s-pvc-1", 300)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")
    flex("unmount", pod / "pvc-1")
    check_given_back(node, array)


# Paths

def test_only_portals_inside_the_allowed_networks_are_logged_in(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-56."""
    inside = array.portals[0]
    assert flex("mount", pod / "pvc-1", block(), PURE_ISCSI_ALLOWED_CIDRS=f"{inside.partition(':')[0]}/32") == SUCCESS
    assert [session.portal for session in node.sessions] == [inside]
    check_mounted(node, array, pod / "pvc-1", paths=1)


def test_no_portal_inside_the_allowed_networks_is_a_clear_failure(flex: Any, node: Any, array: Any, pod: Path) -> None:
    message = failure(flex("mount", pod / "pvc-1", block(), PURE_ISCSI_ALLOWED_CIDRS="203.0.113.0/24"))
    assert array.portals[0] in message and "203.0.113.0/24" in message
    check_given_back(node, array)


def test_a_path_that_was_missing_is_there_at_the_next_mount(flex: Any, node: Any, array: Any, pod: Path) -> None:
    dark = array.portals[1]
    array.set_portal(dark, "refused")
    node.settings.speed = 200
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1", paths=1)
    flex("unmount", pod / "pvc-1")
    array.set_portal(dark, "up")
    for noted in Path(f"{node.root}/run/pure-flex").glob("failed.*"):
        noted.unlink()                  # a minute later
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


def test_a_session_whose_scan_hangs_holds_nobody_up(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """node-attach.md, fact 5: the device is waited for, not the scan; and the call-out can end."""
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-2", block("pvc-2"))
    node.faults.scan_hangs = {array.portals[0]}
    node.refresh()
    fleet = str(flex.executable.with_name(".pure.json"))
    assert flex.process("mount", pod / "pvc-1", block(), timeout=15.0, PURE_DISCOVERY_CONF=fleet) == SUCCESS
    check_mounted(node, array, pod / "pvc-1", paths=1)
    node.faults.scan_hangs = set()


def test_a_scan_that_finds_nothing_is_repeated(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-2", block("pvc-2"))
    node.faults.scan_lost = 3
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


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
