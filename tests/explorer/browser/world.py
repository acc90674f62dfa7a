"""A cluster with some life in it and 2,000 claims, for a browser to look at: the explorer over real sockets.

The arrays are the simulator's. The 2,000 claims are written into the stand-in API server and the arrays directly, as a
provisioner would have left them; a few claims are served by the real provisioner, refused, moved, orphaned.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import waitress.server

from explorer.serve import Explorer
from simulator.flasharray import FlashArray
from tests.explorer.conftest import shared
from tests.provisioner.cluster import CLAIMS, Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.waiting import until

MANY = 2000
TEAMS = ("bank", "billing", "catalog", "mail", "search", "shop", "stock", "video")
GiB = 2**30


class World(NamedTuple):
    """What the tests need."""

    cluster: Cluster
    explorer: Explorer
    address: str                # "http://127.0.0.1:PORT"


@contextmanager
def world(directory: Path) -> Iterator[World]:
    """Everything, running; a minute of work goes by before."""
    with running(directory) as cluster:
        _arrays(cluster)
        _stories(cluster)
        _many(cluster)
        explorer = shared(cluster)
        server = waitress.server.create_server(explorer.application, host="127.0.0.1", port=0)
        threading.Thread(target=server.run, daemon=True).start()
        client = explorer.application.test_client()
        until(lambda: f"of {MANY + 3} claims" in client.get(
            "/claims", headers={"Authorization": f"Bearer {cluster.api.token}"}).text, "all claims on the page", 60)
        yield World(cluster, explorer, f"http://127.0.0.1:{server.effective_port}")
        server.close()
        explorer.stop()


def _arrays(cluster: Cluster) -> None:
    fa1, fa2 = cluster.sim.flash_array("fa1"), cluster.sim.flash_array("fa2")
    fa1.used, fa2.used = 31 * 2**40, 83 * 2**40
    for number, array in enumerate((fa1, fa2), 1):
        for node in range(1, 4):
            array.add_host(f"node{node}", iqns=[f"iqn.1993-08.org.debian:01:{number}{node}"])


def _stories(cluster: Cluster) -> None:
    """One claim with a whole life, one that no array takes, one that is asked for now."""
    with cluster.provisioner():
        cluster.claim("postgres", size="50Gi")
        cluster.bound("postgres")
        cluster.event("ProvisioningSucceeded")
        cluster.claim("archive", size="4000Ti")
        cluster.event("ProvisioningFailed", "archive")
    cluster.claim("waiting")
    array = cluster.sim.flash_array("fa1")
    volume = cluster.volume("postgres")
    array.connect("node2", volume)
    cluster.api.create(_pod("default", "postgres-0", "postgres", "node2"))
    cluster.api.patch("pods", "postgres-0", {"status": {"phase": "Running", "startTime": _now()}}, status=True)
    _event(cluster, "Pod", "default", "postgres-0", "Warning", "FailedMount",
           f"volume {volume} is still connected to host node1, 12 s after this node first asked for it")
    array.add_volume("k8s-pvc-11111111-2222-3333-4444-555555555555", 20 * GiB)
    array.add_volume("k8s-pvc-66666666-7777-8888-9999-000000000000", 5 * GiB)


def _many(cluster: Cluster) -> None:
    arrays = [cluster.sim.flash_array("fa1"), cluster.sim.flash_array("fa2")]
    for team in TEAMS:
        cluster.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}})
    for number in range(MANY):
        _one(cluster, number, TEAMS[number % len(TEAMS)], arrays[number % 2])


def _one(cluster: Cluster, number: int, team: str, array: FlashArray) -> None:
    """A bound claim with its PV, volume and event; every second one with a pod."""
    uid, name, size = f"{number:08x}-aaaa-4000-8000-000000000000", f"data-{number:04}", 1 + number % 200
    pv, volume = f"pvc-{uid}", f"k8s-pvc-{uid}"
    claim = cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "annotations": {
            "volume.kubernetes.io/storage-provisioner": "pure-provisioner"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure", "volumeName": pv,
                 "resources": {"requests": {"storage": f"{size}Gi"}}}}, team)
    cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": pv, "annotations": {
            "pv.kubernetes.io/provisioned-by": "pure-provisioner", "pv.kubernetes.io/bound-by-controller": "yes"}},
        "spec": {"capacity": {"storage": f"{size}Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                 "persistentVolumeReclaimPolicy": "Delete",
                 "claimRef": {"namespace": team, "name": name, "uid": claim["metadata"]["uid"], "kind":
                              "PersistentVolumeClaim", "apiVersion": "v1"},
                 "flexVolume": {"driver": "pure/flex", "options": {"backend": "block", "namespace": "k8s", "volume": volume,
                                                                   "array": array.endpoint}}}})
    cluster.api.patch(CLAIMS, name, {"status": {"phase": "Bound", "capacity": {"storage": f"{size}Gi"}}}, team, status=True)
    array.add_volume(volume, size * GiB)
    if number % 2:
        node = f"node{number % 3 + 1}"
        cluster.api.create(_pod(team, f"web-{number}", name, node), team)
        cluster.api.patch("pods", f"web-{number}", {"status": {"phase": "Running"}}, team, status=True)
        array.connect(node, volume)
    _event(cluster, "PersistentVolumeClaim", team, name, "Normal", "ProvisioningSucceeded",
           f"Successfully provisioned volume {pv}")


def _pod(namespace: str, name: str, claim: str, node: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "nodeName": node, "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}}


def _event(cluster: Cluster, kind: str, namespace: str, name: str, level: str, reason: str, message: str) -> None:
    cluster.api.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.{reason}".lower()},
                        "involvedObject": {"kind": kind, "namespace": namespace, "name": name}, "type": level,
                        "reason": reason, "message": message, "count": 1, "firstTimestamp": _now(), "lastTimestamp": _now(),
                        "source": {"component": "pure-provisioner"}}, namespace)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
