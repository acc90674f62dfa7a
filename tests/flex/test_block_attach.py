"""From a FlashArray volume to its device: finding it and our host, LUNs, portals, paths."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from flex.wait import wait_for
from tests.flex.blocks import GiB, block, bytes_of, check_given_back, check_mounted, failure, original
from tests.flex.driver import SUCCESS

pytestmark = pytest.mark.usefixtures("blank_volume")


# Finding the volume and the host

def test_a_volume_of_the_original_driver_is_found_by_asking_the_fleet(flex: Any, node: Any, array: Any, sim: Any,
                                                                      pod: Path) -> None:
    """AT-66: its PV says neither array nor volume."""
    other = sim.add_flash_array("fa2")
    other.add_volume("k8s-pvc-7", GiB)
    assert flex("mount", pod / "pvc-7", original("pvc-7")) == SUCCESS
    check_mounted(node, other, pod / "pvc-7", "k8s-pvc-7")


def test_a_volume_found_nowhere_names_the_pv_and_the_arrays_asked(flex: Any, node: Any, array: Any, pod: Path) -> None:
    message = failure(flex("mount", pod / "pvc-9", block("pvc-9")))
    assert "pvc-9" in message and array.endpoint in message


def test_a_host_that_an_administrator_named_is_found_by_its_initiator(flex: Any, node: Any, array: Any,
                                                                      pod: Path) -> None:
    array.add_host("Rack7-Blade3", iqns=[node.iqn])
    flex("mount", pod / "pvc-1", block())
    assert list(array.connections("k8s-pvc-1")) == ["Rack7-Blade3"] and list(array.hosts) == ["Rack7-Blade3"]


def test_a_host_is_made_under_a_legal_and_stable_name(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-61."""
    name = Path(f"{node.root}/proc/sys/kernel/hostname")
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text("sn1-pool-c07-08.puretec.purestorage.com\n")
    flex("mount", pod / "pvc-1", block())
    made, = array.hosts
    assert "." not in made and made.startswith("sn1-pool-c07-08") and len(made) <= 63
    flex("unmount", pod / "pvc-1")
    flex("mount", pod / "pvc-1", block())
    assert list(array.hosts) == [made] and array.host(made).iqns == (node.iqn,)


def test_an_imported_volume_is_mounted_and_never_formatted(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("old-data", GiB)
    message = failure(flex("mount", pod / "pvc-1", block(volume="old-data")))
    assert "old-data" in message and "k8s-" in message
    assert bytes_of(array, "old-data") == bytes(2 << 20)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    flex("unmount", pod / "pvc-1")
    array.rename_volume("k8s-pvc-1", "imported")
    assert flex("mount", pod / "pvc-1", block(volume="imported")) == SUCCESS


def test_an_existing_connection_is_used_at_its_lun(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "k8s-pvc-1", 17)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert {path.hctl.rpartition(":")[2] for path in node.paths} == {"17"}


@pytest.mark.parametrize("flat", [False, True], ids=["plain", "flat addressing"])
def test_a_lun_above_255(flex: Any, node: Any, array: Any, pod: Path, flat: bool) -> None:
    node.settings.flat_luns = flat
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "k8s-pvc-1", 300)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")
    flex("unmount", pod / "pvc-1")
    check_given_back(node, array)


# Paths

def test_only_portals_inside_the_allowed_networks_are_logged_in(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """AT-56."""
    inside = array.portals[0]
    assert flex("mount", pod / "pvc-1", block(), PURE_ISCSI_ALLOWED_CIDRS=f"{inside.partition(':')[0]}/32") == SUCCESS
    assert [session.portal for session in node.sessions] == [inside]
    check_mounted(node, array, pod / "pvc-1", paths=1)


def test_no_portal_inside_the_allowed_networks_is_a_clear_failure(flex: Any, node: Any, array: Any, pod: Path) -> None:
    message = failure(flex("mount", pod / "pvc-1", block(), PURE_ISCSI_ALLOWED_CIDRS="203.0.113.0/24"))
    assert array.portals[0] in message and "203.0.113.0/24" in message
    check_given_back(node, array)


def test_a_path_that_was_missing_is_there_at_the_next_mount(flex: Any, node: Any, array: Any, pod: Path) -> None:
    dark = array.portals[1]
    array.set_portal(dark, "refused")
    node.settings.speed = 200
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1", paths=1)
    flex("unmount", pod / "pvc-1")
    array.set_portal(dark, "up")
    for noted in Path(f"{node.root}/run/pure-flex").glob("failed.*"):
        noted.unlink()                  # a minute later
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")


def left_behind(flex: Any) -> list[str]:
    """Processes of the driver that are still there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [process.name] if os.fsencode(flex.executable) in (process / "cmdline").read_bytes() else []
    return found


def test_a_session_whose_scan_hangs_holds_nobody_up(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """node-attach.md, fact 5: the device is waited for, not the scan; the call-out can end, and its scan undoes nothing."""
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-2", block("pvc-2"))
    node.faults.scan_hangs = {array.portals[0]}
    node.refresh()
    fleet = str(flex.executable.with_name(".pure.json"))
    assert flex.process("mount", pod / "pvc-1", block(), timeout=15.0, PURE_DISCOVERY_CONF=fleet) == SUCCESS
    check_mounted(node, array, pod / "pvc-1", paths=1)
    node.faults.scan_hangs = set()
    node.refresh()
    wait_for(lambda: not left_behind(flex), "the end of the scan", 30)
    assert str(pod / "pvc-1") in [mount.directory for mount in node.mounts] and array.connections("k8s-pvc-1")


def test_a_scan_that_finds_nothing_is_repeated(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-2", block("pvc-2"))
    node.faults.scan_lost = 3
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    check_mounted(node, array, pod / "pvc-1")
