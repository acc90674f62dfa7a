"""From claim to bound PV: what is made, where, and what is said (checklist 1-23, AT-28 … AT-38, AT-42 … AT-46)."""

from pathlib import Path
from typing import Any

import pytest

from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.kubernetes import Binder
from tests.provisioner.cluster import CLAIMS, CLASSES, PVS, Cluster
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


# Which array

def test_a_selector_chooses_arrays_by_label(cluster: Cluster, fa2: FlashArray) -> None:
    """AT-30, AT-31, points 12 and 22: the fuller array, because it has the label; the PV carries it too."""
    with cluster.provisioner():
        cluster.claim("pg-volume", selector={"matchLabels": {"env": "prod"}})
        pv = cluster.bound("pg-volume")
        cluster.claim("numbered", selector={"matchExpressions": [{"key": "rack", "operator": "In", "values": ["22"]}]})
        cluster.bound("numbered")
    assert cluster.live()[cluster.volume("pg-volume")] == "fa2" and pv["metadata"]["labels"] == {"env": "prod"}
    assert cluster.live()[cluster.volume("numbered")] == "fa1"


def test_no_array_with_the_label_is_explained_until_one_has_it(cluster: Cluster) -> None:
    """AT-12, AT-32: pending with the labels wanted in the event; a label in pure.json ends it without a restart."""
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim(selector={"matchLabels": {"env": "test"}})
        event = cluster.event("ProvisioningFailed", "data")
        assert "env=test" in event["message"] and "fa" not in cluster.live()
        cluster.sim.flash_array("fa2").labels["env"] = "test"
        cluster.write_fleet()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_topology_of_the_class_names_labels_of_arrays(cluster: Cluster) -> None:
    """AT-44."""
    cluster.storage_class("racks", allowedTopologies=[{"matchLabelExpressions": [
        {"key": "topology.purestorage.com/env", "values": ["prod", "test"]}]}])
    with cluster.provisioner():
        cluster.claim("data", "racks")
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_a_full_array_is_passed_over(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-33."""
    fa1.capacity = 8 * 2**30
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_an_array_that_refuses_is_passed_over_in_the_same_attempt(cluster: Cluster, fa1: FlashArray) -> None:
    """Its own limits are known to the array alone ("limit reached"); when all refuse, the event has each one's words."""
    fa1.switches.volume_limit = 0
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        assert cluster.live() == {cluster.volume(): "fa2"} and not cluster.api.events("data", "ProvisioningFailed")
        cluster.claim("tied", selector={"matchLabels": {"env": "dev"}})
        assert "refused to create volume" in cluster.event("ProvisioningFailed", "tied", "no array fits")["message"]
        fa1.switches.volume_limit = None
        cluster.bound("tied")


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


def test_claims_at_once_spread_over_equal_arrays(cluster: Cluster, fa2: FlashArray) -> None:
    """AT-34: what is in flight counts."""
    fa2.used = 0
    for number in range(10):
        cluster.claim(f"c{number}")
    with cluster.provisioner(measure_every=30.0):       # a measurement in between may count a volume twice for a moment
        for number in range(10):
            cluster.bound(f"c{number}")
    assert sorted(cluster.live().values()).count("fa1") == 5


def test_a_new_array_is_used_without_a_restart(cluster: Cluster) -> None:
    """AT-11: the Secret changed under the running provisioner."""
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim(selector={"matchLabels": {"env": "new"}})
        cluster.event("ProvisioningFailed", "data")
        cluster.sim.add_flash_array("fa3", labels={"env": "new"})
        cluster.write_fleet()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa3"


def test_a_new_token_is_used_without_a_restart(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-49."""
    with cluster.provisioner():
        cluster.claim("before")
        cluster.bound("before")
        old = fa1.token
        fa1.add_user("another", "secret")
        fa1.state.sessions.revoke(old)
        cluster.claim("after", selector={"matchLabels": {"env": "dev"}})
        cluster.event("ProvisioningFailed", "after", "token")
        cluster.write_fleet()
        cluster.bound("after")


def test_arrays_may_come_later_than_the_provisioner(cluster: Cluster) -> None:
    """The chart starts it before the Secret exists: a claim waits, nothing crashes."""
    cluster.pure_json.unlink()
    with cluster.provisioner():
        cluster.claim()
        cluster.event("ProvisioningFailed", "data", "no array fits")
        cluster.write_fleet()
        cluster.bound()


def test_one_bad_entry_does_not_stop_the_others(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Point 64."""
    import json
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"].append({"MgmtEndPoint": "192.0.2.99"})
    cluster.pure_json.write_text(json.dumps(fleet))
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    assert "FlashArrays[2]: add APIToken" in caplog.text


# Which claims

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


def test_the_pv_keeps_why_it_is_where_it_is(cluster: Cluster, fa1: FlashArray) -> None:
    """Events live for an hour, and people ask later."""
    with cluster.provisioner():
        cluster.claim()
        why = cluster.bound()["metadata"]["annotations"]["purestorage.com/placement"]
    assert why.startswith(f"{fa1.endpoint} was the least full of 2 that fit: ")
