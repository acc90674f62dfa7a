"""The race rows of provisioner.md 1.13, R1 … R14 (R4, R13's election half and R14 need a lock: test_leader.py)."""

import time
from pathlib import Path

import pytest

from arrays.errors import Busy, Unreachable
from arrays.fleet import load
from provisioner.attempts import Attempts
from provisioner.backend import Pace
from provisioner.backends import Backends
from provisioner.kube import CLAIMS as CLAIMS_PATH
from provisioner.kube import Kube
from provisioner.objects import ClaimRecord, claim_record, class_record
from provisioner.origins import Origins
from provisioner.provision import Caches, Provision
from provisioner.search import Search
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.access import access
from tests.provisioner.cluster import CLAIMS, CLASSES, FINALIZER, PVS, Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.given import OURS
from tests.provisioner.waiting import until


def stale(cluster: Cluster, record: ClaimRecord) -> Provision:
    """One worker's work with a cache that still shows `record`, whatever the API has by now."""
    storage_class = class_record(cluster.api.get(CLASSES, "pure") or {})
    backends = Backends(lambda: load(str(cluster.pure_json)), 4, 4, Pace())
    backends.reload()
    kube = Kube(access(cluster.api, cluster.user))
    return Provision(kube, Caches({record.uid: record}, {}, {"pure": storage_class}), backends, Attempts(),
                     cluster.settings(), Origins(kube, {}, Search(backends), cluster.settings()))


def record_of(cluster: Cluster, name: str = "data") -> ClaimRecord:
    cluster.ordered(name)
    found = claim_record(cluster.api.get(CLAIMS, name) or {}, OURS)
    assert found
    return found


def test_r1_the_claim_is_bound_to_another_pv_meanwhile(cluster: Cluster, fa1: FlashArray) -> None:
    """The surplus volume goes again, the other PV stays."""
    making = fa1.faults.add(method="POST", path="volume/*", latency=0.4)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: cluster.asked("get", CLAIMS), "work begun")
        cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
            "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
            "hostPath": {"path": "/tmp/data"}}})
        until(lambda: making.hits and not cluster.live() and len(cluster.api.objects(PVS)) == 1, "only the other PV")


