"""The attach family behind PURE_FLEX_ATTACH=true: run by kubelet itself, or by a controller manager on another machine."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flex import attachment, state
from flex.paths import Paths
from flex.wait import wait_for
from tests.flex.blocks import GiB, block, check_given_back, check_mounted, failure, host_of, ran, wwid
from tests.flex.driver import SUCCESS, Driver, options


@pytest.fixture(autouse=True)
def volume(array: Any, blade: Any) -> None:
    """A volume of either kind."""
    array.add_volume("k8s-pvc-1", GiB)
    blade.add_file_system("k8s-pvc-5", GiB)


@pytest.fixture
def attach(flex: Driver) -> Driver:
    """The driver on node1."""
    flex.environment["PURE_FLEX_ATTACH"] = "true"
    return flex


@pytest.fixture
def elsewhere(flex2: Driver) -> Driver:
    """The driver on node2, also the machine of the controller manager where a test says so."""
    flex2.environment["PURE_FLEX_ATTACH"] = "true"
    return flex2


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """kubelet's global directory of pvc-1."""
    folder = tmp_path / "kubelet/plugins/kubernetes.io/flexvolume/pure/flex/mounts/pvc-1"
    folder.mkdir(parents=True)
    return folder


def file(blade: Any) -> dict[str, str]:
    return options("pvc-5", backend="file", volume="k8s-pvc-5", nfs=f"{blade.nfs_endpoint}:/k8s-pvc-5",
                   access="ReadWriteMany")


def test_the_whole_family_by_kubelet_itself(attach: Driver, node: Any, array: Any, pod: Path, staging: Path) -> None:
    """--enable-controller-attach-detach=false: each call on the node, in the order of kubelet (points 55, 56, 58)."""
    device = f"/dev/mapper/{wwid(array)}"
    assert attach("getvolumename", block())["status"] == "Not supported"
    for _ in range(2):
        assert attach("attach", block(), "node1") == {**SUCCESS, "device": device}
    assert array.connections("k8s-pvc-1").keys() == {host_of(array, node)}
    assert attach("isattached", block(), "node1") == {**SUCCESS, "attached": True}
    assert attach("waitforattach", device, block()) == {**SUCCESS, "device": device}
    for _ in range(2):
        assert attach("mountdevice", staging, device, block()) == SUCCESS
    check_mounted(node, array, staging)
    for _ in range(2):
        assert attach("mount", pod / "pvc-1", block()) == SUCCESS
    assert [mount.directory for mount in node.mounts] == [str(staging), str(pod / "pvc-1")]
    node.write(f"{pod}/pvc-1/hello", "world")
    for _ in range(2):
        assert attach("unmount", pod / "pvc-1") == SUCCESS
    check_mounted(node, array, staging)
    assert node.read(f"{staging}/hello") == "world"
    for _ in range(2):
        assert attach("unmountdevice", staging) == SUCCESS
    for _ in range(2):
        assert attach("detach", "pvc-1", "node1") == SUCCESS
    check_given_back(node, array)
    assert attach("isattached", block(), "node1") == {**SUCCESS, "attached": False}


def test_a_host_object_with_more_initiators_is_no_hindrance(attach: Driver, node: Any, array: Any, staging: Path) -> None:
    """What `attach` connected is this node's, though nothing is written down: a second adapter is in the host."""
    array.add_host("node1", iqns=[node.iqn, "iqn.2000-01.com.example:second-adapter"])
    assert attach("attach", block(), "node1")["status"] == "Success"
    assert attach("mountdevice", staging, f"/dev/mapper/{wwid(array)}", block()) == SUCCESS


def test_a_controller_manager_orders_the_nodes_and_mountdevice_connects(attach: Driver, elsewhere: Driver, node: Any,
                                                                        array: Any, staging: Path) -> None:
    """It cannot know a node's initiators, and must not make or choose a host by its name."""
    assert elsewhere("attach", block(), "node1")["device"] == f"/dev/mapper/{wwid(array)}"
    assert array.connections("k8s-pvc-1") == {} and array.hosts == {}
    assert attach("mountdevice", staging, "", block()) == SUCCESS
    check_mounted(node, array, staging)
    assert elsewhere("isattached", block(), "node1")["attached"] is True
    assert attach("unmountdevice", staging) == SUCCESS
    assert elsewhere("isattached", block(), "node1")["attached"] is False
    assert elsewhere("detach", "pvc-1", "node1") == SUCCESS


