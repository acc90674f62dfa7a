"""The driver under the real kubelet: moves, restarts, upgrades, dead nodes, growth."""

import time

import pytest

from tests.cluster import manifests, processes, product
from tests.cluster.world import Object, World

JOURNAL = "/data/journal"


def records(world: World, pod: Object) -> list[str]:
    """Lines of the journal that a pod has written, and those before it."""
    return world.run_in(pod["metadata"]["name"], pod["metadata"]["namespace"], f"cat {JOURNAL}").splitlines()


def moved(world: World, app: str, namespace: str, pod: Object, seconds: float = 60) -> Object:
    """Wait until a Deployment's pod is Ready on the other node."""
    return world.pod_of(app, namespace, world.other(pod["spec"]["nodeName"]), seconds)


def stamps(world: World, node: str, words: str) -> list[str]:
    """When the driver's log on a node says that."""
    return [line.split()[0] for line in world.storage[node].log if words in line]


@pytest.mark.parametrize("how", ["delete", "drain"])
def test_deployment_moves_to_the_other_node_with_its_data(world: World, namespace: str, how: str) -> None:
    """AT-54: nothing acknowledged is lost, and the new mount waits until the old node has let go."""
    world.apply(manifests.claim("data", namespace), manifests.deployment("app", namespace, ["data"]))
    pv = world.bound("data", namespace)["metadata"]["name"]
    old = world.pod_of("app", namespace)
    node = old["spec"]["nodeName"]
    processes.wait("ten records", lambda: len(records(world, old)) >= 10, 20)
    before = records(world, old)
    world.cluster.kubectl("cordon", node)
    try:
        if how == "drain":
            world.cluster.kubectl("drain", node, "--pod-selector=app=app", "--delete-emptydir-data", "--timeout=60s")
        else:
            world.delete("pod", old["metadata"]["name"], namespace)
        new = moved(world, "app", namespace, old)
    finally:
        world.cluster.kubectl("uncordon", node)
    after = records(world, new)
    assert after[:len(before)] == before
    assert f"end {old['metadata']['name']}" in after      # the old pod wrote to its last moment
    (unmounted,) = stamps(world, node, f"unmount ok pv={pv}") or stamps(world, node, "unmount ok")[-1:]
    (mounted,) = stamps(world, new["spec"]["nodeName"], f"mount ok pv={pv}")
    assert unmounted <= mounted
    assert list(world.arrays.volumes()[f"k8s-{pv}"]["connections"]) == [new["spec"]["nodeName"]]
    assert world.storage[node].problems() == []


def test_file_system_shared_by_pods_on_both_nodes(world: World, namespace: str) -> None:
    """AT-60: both nodes have the export; what one writes the other reads."""
    world.apply(manifests.claim("share", namespace, storage_class="pure-file", mode="ReadWriteMany"),
                *[manifests.pod(f"on-{node}", namespace, ["share"], node=node) for node in world.storage])
    for node in world.storage:
        world.running(f"on-{node}", namespace)
    world.run_in("on-node1", namespace, "echo hello > /data/greeting")
    assert world.run_in("on-node2", namespace, "cat /data/greeting").strip() == "hello"
    share = world.bound("share", namespace)["metadata"]["name"]
    (mount,) = [mount for mount in world.storage["node1"].mounts if mount.directory.endswith(share)]
    assert mount.fstype.startswith("nfs")


def test_growth_while_a_pod_uses_the_volume(world: World, namespace: str) -> None:
    """kubelet calls expandfs; the file system is larger, the claim's status says so, data stays."""
    world.apply(manifests.claim("data", namespace), manifests.pod("user", namespace, ["data"]))
    world.running("user", namespace)
    world.run_in("user", namespace, "echo kept > /data/file; sync")
    world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
    processes.wait("the claim's capacity", lambda: world.get("pvc", "data", namespace)["status"]["capacity"] == {
        "storage": "2Gi"}, 40)
    size = int(world.run_in("user", namespace, "df -Pk /data | tail -1").split()[1])
    assert size > 1.8 * 1024 * 1024
    assert world.run_in("user", namespace, "cat /data/file").strip() == "kept"