def test_r2_a_stale_claim_that_was_bound_and_deleted_leaves_nothing(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 31 (external-provisioner#1469): the look before work finds no claim; no array write."""
    cluster.claim()
    record = record_of(cluster)
    cluster.delete_claim()
    until(lambda: cluster.api.get(CLAIMS, "data") is None, "claim gone")
    assert stale(cluster, record)(record.uid) is None
    assert [one for one in fa1.requests if one.method == "POST" and "volume" in one.path] == []


def test_r2_a_stale_claim_that_was_bound_is_not_served(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 4."""
    cluster.claim()
    record = record_of(cluster)
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
        "hostPath": {"path": "/tmp/data"}}})
    cluster.until(lambda: (cluster.api.get(CLAIMS, "data") or {})["spec"].get("volumeName"), "bound by hand")
    assert stale(cluster, record)(record.uid) is None and not cluster.live()


def test_r2_making_and_unmaking_one_name_exclude_each_other() -> None:
    attempts = Attempts()
    with attempts.alone("pvc-1"), attempts.alone("pvc-2"), pytest.raises(Busy), attempts.alone("pvc-1"):
        pass
    with attempts.alone("pvc-1"):
        pass


def foreign_pv(cluster: Cluster, uid: str, claim_uid: str, **annotations: str) -> None:
    """A PV of the name that ours would have."""
    cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{uid}", "annotations": annotations, "finalizers": ["example.com/held"]},
        "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "elsewhere",
                 "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "data",
                              "uid": claim_uid},
                 "flexVolume": {"driver": "pure/flex"}}})


def test_r2_a_pv_of_that_name_that_is_somebody_elses_is_left(cluster: Cluster) -> None:
    """Point 27: foreign UID: untouched, and a Warning says so."""
    claim = cluster.claim()
    foreign_pv(cluster, claim["metadata"]["uid"], "another-uid")
    before = cluster.api.get(PVS, cluster.pv_name())
    with cluster.provisioner():
        assert cluster.event("ProvisioningFailed", "data", "belongs to somebody else")["type"] == "Warning"
    after = cluster.api.get(PVS, cluster.pv_name())
    assert before and after and after["spec"] == before["spec"] and after["metadata"]["uid"] == before["metadata"]["uid"]


def test_r2_a_pv_of_that_name_that_is_being_deleted_is_waited_for(cluster: Cluster) -> None:
    """Point 27: 409 on a deleting PV is no success; the new one is made when it is gone."""
    cluster.claim()
    record = record_of(cluster)
    foreign_pv(cluster, record.uid, record.uid, **{"pv.kubernetes.io/provisioned-by": "pure-provisioner"})
    old = cluster.api.get(PVS, cluster.pv_name())
    cluster.api.delete(PVS, cluster.pv_name())
    provision = stale(cluster, record)
    for _ in range(2):
        with pytest.raises(Busy, match="still being deleted"):
            provision(record.uid)
    cluster.api.patch(PVS, cluster.pv_name(), {"metadata": {"finalizers": []}})
    until(lambda: cluster.api.get(PVS, cluster.pv_name()) is None, "the old one gone")
    assert provision(record.uid)
    new = cluster.api.get(PVS, cluster.pv_name())
    assert old and new and new["metadata"]["uid"] != old["metadata"]["uid"] and len(cluster.live()) == 1


def test_a_pv_the_api_does_not_take_costs_its_volume(cluster: Cluster) -> None:
    """1.4.7: the same body would be refused for ever; the volume goes, the event has the API's words."""
    cluster.api.faults.add(verb="create", resource=PVS, status=422, reason="Invalid", times=None)
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim()
        cluster.event("ProvisioningFailed", "data", "is not accepted, so its volume was destroyed again")
        until(lambda: not cluster.live(), "destroyed")


def test_a_pv_that_was_stored_before_it_is_not_accepted_keeps_its_volume(cluster: Cluster) -> None:
    """The first answer is lost; a policy for PVs made at that moment refuses the repeat, and a pod may have the volume."""
    cluster.claim()
    record = record_of(cluster)
    provision = stale(cluster, record)
    cluster.api.faults.add(verb="create", resource=PVS, status=500, after=True, times=1)
    with pytest.raises(Unreachable):
        provision(record.uid)
    cluster.api.faults.add(verb="create", resource=PVS, status=422, reason="Invalid", times=None)
    cluster.bound()
    assert provision(record.uid) and cluster.live() == {cluster.volume(): "fa1"}


def test_r3_a_claim_of_the_same_name_is_another_claim(cluster: Cluster) -> None:
    """Point 32: the new one gets a new PV, the old one's volume goes."""
    with cluster.provisioner():
        cluster.claim()
        old = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        until(lambda: cluster.api.get(CLAIMS, "data") is None, "claim gone")
        cluster.claim()
        new = cluster.bound()["metadata"]["name"]
        cluster.gone(old)
    assert old != new and list(cluster.live()) == [f"k8s-{new}"]


def test_r3_recreated_faster_than_anybody_looks(cluster: Cluster) -> None:
    with cluster.provisioner():
        for _ in range(5):
            cluster.claim()
            cluster.delete_claim()
            until(lambda: cluster.api.get(CLAIMS, "data") is None, "claim gone")
        cluster.claim()
        cluster.bound()
        until(lambda: list(cluster.live()) == [cluster.volume()] and len(cluster.api.objects(PVS)) == 1, "one of each")


def test_r5_a_retry_asks_where_the_volume_may_be(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """Point 29: fa1 acted and gave no answer; although fa2 is the better choice now, no second volume is made there."""
    fa1.faults.add(method="POST", path="volume/*", lose_reply=True, times=1)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: len(fa1.volumes) == 1, "the volume")
        fa1.used, fa2.used = fa1.capacity - 2**40, 0
        cluster.bound()
    assert cluster.live() == {cluster.volume(): "fa1"}


def test_r5_an_array_that_may_have_it_is_waited_for(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 29, the hard half: fa1 stays silent, fa2 is free, and the claim waits for fa1."""
    fa1.faults.add(method="POST", path="volume/*", lose_reply=True, times=1)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: len(fa1.volumes) == 1, "the volume")
        silent = fa1.faults.add(reset=True)
        cluster.event("ProvisioningFailed", "data", "waiting for array")
        cluster.claim("other")
        cluster.bound("other")
        assert cluster.live() == {cluster.volume(): "fa1", cluster.volume("other"): "fa2"}
        fa1.faults.remove(silent)
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa1"


def test_r5_a_pv_that_goes_before_it_is_bound_leaves_its_volume_to_the_next(tmp_path: Path) -> None:
    """Somebody deletes it while nobody binds; fa2 is the better choice by now, and no second volume is made there."""
    with running(tmp_path, binds=False) as cluster:
        fa1, fa2 = cluster.sim.flash_array("fa1"), cluster.sim.flash_array("fa2")
        with cluster.provisioner(finalizers=False):
            cluster.claim(annotations={"volume.kubernetes.io/storage-provisioner": "pure-provisioner"})
            first = cluster.until(lambda: cluster.api.get(PVS, cluster.pv_name()), "the PV")
            fa1.used, fa2.used = fa1.capacity - 2**40, 0
            until(lambda: sum(one.method == "GET" and one.path == "array" for one in fa1.requests) > 3, "seen to be full")
            cluster.api.patch(PVS, cluster.pv_name(), {"metadata": {"finalizers": None}})
            cluster.api.delete(PVS, cluster.pv_name())
            second = cluster.until(lambda: cluster.api.get(PVS, cluster.pv_name()), "the next PV")
        assert first["metadata"]["uid"] != second["metadata"]["uid"] and cluster.live() == {cluster.volume(): "fa1"}


def test_r7_a_pv_deleted_before_it_is_bound_makes_way_for_the_next(tmp_path: Path) -> None:
    """The binder passes over a PV that is on its way out, so our finalizer would hold it, and its claim, for ever."""
    with running(tmp_path, binds=False) as cluster:
        with cluster.provisioner():
            cluster.claim(annotations={"volume.kubernetes.io/storage-provisioner": "pure-provisioner"})
            first = cluster.until(lambda: cluster.api.get(PVS, cluster.pv_name()), "the PV")
            cluster.api.patch(PVS, cluster.pv_name(), {"metadata": {"finalizers": [FINALIZER]}})
            cluster.api.delete(PVS, cluster.pv_name())
            until(lambda: (cluster.api.get(PVS, cluster.pv_name()) or first)["metadata"]["uid"] != first["metadata"]["uid"],
                  "the next PV")
        assert cluster.live() == {cluster.volume(): "fa1"}


def test_r6_the_class_is_made_anew_with_another_backend(cluster: Cluster, fa1: FlashArray, fb1: FlashBlade) -> None:
    """What an attempt left for the old class is destroyed, and made as the new one says."""
    fa1.faults.add(method="POST", path="volume/*", lose_reply=True, times=1)
    down = fa1.faults.add(method="GET", path="volume/*", reset=True)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: down.hits, "the retry")
        cluster.api.delete(CLASSES, "pure")
        cluster.storage_class("pure", "file")
        fa1.faults.remove(down)
        cluster.bound()
        until(lambda: cluster.live() == {cluster.volume(): "fb1"}, "only the file system")


def test_r7_a_pv_deleted_while_bound_waits_for_its_claim(cluster: Cluster) -> None:
    """Points 40, 41: the finalizer holds it, then the volume is freed."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.api.delete(PVS, pv)
        found = cluster.api.get(PVS, pv)
        assert found and found["metadata"]["deletionTimestamp"] and cluster.live()
        cluster.delete_claim()
        cluster.gone(pv)
        until(lambda: not cluster.live(), "volume freed")


def test_r8_the_policy_changes_in_the_last_moment(cluster: Cluster) -> None:
    """Point 35: the live object decides, directly before destroying; Retain wins."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
    look = cluster.api.faults.add(verb="get", resource=PVS, latency=0.3)
    with cluster.provisioner():
        cluster.delete_claim()
        until(lambda: look.hits, "the look before destroying")
        cluster.api.patch(PVS, pv, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        until(lambda: "external-provisioner.volume.kubernetes.io/finalizer" not in (
            cluster.api.get(PVS, pv) or {"metadata": {}})["metadata"].get("finalizers", []), "the finalizer is off")
    assert cluster.live() and cluster.api.get(PVS, pv)


def test_r8_the_policy_changes_while_the_array_is_slow(cluster: Cluster, fa1: FlashArray) -> None:
    """The array may take half a minute to say where the volume is; whoever set Retain meanwhile was told it is set."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        look = fa1.faults.add(method="GET", path="volume/*", latency=0.5, times=1)
        cluster.delete_claim()
        until(lambda: look.hits, "the look for the volume")
        cluster.api.patch(PVS, pv, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        until(lambda: FINALIZER not in (cluster.api.get(PVS, pv) or {"metadata": {}})["metadata"].get("finalizers", []),
              "the finalizer is off")
    assert cluster.live() and cluster.api.get(PVS, pv)


def test_r10_claims_from_a_watch_gap_are_served(cluster: Cluster) -> None:
    with cluster.provisioner():
        cluster.claim("before")
        cluster.bound("before")
        gap = cluster.api.faults.add(verb="watch", status=503, times=None)
        cluster.api.drop_watches()
        cluster.claim("inside")
        cluster.ordered("inside")
        cluster.delete_claim("before")
        cluster.api.compact()
        gap.clear()
        cluster.bound("inside")
        until(lambda: list(cluster.live()) == [cluster.volume("inside")], "the deleted one's volume freed")


def test_r11_an_api_that_takes_no_pvs(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Volumes without PV are kept and not multiplied: at a limit no more are made, and afterwards all are saved."""
    monkeypatch.setattr("provisioner.provision._MOST_UNSAVED", 3)
    blocked = cluster.api.faults.add(verb="create", resource=PVS, status=503, times=None)
    with cluster.provisioner(claim_workers=2):
        for number in range(8):
            cluster.claim(f"c{number}")
        until(lambda: blocked.hits > 6 and len(cluster.live()) >= 3, "retries of saving")
        assert len(cluster.live()) <= 5
        blocked.clear()
        for number in range(8):
            cluster.bound(f"c{number}")
    assert len(cluster.live()) == 8


def test_r12_a_dead_array_does_not_stop_the_others(cluster: Cluster, fa1: FlashArray) -> None:
    """One array refuses: claims that can go elsewhere do."""
    fa1.faults.add(reset=True)
    with cluster.provisioner():
        cluster.settled()
        cluster.claim()
        cluster.claim("tied", selector={"matchLabels": {"env": "dev"}})
        cluster.bound()
        cluster.event("ProvisioningFailed", "tied")
        fa1.faults.clear()
        cluster.bound("tied")
    assert cluster.live() == {cluster.volume(): "fa2", cluster.volume("tied"): "fa1"}


def test_r12_a_dead_array_at_the_start_holds_older_claims_for_a_while_only(
        cluster: Cluster, fa1: FlashArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have a volume made by the process before; when patience is over, the claim is served elsewhere."""
    monkeypatch.setattr("provisioner.provision._PATIENCE", 0.5)
    cluster.claim()
    cluster.ordered()
    fa1.faults.add(reset=True)
    with cluster.provisioner():
        assert "may have the volume" in cluster.event("ProvisioningFailed", "data")["message"]
        cluster.bound()
    assert cluster.live() == {cluster.volume(): "fa2"}


def test_r12_an_array_that_once_answered_nonsense_is_asked_again(cluster: Cluster, fa1: FlashArray,
                                                                 caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of an upgrade it may answer without the field it always had; the thread that asks it goes on."""
    strange = fa1.faults.add(method="GET", path="array*", body="[{}]")
    with cluster.provisioner():
        until(lambda: strange.hits, "the strange answer")
        cluster.claim("tied", selector={"matchLabels": {"env": "dev"}})
        cluster.event("ProvisioningFailed", "tied")
        fa1.faults.clear()
        cluster.bound("tied")
    assert "KeyError" in caplog.text


def test_r12_a_hanging_array_does_not_slow_the_others(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 58: its claims take their slots only; the others' latency is as it was."""
    fa1.faults.add(method="POST", path="volume/*", hang=True)
    with cluster.provisioner(array_timeout=3.0):
        for number in range(40):
            cluster.claim(f"tied{number}", selector={"matchLabels": {"env": "dev"}})
        until(lambda: sum(one.method == "POST" for one in fa1.requests) >= 1 or fa1.faults, "hanging")
        began = time.monotonic()
        for number in range(8):
            cluster.claim(f"free{number}", selector={"matchLabels": {"env": "prod"}})
        for number in range(8):
            cluster.bound(f"free{number}")
        assert time.monotonic() - began < 2.5
        fa1.faults.clear()


def test_r13_a_namespace_goes_with_its_pod_still_mounting(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 36: postponed while a host has the volume, told as Normal, done when the host let go."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        volume = cluster.volume()
        fa1.add_host("node1", iqns=["iqn.2001-01.com.example:node1"])
        fa1.connect("node1", volume)
        cluster.delete_claim()
        event = cluster.event("VolumeDelete", pv)
        assert event["type"] == "Normal" and "still connected to node1" in event["message"] and cluster.live()
        fa1.disconnect("node1", volume)
        cluster.gone(pv)
    assert not cluster.live() and CLAIMS_PATH
