"""FlashArray volumes on one node: mounts, repeats, file systems, and what must be left when all is released."""

import time

import pytest

from tests.lab.arrays import FlashArray, GiB, Volume
from tests.lab.node import KUBELET_PATIENCE, Node, eventually

SUCCESS = "Success"


@pytest.mark.parametrize("fs", ["ext4", "xfs", "btrfs"])
def test_file_systems_keep_their_data(node1: Node, array: FlashArray, fs: str):
    """Made once with the class's mkfs and mount options, on a map of two paths; mounted again with the data in it.

    After an unmount nothing of the volume is on the node or the array.
    """
    volume = array.new_volume()
    create = {"xfs": "-q -m reflink=0", "ext4": "-q -m 2", "btrfs": "-q"}[fs]
    options = {**volume.options(createOptions=create, mountOptions="noatime,discard"), "kubernetes.io/fsType": fs}
    directory = node1.directory("pod", volume.pv)
    assert node1.mount("pod", volume.pv, options).status == SUCCESS
    node1.sh(f"echo hello > '{directory}/hello'")
    view = node1.view(paths=2)
    assert [path["wwid"] for path in view["paths"]] == [f"naa.{volume.wwid[1:]}"] * 2
    held, = view["maps"]
    assert held["uuid"] == f"mpath-{volume.wwid}" and len(held["slaves"]) == 2
    mount, = view["mounts"]
    assert (mount["fs"], mount["directory"]) == (fs, directory)
    assert "noatime" in mount["options"] and "discard" in mount["options"]
    assert list(volume.connections) == ["node1"]
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    view = node1.view()
    assert (view["paths"], view["maps"], view["mounts"]) == ([], [], [])
    assert volume.connections == {}

    assert node1.mount("pod", volume.pv, options).status == SUCCESS
    assert node1.sh(f"cat '{directory}/hello'") == "hello\n"
    assert node1.unmount("pod", volume.pv).status == SUCCESS


@pytest.mark.parametrize("first, second", [("one", "two"), ("two", "one")])
def test_two_pods_of_a_node_share_a_volume(node1: Node, array: FlashArray, first: str, second: str):
    """Released when the last goes, in whichever order; a repeated call changes nothing."""
    volume = array.new_volume()
    for pod in ("one", "two", "one"):
        assert node1.mount(pod, volume.pv, volume.options()).status == SUCCESS
    assert len(node1.view()["mounts"]) == 2
    node1.sh(f"echo hello > '{node1.directory('one', volume.pv)}/hello'")
    for _ in range(2):
        assert node1.unmount(first, volume.pv).status == SUCCESS
    assert node1.sh(f"cat '{node1.directory(second, volume.pv)}/hello'") == "hello\n"
    assert list(volume.connections) == ["node1"]
    for _ in range(2):
        assert node1.unmount(second, volume.pv).status == SUCCESS
    assert volume.connections == {}


