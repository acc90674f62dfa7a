"""The lab itself, by bare commands and no driver: what stands below must hold before the driver is judged by it."""

import pytest

from tests.lab.arrays import BARE_TARGET, Arrays
from tests.lab.lab import NFS_ADDRESS, OTHERS_PORTALS
from tests.lab.node import Node

BARE = "tests.lab.inside.bare"


@pytest.fixture
def logged_in(nodes: list[Node]):
    """Both nodes logged in at the bare target, and out again."""
    for node in nodes:
        node.guest.call(f"{BARE}:login", BARE_TARGET, list(OTHERS_PORTALS))
    yield
    for node in nodes:
        node.guest.call(f"{BARE}:logout", BARE_TARGET)


def test_data_moves_between_nodes_over_two_paths_and_grows(nodes: list[Node], arrays: Arrays, logged_in: None):
    """Login, scan, map, mkfs, mount, write, grow online, detach; the same bytes on the second node."""
    one, two = nodes[:2]
    volume = arrays.bare_volume()
    volume.show(one.iqn, 301)

    device = one.guest.call(f"{BARE}:attach", BARE_TARGET, 301, volume.wwid)
    one.guest.call(f"{BARE}:mount", device, "/m", "xfs", True)
    one.sh("dd if=/dev/urandom of=/m/data bs=1M count=4 2>/dev/null; md5sum /m/data > /m/sum")
    volume.resize(2 << 30)
    assert one.guest.call(f"{BARE}:grow", volume.wwid, "/m", "xfs") > 1.9 * (1 << 30)
    one.guest.call(f"{BARE}:umount", "/m")
    one.guest.call(f"{BARE}:detach", volume.wwid)
    volume.hide(one.iqn, 301)

    volume.show(two.iqn, 7)
    device = two.guest.call(f"{BARE}:attach", BARE_TARGET, 7, volume.wwid)
    two.guest.call(f"{BARE}:mount", device, "/m", "xfs", False)
    assert two.sh("md5sum -c /m/sum").strip() == "/m/data: OK"
    two.guest.call(f"{BARE}:umount", "/m")
    two.guest.call(f"{BARE}:detach", volume.wwid)
    volume.hide(two.iqn, 7)


@pytest.mark.parametrize("options", ["vers=3,proto=tcp,mountproto=tcp", "vers=4.1"])
def test_an_export_is_mounted_by_two_nodes(nodes: list[Node], arrays: Arrays, options: str):
    """server:/<name> as on a FlashBlade, by NFSv3 and v4.1; one node reads what the other wrote."""
    arrays.call("export", "bare-fs", "*(rw,no_root_squash)")
    for node in nodes:
        node.sh(f"mkdir -p /n; mount -t nfs -o {options} {NFS_ADDRESS}:/bare-fs /n; hostname >> /n/{options[:6]}")
    assert nodes[0].sh(f"cat /n/{options[:6]}").split() == ["node1", "node2"]
    for node in nodes:
        node.sh("umount /n")
