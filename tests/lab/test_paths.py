"""Portals and paths: chosen, dead, lost under I/O, restored; the target restarted; CHAP."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.arrays import Arrays, FlashArray
from tests.lab.lab import FABRIC_A, OTHERS_PORTALS, PORTALS
from tests.lab.node import KUBELET_PATIENCE, Node, eventually

SUCCESS = "Success"


@pytest.fixture
def fresh(node1: Node, array: FlashArray) -> Iterator[Node]:
    """A node that never met the array, nor will have after."""
    node1.log_out(array.iqn)
    yield node1
    node1.set()
    for portal in PORTALS:
        array.portal(portal, "up")
    node1.log_out(array.iqn)


def portals(node: Node) -> set[str]:
    return {session["portal"] for session in node.view()["sessions"] if session["state"] == "LOGGED_IN"}


def test_portals_outside_the_allowed_networks_are_not_used(fresh: Node, array: FlashArray):
    """PURE_ISCSI_ALLOWED_CIDRS leaves fabric a: one session, a map of one path."""
    fresh.set(PURE_ISCSI_ALLOWED_CIDRS=FABRIC_A)
    volume = array.new_volume()
    assert fresh.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert portals(fresh) == {PORTALS[0]}
    assert [len(each["slaves"]) for each in fresh.view()["maps"]] == [1]
    assert fresh.unmount("pod", volume.pv).status == SUCCESS


def test_no_allowed_portal_is_an_error_that_names_the_networks(fresh: Node, array: FlashArray):
    """A filter that fits nothing."""
    fresh.set(PURE_ISCSI_ALLOWED_CIDRS="203.0.113.0/24")
    volume = array.new_volume()
    answer = fresh.mount("pod", volume.pv, volume.options())
    assert answer.status == "Failure" and "203.0.113.0/24" in answer.message
    assert fresh.unmount("pod", volume.pv).status == SUCCESS


@pytest.mark.parametrize("state", ["dark", "refused"])
def test_one_dead_portal_at_login(fresh: Node, array: FlashArray, state: str):
    """Attached over the other, in time; a mount after its return, when it is tried again, has both paths."""
    array.portal(PORTALS[1], state)
    volume = array.new_volume()
    answer = fresh.mount("pod", volume.pv, volume.options())
    assert answer.status == SUCCESS and answer.seconds < KUBELET_PATIENCE / 2, answer
    assert portals(fresh) == {PORTALS[0]}
    array.portal(PORTALS[1], "up")
    fresh.sh("touch -d '2 minutes ago' /run/pure-flex/*")    # a silent portal is left alone for a minute
    second = array.new_volume()
    assert eventually(lambda: fresh.mount("pod", second.pv, second.options())).status == SUCCESS
    assert portals(fresh) == set(PORTALS)
    paths = [path for path in fresh.view()["paths"] if path["wwid"].endswith(second.wwid[1:])]
    assert len(paths) == 2
    for each in (volume, second):
        assert fresh.unmount("pod", each.pv).status == SUCCESS


def test_a_login_under_way_is_no_session(fresh: Node, array: FlashArray):
    """iscsid is still trying a dark portal, so iscsiadm says "session exists" (15): only sysfs is believed."""
    array.portal(PORTALS[1], "dark")
    fresh.sh(f"iscsiadm -m node -T {array.iqn} -p {PORTALS[1]} -o new")
    fresh.guest.start_command("iscsiadm", "-m", "node", "-T", array.iqn, "-p", PORTALS[1], "--login")
    time.sleep(1)
    volume = array.new_volume()
    answer = fresh.mount("pod", volume.pv, volume.options())
    assert answer.status == SUCCESS and answer.seconds < KUBELET_PATIENCE / 2, answer
    assert portals(fresh) == {PORTALS[0]}
    assert fresh.unmount("pod", volume.pv).status == SUCCESS
    array.portal(PORTALS[1], "up")
    deadline = time.monotonic() + 60
    while portals(fresh) != set(PORTALS) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert portals(fresh) == set(PORTALS)    # iscsid is through with it; the next test would meet it otherwise


def test_node_records(fresh: Node, array: FlashArray, arrays: Arrays):
    """Ours are scanned by hand and give up early; those of somebody else's target are as they were."""
    show = "iscsiadm -m node -T {} -p {} | grep -v '^#'"
    before = fresh.sh(show.format(arrays.foreign.iqn, OTHERS_PORTALS[0]))
    volume = array.new_volume()
    assert fresh.mount("pod", volume.pv, volume.options()).status == SUCCESS
    record = fresh.sh(show.format(array.iqn, PORTALS[0]))
    for line in ("node.session.scan = manual", "node.startup = manual", "node.session.initial_login_retry_max = 1"):
        assert line in record
    assert fresh.unmount("pod", volume.pv).status == SUCCESS
    assert portals(fresh) == set(PORTALS)    # sessions stay after the last unmount
    assert fresh.sh(show.format(arrays.foreign.iqn, OTHERS_PORTALS[0])) == before


