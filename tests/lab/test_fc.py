"""Fibre Channel, as FCoE between the guests (no HBA): the same volumes through fc_host, fc_remote_ports and SCSI hosts."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.arrays import Arrays, FlashArray
from tests.lab.guest.wires import mac
from tests.lab.node import Node, eventually

SUCCESS = "Success"
FCOE = "tests.lab.inside.fcoe"


@pytest.fixture(scope="module")
def fc_array(arrays: Arrays, nodes: list[Node]) -> Iterator[FlashArray]:
    """An array with two FC ports, one on each fabric, and both nodes' adapters online and seeing one port each."""
    array = FlashArray(arrays, "fafc")
    initiators = [wwpn(node.number, network) for node in nodes for network in ("a", "b")]
    if "fafc" not in arrays.fleet("names"):
        arrays.fleet("add_fc_array", array.name, [wwpn(0, "a"), wwpn(0, "b")], initiators)
    told = arrays.fleet("pure_json", ["fafc"])
    for node in nodes:
        node.guest.call(f"{FCOE}:up", ["a", "b"])
        node.install_driver(told["json"], told["ca"])
    for node in nodes:
        wait_for_targets(node, [["Online"], ["Online"]])
    yield array
    told = arrays.fleet("pure_json", ["fa1", "fb1"])
    for node in nodes:
        node.install_driver(told["json"], told["ca"])


@pytest.fixture
def fc_nodes(fc_array: FlashArray, node1: Node, node2: Node) -> Iterator[list[Node]]:
    """Both nodes set to FC."""
    for node in (node1, node2):
        node.set(PURE_FLASHARRAY_SAN_TYPE="FC")
    yield [node1, node2]
    for node in (node1, node2):
        node.set()


def test_attach_over_two_fabrics_without_iscsi(fc_nodes: list[Node], fc_array: FlashArray):
    """Two paths over two adapters, data kept, no iscsiadm run; any spelling of the setting."""
    node = fc_nodes[0]
    volume = fc_array.new_volume()
    for spelling in ("FC", "fc", "Fc"):
        node.set(PURE_FLASHARRAY_SAN_TYPE=spelling)
        started = node.spawns(lambda: node.mount("pod", volume.pv, volume.options()))
        assert not any("iscsiadm" in each for each in started), started
        held, = node.view(paths=2)["maps"]
        assert held["uuid"] == f"mpath-{volume.wwid}" and len(held["slaves"]) == 2
        node.sh(f"echo hello > '{node.directory('pod', volume.pv)}/{spelling}'")
        assert node.unmount("pod", volume.pv).status == SUCCESS
        assert node.view()["paths"] == [] and volume.connections == {}


def test_a_path_lost_and_back_and_a_move(fc_nodes: list[Node], fc_array: FlashArray):
    """A fabric goes dark under a writer and returns; then the volume moves to the other node with its data."""
    one, two = fc_nodes
    volume = fc_array.new_volume()
    assert one.mount("pod", volume.pv, volume.options()).status == SUCCESS
    directory = one.directory("pod", volume.pv)
    one.guest.cable("a", False)
    try:
        one.sh(f"dd if=/dev/urandom of='{directory}/data' bs=64k count=32 conv=fsync 2>/dev/null;"
               f"cd '{directory}'; md5sum data > sum", timeout=120)
    finally:
        one.guest.cable("a", True)
    deadline = time.monotonic() + 60
    while "failed" in one.multipathd("show paths") and time.monotonic() < deadline:
        time.sleep(0.5)
    wait_for_targets(one, [["Online"], ["Online"]])
    assert one.unmount("pod", volume.pv).status == SUCCESS
    answer = eventually(lambda: two.mount("pod", volume.pv, volume.options()))
    assert answer.status == SUCCESS, answer
    assert two.sh(f"cd '{two.directory('pod', volume.pv)}'; md5sum -c sum") == "data: OK\n"
    assert two.unmount("pod", volume.pv).status == SUCCESS
    assert volume.connections == {}


def wait_for_targets(node: Node, wanted: list[list[str]]) -> None:
    """Until each adapter of the node sees the array's port of its fabric."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        hosts = node.guest.call(f"{FCOE}:hosts")
        if [host["targets"] for host in hosts] == wanted:
            return
        time.sleep(0.5)
    raise AssertionError(f"{node.name}: FC adapters {hosts}")


def wwpn(guest: int, network: str) -> str:
    return f"20:00:{mac(guest, network)}"
