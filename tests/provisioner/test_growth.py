"""Growing (checklist 45, 46; AT-87, 1.11)."""

import pytest

from provisioner.growth import wanted
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.given import claim_record
from tests.provisioner.waiting import until


@pytest.mark.parametrize("requested, capacity, bound, size", [
    ("10Gi", "10Gi", True, 0), ("20Gi", "10Gi", True, 20 * 2**30), ("5Gi", "10Gi", True, 0),
    ("10240Mi", "10Gi", True, 0), ("20Gi", "", True, 0), ("20Gi", "10Gi", False, 0)])
def test_who_wants_to_grow(requested: str, capacity: str, bound: bool, size: int) -> None:
    assert wanted(claim_record(requested=requested, capacity=capacity, volume_name="pv" if bound else "")) == size


def grow(cluster: Cluster, size: str) -> None:
    cluster.api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": size}}}})


def test_a_larger_request_grows_the_volume_and_writes_nothing_else(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 45: nobody in the control plane asks the array but us; kubelet finishes claim and PV."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        grow(cluster, "15Gi")
        until(lambda: fa1.volume(cluster.volume()).size == 15 * 2**30, "grown")
        cluster.event("VolumeResizeSuccessful", "data")
    assert not [one for one in cluster.api.requests if one.user == cluster.user.name
                and one.verb in ("update", "patch") and one.resource in (CLAIMS, PVS)]


def test_a_quota_grows(cluster: Cluster, fb1: FlashBlade) -> None:
    with cluster.provisioner():
        cluster.claim("data", "pure-file", mode="ReadWriteMany")
        cluster.bound()
        grow(cluster, "15Gi")
        until(lambda: fb1.file_system(cluster.volume()).size == 15 * 2**30, "grown")


def test_a_claim_that_grows_before_its_pv_is_known(cluster: Cluster, fb1: FlashBlade) -> None:
    """The watches of claims and PVs are not ordered among themselves."""
    with cluster.provisioner():
        gap = cluster.api.faults.add(verb="watch", resource=PVS, status=503, times=None)
        cluster.api.drop_watches()
        until(lambda: gap.hits, "the watch of PVs refused")
        cluster.claim("data", "pure-file", mode="ReadWriteMany")
        cluster.bound()
        grow(cluster, "15Gi")
        cluster.claim("later", "pure-file", mode="ReadWriteMany")
        cluster.bound("later")
        assert fb1.file_system(cluster.volume()).size == 10 * 2**30
        gap.clear()
        until(lambda: fb1.file_system(cluster.volume()).size == 15 * 2**30, "grown")


def test_the_node_was_first(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 46: expandfs grew the volume already; nothing is shrunk, nothing fails."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        fa1.resize_volume(cluster.volume(), 30 * 2**30)
        grow(cluster, "20Gi")
        cluster.event("VolumeResizeSuccessful", "data")
    assert fa1.volume(cluster.volume()).size == 30 * 2**30


def test_a_failure_is_told_and_repeated(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 46, and a request from before the start of this process."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    grow(cluster, "20Gi")
    fault = fa1.faults.add(method="PUT", status=500)
    with cluster.provisioner():
        cluster.event("VolumeResizeFailed", "data")
        fa1.faults.remove(fault)
        until(lambda: fa1.volume(cluster.volume()).size == 20 * 2**30, "grown")
