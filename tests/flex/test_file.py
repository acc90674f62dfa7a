"""FlashBlade volumes: exports mounted over NFS, no array asked when the PV says what to mount; grown on their blade."""

import os
from pathlib import Path
from typing import Any

import pytest

from flex import file, state
from flex.paths import Paths
from tests.flex.driver import SUCCESS, Driver, options
from tests.flex.files import GiB, instead, mounted, record, spawned


# Mount

def test_mount_shows_the_export_and_asks_no_array(flex: Driver, node: Any, blade: Any, pod: Path, export: str,
                                                  wanted: dict[str, str]) -> None:
    assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]
    assert blade.requests == []
    assert spawned(node) == [f"mount -t nfs -o vers=3,proto=tcp,mountproto=tcp,retry=0 {export} {pod}/pvc-1"]


def test_what_is_mounted_is_written_down_first(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    """A crash after the mount leaves a directory that `unmount` knows about."""
    seen = Path(node.root) / "seen"
    instead(flex, node, "mount", f"ls {node.root}/var/lib/pure-flex/mounts > {seen}; exit 32")
    flex("mount", pod / "pvc-1", wanted)
    assert "pvc-1" in seen.read_text()


def test_a_repeated_mount_adds_no_layer(flex: Driver, node: Any, pod: Path, export: str, wanted: dict[str, str]) -> None:
    for _ in range(3):
        assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]
    assert len(node.commands) == 1


@pytest.mark.parametrize("ready", [False, True])
def test_the_directory_may_be_there_or_not(flex: Driver, node: Any, pod: Path, wanted: dict[str, str], ready: bool) -> None:
    if ready:
        (pod / "pvc-1").mkdir(mode=0o750)
    assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert (pod / "pvc-1").stat().st_mode & 0o777 == 0o750


