"""A volume on its way to CSI: its PV, claim and Deployment, made by hand; what a provisioner made looks the same."""

import time
from pathlib import Path
from typing import Any

from arrays import fleet as fleets
from provisioner import wellknown
from provisioner.kube import Kube
from provisioner.migration import steps
from provisioner.migration.record import Record
from provisioner.objects import Raw
from simulator.flasharray import FlashArray
from simulator.kubernetes.access import ADMIN
from tests.provisioner.access import access
from tests.provisioner.cluster import CLAIMS, Cluster

PV, VOLUME = "pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354", "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"
GiB = 2**30


class World:
    """One bound block volume `shop/data` that a Deployment of three uses, and what a migration of it needs."""

    def __init__(self, cluster: Cluster, array: FlashArray, folder: Path) -> None:
        self.cluster, self.api, self.array, self.path = cluster, cluster.api, array, folder / "record.json"
        self.access = access(cluster.api, cluster.api.add_user("administrator", ADMIN))
        self.kube = Kube(self.access)

    @property
    def fleet(self) -> fleets.Fleet:
        return fleets.load(str(self.cluster.pure_json))

    def make(self, **spec: Any) -> None:
        """The volume if it is not there, its PV and claim, bound to each other, and the Deployment."""
        if VOLUME not in self.array.volumes:
            self.array.add_volume(VOLUME, GiB)
        self.put("persistentvolumes", PV, {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
            "persistentVolumeReclaimPolicy": "Delete", "flexVolume": {"driver": "pure/flex", "options": {
                "backend": "block", "namespace": "k8s", "volume": VOLUME, "array": self.array.endpoint}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "data"},
            **spec}, finalizers=[wellknown.FINALIZER])
        self.put("persistentvolumeclaims", "data", {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "pure", "volumeName": PV,
            "resources": {"requests": {"storage": "1Gi"}}}, labels={"app": "shop"})
        self.cluster.until(lambda: self.claim["status"].get("phase") == "Bound", "claim bound")
        self.scale(3)

    @property
    def claim(self) -> Raw:
        found = self.api.get(CLAIMS, "data")
        assert found
        return found

    def put(self, kind: str, name: str, spec: Raw, **metadata: Any) -> None:
        kinds = {"persistentvolumes": "PersistentVolume", "persistentvolumeclaims": "PersistentVolumeClaim"}
        self.api.create({"apiVersion": "v1", "kind": kinds[kind], "metadata": {"name": name, **metadata}, "spec": spec})

    def scale(self, replicas: int) -> None:
        self.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": {
                "metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [
                    {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}}}})

    @property
    def replicas(self) -> int:
        found = self.api.get("deployments", "shop")
        assert found
        return int(found["spec"]["replicas"])

    def retained(self) -> Record:
        """A record of the volume, after `retain`."""
        record = Record.begin(self.path, "k8s")
        for one in steps.survey(self.kube, "k8s"):
            steps.retain(self.kube, self.fleet, record, one)
        return record

    def delete(self, record: Record) -> None:
        steps.delete(self.kube, self.fleet, record, PV, pause)


def pause(_: float) -> None:
    time.sleep(0.005)
