"""From claim to bound PV: what is made and said, what it costs (checklist 14-23, AT-28, AT-29, AT-35, AT-42 … AT-46)."""

from pathlib import Path

import pytest

from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.waiting import until


def test_a_claim_is_bound_to_a_volume_named_for_it(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-28, AT-29; points 14-18: prefix and UID in the name, on the less full array, connected to nobody."""
    with cluster.provisioner():
        cluster.claim("pure-claim")
        pv = cluster.bound("pure-claim")
    volume = cluster.volume("pure-claim")
    assert (fa1.volume(volume).size, fa1.connections(volume)) == (10 * 2**30, {})
    assert pv["spec"]["capacity"] == {"storage": "10Gi"} and pv["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert pv["spec"]["flexVolume"]["driver"] == "pure/flex" and pv["spec"]["flexVolume"]["fsType"] == "xfs"
    assert cluster.options("pure-claim") == {"backend": "block", "namespace": "k8s", "volume": volume,
                                             "array": fa1.endpoint, "access": "ReadWriteOnce"}
    assert pv["spec"]["claimRef"]["uid"] == pv["metadata"]["name"].removeprefix("pvc-")
    assert "mountOptions" not in pv["spec"]


def test_what_users_see_of_it(cluster: Cluster) -> None:
    """1.10: the words people grep for."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()
        event = cluster.event("ProvisioningSucceeded", "data")
    assert event["message"] == f"Successfully provisioned volume {pv['metadata']['name']}"
    assert event["source"]["component"].startswith("pure-provisioner_pod-1_")


def test_slow_work_is_told_of_while_it_goes_on(cluster: Cluster, fa1: FlashArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that a quick claim does without: each costs the API server as much as a PV."""
    monkeypatch.setattr("provisioner.outcomes.SLOW", 0.1)
    fa1.faults.add(method="POST", path="volume/*", latency=0.5)
    with cluster.provisioner():
        cluster.claim()
        event = cluster.event("Provisioning", "data")
        cluster.bound()
    assert event["message"] == 'External provisioner is provisioning volume for claim "default/data"'


def test_a_file_claim_for_many_nodes(cluster: Cluster, fb1: FlashBlade) -> None:
    """AT-35, AT-45: NFS on, exported by rule, PV says what to mount; point 11."""
    with cluster.provisioner():
        cluster.claim("shared", "pure-file", mode="ReadWriteMany")
        cluster.bound("shared")
    found = fb1.file_system(cluster.volume("shared"))
    assert (found.size, found.rules, found.v3, found.snapshot_directory) == (10 * 2**30, "*(rw,no_root_squash)", True, False)
    assert cluster.options("shared")["nfs"] == f"{fb1.nfs_endpoint}:/{found.name}"
    assert cluster.options("shared")["access"] == "ReadWriteMany"


def test_rules_and_snapshot_directory_come_from_the_class_before_the_settings(cluster: Cluster, fb1: FlashBlade) -> None:
    """AT-45, AT-46."""
    cluster.storage_class("office", "file", parameters={"exportRules": "10.0.0.0/8(rw)", "snapshotDirectoryEnabled": "true"})
    with cluster.provisioner(export_rules="*(ro)", snapshot_directory=False):
        cluster.claim("a", "office")
        cluster.claim("b", "pure-file")
        cluster.bound("a"), cluster.bound("b")
    a, b = (fb1.file_system(cluster.volume(name)) for name in "ab")
    assert (a.rules, a.snapshot_directory) == ("10.0.0.0/8(rw)", True)
    assert (b.rules, b.snapshot_directory) == ("*(ro)", False)


def test_limits_and_options_of_the_class(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-42, AT-43; point 20, 30: limits are on the volume, options in the PV, mountOptions never on its spec."""
    cluster.storage_class("fast", parameters={
        "iops_limit": "30000", "bandwidth_limit": "10G", "csi.storage.k8s.io/fstype": "ext4", "createoptions": "-q"},
        mountOptions=["discard", "noatime"])
    with cluster.provisioner():
        cluster.claim("data", "fast")
        pv = cluster.bound()
    volume = fa1.volume(cluster.volume())
    assert (volume.iops_limit, volume.bandwidth_limit) == (30000, 10 * 2**30)
    assert pv["spec"]["flexVolume"]["fsType"] == "ext4" and "mountOptions" not in pv["spec"]
    assert cluster.options()["mountOptions"] == "discard,noatime" and cluster.options()["createOptions"] == "-q"
    assert not any("mount-options" in key for key in pv["metadata"]["annotations"])


@pytest.mark.parametrize("asked, size", [("1.5Gi", 1610612736), ("1G", 954 * 2**20), ("1e9", 954 * 2**20)])
def test_the_pv_reports_the_real_size(cluster: Cluster, fa1: FlashArray, asked: str, size: int) -> None:
    """Point 17: at least what was asked for, or it would never bind."""
    with cluster.provisioner():
        cluster.claim(size=asked)
        cluster.bound()
    assert fa1.volume(cluster.volume()).size == size


@pytest.mark.parametrize("policy, expected, held", [("Retain", "Retain", False), ("Delete", "Delete", True)])
def test_the_reclaim_policy_is_the_classs(cluster: Cluster, policy: str, expected: str, held: bool) -> None:
    """Point 19."""
    cluster.storage_class("other", reclaimPolicy=policy)
    with cluster.provisioner():
        cluster.claim("data", "other")
        pv = cluster.bound()
    assert pv["spec"]["persistentVolumeReclaimPolicy"] == expected
    assert ("external-provisioner.volume.kubernetes.io/finalizer" in pv["metadata"].get("finalizers", [])) is held


ORDERED = {"volume.beta.kubernetes.io/storage-provisioner": "pure-provisioner"}


def deleted_pv(cluster: Cluster, claim: str) -> str:
    """Delete the claim's PV as soon as it is there; its UID."""
    cluster.claim(claim, annotations=ORDERED)
    found = until(lambda: cluster.api.get(PVS, cluster.pv_name(claim)), "the PV")["metadata"]
    cluster.api.delete(PVS, found["name"])
    cluster.api.patch(PVS, found["name"], {"metadata": {"finalizers": []}})
    return str(found["uid"])


def made_again(cluster: Cluster, claim: str, before: str) -> None:
    until(lambda: (found := cluster.api.get(PVS, cluster.pv_name(claim))) and found["metadata"]["uid"] != before,
          "another PV")


def test_a_pv_deleted_before_it_was_bound_is_made_again(tmp_path: Path) -> None:
    """The claim is still there and asks for one; the volume is the same."""
    with running(tmp_path, binds=False) as cluster, cluster.provisioner(finalizers=False):
        made_again(cluster, "data", deleted_pv(cluster, "data"))
    assert list(cluster.live()) == [cluster.volume()]


def test_a_pv_deleted_before_its_saving_was_answered_is_made_again(tmp_path: Path) -> None:
    """That it went is seen first; that `later` is made again shows that it was seen."""
    with running(tmp_path, binds=False) as cluster, cluster.provisioner(finalizers=False):
        late = cluster.api.faults.add(verb="create", resource=PVS, hang=True, after=True)
        before = deleted_pv(cluster, "data")
        made_again(cluster, "later", deleted_pv(cluster, "later"))
        late.clear()
        made_again(cluster, "data", before)
    assert set(cluster.live()) == {cluster.volume(), cluster.volume("later")}


# Versions, rights, cost

@pytest.mark.parametrize("version", ["1.6", "1.11", "1.13", "1.23", "1.33"])
def test_runs_on_old_and_new_clusters_without_configuration(tmp_path: Path, version: str) -> None:
    """Point 63 and 44: with exactly the published chart's role."""
    with running(tmp_path, version=version) as old, old.provisioner():
        old.claim()
        pv = old.bound()
        old.delete_claim()
        old.gone(pv["metadata"]["name"])
    assert not old.live()


def test_a_claims_cost_does_not_grow_with_what_is_there(cluster: Cluster, fa1: FlashArray) -> None:
    """Issue 6: counted in requests. Alone a claim costs a look, a PV and an event; in a burst, less than two."""
    with cluster.provisioner():
        cluster.claim("first")
        cluster.bound("first")
        cluster.event("ProvisioningSucceeded", "first")
        mine = [one for one in cluster.api.requests if one.user == cluster.user.name and one.verb not in ("watch", "list")]
        assert [(one.verb, one.resource) for one in mine] == [
            ("get", CLAIMS), ("create", PVS), ("create", "events")]
        before, fa1_before = len(cluster.api.requests), len(fa1.requests)
        for number in range(200):
            cluster.claim(f"c{number}")
        for number in range(200):
            cluster.bound(f"c{number}")
        asked = [one for one in cluster.api.requests[before:] if one.user == cluster.user.name
                 and one.resource in (CLAIMS, PVS) and one.verb != "watch"]
        told = [one for one in cluster.api.requests[before:] if one.user == cluster.user.name and one.resource == "events"]
        posts = [one for one in fa1.requests[fa1_before:] if one.method == "POST"]
    assert len(asked) + len(told) <= 2 * 200, f"{len(asked)} requests and {len(told)} events for 200 claims"
    assert len(posts) == 200 and len(fa1.requests) - fa1_before <= 200 + 40


def test_no_secret_anywhere(cluster: Cluster, fa1: FlashArray, caplog: pytest.LogCaptureFixture) -> None:
    """Point 21, AT-85: failures included, at debug level."""
    caplog.set_level("DEBUG")
    fa1.faults.add(status=401, times=5)
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    everything = caplog.text + str(cluster.api.objects("events")) + str(cluster.api.objects(PVS))
    for array in cluster.sim.arrays:
        assert array.token not in everything
