"""Growing: expandfs from the array to the file system, online and at mount; never shrinking."""

import pytest

from tests.lab.arrays import FlashArray
from tests.lab.node import Node

SUCCESS = "Success"
GiB = 1 << 30


@pytest.mark.parametrize("fs", ["ext4", "xfs", "btrfs"])
def test_online(node1: Node, array: FlashArray, fs: str):
    """expandfs grows array, paths, map and file system under a writer; repeated it changes nothing; smaller is ignored."""
    volume = array.new_volume(GiB)
    options = {**volume.options(), "kubernetes.io/fsType": fs}
    assert node1.mount("pod", volume.pv, options).status == SUCCESS
    directory = node1.directory("pod", volume.pv)
    for new, old in ((2 * GiB, GiB), (2 * GiB, GiB), (GiB, 2 * GiB)):
        answer = node1.expand(options, directory, volume.pv, new, old)
        assert answer.status == SUCCESS, answer
        assert volume.size == 2 * GiB
    view = node1.view()
    assert {path["size"] for path in view["paths"]} | {held["size"] for held in view["maps"]} == {2 * GiB}
    assert size_of(node1, directory) > 1.8 * GiB
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_at_mount(node1: Node, array: FlashArray):
    """The array's volume was grown while detached: the next mount's file system fills it."""
    volume = array.new_volume(GiB)
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    array.ask("resize_volume", volume.name, 3 * GiB)
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert size_of(node1, node1.directory("pod", volume.pv)) > 2.8 * GiB
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def size_of(node: Node, directory: str) -> int:
    return int(node.sh(f"df -B1 --output=size '{directory}' | tail -1"))