def test_a_discovery_by_somebody_else_is_put_right(fresh: Node, array: FlashArray):
    """It resets our records to iscsid.conf's defaults (fact 3): the next login scans by hand all the same."""
    show = f"iscsiadm -m node -T {array.iqn} -p {PORTALS[0]}"
    volume, other = array.new_volume(), array.new_volume()
    assert fresh.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert fresh.unmount("pod", volume.pv).status == SUCCESS
    fresh.sh(f"iscsiadm -m discovery -t sendtargets -p {PORTALS[0]}; iscsiadm -m node -T {array.iqn} --logout")
    assert "node.session.scan = auto" in fresh.sh(show)
    other.connect("node1")                   # what an automatic scan would bring to this node
    assert fresh.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert "node.session.scan = manual" in fresh.sh(show)
    assert {path["wwid"] for path in fresh.view(paths=2)["paths"]} == {f"naa.{volume.wwid[1:]}"}
    other.disconnect("node1")
    assert fresh.unmount("pod", volume.pv).status == SUCCESS


def test_all_portals_dead(fresh: Node, array: FlashArray):
    """A Failure in time that names each portal; nothing is left connected once kubelet gives up."""
    for portal in PORTALS:
        array.portal(portal, "dark")
    volume = array.new_volume()
    answer = fresh.mount("pod", volume.pv, volume.options())
    assert answer.status == "Failure" and answer.seconds < KUBELET_PATIENCE
    assert all(portal in answer.message for portal in PORTALS), answer.message
    for portal in PORTALS:
        array.portal(portal, "up")
    assert eventually(lambda: fresh.mount("pod", volume.pv, volume.options())).status == SUCCESS
    assert fresh.unmount("pod", volume.pv).status == SUCCESS
    assert volume.connections == {}


def test_a_path_lost_and_restored_under_io(node1: Node, array: FlashArray):
    """The writer stalls and goes on; the path comes back by itself; nothing is lost and nothing is left behind."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    directory = node1.directory("pod", volume.pv)
    node1.guest.cable("a", False)
    try:
        node1.sh(f"dd if=/dev/urandom of='{directory}/data' bs=64k count=64 conv=fsync 2>/dev/null;"
                 f"md5sum '{directory}/data' > /tmp/sum", timeout=90)
    finally:
        node1.guest.cable("a", True)
    deadline = time.monotonic() + 60
    while states(node1, volume.wwid) != ["active", "active"] and time.monotonic() < deadline:
        time.sleep(0.5)
    assert states(node1, volume.wwid) == ["active", "active"]
    assert node1.unmount("pod", volume.pv).status == SUCCESS
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    assert node1.sh("md5sum -c /tmp/sum").endswith("OK\n")
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_mount_and_unmount_with_one_cable_pulled(node1: Node, array: FlashArray):
    """The session is there and its path is dead: no call blocks on it, everything goes over the other."""
    volume = array.new_volume()
    node1.guest.cable("b", False)
    try:
        answer = eventually(lambda: node1.mount("pod", volume.pv, volume.options()))
        assert answer.status == SUCCESS and answer.seconds < KUBELET_PATIENCE, answer
        answer = eventually(lambda: node1.unmount("pod", volume.pv))
        assert answer.status == SUCCESS and answer.seconds < KUBELET_PATIENCE, answer
    finally:
        node1.guest.cable("b", True)
    assert volume.connections == {}


def test_the_target_restarts_under_io(node1: Node, array: FlashArray, arrays: Arrays):
    """All sessions end and come back within the recovery time: the writer waits and goes on."""
    volume = array.new_volume()
    assert node1.mount("pod", volume.pv, volume.options()).status == SUCCESS
    directory = node1.directory("pod", volume.pv)
    node1.guest.start_command("sh", "-c", f"for i in $(seq 20); do echo $i >> '{directory}/log' && sync -d '{directory}/log'"
                              " && sleep 0.3 || exit; done; echo done >> /tmp/writer")
    arrays.fleet("pause_target", array.name, 2.0)
    node1.sh("for i in $(seq 200); do [ -e /tmp/writer ] && break; sleep 0.2; done; rm /tmp/writer", timeout=60)
    assert node1.sh(f"wc -l < '{directory}/log'").strip() == "20"
    assert node1.unmount("pod", volume.pv).status == SUCCESS


def test_chap(fresh: Node, array: FlashArray, arrays: Arrays):
    """The host object asks for CHAP: a node without the secret is told so, one with it in iscsid.conf gets in."""
    array.ensure_host(fresh)
    volume = array.new_volume()
    arrays.fleet("set_chap", array.name, "node1", fresh.iqn, "labuser", "not-a-real-secret")
    fresh.sh("cp /etc/iscsi/iscsid.conf /root/iscsid.conf")
    try:
        answer = fresh.mount("pod", volume.pv, volume.options())
        assert answer.status == "Failure" and "CHAP" in answer.message, answer
        fresh.sh("printf 'node.session.auth.authmethod = CHAP\\nnode.session.auth.username = labuser\\n"
                 "node.session.auth.password = not-a-real-secret\\n' >> /etc/iscsi/iscsid.conf")
        answer = eventually(lambda: fresh.mount("pod", volume.pv, volume.options()))
        assert answer.status == SUCCESS, answer
        assert "not-a-real-secret" not in fresh.sh("cat /var/log/pure-flex.log")
        assert fresh.unmount("pod", volume.pv).status == SUCCESS
    finally:
        arrays.fleet("set_chap", array.name, "node1", fresh.iqn, "", "")
        fresh.sh("cp /root/iscsid.conf /etc/iscsi/iscsid.conf")


def states(node: Node, wwid: str) -> list[str]:
    lines = node.multipathd('show paths format "%w %t"').splitlines()
    return ["active" if "active" in line else "failed" for line in lines if line.startswith(wwid)]
