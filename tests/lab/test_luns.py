"""LUN numbers: large ones, ones given out again at once, ones that vanish behind our back."""

from tests.lab.arrays import FlashArray, Volume
from tests.lab.node import Node, eventually

SUCCESS = "Success"


def mounted(node: Node, array: FlashArray, text: str = "") -> Volume:
    volume = array.new_volume()
    answer = node.mount("pod", volume.pv, volume.options())
    assert answer.status == SUCCESS, answer
    if text:
        node.sh(f"echo {text} > '{node.directory('pod', volume.pv)}/text'; sync")
    return volume


def test_lun_above_255(node1: Node, array: FlashArray):
    """The array already shows the volume to this host at LUN 300."""
    array.ensure_host(node1)
    volume = array.new_volume()
    assert volume.connect("node1", 300) == 300
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert {path["address"].rsplit(":", 1)[1] for path in node1.view(paths=2)["paths"]} == {"300"}
    released(node1, volume)


def test_a_lun_reused_at_once_is_not_taken_for_the_old_volume(node1: Node, array: FlashArray):
    """Stale devices of A stay at LUN n, the array gives n to B: B is found, formatted and mounted; A is untouched."""
    old = mounted(node1, array, "old")
    lun = old.connections["node1"]
    node1.sh(f"umount '{node1.directory('pod', old.pv)}'")
    old.disconnect("node1")                  # by an administrator: the devices stay on the node
    before = array.arrays.guest.sh(f"md5sum {old.file}").out

    new = array.new_volume()
    assert new.connect("node1", lun) == lun
    answer = node1.mount("pod", new.pv, new.options())
    assert answer.status == SUCCESS, answer
    assert {path["wwid"] for path in node1.view(paths=2)["paths"]} == {f"naa.{new.wwid[1:]}"}
    assert array.arrays.guest.sh(f"md5sum {old.file}").out == before
    released(node1, new)
    released(node1, old)


def test_a_lun_reused_while_the_old_device_is_in_use_goes_elsewhere(node1: Node, array: FlashArray):
    """A is still mounted when the array gives its LUN to B: B gets another LUN, and A's writer never touches B."""
    old = mounted(node1, array, "old")
    lun = old.connections["node1"]
    old.disconnect("node1")
    new = array.new_volume()
    assert new.connect("node1", lun) == lun
    answer = eventually(lambda: node1.mount("pod", new.pv, new.options()))
    assert answer.status == SUCCESS, answer
    assert new.connections["node1"] != lun
    node1.sh(f"echo new > '{node1.directory('pod', new.pv)}/text'; sync")
    answer = eventually(lambda: node1.unmount("pod", old.pv))
    assert answer.status == SUCCESS, answer
    assert node1.sh(f"cat '{node1.directory('pod', new.pv)}/text'") == "new\n"
    released(node1, new)


def test_a_volume_deleted_behind_our_back_can_be_unmounted(node1: Node, array: FlashArray):
    """Disconnected, destroyed and eradicated while mounted: unmount ends with Success and leaves no device."""
    volume = mounted(node1, array, "gone")
    volume.disconnect("node1")
    array.ask("destroy_volume", volume.name)
    array.ask("eradicate_volume", volume.name)
    answer = eventually(lambda: node1.unmount("pod", volume.pv))
    assert answer.status == SUCCESS, answer
    view = node1.view(paths=0, maps=0, mounts=0)
    assert (view["paths"], view["maps"], view["mounts"]) == ([], [], [])


def released(node: Node, volume: Volume) -> None:
    """The volume's unmount leaves nothing of it on the node or the array."""
    answer = node.unmount("pod", volume.pv)
    assert answer.status == SUCCESS, answer
    assert f"naa.{volume.wwid[1:]}" not in {path["wwid"] for path in node.view()["paths"]}
    assert volume.connections == {}
