"""A claim's life on real components: binder, scheduler, kubelet, our driver, iSCSI, multipath, xfs, NFS. In this order."""

import json
import time

import pytest

from tests.cluster import manifests, processes
from tests.cluster.world import Object
from tests.labcluster.scene import DAEMON, SLOW, Scene
from tests.labcluster.writer import JOURNAL, writer

NS = "story"
APP = "writer"


def test_daemonset_puts_the_driver_on_both_nodes(scene: Scene) -> None:
    """Our DaemonSet, from our image, has installed the bundle on stock kernels, and it answers there."""
    for node in scene.storage.values():
        said = json.loads(node.run(f"{node.plugin}/flex", "init").out)
        assert said["status"] == "Success" and said["capabilities"]["attach"] is False
    scene.cluster.kubectl("create", "namespace", NS)


def test_claim_becomes_xfs_on_two_paths(scene: Scene) -> None:
    """AT-28: claim, PV, binder, scheduler, kubelet, login on two portals, multipath, mkfs, mount; a container writes."""
    scene.apply(manifests.claim("data", NS), writer(APP, NS, "data"))
    pv = scene.bound("data", NS, SLOW)["metadata"]["name"]
    pod = scene.pod_of(APP, NS, seconds=SLOW)
    node = scene.storage[pod["spec"]["nodeName"]]
    told(scene, pod, 5)
    view = node.view(sessions=2, paths=2, maps=1, mounts=1)
    assert (len(view["sessions"]), len(view["paths"]), len(view["maps"])) == (2, 2, 1)
    assert len(view["maps"][0]["slaves"]) == 2
    assert [mount["fs"] for mount in view["mounts"] if mount["directory"].endswith(f"/pure~flex/{pv}")] == ["xfs"]
    assert scene.connections(scene.volume("data", NS)) == [node.name]


@pytest.mark.parametrize("how", ["delete", "drain"])
def test_writer_moves_to_the_other_node_and_nothing_acknowledged_is_lost(scene: Scene, how: str) -> None:
    """AT-54: kubelet mounts on the new node before it unmounts on the old one, where the writer goes on to its last word."""
    old = scene.pod_of(APP, NS, seconds=SLOW)
    name, node = old["metadata"]["name"], old["spec"]["nodeName"]
    told(scene, old, 5)
    scene.cluster.kubectl("cordon", node)
    try:
        if how == "drain":
            scene.cluster.kubectl("drain", node, f"--pod-selector=app={APP}", f"--timeout={SLOW:g}s", seconds=SLOW + 10)
        else:
            scene.delete("pod", name, NS)
        new = scene.pod_of(APP, NS, scene.other(node), SLOW)
    finally:
        scene.cluster.kubectl("uncordon", node)
    promised = scene.witness.records(name)
    assert f"{name} end" in promised, "the old writer did not come to its end"
    first = min(told(scene, new, 1).values())
    gap = first - promised[f"{name} end"]
    print(f"  {how}: {len(promised)} records by the old writer, {gap:.1f} s to the new one's first")
    assert max(promised.values()) < first
    assert_kept(scene, new)
    assert scene.connections(scene.volume("data", NS)) == [new["spec"]["nodeName"]]
    view = scene.storage[node].view(paths=0, maps=0, mounts=0)
    assert not view["paths"] and not view["maps"] and not view["mounts"]


def test_volume_grows_under_the_writer(scene: Scene) -> None:
    """Online: array, both paths, map, file system."""
    pod = scene.pod_of(APP, NS)
    scene.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, NS)
    processes.wait("the claim's capacity",
                   lambda: scene.get("pvc", "data", NS)["status"]["capacity"] == {"storage": "2Gi"}, SLOW)
    size = int(scene.run_in(pod["metadata"]["name"], NS, "df -Pk /data | tail -n 1").split()[1])
    assert size > 1.8 * 1024 * 1024
    view = scene.storage[pod["spec"]["nodeName"]].view()
    assert {each["size"] for each in [*view["paths"], *view["maps"]]} == {2 << 30}
    told(scene, pod, len(scene.witness.records(pod["metadata"]["name"])) + 1)
    assert_kept(scene, pod)


