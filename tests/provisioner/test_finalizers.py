"""Our finalizer comes off a PV whatever else happens to that PV at the moment."""

from collections.abc import Callable
from typing import Any

from provisioner.finalizers import Finalizers
from provisioner.kube import PVS as PATH
from provisioner.kube import Kube, named
from provisioner.objects import Raw
from provisioner.wellknown import FINALIZER
from simulator.kubernetes.access import ADMIN
from tests.provisioner.access import access
from tests.provisioner.cluster import PVS, Cluster


class Racing(Kube):
    """Somebody does something to the PV just before our change arrives, once."""

    meanwhile: Callable[[], Any] | None = None

    def merge(self, path: str, body: Raw) -> Raw:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().merge(path, body)


def removed(cluster: Cluster, meanwhile: Callable[[], Any]) -> Raw | None:
    """What is left of a PV with our finalizer after `remove`, with that happening on the way."""
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume",
                        "metadata": {"name": "pv", "finalizers": ["example.com/other", FINALIZER]},
                        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                 "flexVolume": {"driver": "pure/flex"}}})
    kube = Racing(access(cluster.api, cluster.api.add_user("administrator", ADMIN)))
    pv, kube.meanwhile = kube.get(named(PATH, "pv")), meanwhile
    Finalizers(kube).remove(pv)
    return cluster.api.get(PVS, "pv")


def test_it_comes_off_a_pv_that_changes(cluster: Cluster) -> None:
    left = removed(cluster, lambda: cluster.api.patch(PVS, "pv", {"metadata": {"labels": {"changed": "yes"}}}))
    assert left and "example.com/other" in left["metadata"]["finalizers"] and FINALIZER not in left["metadata"]["finalizers"]


def test_a_pv_that_goes_is_as_good(cluster: Cluster) -> None:
    def meanwhile() -> None:
        cluster.api.patch(PVS, "pv", {"metadata": {"finalizers": None}})
        cluster.api.delete(PVS, "pv")
        cluster.api.patch(PVS, "pv", {"metadata": {"finalizers": None}}) if cluster.api.get(PVS, "pv") else None
    assert removed(cluster, meanwhile) is None
