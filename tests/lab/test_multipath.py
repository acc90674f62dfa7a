"""multipathd as nodes have it: every find_multipaths mode, friendly names or not, stopped, not installed, queueing."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.arrays import FlashArray
from tests.lab.node import MULTIPATH_CONF, Node, eventually

SUCCESS = "Success"


@pytest.fixture
def configured(node1: Node) -> Iterator[Node]:
    """A node whose multipathd gets its usual configuration back."""
    yield node1
    node1.set()
    node1.use_multipath_conf(MULTIPATH_CONF)


@pytest.mark.parametrize("mode, friendly", [("strict", "no"), ("yes", "yes"), ("smart", "no"), ("no", "yes"),
                                            ("greedy", "no")])
def test_modes_and_names(configured: Node, array: FlashArray, mode: str, friendly: str):
    """A new volume gets its map with both paths, resizes and goes, whatever the map is called."""
    configured.use_multipath_conf(f"defaults {{\n find_multipaths {mode}\n user_friendly_names {friendly}\n}}\n"
                                  "blacklist {\n devnode \"^vd[a-z]\"\n}\n")
    volume = array.new_volume()
    answer = configured.mount("pod", volume.pv, volume.options())
    assert answer.status == SUCCESS, answer
    held, = configured.view()["maps"]
    assert held["uuid"] == f"mpath-{volume.wwid}" and len(held["slaves"]) == 2
    assert (held["name"] != volume.wwid) == (friendly == "yes")
    directory = configured.directory("pod", volume.pv)
    grown = configured.expand(volume.options(), directory, volume.pv, 2 << 30, 1 << 30)
    assert grown.status == SUCCESS, grown
    assert configured.unmount("pod", volume.pv).status == SUCCESS
    assert volume.connections == {}


def test_debians_default_without_any_configuration(configured: Node, array: FlashArray):
    """No /etc/multipath.conf at all."""
    configured.use_multipath_conf("")
    volume = array.new_volume()
    assert configured.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert configured.unmount("pod", volume.pv).status == SUCCESS


def test_multipathd_not_running(configured: Node, array: FlashArray):
    """A Failure that names it, and no bare path is mounted; Success as soon as it runs."""
    configured.call("stop_multipathd")
    volume = array.new_volume()
    answer = configured.mount("pod", volume.pv, volume.options())
    assert answer.status == "Failure" and "multipathd" in answer.message, answer
    assert configured.view()["mounts"] == []
    configured.call("start_multipathd", MULTIPATH_CONF)
    assert eventually(lambda: configured.mount("pod", volume.pv, volume.options())).status == SUCCESS
    assert configured.unmount("pod", volume.pv).status == SUCCESS


def test_multipath_not_installed(configured: Node, array: FlashArray):
    """A Failure that says what to install."""
    configured.call("stop_multipathd")
    configured.sh("mkdir -p /root/away; mv /sbin/multipath /sbin/multipathd /root/away/")
    volume = array.new_volume()
    try:
        answer = configured.mount("pod", volume.pv, volume.options())
        assert answer.status == "Failure" and "multipath" in answer.message, answer
    finally:
        configured.sh("mv /root/away/* /sbin/")
        configured.call("start_multipathd", MULTIPATH_CONF)
    assert configured.unmount("pod", volume.pv).status == SUCCESS


def test_a_hung_device_does_not_hold_the_unmount(configured: Node, array: FlashArray):
    """Queueing on, all paths dead, unsaved data: unmount ends in time and says so; after the grace it lets go."""
    configured.use_multipath_conf(MULTIPATH_CONF.replace("no_path_retry 0", "no_path_retry queue"))
    volume = array.new_volume()
    assert configured.mount("pod", volume.pv, volume.options()).status == SUCCESS
    directory = configured.directory("pod", volume.pv)
    for card in ("a", "b"):
        configured.guest.cable(card, False)
    try:
        configured.guest.start_command("sh", "-c", f"dd if=/dev/zero of='{directory}/lost' bs=64k count=64; sync")
        deadline = time.monotonic() + 60
        while living(configured, volume.wwid) and time.monotonic() < deadline:
            time.sleep(0.5)
        answer = configured.unmount("pod", volume.pv)
        assert answer.status == "Failure" and answer.seconds < 120, answer
        configured.set(PURE_UNMOUNT_NO_PATH_GRACE="1")
        answer = eventually(lambda: configured.unmount("pod", volume.pv))
        assert answer.status == SUCCESS, answer
        view = configured.view(paths=0, maps=0, mounts=0)
        assert (view["paths"], view["maps"], view["mounts"]) == ([], [], [])
        assert volume.connections == {}
    finally:
        for card in ("a", "b"):
            configured.guest.cable(card, True)
        configured.all_paths_back()


def living(node: Node, wwid: str) -> bool:
    lines = node.multipathd('show paths format "%w %t"').splitlines()
    return any(line.startswith(wwid) and "active" in line for line in lines)