def test_read_only_mounts_write_nothing(node1: Node, array: FlashArray):
    """A blank volume is not formatted for a reader; one with data is mounted ro."""
    volume = array.new_volume()
    read_only = {**volume.options(), "kubernetes.io/readwrite": "ro"}
    answer = node1.mount("pod", volume.pv, read_only)
    assert answer.status == "Failure" and "read-only" in answer.message
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert node1.mount("pod", volume.pv, read_only).status == SUCCESS
    mount, = node1.view()["mounts"]
    assert mount["options"].startswith("ro,")
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_another_file_system_than_asked_for_is_refused_and_kept(node1: Node, array: FlashArray):
    """xfs inside, ext4 wanted: Failure naming both, and the xfs is still there."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    answer = node1.mount("pod", volume.pv, {**volume.options(), "kubernetes.io/fsType": "ext4"})
    assert answer.status == "Failure" and "xfs" in answer.message and "ext4" in answer.message
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_a_volume_of_random_bytes_is_never_formatted(node1: Node, array: FlashArray):
    """blkid calls it empty; the driver reads it and refuses. The bytes are still there afterwards."""
    volume = array.new_volume()
    guest = array.arrays.guest
    guest.sh(f"dd if=/dev/urandom of={volume.file} bs=64k count=1 conv=notrunc 2>/dev/null; sync")
    before = guest.sh(f"md5sum {volume.file}").out
    answer = node1.mount("pod", volume.pv, volume.options())
    assert answer.status == "Failure", answer
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert guest.sh(f"md5sum {volume.file}").out == before


@pytest.mark.parametrize("first_bad", [0, GiB - (1 << 20)], ids=["everywhere", "in the last MiB"])
def test_a_volume_that_cannot_be_read_is_never_formatted(node1: Node, array: FlashArray, first_bad: int):
    """Reads fail with I/O errors, which blkid calls empty (node-attach.md, fact 1): Failure, and not a byte is written."""
    volume = array.new_volume()
    volume.break_from(None)
    array.ensure_host(node1)
    volume.connect("node1")
    volume.break_from(first_bad)
    answer = node1.mount("pod", volume.pv, volume.options())
    assert answer.status == "Failure" and answer.seconds < KUBELET_PATIENCE, answer
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert array.arrays.guest.sh(f"stat -c %b {volume.file}").out.strip() == "0"     # the file is as sparse as it was made
    volume.break_from(None)
    assert eventually(lambda: node1.mount("pod", volume.pv, volume.options())).status == SUCCESS
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_discarded_blocks_are_given_back(node1: Node, array: FlashArray):
    """Mount option discard: what a pod deletes takes no more room on the array."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options(mountOptions="discard")).status == SUCCESS
    file = f"{node1.directory('pod', volume.pv)}/data"
    node1.sh(f"dd if=/dev/urandom of='{file}' bs=1M count=16 conv=fsync 2>/dev/null")
    held = allocated(array, volume)
    assert held > 16 << 20
    node1.sh(f"rm '{file}'; sync")
    deadline = time.monotonic() + 20
    while (left := allocated(array, volume)) > held - (12 << 20) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left <= held - (12 << 20), (held, left)
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_a_map_that_is_open_for_a_moment_longer(node1: Node, array: FlashArray):
    """As udev does after a device's last use (fact 10): the unmount waits for it and leaves nothing."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    node1.guest.start_command("sh", "-c", f"exec 3< /dev/mapper/{volume.wwid}; sleep 4")
    node1.sh(f"until [ $(dmsetup info -c --noheadings -o open {volume.wwid}) = 2 ]; do sleep 0.1; done")
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert node1.view()["maps"] == [] and volume.connections == {}


def test_the_group_of_a_pod_is_left_to_kubelet(node1: Node, array: FlashArray):
    """init says so; a mount with kubelet's fsGroup among its options changes neither owner nor mode."""
    assert node1.flex("init").whole["capabilities"]["fsGroup"] is True
    volume = array.new_volume()
    options = {**volume.options(), "kubernetes.io/fsGroup": "2000", "kubernetes.io/mounterArgs.FsGroup": "2000"}
    assert node1.mount("pod", volume.pv, options).status == SUCCESS
    assert node1.sh(f"stat -c %u:%g:%a '{node1.directory('pod', volume.pv)}'").strip() == "0:0:755"
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_unmount_of_what_was_never_mounted_is_done(node1: Node):
    """kubelet asks for a directory that nobody knows: Success."""
    assert node1.unmount("pod", "pvc-never").status == SUCCESS


def test_no_process_more_than_needed(node1: Node, array: FlashArray):
    """On a logged-in node: at most three spawns for attach + mount (blkid, mkfs, mount), two for unmount + detach."""
    warm = array.new_volume()
    assert node1.mount("pod", warm.pv, warm.options()).status == SUCCESS
    volume = array.new_volume(2 * GiB)
    directory = node1.directory("pod", volume.pv)
    mounted = node1.spawns(lambda: node1.mount("pod", volume.pv, volume.options()))
    assert len(mounted) <= 3, mounted
    again = node1.spawns(lambda: node1.unmount("pod", volume.pv))
    assert len(again) <= 2, again
    assert not any(directory in mount["directory"] for mount in node1.view()["mounts"])
    assert node1.unmount("pod", warm.pv).status == SUCCESS


def allocated(array: FlashArray, volume: Volume) -> int:
    """Bytes that the array keeps for a volume."""
    return int(array.arrays.guest.sh(f"sync {volume.file}; stat -c %b {volume.file}").out) * 512