def test_snapshot_and_clone_under_the_writer(scene: Scene) -> None:
    """What was acknowledged before is in both copies, mounted beside the original on the same node."""
    pod = scene.pod_of(APP, NS)
    before = set(scene.witness.records())
    snapshot = scene.administrator("provisioner.snapshot", "create", "-n", NS, "data").strip()
    copy = manifests.claim("copy", NS, "2Gi")
    copy["metadata"]["annotations"] = {"snapshot.beta.purestorage.com/name": snapshot}
    source = {"kind": "PersistentVolumeClaim", "name": "data"}
    scene.apply(copy, manifests.claim("clone", NS, "2Gi", dataSource=source),
                manifests.pod("reader", NS, ["clone", "copy"], node=pod["spec"]["nodeName"]))
    scene.running("reader", NS, SLOW)
    for place in ("/data", "/data2"):
        assert before <= set(scene.run_in("reader", NS, f"cat {place}/journal").splitlines())
    scene.administrator("provisioner.snapshot", "delete", snapshot)
    assert_kept(scene, pod)
    release(scene, ["pod/reader"], ["clone", "copy"])


def test_file_system_is_shared_by_both_nodes(scene: Scene) -> None:
    """AT-60: one claim, a pod on each node, NFS."""
    scene.apply(manifests.claim("share", NS, storage_class="pure-file", mode="ReadWriteMany"))
    scene.bound("share", NS, SLOW)
    scene.arrays.flash_blade.export()
    scene.apply(*[manifests.pod(f"on-{node}", NS, ["share"], node=node) for node in scene.storage])
    for node in scene.storage:
        scene.running(f"on-{node}", NS, SLOW)
    for writing, reading in (("node1", "node2"), ("node2", "node1")):
        scene.run_in(f"on-{writing}", NS, f"echo from {writing} > /data/{writing}; sync")
        assert scene.run_in(f"on-{reading}", NS, f"cat /data/{writing}").strip() == f"from {writing}"
    release(scene, ["pod/on-node1", "pod/on-node2"], ["share"])


def test_volume_of_a_node_without_power_comes_up_on_the_other(scene: Scene) -> None:
    """AT-53: power is cut under the writer; after the grace the other node has the volume and all that was promised."""
    old = scene.pod_of(APP, NS)
    node = old["spec"]["nodeName"]
    told(scene, old, len(scene.witness.records(old["metadata"]["name"])) + 5)
    scene.storage[node].guest.cut()
    cut = time.time()
    scene.cluster.kubectl("taint", "node", node, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
    scene.delete("pod", old["metadata"]["name"], NS, "--force", "--grace-period=0")
    new = scene.pod_of(APP, NS, scene.other(node), SLOW)
    first = min(told(scene, new, 1).values())
    print(f"  power cut: {first - cut:.1f} s until the new writer's first record")
    assert first - cut > float(DAEMON["PURE_PREEMPT_RWO_GRACE"]) - 2
    assert_kept(scene, new)
    assert scene.connections(scene.volume("data", NS)) == [new["spec"]["nodeName"]]


def test_deleted_claim_leaves_nothing(scene: Scene) -> None:
    """No PV, no volume, no connection, nothing on the node."""
    volume = scene.volume("data", NS)
    node = scene.storage[scene.pod_of(APP, NS)["spec"]["nodeName"]]
    release(scene, [f"deployment/{APP}"], ["data"])
    found = scene.arrays.flash_array.ask("volumes").get(volume)
    assert found is None or found["destroyed"]
    assert scene.connections(volume) == []
    view = node.view(paths=0, maps=0, mounts=0)
    assert not view["paths"] and not view["maps"] and not view["mounts"]
    assert scene.audit.refused() == []


def release(scene: Scene, workloads: list[str], claims: list[str]) -> None:
    """Delete workloads and claims, and wait until the PVs behind them are gone."""
    volumes = [scene.get("pvc", claim, NS)["spec"]["volumeName"] for claim in claims]
    scene.cluster.kubectl("-n", NS, "delete", *workloads, *(f"pvc/{claim}" for claim in claims), "--wait=false")
    for volume in volumes:
        scene.gone("pv", volume, seconds=SLOW)


def told(scene: Scene, pod: Object, count: int, seconds: float = SLOW) -> dict[str, float]:
    """Wait until a pod has had so many records acknowledged."""
    name = pod["metadata"]["name"]
    processes.wait(f"{count} records of {name}", lambda: len(scene.witness.records(name)) >= count, seconds)
    return scene.witness.records(name)


def assert_kept(scene: Scene, pod: Object) -> None:
    """Every record that any writer ever had acknowledged is what this pod finds on the volume."""
    promised = scene.witness.records()
    held = set(scene.run_in(pod["metadata"]["name"], NS, f"cat {JOURNAL}").splitlines())
    lost = sorted(set(promised) - held, key=lambda record: promised[record])
    assert not lost, f"{len(lost)} of {len(promised)} acknowledged records are lost: {lost[:3]} … {lost[-3:]}"
    assert not [record for record in promised if "failed" in record], "a write failed under a living writer"
