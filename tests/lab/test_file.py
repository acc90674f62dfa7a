"""FlashBlade file systems: the driver, the kernel's NFS client and server."""

import time

import pytest

from tests.lab.arrays import FlashBlade
from tests.lab.node import Node, eventually

V3, V4_1 = "vers=3", "vers=4.1"
IN_TIME = 100.0                              # seconds: an answer within kubelet's patience of two minutes


@pytest.mark.parametrize("version", [V3, V4_1])
def test_two_nodes_at_once(node1: Node, node2: Node, blade: FlashBlade, version: str):
    """One file system on both nodes, each sees what the other wrote; both let go."""
    system = blade.new_file_system()
    for node in (node1, node2):
        answer = node.mount("pod", system.pv, system.options(mountOptions=version))
        assert answer.status == "Success", answer
        node.sh(f"hostname >> '{node.directory('pod', system.pv)}/log'; sync")
    assert node1.sh(f"cat '{node1.directory('pod', system.pv)}/log'").split() == ["node1", "node2"]
    mount, = node1.view()["mounts"]
    assert f"vers={version[5:]}" in mount["options"]
    for node in (node1, node2):
        assert node.unmount("pod", system.pv).status == "Success"
        assert node.view()["mounts"] == []


def test_a_mount_repeated_is_one_mount(node1: Node, blade: FlashBlade):
    """kubelet asks again after a restart: Success, one entry in the mount table; the same with unmount."""
    system = blade.new_file_system()
    for _ in range(2):
        assert node1.mount("pod", system.pv, system.options()).status == "Success"
    assert len(node1.view()["mounts"]) == 1
    for _ in range(2):
        assert node1.unmount("pod", system.pv).status == "Success"


def test_export_rules_that_exclude_the_node_are_a_failure_that_names_the_export(node1: Node, blade: FlashBlade):
    """The blade's rules let only another host in."""
    system = blade.new_file_system(rules="198.51.100.250(rw)")
    answer = node1.mount("pod", system.pv, system.options(mountOptions=V3))
    assert answer.status == "Failure"
    assert system.name in answer.message
    assert answer.seconds < IN_TIME
    assert node1.unmount("pod", system.pv).status == "Success"


def test_read_only_rules_are_a_read_only_mount(node1: Node, blade: FlashBlade):
    """kubelet says ro: the mount is ro."""
    system = blade.new_file_system()
    answer = node1.mount("pod", system.pv, {**system.options(), "kubernetes.io/readwrite": "ro"})
    assert answer.status == "Success", answer
    mount, = node1.view()["mounts"]
    assert "ro" in mount["options"].split(",")
    assert node1.unmount("pod", system.pv).status == "Success"


@pytest.mark.parametrize("version", [V3, V4_1])
def test_a_dark_server_does_not_hold_the_unmount(node1: Node, blade: FlashBlade, version: str):
    """The server is gone under a mount in use: unmount ends within its deadline, and the mount is off the table."""
    system = blade.new_file_system()
    assert node1.mount("pod", system.pv, system.options(mountOptions=version)).status == "Success"
    directory = node1.directory("pod", system.pv)
    node1.sh(f"echo x > '{directory}/x'; sync")
    blade.dark(True)
    try:
        node1.guest.start_command("sh", "-c", f"echo lost > '{directory}/y'")
        answer = eventually(lambda: node1.unmount("pod", system.pv), timeout=150)
        assert answer.status == "Success", answer
        assert answer.seconds < IN_TIME
        assert node1.view()["mounts"] == []
    finally:
        blade.dark(False)


def test_a_dark_server_costs_the_other_pod_nothing(node1: Node, blade: FlashBlade):
    """Two pods of one node have an export, and one leaves while the server is away: what the other is writing arrives."""
    system = blade.new_file_system()
    for pod in ("leaves", "stays"):
        assert node1.mount(pod, system.pv, system.options(mountOptions=V4_1)).status == "Success"
    directory = node1.directory("stays", system.pv)
    node1.sh("rm -f /run/wrote")
    blade.dark(True)
    try:
        node1.guest.start_command("sh", "-c",
                                  f"echo kept | dd of='{directory}/y' conv=fsync 2>/dev/null; echo $? > /run/wrote")
        assert eventually(lambda: node1.unmount("leaves", system.pv), timeout=150).status == "Success"
        node1.sh("test ! -e /run/wrote")
    finally:
        blade.dark(False)
    assert node1.sh("until [ -s /run/wrote ]; do sleep 0.2; done; cat /run/wrote", timeout=150).strip() == "0"
    assert node1.sh(f"cat '{directory}/y'").strip() == "kept"
    assert node1.unmount("stays", system.pv).status == "Success"
    assert node1.view()["mounts"] == []


def test_a_dark_server_fails_the_mount_in_time(node1: Node, blade: FlashBlade):
    """Nobody answers at the data address: a Failure that names it, within kubelet's patience; works when it is back."""
    system = blade.new_file_system()
    blade.dark(True)
    try:
        began = time.monotonic()
        answer = node1.mount("pod", system.pv, system.options(mountOptions=V4_1))
        assert answer.status == "Failure"
        assert "198.51.100.20" in answer.message
        assert time.monotonic() - began < IN_TIME
    finally:
        blade.dark(False)
    assert eventually(lambda: node1.mount("pod", system.pv, system.options(mountOptions=V4_1))).status == "Success"
    assert node1.unmount("pod", system.pv).status == "Success"


def test_an_export_that_vanished_can_be_unmounted(node1: Node, blade: FlashBlade):
    """The file system was destroyed under the mount (stale handle)."""
    system = blade.new_file_system()
    assert node1.mount("pod", system.pv, system.options()).status == "Success"
    blade.ask("destroy_file_system", system.name)
    blade.export()
    assert node1.unmount("pod", system.pv).status == "Success"
    assert node1.view()["mounts"] == []