def test_growth_while_no_pod_uses_the_volume(world: World, namespace: str) -> None:
    """The next pod's mount finds a larger volume, and kubelet has its file system grown."""
    world.apply(manifests.claim("data", namespace), manifests.pod("first", namespace, ["data"]))
    world.running("first", namespace)
    world.delete("pod", "first", namespace)
    world.gone("pod", "first", namespace)
    world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
    world.apply(manifests.pod("second", namespace, ["data"]))
    world.running("second", namespace)
    processes.wait("the claim's capacity", lambda: world.get("pvc", "data", namespace)["status"]["capacity"] == {
        "storage": "2Gi"}, 40)
    assert int(world.run_in("second", namespace, "df -Pk /data | tail -1").split()[1]) > 1.8 * 1024 * 1024


def test_group_of_the_pod_owns_the_files(world: World, namespace: str) -> None:
    """fsGroup is kubelet's work; the driver lets it."""
    world.apply(manifests.claim("data", namespace),
                manifests.pod("user", namespace, ["data"], securityContext={"fsGroup": 2345, "runAsUser": 1234}))
    world.running("user", namespace)
    world.run_in("user", namespace, "touch /data/file")
    assert world.run_in("user", namespace, "stat -c %g /data/file").strip() == "2345"


def test_several_volumes_and_file_systems_in_a_pod(world: World, namespace: str) -> None:
    """Three volumes of one pod are mounted side by side: xfs, ext4, NFS."""
    world.apply(manifests.storage_class("ext", {"fstype": "ext4"}),
                manifests.claim("one", namespace), manifests.claim("two", namespace, storage_class="ext"),
                manifests.claim("three", namespace, storage_class="pure-file", mode="ReadWriteMany"),
                manifests.pod("user", namespace, ["one", "two", "three"]))
    try:
        pod = world.running("user", namespace)
        kinds = sorted(mount.fstype for mount in world.storage[pod["spec"]["nodeName"]].mounts
                       if pod["metadata"]["uid"] in mount.directory)
        assert kinds[:1] == ["ext4"] and kinds[-1:] == ["xfs"] and len(kinds) == 3
    finally:
        world.delete("storageclass", "ext")


def test_kubelet_restart_with_volumes_mounted(world: World, namespace: str) -> None:
    """The pod goes on, the volume is not mounted anew; a pod deleted while kubelet is away is cleaned up."""
    world.apply(*[manifests.claim(name, namespace) for name in ("stays", "goes")],
                *[manifests.pod(name, namespace, [name], manifests.WRITER, node="node1") for name in ("stays", "goes")])
    for name in ("stays", "goes"):
        world.running(name, namespace)
    storage = world.storage["node1"]
    node = storage.node
    pv = world.bound("stays", namespace)["metadata"]["name"]
    mounts = len(stamps(world, "node1", f"mount ok pv={pv}"))

    pid = node.pids("--hostname-override")[0]
    node.run("kill", "-STOP", pid)
    world.delete("pod", "goes", namespace, "--force", "--grace-period=0")
    world.gone("pod", "goes", namespace)
    node.run("kill", "-KILL", pid)
    gone = world.bound("goes", namespace)["metadata"]["name"]
    processes.wait("the other volume released", lambda: not world.arrays.volumes()[f"k8s-{gone}"]["connections"], 60)
    assert not [mount for mount in storage.mounts if mount.directory.endswith(gone)]
    before = len(world.run_in("stays", namespace, f"cat {JOURNAL}").splitlines())
    processes.wait("more records", lambda: len(world.run_in("stays", namespace, f"cat {JOURNAL}").splitlines()) > before, 20)
    assert len(stamps(world, "node1", f"mount ok pv={pv}")) == mounts
    assert storage.problems() == []


def test_drift_is_mended_while_pods_run(world: World, namespace: str) -> None:
    """AT-21: a lost executable and a spoilt configuration are back within the daemon's interval; kubelet uses them."""
    world.apply(manifests.claim("data", namespace), manifests.pod("user", namespace, ["data"], node="node1"))
    world.running("user", namespace)
    folder = world.storage["node1"].node.plugin_dir / "pure~flex"
    fleet = (folder / ".pure.json").read_bytes()
    (folder / "flex").unlink()
    (folder / ".pure.json").write_bytes(b"{}")
    processes.wait("the driver", lambda: (folder / "flex").exists() and (folder / ".pure.json").read_bytes() == fleet, 20)
    world.delete("pod", "user", namespace)
    world.gone("pod", "user", namespace)
    processes.wait("the volume released", lambda: not pod_mounts(world, "node1", namespace), 30)


