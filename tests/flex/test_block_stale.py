"""LUNs that are reused, devices that are stale, disks that are not ours (node-attach.md 2.7)."""

from pathlib import Path
from typing import Any

import pytest

from flex.node import multipath
from flex.paths import Paths
from flex.wait import Deadline, wait_for
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, host_of, hurry, ran, wwid
from tests.flex.driver import SUCCESS


@pytest.fixture(autouse=True)
def volumes(node: Any, array: Any) -> None:
    """Two blank volumes."""
    array.add_volume("k8s-pvc-1", GiB)
    array.add_volume("k8s-pvc-2", GiB)
    hurry(node)


def disconnect(node: Any, array: Any, volume: str = "k8s-pvc-1") -> None:
    """Take a volume away from a node behind its back, and let multipathd notice."""
    array.disconnect(host_of(array, node), volume)
    node.refresh()
    wait_for(lambda: not multipath.has_usable_path(Paths(str(node.root)), wwid(array, volume)), "the checker", 10)


def luns(node: Any) -> dict[str, set[str]]:
    """WWID -> LUNs on a node."""
    found: dict[str, set[str]] = {}
    for path in node.paths:
        found.setdefault(path.wwid, set()).add(path.hctl.rpartition(":")[2])
    return found


def leave_device(flex: Any, node: Any, array: Any, place: Path, pv: str = "pvc-1") -> None:
    """Mount a volume and lose mount, record and connection, so that only a stale device is left: LUN 1 is free again."""
    flex("mount", place, block(pv))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flex.detach.let_go", lambda *args, **options: None)
        flex("unmount", place)
    for record in Path(f"{node.root}/var/lib/pure-flex/mounts").glob("*.json"):
        record.unlink()
    disconnect(node, array, f"k8s-{pv}")


