"""Which claims are served, which wait, and which are left to others (checklist 1-13, AT-36, AT-37)."""

from typing import Any

import pytest

from simulator.flasharray import FlashArray
from simulator.kubernetes import Binder
from tests.provisioner.cluster import CLAIMS, CLASSES, PVS, Cluster
from tests.provisioner.waiting import until


def test_others_claims_are_not_touched(cluster: Cluster) -> None:
    """Points 1, 3; AT-37: no array call, no event, not even for those without class."""
    cluster.storage_class("theirs")
    cluster.api.delete(CLASSES, "theirs")
    cluster.api.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "theirs"},
                        "provisioner": "pure-csi"})
    with cluster.provisioner():
        cluster.claim("csi", "theirs")
        cluster.claim("static", "")
        cluster.claim("none", None)
        cluster.claim()
        cluster.bound()
    assert list(cluster.live()) == [cluster.volume()]
    assert {event["involvedObject"]["name"] for event in cluster.api.events()
            if event["source"]["component"].startswith("pure-")} <= {"data"}


@pytest.mark.parametrize("wanted, text", [
    ({"volumeMode": "Block"}, "volumeMode Block"), ({"mode": "ReadWriteMany"}, "access mode ReadWriteMany"),
    ({"mode": "ReadWriteOncePod"}, "access mode ReadWriteOncePod"), ({"size": "8Pi"}, "largest is 4PiB")], ids=str)
def test_what_cannot_be_served_is_refused_once(cluster: Cluster, wanted: dict[str, Any], text: str) -> None:
    """Points 9, 11; AT-36: one Warning, no volume, no retry storm."""
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim(**wanted)
        cluster.event("ProvisioningFailed", "data", text)
        cluster.claim("other")
        cluster.bound("other")
    assert list(cluster.live()) == [cluster.volume("other")]
    assert cluster.event("ProvisioningFailed", "data")["count"] == 1


def test_a_read_only_claim_on_block_is_served(cluster: Cluster) -> None:
    """AT-36."""
    with cluster.provisioner():
        cluster.claim(mode="ReadOnlyMany")
        cluster.bound()
    assert cluster.options()["access"] == "ReadOnlyMany"


def test_a_source_that_is_not_ours_is_left_alone(cluster: Cluster) -> None:
    """Point 10: never an empty volume in a copy's place."""
    with cluster.provisioner():
        cluster.claim(dataSource={"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"})
        event = cluster.event("ProvisioningIgnored", "data")
    assert event["type"] == "Normal" and "VolumeSnapshot/s" in event["message"] and not cluster.live()


def test_a_missing_class_is_waited_for(cluster: Cluster) -> None:
    """Point 6: the binder ordered it, then the class vanished."""
    with cluster.provisioner(claim_workers=1):
        pass
    cluster.claim()
    cluster.ordered()
    cluster.api.delete(CLASSES, "pure")
    with cluster.provisioner(retry_longest=300.0, retry_first=300.0):
        cluster.event("ProvisioningFailed", "data", "StorageClass pure does not exist")
        cluster.storage_class()
        cluster.bound()


def test_a_class_that_was_corrected_is_used(cluster: Cluster) -> None:
    """1.6: a wrong parameter is final for the class; the one made anew under its name has another UID."""
    cluster.storage_class("slow", parameters={"iops_limit": "3"})
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim("data", "slow")
        cluster.event("ProvisioningFailed", "data", "StorageClass slow: IOPS limit '3'")
        cluster.api.delete(CLASSES, "slow")
        cluster.storage_class("slow", parameters={"iops_limit": "3000"})
        cluster.bound()


def test_wait_for_first_consumer(cluster: Cluster, binder_of: Any) -> None:
    """Point 7: nothing before the scheduler chose a node, then served."""
    cluster.storage_class("late", volumeBindingMode="WaitForFirstConsumer")
    with cluster.provisioner():
        cluster.claim("data", "late")
        cluster.claim("other")
        cluster.bound("other")
        assert list(cluster.live()) == [cluster.volume("other")]
        assert not [one for one in cluster.api.events("data") if one["source"]["component"].startswith("pure-")]
        binder_of(cluster).select_node("data", "node1")
        cluster.bound()


@pytest.fixture
def binder_of() -> Any:
    """The way to play the scheduler."""
    return lambda cluster: Binder(cluster.api)


def test_a_claim_under_deletion_is_not_begun(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 13."""
    cluster.claim()
    cluster.ordered()
    cluster.api.patch(CLAIMS, "data", {"metadata": {"finalizers": ["example.com/held"]}})
    cluster.delete_claim()
    with cluster.provisioner():
        cluster.claim("other")
        cluster.bound("other")
    assert list(fa1.volumes) == [cluster.volume("other")]


def test_a_bound_claim_is_not_served(cluster: Cluster) -> None:
    """Point 4, AT-37: bound by hand to a static PV while nobody ran."""
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
        "hostPath": {"path": "/tmp/data"}}})
    with cluster.provisioner():
        cluster.claim("taken")
        until(lambda: cluster.api.get(CLAIMS, "taken")["spec"].get("volumeName") == "by-hand", "bound by hand")
        cluster.claim("other", size="20Gi")
        cluster.bound("other")
    assert list(cluster.live()) == [cluster.volume("other")] and len(cluster.api.objects(PVS)) == 2