def pod_mounts(world: World, node: str, namespace: str) -> list[str]:
    """Mounts on a node that belong to PVs of a namespace's claims."""
    names = {claim["spec"].get("volumeName") for claim in world.cluster.get("pvc", namespace)}
    return [mount.directory for mount in world.storage[node].mounts if mount.directory.rpartition("/")[2] in names]


def test_driver_upgrade_while_a_pod_writes(world: World, namespace: str) -> None:
    """AT-20: the next release replaces the driver under a running pod; the driver's file is there at every moment."""
    world.apply(manifests.claim("data", namespace),
                manifests.pod("user", namespace, ["data"], manifests.WRITER, node="node1"))
    world.running("user", namespace)
    node = world.storage["node1"].node
    driver = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/pure~flex/flex"
    watch = node.home / "watch"
    watch.write_text(f"#!/bin/sh\nwhile :; do [ -x {driver} ] || echo missing; sleep 0.005; done\n")
    watch.chmod(0o755)
    processes.start(world.cluster.work, "watch", [*node.enter(), str(watch)])
    try:
        world.product.install(product.NEXT_IMAGE)
        processes.wait("the next runtime", lambda: (node.plugin_dir / "pure~flex/.flex-rt-000000000001").exists(), 30)
        world.delete("pod", "user", namespace)
        world.gone("pod", "user", namespace)
        processes.wait("the volume released", lambda: not pod_mounts(world, "node1", namespace), 30)
        world.apply(manifests.pod("again", namespace, ["data"]))
        world.running("again", namespace)
    finally:
        processes.stop(world.cluster.work, "watch", kill=True)
        world.product.install()
    assert (world.cluster.work / "logs/watch.log").read_text() == ""


def test_volume_of_a_dead_node_moves_after_the_grace(world: World, namespace: str) -> None:
    """AT-53: power is cut under a writing pod; once it is declared dead the volume comes up on the other node."""
    world.apply(manifests.claim("data", namespace), manifests.deployment("app", namespace, ["data"]))
    pv = world.bound("data", namespace)["metadata"]["name"]
    old = world.pod_of("app", namespace)
    node = old["spec"]["nodeName"]
    processes.wait("ten records", lambda: len(records(world, old)) >= 10, 20)
    before = records(world, old)
    world.storage[node].pull_the_plug()
    try:
        world.cluster.kubectl("taint", "node", node, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")
        world.delete("pod", old["metadata"]["name"], namespace, "--force", "--grace-period=0")
        began = time.monotonic()
        new = moved(world, "app", namespace, old, 90)
        took = time.monotonic() - began
        after = records(world, new)
        assert after[:len(before)] == before
        assert list(world.arrays.volumes()[f"k8s-{pv}"]["connections"]) == [new["spec"]["nodeName"]]
        assert took > float(product.DAEMON["PURE_PREEMPT_RWO_GRACE"]) - 2
        told = [event["message"] for event in world.events(new["metadata"]["name"], namespace)
                if event["reason"] == "FailedMount" and "mount command failed" in event["message"]]
        assert all(node in message for message in told)     # the driver says for whom it waits
    finally:
        world.storage[node].node.boot()
        world.cluster.kubectl("taint", "node", node, "node.kubernetes.io/out-of-service-", check=False)
        processes.wait("all nodes Ready", world.cluster.all_ready, 60)
        world.product.wait()


def test_uninstall_and_reinstall(world: World, namespace: str) -> None:
    """AT-67, AT-68: where a volume is mounted the driver stays, or nobody could unmount it; reinstalled, old PVs mount."""
    world.apply(manifests.claim("data", namespace), manifests.pod("user", namespace, ["data"], node="node1"))
    world.running("user", namespace)
    folders = {name: storage.node.plugin_dir / "pure~flex" for name, storage in world.storage.items()}
    processes.wait("other tests' volumes released", lambda: not world.storage["node2"].mounts, 40)
    try:
        world.product.uninstall()
        assert {name for name, folder in folders.items() if folder.exists()} == {"node1"}
        assert world.run_in("user", namespace, "ls /data") == ""
        world.delete("pod", "user", namespace)
        world.gone("pod", "user", namespace)
        processes.wait("the volume released", lambda: not pod_mounts(world, "node1", namespace), 30)
    finally:
        world.product.install()
    world.apply(manifests.pod("again", namespace, ["data"]))
    world.running("again", namespace)