def test_a_slash_at_the_end_names_the_same_directory(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    assert flex("mount", f"{pod}/pvc-1/", wanted) == SUCCESS
    assert flex("mount", f"{pod}/pvc-1", wanted) == SUCCESS
    assert len(node.mounts) == 1
    assert flex("unmount", f"{pod}/pvc-1//") == SUCCESS
    assert node.mounts == []


def test_another_volume_on_the_directory_is_left_alone(flex: Driver, node: Any, blade: Any, pod: Path,
                                                       wanted: dict[str, str]) -> None:
    blade.add_file_system("k8s-pvc-2", GiB)
    other = f"{blade.nfs_endpoint}:/k8s-pvc-2"
    flex("mount", pod / "pvc-1", {**wanted, "volume": "k8s-pvc-2", "nfs": other})
    told = flex("mount", pod / "pvc-1", wanted)
    assert told["status"] == "Failure"
    assert other in told["message"] and wanted["nfs"] in told["message"]
    assert mounted(node) == [(other, str(pod / "pvc-1"))]


def test_two_pods_of_a_node_have_it_both_read_and_write(flex: Driver, node: Any, tmp_path: Path,
                                                        wanted: dict[str, str]) -> None:
    pods = [tmp_path / "pods" / uid / "volumes/pure~flex/pvc-1" for uid in ("uid-1", "uid-2")]
    for directory in pods:
        assert flex("mount", directory, wanted) == SUCCESS
    node.write(f"{pods[0]}/hello", "world")
    assert node.read(f"{pods[1]}/hello") == "world"
    assert flex("unmount", pods[0]) == SUCCESS
    assert node.read(f"{pods[1]}/hello") == "world"
    assert flex("unmount", pods[1]) == SUCCESS
    assert state.records(Paths(str(node.root))) == []


def test_two_nodes_have_it_both(flex: Driver, flex2: Driver, node: Any, node2: Any, pod: Path, tmp_path: Path,
                                wanted: dict[str, str]) -> None:
    other = tmp_path / "kubelet2/pods/uid-2/volumes/pure~flex/pvc-1"
    assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert flex2("mount", other, wanted) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    assert node2.read(f"{other}/hello") == "world"


def test_read_only(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    assert flex("mount", pod / "pvc-1", {**wanted, "kubernetes.io/readwrite": "ro"}) == SUCCESS
    assert "ro" in node.mounts[0].options
    with pytest.raises(OSError):
        node.write(f"{pod}/pvc-1/hello", "world")


def test_read_only_many_is_read_only(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    assert flex("mount", pod / "pvc-1", {**wanted, "access": "ReadOnlyMany"}) == SUCCESS
    assert "ro" in node.mounts[0].options


@pytest.mark.parametrize("chosen, told", [
    ((), "vers=3,proto=tcp,mountproto=tcp,retry=0"),
    (("noatime",), "noatime,vers=3,proto=tcp,mountproto=tcp,retry=0"),
    (("vers=4.1",), "vers=4.1,retry=0"),
    (("nfsvers=4.1", "retry=1"), "nfsvers=4.1,retry=1"),
    (("nfsvers=3", "nolock"), "nfsvers=3,nolock,proto=tcp,mountproto=tcp,retry=0"),
    (("udp",), "udp,vers=3,mountproto=tcp,retry=0"),
    (("proto=rdma", "mountproto=udp"), "proto=rdma,mountproto=udp,vers=3,retry=0"),
    (("rw", "hard"), "hard,vers=3,proto=tcp,mountproto=tcp,retry=0"),
    (("ro",), "vers=3,proto=tcp,mountproto=tcp,retry=0,ro"),
])
def test_mount_options(chosen: tuple[str, ...], told: str) -> None:
    """Version 3 unless the class chooses one; TCP for mountd too; kubelet repeats, so mount(8) need not."""
    assert ",".join(file.options(chosen, read_only=False)) == told


def test_the_options_of_the_class_replace_ours(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    assert flex("mount", pod / "pvc-1", {**wanted, "mountOptions": "vers=4.1,noatime"}) == SUCCESS
    assert "-o vers=4.1,noatime,retry=0 " in spawned(node)[0]
    assert node.mounts[0].fstype == "nfs4"


# What goes wrong with a mount

def test_an_export_that_is_not_there(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    told = flex("mount", pod / "pvc-1", {**wanted, "nfs": wanted["nfs"] + "0"})
    assert "access denied by server" in told["message"]
    assert not (pod / "pvc-1").exists()
    assert record(node, pod / "pvc-1") is None


def test_a_dark_server_is_named_in_time(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str],
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """mount(8) with NFS 4.1 waits beyond 30 s; the call has a limit of its own."""
    node.faults.nfs_dark.add(blade.nfs_endpoint)
    monkeypatch.setattr(file, "MOUNT", 0.3)
    told = flex("mount", pod / "pvc-1", {**wanted, "mountOptions": "vers=4.1"})
    assert told["message"] == f"waited 0.3 s in vain for an answer of NFS server {blade.nfs_endpoint} for {wanted['nfs']}"
    assert (node.mounts, (pod / "pvc-1").exists(), record(node, pod / "pvc-1")) == ([], False, None)


def test_a_node_without_nfs_tools_is_told_what_to_install(flex: Driver, node: Any, pod: Path,
                                                          wanted: dict[str, str]) -> None:
    """util-linux' words when /sbin/mount.nfs is missing."""
    instead(flex, node, "mount", "echo 'mount: bad option; for several filesystems (e.g. nfs, cifs) you might need a "
            "/sbin/mount.<type> helper program.' >&2; exit 32")
    assert "install nfs-common (Debian, Ubuntu) or nfs-utils" in flex("mount", pod / "pvc-1", wanted)["message"]


def test_a_mount_that_says_yes_and_mounts_nothing_is_no_success(flex: Driver, node: Any, pod: Path,
                                                                wanted: dict[str, str]) -> None:
    node.faults.fail["mount"] = 0
    told = flex("mount", pod / "pvc-1", wanted)
    assert told["status"] == "Failure" and "to be mounted" in told["message"]
    assert record(node, pod / "pvc-1") is None


def test_a_mount_that_fails_and_is_there_is_taken_away(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    """kubelet would take the directory for mounted at its next try."""
    (pod / "pvc-1").mkdir()
    instead(flex, node, "mount", f'{node.bin}/mount "$@"; exit 1')
    assert flex("mount", pod / "pvc-1", wanted)["status"] == "Failure"
    assert (node.mounts, os.listdir(pod / "pvc-1")) == ([], [])


# PVs of the original driver

def test_a_pv_without_options_is_found_by_asking_the_fleet(flex: Driver, node: Any, array: Any, blade: Any, pod: Path,
                                                           export: str) -> None:
    assert flex("mount", pod / "pvc-1", options("pvc-1")) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]


def test_its_repeat_asks_nobody(flex: Driver, node: Any, array: Any, blade: Any, pod: Path, export: str) -> None:
    flex("mount", pod / "pvc-1", options("pvc-1"))
    asked = len(blade.requests), len(array.requests)
    assert flex("mount", pod / "pvc-1", options("pvc-1")) == SUCCESS
    assert (len(blade.requests), len(array.requests)) == asked
    assert len(node.mounts) == 1


def test_a_pv_that_only_says_file_is_found_by_asking_the_blades(flex: Driver, node: Any, array: Any, blade: Any, pod: Path,
                                                                export: str) -> None:
    assert flex("mount", pod / "pvc-1", options("pvc-1", backend="file")) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]
    assert array.requests == []


def test_a_volume_found_nowhere_names_pv_and_arrays(flex: Driver, node: Any, array: Any, blade: Any, pod: Path) -> None:
    message = flex("mount", pod / "pvc-9", options("pvc-9"))["message"]
    for word in ("k8s-pvc-9", "PV pvc-9", array.endpoint, blade.endpoint):
        assert word in message


def test_a_volume_on_a_silent_array_is_not_called_gone(flex: Driver, sim: Any, node: Any, array: Any, blade: Any, pod: Path,
                                                       export: str) -> None:
    sim.unplug(blade)
    message = flex("mount", pod / "pvc-1", options("pvc-1"))["message"]
    assert f"{blade.endpoint} cannot be reached" in message and "may be there" in message


def test_a_destroyed_file_system_is_not_mounted(flex: Driver, node: Any, blade: Any, pod: Path, export: str) -> None:
    blade.destroy_file_system("k8s-pvc-1")
    assert "has no volume k8s-pvc-1" in flex("mount", pod / "pvc-1", options("pvc-1"))["message"]


def test_mount_after_a_reboot(flex: Driver, node: Any, pod: Path, export: str, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    node.reboot()
    assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]


def test_a_mount_that_was_killed_is_finished_by_its_repeat(flex: Driver, node: Any, pod: Path, export: str,
                                                           wanted: dict[str, str]) -> None:
    call = flex.start("mount", pod / "pvc-1", wanted)
    call.kill()
    call.communicate()
    assert flex("mount", pod / "pvc-1", wanted) == SUCCESS
    assert mounted(node) == [(export, str(pod / "pvc-1"))]


# Growing

def test_expandfs_grows_the_file_system_on_its_blade(flex: Driver, node: Any, blade: Any, pod: Path,
                                                     wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    for _ in range(2):
        assert flex("expandfs", wanted, "", pod / "pvc-1", str(20 * GiB), str(10 * GiB)) == SUCCESS
    assert blade.file_system("k8s-pvc-1").size == 20 * GiB


def test_expandfs_never_shrinks(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str]) -> None:
    assert flex("expandfs", wanted, "", pod / "pvc-1", str(5 * GiB), "") == SUCCESS
    assert blade.file_system("k8s-pvc-1").size == 10 * GiB


def test_expandfs_leaves_a_file_system_without_limit_alone(flex: Driver, node: Any, blade: Any, pod: Path) -> None:
    blade.add_file_system("k8s-pvc-3", 0)
    assert flex("expandfs", options("pvc-3", backend="file"), "", pod / "pvc-3", str(GiB), "0") == SUCCESS
    assert blade.file_system("k8s-pvc-3").size == 0


def test_expandfs_of_a_volume_that_is_nowhere(flex: Driver, node: Any, blade: Any, pod: Path) -> None:
    told = flex("expandfs", options("pvc-9", backend="file"), "", pod / "pvc-9", str(GiB), "0")
    assert "k8s-pvc-9" in told["message"]