def test_a_host_of_another_cluster_with_the_nodes_name_is_left_alone(attach: Driver, elsewhere: Driver, array: Any,
                                                                     staging: Path) -> None:
    array.add_host("node1", iqns=["iqn.2000-01.com.example:foreign"])
    array.add_volume("other-pvc-7", GiB)
    array.connect("node1", "other-pvc-7")
    assert elsewhere("attach", block(), "node1")["status"] == "Success"
    assert elsewhere("detach", "pvc-1", "node1") == SUCCESS
    assert (array.connections("k8s-pvc-1"), list(array.connections("other-pvc-7"))) == ({}, ["node1"])
    assert attach("mountdevice", staging, "", block()) == SUCCESS
    assert "node1" not in array.connections("k8s-pvc-1")


def test_detach_of_a_dead_node_disconnects_it(attach: Driver, elsewhere: Driver, node: Any, node2: Any, array: Any,
                                              staging: Path, tmp_path: Path) -> None:
    attach("mountdevice", staging, "", block())
    node.power_off()
    assert elsewhere("detach", "pvc-1", "node1") == SUCCESS
    assert array.connections("k8s-pvc-1") == {}
    assert elsewhere("attach", block(), "node2")["status"] == "Success"
    assert array.connections("k8s-pvc-1").keys() == {host_of(array, node2)}


