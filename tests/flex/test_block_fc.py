"""FlashArray volumes over Fibre Channel: targeted scans, no login, and no iscsiadm at all."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from simulator.fabric import LocalFabric
from simulator.node import PretendNode
from tests.flex.blocks import GiB, block, check_given_back, hurry, ran, wwid
from tests.flex.conftest import InstalledDriver
from tests.flex.driver import SUCCESS

WWNS = ("21:00:00:24:FF:3C:5C:2A", "21:00:00:24:FF:3C:5C:2B")


@pytest.fixture
def array(sim: Any) -> Any:
    """A FlashArray with FC ports only."""
    return sim.add_flash_array("fa1", portals=[], wwns=["52:4A:93:7B:25:8B:4D:00", "52:4A:93:7B:25:8B:4D:10"])


@pytest.fixture
def node(sim: Any, array: Any) -> Iterator[Any]:
    """A node with two FC adapters, zoned to two of the array's ports."""
    with TemporaryDirectory(prefix="node") as folder:
        with PretendNode(folder, LocalFabric(sim), name="node1", wwns=WWNS) as machine:
            machine.zone(array.wwns)
            hurry(machine)
            yield machine
            assert (machine.alarms, machine.failures, machine.touched()) == ([], [], [])


@pytest.fixture
def flex(sim: Any, node: Any, plugin: Path) -> InstalledDriver:
    """The driver on a node with FC."""
    return InstalledDriver(plugin / "flex", {**node.environment(), "PURE_FLASHARRAY_SAN_TYPE": "FC"}, sim)


@pytest.mark.parametrize("written", ["FC", "fc", "Fc"])
def test_a_volume_is_mounted_over_every_path_and_given_back(flex: Any, node: Any, array: Any, pod: Path,
                                                            written: str) -> None:
    """AT-58: WWNs are used and no iscsiadm is run, however sanType is written."""
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block(), PURE_FLASHARRAY_SAN_TYPE=written) == SUCCESS
    host, = array.hosts.values()
    assert {wwn.replace(":", "").upper() for wwn in host.wwns} == {wwn.replace(":", "") for wwn in WWNS}
    assert host.iqns == () and len(node.maps[0].paths) == 4
    node.write(f"{pod}/pvc-1/hello", "world")
    assert flex("unmount", pod / "pvc-1", PURE_FLASHARRAY_SAN_TYPE=written) == SUCCESS
    check_given_back(node, array)
    assert array.connections("k8s-pvc-1") == {} and ran(node, "iscsiadm") == []


def test_scans_name_host_target_and_lun(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    scans = [write.text for write in node.sysfs_writes if write.path.endswith("/scan")]
    assert scans and all(len(text.split()) == 3 and "-" not in text for text in scans)


def test_an_adapter_without_link_leaves_the_other_paths(flex: Any, node: Any, array: Any, pod: Path) -> None:
    node.set_link(WWNS[0], False)
    array.add_volume("k8s-pvc-1", GiB)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert len(node.maps[0].paths) == 2


def test_an_adapter_without_link_is_no_stranger_in_the_nodes_host(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """A volume that was left connected to this node, whose record is lost: the host object is this node's alone."""
    node.set_link(WWNS[0], False)
    array.add_volume("k8s-pvc-1", GiB)
    array.add_host("node1", wwns=list(WWNS))
    array.connect("node1", "k8s-pvc-1")
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS


def test_what_a_boot_brought_in_of_volumes_that_moved_away_is_purged(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """The FC layer scans all LUNs by itself, those of volumes that are elsewhere by now included."""
    array.add_volume("k8s-pvc-1", GiB)
    array.add_volume("k8s-pvc-2", GiB)
    array.add_host("node1", wwns=list(WWNS))
    array.connect("node1", "k8s-pvc-2", 1)
    node.refresh()
    node.scan_everything()
    array.disconnect("node1", "k8s-pvc-2")
    node.refresh()
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert {path.wwid for path in node.paths} == {wwid(array)}


def test_without_zoning_the_error_says_so(flex: Any, sim: Any, node: Any, pod: Path) -> None:
    other = sim.add_flash_array("fa2", wwns=["52:4A:93:70:00:00:00:01"])
    other.add_volume("k8s-pvc-9", GiB)
    answer = flex("mount", pod / "pvc-9", block("pvc-9"))
    assert answer["status"] == "Failure" and "zoning" in answer["message"]
    assert other.connections("k8s-pvc-9") == {}