def test_a_lun_that_is_reused_at_once_gets_the_right_volume(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """The array gives a number out again as soon as it is free."""
    flex("mount", pod / "pvc-1", block())
    node.write(f"{pod}/pvc-1/hello", "one")
    flex("unmount", pod / "pvc-1")
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert luns(node) == {wwid(array, "k8s-pvc-2"): {"1"}}
    flex("mount", pod / "pvc-1", block())
    assert node.read(f"{pod}/pvc-1/hello") == "one"


def test_a_stale_device_that_nobody_uses_is_removed(flex: Any, node: Any, array: Any, pod: Path) -> None:
    leave_device(flex, node, array, pod / "pvc-1")
    assert luns(node) == {wwid(array): {"1"}} and len(node.maps) == 1
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert luns(node) == {wwid(array, "k8s-pvc-2"): {"1"}}
    check_mounted(node, array, pod / "pvc-2", "k8s-pvc-2")
    assert [made.wwid for made in node.maps] == [wwid(array, "k8s-pvc-2")]


def test_a_stale_device_in_use_is_left_and_its_lun_avoided(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """What its user still writes would land on the volume that comes to that LUN."""
    flex("mount", pod / "pvc-1", block())
    disconnect(node, array)
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert array.connections("k8s-pvc-2") == {host_of(array, node): 2}
    assert luns(node) == {wwid(array): {"1"}, wwid(array, "k8s-pvc-2"): {"2"}}
    check_mounted(node, array, pod / "pvc-2", "k8s-pvc-2")
    assert len(node.mounts) == 2


def test_a_volume_that_is_connected_at_the_lun_of_a_device_in_use_is_moved(flex: Any, node: Any, array: Any,
                                                                           pod: Path) -> None:
    flex("mount", pod / "pvc-1", block())
    disconnect(node, array)
    array.connect(host_of(array, node), "k8s-pvc-2", 1)
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert array.connections("k8s-pvc-2") == {host_of(array, node): 2}
    check_mounted(node, array, pod / "pvc-2", "k8s-pvc-2")
    assert luns(node)[wwid(array)] == {"1"}


def test_a_device_in_use_that_somebody_opened_is_left_too(flex: Any, node: Any, array: Any, pod: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """A program, a volume group: what sysfs does not tell, an exclusive open does."""
    leave_device(flex, node, array, pod / "pvc-1")
    monkeypatch.setattr("flex.node.blockdev.is_open", lambda paths, device: True)
    assert flex("mount", pod / "pvc-2", block("pvc-2")) == SUCCESS
    assert luns(node) == {wwid(array): {"1"}, wwid(array, "k8s-pvc-2"): {"2"}}


def test_a_volume_that_comes_back_at_another_lun_leaves_no_path_at_the_old_one(flex: Any, node: Any, array: Any,
                                                                               pod: Path) -> None:
    """The old LUN may be another volume by now, and the map would write to it."""
    leave_device(flex, node, array, pod / "pvc-1")
    array.connect(host_of(array, node), "k8s-pvc-2", 1)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    assert luns(node) == {wwid(array): {str(array.connections("k8s-pvc-1")[host_of(array, node)])}}
    assert luns(node)[wwid(array)] != {"1"}
    check_mounted(node, array, pod / "pvc-1")


def test_luns_of_another_array_are_never_stale(flex: Any, node: Any, array: Any, sim: Any, pod: Path) -> None:
    """Each array counts its own."""
    other = sim.add_flash_array("fa2")
    other.add_volume("k8s-pvc-8", GiB)
    flex("mount", pod / "pvc-8", block("pvc-8"))
    node.write(f"{pod}/pvc-8/hello", "eight")
    flex("mount", pod / "pvc-1", block())
    assert luns(node) == {wwid(other, "k8s-pvc-8"): {"1"}, wwid(array): {"1"}}
    flex("unmount", pod / "pvc-1")
    assert node.read(f"{pod}/pvc-8/hello") == "eight"


def test_a_boot_lun_of_the_same_array_is_never_touched(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """design.md 3.5, rule 2: the node boots from a volume of this very array, on the sessions we use."""
    array.add_volume("boot-node1", 8 * GiB)
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "boot-node1", 1)
    flex("mount", pod / "boot", block("boot", volume="boot-node1"))         # brings its device in, and is refused
    from flex import device
    from flex.node import iscsi
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", node.environment()["PATH"])
        paths = Paths(str(node.root))
        array.connect("node1", "boot-node1", 1) if "node1" not in array.connections("boot-node1") else None
        up = iscsi.log_in(paths, array.iqn, array.portals, 20)
        device.find_paths(paths, [session.nexus for session in up], 1, wwid(array, "boot-node1"), Deadline(20))
    boot = {path.hctl for path in node.paths if path.wwid == wwid(array, "boot-node1")}
    for pv in ("pvc-1", "pvc-2"):
        assert flex("mount", pod / pv, block(pv)) == SUCCESS
    for pv in ("pvc-1", "pvc-2"):
        assert flex("unmount", pod / pv) == SUCCESS
    assert {path.hctl for path in node.paths} == boot and len(boot) == 2
    assert list(array.connections("boot-node1").values()) == [1]


@pytest.mark.parametrize("mounted, content", [(True, ""), (False, "partition"), (False, "lvm"), (False, "raw"),
                                              (False, "blank")],
                         ids=["mounted", "partition", "lvm", "raw", "blank"])
def test_other_peoples_flasharray_luns_are_never_touched(flex: Any, node: Any, array: Any, pod: Path, mounted: bool,
                                                         content: str) -> None:
    """They are on the node through everything: same vendor, same LUN number, same multipathd."""
    foreign = node.add_foreign_lun(mounted, lun=1, content=content)
    for pv in ("pvc-1", "pvc-2"):
        assert flex("mount", pod / pv, block(pv)) == SUCCESS
    for pv in ("pvc-2", "pvc-1"):
        assert flex("unmount", pod / pv) == SUCCESS
    check_given_back(node, array)
    assert foreign and node.touched() == []


def test_devices_are_deleted_by_wwid_and_only_just_verified(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """A path whose LUN became another volume since the map was made is not this volume's to delete."""
    flex("mount", pod / "pvc-1", block())
    flex("mount", pod / "pvc-2", block("pvc-2"))
    deleted = len(node.sysfs_writes)
    flex("unmount", pod / "pvc-1")
    ours = [write.path for write in node.sysfs_writes[deleted:] if write.path.endswith("/delete")]
    assert len(ours) == 2 and all(path.split("/")[-2].endswith(":1") for path in ours)
    check_mounted(node, array, pod / "pvc-2", "k8s-pvc-2")


def test_after_everything_no_tool_that_could_harm_others_was_run(flex: Any, node: Any, array: Any, pod: Path) -> None:
    for pv in ("pvc-1", "pvc-2"):
        flex("mount", pod / pv, block(pv))
        flex("unmount", pod / pv)
    check_given_back(node, array)
    assert ran(node, "multipath") == []
    assert not any({"--logout", "-R", "--rescan", "discovery"} & set(argv) for argv in ran(node, "iscsiadm"))
    assert all("- -" not in write.text for write in node.sysfs_writes)