def test_attach_waits_for_the_other_host(attach: Driver, elsewhere: Driver, node: Any, node2: Any, array: Any,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rule as in the portable profile: nobody who may be writing is cut off."""
    from flex import preempt
    monkeypatch.setattr(preempt, "PATIENCE", 0.3)
    attach("attach", block(), "node1")
    assert host_of(array, node) in failure(elsewhere("attach", block(), "node2"))
    assert array.connections("k8s-pvc-1").keys() == {host_of(array, node)}
    attach("detach", "pvc-1", "node1")
    assert elsewhere("attach", block(), "node2")["status"] == "Success"


@pytest.mark.parametrize("first", ["attach", "mountdevice"])
def test_of_two_nodes_that_attach_at_once_the_later_goes(attach: Driver, elsewhere: Driver, node: Any, array: Any,
                                                         staging: Path, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Both saw a volume that nobody had. The first may be writing by the time when the second connects."""
    calls = [("attach", block(), "node1"), ("mountdevice", staging, "", block())][:1 if first == "attach" else 2]

    def meanwhile(step: str) -> None:
        if step == "logged in":
            patch.undo()
            assert [attach(*call)["status"] for call in calls] == ["Success"] * len(calls)
    with monkeypatch.context() as patch:
        patch.setattr("flex.node.command.at_step", meanwhile)
        assert "just when" in failure(elsewhere("attach", block(), "node2"))
    assert array.connections("k8s-pvc-1").keys() == {host_of(array, node)}
    assert attach("mountdevice", staging, "", block()) == SUCCESS
    check_mounted(node, array, staging)


def test_attach_gives_no_lun_at_which_a_lost_volumes_device_is_in_use(attach: Driver, node: Any, array: Any,
                                                                      staging: Path) -> None:
    """Another node has taken pvc-1 away, and what is still cached of it here would be written to whatever comes there."""
    array.add_volume("k8s-pvc-2", GiB)
    attach("mountdevice", staging, "", block())
    lun = array.connections("k8s-pvc-1")[host_of(array, node)]
    array.disconnect(host_of(array, node), "k8s-pvc-1")
    assert attach("attach", block("pvc-2"), "node1")["status"] == "Success"
    assert array.connections("k8s-pvc-2")[host_of(array, node)] != lun


def test_attach_does_not_bring_a_volume_back_to_its_old_mount(attach: Driver, elsewhere: Driver, node: Any, node2: Any,
                                                              array: Any, staging: Path, pod: Path) -> None:
    """Another node has written to it since: what is cached here is out of date."""
    attach("mountdevice", staging, "", block())
    elsewhere.environment["PURE_PREEMPT_RWO_GRACE"] = "0"
    assert elsewhere("mountdevice", staging, "", block()) == SUCCESS
    assert elsewhere("unmountdevice", staging) == SUCCESS
    assert "out of date" in failure(attach("attach", block(), "node1"))
    assert array.connections("k8s-pvc-1") == {}


def test_a_global_mount_whose_volume_was_taken_away_is_no_success(attach: Driver, elsewhere: Driver, node: Any, node2: Any,
                                                                  array: Any, staging: Path) -> None:
    """The next pod would get a dead device, or one with old data as soon as the volume comes back."""
    attach("mountdevice", staging, "", block())
    elsewhere.environment["PURE_PREEMPT_RWO_GRACE"] = "0"
    assert elsewhere("mountdevice", staging, "", block()) == SUCCESS
    node.refresh()
    assert "out of date" in failure(attach("mountdevice", staging, "", block()))


def test_isattached_takes_both_orders(attach: Driver, array: Any) -> None:
    """1.6 began with the node first (point 26)."""
    attach("attach", block(), "node1")
    for words in ([block(), "node1"], ["node1", block()]):
        assert attach("isattached", *words) == {**SUCCESS, "attached": True}


def test_isattached_of_an_unknown_node_says_detached_only_when_nobody_has_it(attach: Driver, array: Any) -> None:
    assert attach("isattached", block(), "worker9")["attached"] is False
    attach("attach", block(), "node1")
    assert attach("isattached", block(), "worker9")["attached"] is True


@pytest.mark.parametrize("name", ["pvc-1", "device"])
def test_detach_takes_a_pv_name_and_a_device(attach: Driver, node: Any, array: Any, staging: Path, name: str) -> None:
    """Point 27. A device is known by the records of this node."""
    attach("mountdevice", staging, "", block())
    record = state.load(Paths(str(node.root)), str(staging))
    assert record is not None
    node.reboot()
    assert attach("detach", name if name != "device" else f"/dev/mapper/{record.wwid}", "node1") == SUCCESS
    assert array.connections("k8s-pvc-1") == {}


@pytest.mark.parametrize("name", ["pvc-9", "inline", "/dev/dm-7", "/dev/mapper/3624a9370" + 24 * "0", "a b", ""])
def test_detach_of_what_nobody_knows_is_success(attach: Driver, array: Any, name: str) -> None:
    """Point 56."""
    assert attach("detach", name, "node1") == SUCCESS


def test_detach_during_a_mount_leaves_the_volume(attach: Driver, node: Any, array: Any, staging: Path) -> None:
    """kubernetes#71145: it came while the volume was being mounted."""
    attach("mountdevice", staging, "", block())
    assert attach("detach", "pvc-1", "node1") == SUCCESS
    check_mounted(node, array, staging)


def test_detach_leaves_a_mounted_volume_that_one_reading_of_the_table_lacks(
        attach: Driver, node: Any, array: Any, staging: Path, hidden: Callable[..., None]) -> None:
    """Before Linux 5.8 that happens while others unmount; what is cached would have been lost."""
    attach("mountdevice", staging, "", block())
    hidden(str(staging))
    assert attach("detach", "pvc-1", "node1") == SUCCESS
    check_mounted(node, array, staging)


def test_detach_is_no_success_while_its_array_is_away(attach: Driver, sim: Any, array: Any, blade: Any) -> None:
    attach("attach", block(), "node1")
    sim.unplug(array)
    assert array.endpoint in failure(attach("detach", "pvc-1", "node1"))


@pytest.mark.parametrize("mounted", [False, True], ids=["elsewhere", "by its record"])
def test_detach_is_no_success_while_its_array_is_left_out_for_a_slip(attach: Driver, sim: Any, array: Any, staging: Path,
                                                                     monkeypatch: pytest.MonkeyPatch, mounted: bool) -> None:
    sim.add_flash_array("fa2")
    attach(*(("mountdevice", staging, "", block()) if mounted else ("attach", block(), "node1")))
    slip = json.loads(json.dumps(sim.pure_json()))
    del slip["FlashArrays"][0]["APIToken"]
    with monkeypatch.context() as patch:
        patch.setattr(sim, "pure_json", lambda: slip)
        patch.setattr(sim, "write_pure_json", lambda file: file.write_text(json.dumps(slip)))
        assert "add APIToken" in failure(attach("detach", "pvc-1", "node1"))
    assert array.connections("k8s-pvc-1")


def test_a_file_volume_needs_no_array(attach: Driver, node: Any, array: Any, blade: Any, pod: Path, staging: Path) -> None:
    """AT-60."""
    export = f"{blade.nfs_endpoint}:/k8s-pvc-5"
    place = staging.with_name("pvc-5")
    assert attach("attach", file(blade), "node1") == {**SUCCESS, "device": export}
    assert attach("waitforattach", export, file(blade)) == {**SUCCESS, "device": export}
    assert attach("isattached", file(blade), "node1") == {**SUCCESS, "attached": True}
    assert attach("mountdevice", place, export, file(blade)) == SUCCESS
    assert attach("mount", pod / "pvc-5", file(blade)) == SUCCESS
    assert [mount.source for mount in node.mounts] == [export] * 2
    assert attach("unmount", pod / "pvc-5") == SUCCESS
    assert attach("unmountdevice", place) == SUCCESS
    assert (node.mounts, array.requests, blade.requests) == ([], [], [])
    assert attach("detach", "pvc-5", "node1") == SUCCESS


def test_a_pod_without_mountdevice_gets_no_empty_directory(attach: Driver, node: Any, array: Any, pod: Path) -> None:
    """What kubelet's own bind would show the pod is the node's root disk."""
    assert "is not mounted at" in failure(attach("mount", pod / "pvc-1", block()))
    assert node.mounts == [] and not (pod / "pvc-1").exists()


def test_another_volume_at_the_pods_directory_is_left_alone(attach: Driver, node: Any, array: Any, pod: Path,
                                                            staging: Path) -> None:
    array.add_volume("k8s-pvc-2", GiB)
    other = staging.with_name("pvc-2")
    attach("mountdevice", staging, "", block())
    attach("mountdevice", other, "", block("pvc-2"))
    attach("mount", pod / "pvc-2", block("pvc-2"))
    before = node.mounts
    failure(attach("mount", pod / "pvc-2", block()))
    assert node.mounts == before


def test_a_pods_mount_that_meets_its_unmount_under_way_mounts_again(attach: Driver, node: Any, array: Any, pod: Path,
                                                                    staging: Path) -> None:
    """kubelet was restarted in the middle of it; what is still mounted goes, and the pod would write to the node's disk."""
    attach("mountdevice", staging, "", block())
    attach("mount", pod / "pvc-1", block())
    node.faults.slow = {"umount": 0.7}
    call = attach.start("unmount", pod / "pvc-1", PURE_DISCOVERY_CONF=str(attach.executable.with_name(".pure.json")))
    wait_for(lambda: ran(node, "umount"), "umount", 20)
    assert attach("mount", pod / "pvc-1", block()) == SUCCESS
    assert attach.finish(call) == SUCCESS
    assert [mount.directory for mount in node.mounts] == [str(staging), str(pod / "pvc-1")]


def test_a_bind_that_fails_leaves_nothing(attach: Driver, node: Any, array: Any, pod: Path, staging: Path) -> None:
    attach("mountdevice", staging, "", block())
    node.faults.fail["mount"] = 0
    assert "to be shown at" in failure(attach("mount", pod / "pvc-1", block()))
    assert not (pod / "pvc-1").exists()
    assert [record.mount_dir for record in state.records(Paths(str(node.root)))] == [str(staging)]


def test_init_says_so(attach: Driver, bare: Driver) -> None:
    assert attach("init")["capabilities"]["attach"] is True
    assert bare("init")["capabilities"]["attach"] is False


@pytest.mark.parametrize("pods, staged", [
    ("/var/lib/kubelet/pods/u/volumes/pure~flex/pvc-1",
     "/var/lib/kubelet/plugins/kubernetes.io/flexvolume/pure/flex/mounts/pvc-1"),
    ("/mnt/pods/pods/u/volumes/pure~flex/data", "/mnt/pods/plugins/kubernetes.io/flexvolume/pure/flex/mounts/data")])
def test_where_the_global_directory_is(pods: str, staged: str) -> None:
    assert attachment.global_directory(pods) == staged


@pytest.mark.host
def test_a_bind_is_read_only_when_the_pod_is(tmp_path: Path) -> None:
    """On this machine's own kernel: the pod cannot write, the others can."""
    assert os.geteuid() == 0, "needs root"
    from flex.machine import Node
    from flex.node import mounts
    from flex.request import MountRequest
    from flex.settings import Settings
    pod = tmp_path / "pods/u/volumes/pure~flex/pvc-1"
    staged = Path(attachment.global_directory(str(pod)))
    staged.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").symlink_to("/proc/self/mountinfo")
    node = Node(Paths(str(tmp_path)), Settings({}))
    mounts.mount("pvc-1", str(staged), "tmpfs", [], timeout=10)
    try:
        state.save(node.paths, state.Record(str(staged), backend="file", pv="pvc-1", volume="k8s-pvc-1"))
        wanted = MountRequest(str(pod), "pvc-1", "k8s-pvc-1", "file", read_only=True)
        for _ in range(2):
            attachment.mount(wanted, node)
        assert len(mounts.at(node.paths, str(pod))) == 1
        with pytest.raises(OSError):
            (pod / "file").write_text("x")
        (staged / "file").write_text("x")
        assert (pod / "file").read_text() == "x"
    finally:
        while mounts.at(node.paths, str(pod)):
            mounts.umount(str(pod), 10)
        mounts.umount(str(staged), 10)


@pytest.mark.parametrize("text", ['{"PURE_FLEX_ATTACH": "tr', '{"PURE_FLEX_ATTACH": "ture"}'])
def test_a_slip_in_the_settings_is_no_lack_of_support(bare: Driver, text: str) -> None:
    """kubelet and kube-controller-manager would remember that for the call, long after the slip is mended."""
    bare.executable.with_name(".settings.json").write_text(text)
    assert failure(bare("attach", block(), "node1"))
    assert bare("unmountdevice", "/plugins/kubernetes.io/flexvolume/pure/flex/mounts/pvc-1") == SUCCESS
