"""The lab itself, by bare commands and no driver: what stands below must hold before the driver is judged by it."""

import time

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


def test_a_pulled_cable_fails_one_path_and_comes_back(node1: Node, arrays: Arrays, logged_in: None):
    """Writes go on over the other path; nothing needs to be done when the cable is plugged again."""
    volume = arrays.bare_volume()
    volume.show(node1.iqn, 1)
    device = node1.guest.call(f"{BARE}:attach", BARE_TARGET, 1, volume.wwid)

    node1.guest.cable("a", False)
    began = time.monotonic()
    node1.sh(f"dd if=/dev/zero of=/dev/{device} bs=4k count=256 oflag=direct 2>/dev/null", timeout=60)
    assert time.monotonic() - began < 45
    node1.guest.cable("a", True)
    deadline = time.monotonic() + 60
    while paths(node1, volume.wwid) != ["running", "running"] and time.monotonic() < deadline:
        time.sleep(0.5)
    assert paths(node1, volume.wwid) == ["running", "running"]
    node1.guest.call(f"{BARE}:detach", volume.wwid)
    volume.hide(node1.iqn, 1)


@pytest.mark.parametrize("options", ["vers=3,proto=tcp,mountproto=tcp", "vers=4.1"])
def test_an_export_is_mounted_by_two_nodes(nodes: list[Node], arrays: Arrays, options: str):
    """server:/<name> as on a FlashBlade, by NFSv3 and v4.1; one node reads what the other wrote."""
    arrays.call("export", "bare-fs", "*(rw,no_root_squash)")
    for node in nodes:
        node.sh(f"mkdir -p /n; mount -t nfs -o {options} {NFS_ADDRESS}:/bare-fs /n; hostname >> /n/{options[:6]}")
    assert nodes[0].sh(f"cat /n/{options[:6]}").split() == ["node1", "node2"]
    for node in nodes:
        node.sh("umount /n")


def test_a_reset_keeps_the_disk_and_loses_the_rest(node2: Node, lab):
    """A power cut: node records, settings and what was synced survive; sessions, mounts and /run do not."""
    node2.sh("echo kept > /var/lib/kept; sync; echo lost > /run/lost")
    lab.reset(node2)
    assert node2.sh("cat /var/lib/kept; ls /run/lost", allow=None).startswith("kept\n")
    assert node2.view() == {"sessions": [], "paths": [], "maps": [], "mounts": []}
    assert node2.sh("cat /foreign/hello").strip() == "hello"


def paths(node: Node, wwid: str) -> list[str]:
    """States of a volume's paths as multipathd sees them."""
    lines = node.multipathd('show paths format "%w %t %T"').splitlines()
    return ["running" if "active" in line else "failed" for line in lines if line.startswith(wwid)]
