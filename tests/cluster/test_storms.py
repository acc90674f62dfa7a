"""The provisioner when the API server is not itself: many objects, bursts, restarts, compaction, cut connections."""

import json
import subprocess
import time

import pytest

from tests.cluster import manifests, processes
from tests.cluster.namespaces import CONTROL, inside
from tests.cluster.world import Object, World

STRANGERS = 10_000
BURST = 1000
PAGE = 500


@pytest.mark.timeout(240, func_only=True)
def test_burst_of_claims(world: World, namespace: str) -> None:
    """AT-48: a thousand claims at once are all bound, each with one volume, with few requests and few threads; and go."""
    before = set(world.arrays.volumes())
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    world.audit.forget()
    began = time.monotonic()
    assert world.flood([{"method": "POST", "path": path, "body": manifests.claim(f"c{number}", namespace)}
                        for number in range(BURST)]) == {"201": BURST}
    node, pid = world.provisioner()
    processes.wait("a thousand PVs", lambda: len(set(world.arrays.volumes()) - before) >= BURST, 90)
    made = time.monotonic() - began
    threads = int(node.run("sh", "-c", f"ls /proc/{pid}/task | wc -l"))
    processes.wait("a thousand bound claims", lambda: phases(world, namespace).count("Bound") == BURST, 90)
    print(f"volumes after {made:.1f} s, bound after {time.monotonic() - began:.1f} s, {threads} threads")

    assert len(set(world.arrays.volumes()) - before) == BURST
    assert world.audit.count("create", "persistentvolumes") == BURST
    assert world.audit.count("get", "persistentvolumeclaims") <= 1.2 * BURST
    assert threads < 60

    world.cluster.kubectl("-n", namespace, "delete", "pvc", "--all", "--wait=false")
    processes.wait("all volumes destroyed", lambda: not (set(world.arrays.alive()) - before), 120)
    processes.wait("all PVs gone", lambda: not [pv for pv in world.cluster.get("pv")
                                                if pv["spec"].get("claimRef", {}).get("namespace") == namespace], 60)


def phases(world: World, namespace: str) -> list[str]:
    """Phases of all claims of a namespace."""
    return world.cluster.kubectl("-n", namespace, "get", "pvc", "-o", "jsonpath={.items[*].status.phase}").split()


def test_api_server_restart(world: World, namespace: str) -> None:
    """Claims made before and after a crash of the API server are served, each once."""
    claims = [f"c{number}" for number in range(20)]
    world.apply(*[manifests.claim(name, namespace) for name in claims[:10]])
    world.restart_api()
    world.apply(*[manifests.claim(name, namespace) for name in claims[10:]])
    names = {f"k8s-{world.bound(name, namespace, 60)['metadata']['name']}" for name in claims}
    assert names <= set(world.arrays.alive()) and len(names) == len(claims)


def test_compaction_while_away(world: World, namespace: str) -> None:
    """A provisioner that missed changes etcd has compacted meanwhile is told 410 Gone, lists again, and misses nothing."""
    world.apply(manifests.claim("old", namespace), manifests.claim("waits", namespace, storage_class="not-yet"))
    pv = world.bound("old", namespace)["metadata"]["name"]
    node, pid = world.provisioner()
    node.run("kill", "-STOP", pid)
    try:
        world.delete("pvc", "old", namespace)
        world.apply(manifests.claim("new", namespace))
        world.delete("pvc", "waits", namespace)
        world.gone("pvc", "old", namespace)
        processes.wait("the binder's order", lambda: "volume.kubernetes.io/storage-provisioner" in
                       world.get("pvc", "new", namespace)["metadata"].get("annotations", {}), 20)
        world.restart_api(lambda: compact(world))
    finally:
        node.run("kill", "-CONT", pid)
    world.bound("new", namespace, 60)
    world.gone("pv", pv, seconds=60)
    assert f"k8s-{pv}" not in world.arrays.alive()
    # Away for longer than its lease it starts anew, which lists everything too.
    assert "starts over" in world.product.provisioner_log() or world.provisioner() != (node, pid)


def compact(world: World) -> None:
    """Compact etcd to its newest revision, over its JSON gateway (the API server compacts every five minutes)."""
    revision = etcd("kv/range", {"key": "AA=="})["header"]["revision"]
    etcd("kv/compaction", {"revision": revision, "physical": True})


def etcd(what: str, body: Object) -> Object:
    """One request to etcd's JSON gateway."""
    done = subprocess.run([*inside(CONTROL), "curl", "-sf", "-d", json.dumps(body), f"http://127.0.0.1:2379/v3/{what}"],
                          capture_output=True, text=True, check=True, timeout=20)
    return dict(json.loads(done.stdout))


def test_node_without_network_for_a_while(world: World, namespace: str) -> None:
    """Watches that are cut in silence do not leave the provisioner blind."""
    node, _ = world.provisioner()
    subprocess.run([*inside(CONTROL, "ip"), "link", "set", node.name, "down"], check=True)
    try:
        world.apply(manifests.claim("data", namespace))
        time.sleep(3)               # the time it is away is what the test is about
    finally:
        subprocess.run([*inside(CONTROL, "ip"), "link", "set", node.name, "up"], check=True)
        subprocess.run([*inside(CONTROL, "ip"), "route", "replace", node.place.pods, "via", node.place.address], check=True)
    world.bound("data", namespace, 90)


def test_array_away_and_back(world: World, namespace: str) -> None:
    """AT-50: a claim deleted while its array does not answer keeps its PV, with an event; later it goes without help."""
    world.apply(manifests.claim("data", namespace, selector={"matchLabels": {"env": "prod"}}))
    pv = world.bound("data", namespace)["metadata"]["name"]
    world.arrays.break_it("fa1", status=500)
    try:
        world.delete("pvc", "data", namespace)
        processes.wait("an event on the PV", lambda: [event for event in world.events(pv, "default")
                                                      if event["reason"] == "VolumeFailedDelete"], 40)
        assert world.look("pv", pv) is not None
    finally:
        world.arrays.mend("fa1")
    world.gone("pv", pv, seconds=60)


@pytest.mark.timeout(400, func_only=True)
def test_ten_thousand_objects_are_listed_in_pages(world: World, namespace: str) -> None:
    """A provisioner that starts among 10,000 PVs of others reads them page by page, and serves claims as ever.

    The last test of the last file: the PVs go with the cluster, which takes a minute less than to delete them.
    """
    assert world.flood([{"method": "POST", "path": "/api/v1/persistentvolumes", "body": stranger(number)}
                        for number in range(STRANGERS)]) == {"201": STRANGERS}
    world.audit.forget()
    world.product.restart_provisioner()
    world.apply(manifests.claim("data", namespace))
    world.bound("data", namespace, 150)     # the binder has 10,000 PVs to write a phase to, in the order they came
    lists = [entry["requestURI"] for entry in world.audit.entries() if entry["verb"] == "list"
             and "/persistentvolumes?" in entry["requestURI"]]
    assert all(f"limit={PAGE}" in uri for uri in lists)
    assert sum("continue=" in uri for uri in lists) >= STRANGERS // PAGE - 1


def stranger(number: int) -> Object:
    """A PV of some other provisioner."""
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {
                "name": f"stranger-{number}", "annotations": {"pv.kubernetes.io/provisioned-by": "example.org/other"}},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "other",
                     "persistentVolumeReclaimPolicy": "Retain", "nfs": {"server": "192.0.2.99", "path": f"/{number}"}}}
