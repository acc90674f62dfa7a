"""From a Released PV to nothing (checklist 33-44; AT-40, AT-41, AT-50, AT-89)."""

from typing import Any

import pytest

from arrays.errors import Unreachable
from arrays.fleet import Fleet, load
from provisioner.backend import Pace
from provisioner.backends import Backends
from provisioner.block import BlockStore
from provisioner.reclaim import Duty, duty
from provisioner.search import ArrayGone, Search
from provisioner.stores import Found
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.kubernetes.access import rule
from tests.provisioner.cluster import FINALIZER, PROVISIONED_BY, PVS, Cluster
from tests.provisioner.given import UID, pv_record
from tests.provisioner.waiting import until


@pytest.mark.parametrize("changes, needed", [
    pytest.param({}, Duty.DELETE, id="released, Delete, ours"),
    pytest.param({"phase": "Bound"}, Duty.NOTHING, id="bound"),
    pytest.param({"phase": "Available"}, Duty.NOTHING, id="available"),
    pytest.param({"phase": "Available", "deleting": True}, Duty.LET_GO, id="deleted before it was bound: its claim waits"),
    pytest.param({"phase": "Available", "deleting": True, "claim_uid": ""}, Duty.NOTHING, id="deleted, and nobody waits"),
    pytest.param({"phase": "Failed"}, Duty.NOTHING, id="failed: old binders set it wrongly (kubernetes#43138)"),
    pytest.param({"policy": "Retain"}, Duty.LET_GO, id="Retain: a person deletes it, and must be able to"),
    pytest.param({"policy": "Recycle"}, Duty.LET_GO, id="Recycle is Retain"),
    pytest.param({"policy": "Retain", "finalizers": ()}, Duty.NOTHING, id="Retain, nothing of ours on it"),
    pytest.param({"deleting": True}, Duty.DELETE, id="deleted first, held by our finalizer"),
    pytest.param({"deleting": True, "finalizers": ("kubernetes.io/pv-protection",)}, Duty.NOTHING,
                 id="deleted, our part done"),
    pytest.param({"finalizers": ()}, Duty.DELETE, id="without finalizer and not deleted"),
    pytest.param({"phase": "Bound", "finalizers": ()}, Duty.HOLD, id="bound without our finalizer"),
    pytest.param({"phase": "Bound", "finalizers": (), "deleting": True}, Duty.NOTHING, id="too late to hold"),
    pytest.param({"phase": "Bound", "policy": "Retain"}, Duty.LET_GO, id="bound, policy patched to Retain"),
])
def test_what_a_pv_needs(changes: dict[str, Any], needed: Duty) -> None:
    """Point 33, one by one."""
    assert duty(pv_record(**changes)) is needed


def test_switched_off_finalizers_are_taken_off() -> None:
    """1.8: the way back."""
    assert duty(pv_record(phase="Bound"), finalizers=False) is Duty.LET_GO
    assert duty(pv_record(phase="Bound", finalizers=()), finalizers=False) is Duty.NOTHING


GONE = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "gone", "uid": UID}


def deleted(cluster: Cluster, name: str = "data") -> str:
    """A claim served and deleted again while nobody runs; the name of its Released PV."""
    with cluster.provisioner():
        cluster.claim(name)
        pv: str = cluster.bound(name)["metadata"]["name"]
    cluster.delete_claim(name)
    until(lambda: (cluster.api.get(PVS, pv) or {})["status"]["phase"] == "Released", "released")
    return pv


def test_the_volume_goes_with_its_claim_and_can_be_recovered(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-40, AT-89: destroyed, not eradicated."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
    assert fa1.volume(f"k8s-{pv}").destroyed


def test_eradicated_if_configured(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-89."""
    with cluster.provisioner(eradicate=True):
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
    assert not fa1.volumes


def test_a_deletion_that_is_repeated_eradicates_no_namesake(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """The API refuses the PV's deletion for a moment: its volume, eradicated by then, would be looked for on all arrays,
    and an administrator's copy of it would be eradicated as well.
    """
    fa2.add_volume(f"k8s-{(pv := deleted(cluster))}", 10 * 2**30)
    cluster.api.faults.add(verb="delete", resource=PVS, status=500, times=2)
    with cluster.provisioner(eradicate=True):
        cluster.gone(pv)
    assert not fa1.volumes and not fa2.volume(f"k8s-{pv}").destroyed


def test_an_array_that_lets_nobody_eradicate_keeps_no_pv(cluster: Cluster, fa1: FlashArray,
                                                         caplog: pytest.LogCaptureFixture) -> None:
    """SafeMode: the volume is destroyed, which is what deleted means; its PV would stay Released for ever."""
    fa1.switches.safe_mode = True
    with cluster.provisioner(eradicate=True):
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
    assert fa1.volume(f"k8s-{pv}").destroyed and "Eradication is disabled." in caplog.text


def test_a_file_system_goes_too(cluster: Cluster, fb1: FlashBlade) -> None:
    with cluster.provisioner():
        cluster.claim("data", "pure-file", mode="ReadWriteMany")
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
    assert fb1.file_system(f"k8s-{pv}").destroyed


def test_retain_keeps_volume_and_pv_and_lets_go(cluster: Cluster) -> None:
    """Point 34, AT-40: a retained PV then deleted by a person leaves its volume."""
    cluster.storage_class("kept", reclaimPolicy="Retain")
    with cluster.provisioner():
        cluster.claim("data", "kept")
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        until(lambda: (cluster.api.get(PVS, pv) or {})["status"]["phase"] == "Released", "released")
        cluster.api.delete(PVS, pv)
        cluster.gone(pv)
    assert list(cluster.live()) == [f"k8s-{pv}"]


def test_patched_to_delete_after_release(cluster: Cluster) -> None:
    """1.7.2: the update makes it deletable."""
    cluster.storage_class("kept", reclaimPolicy="Retain")
    with cluster.provisioner():
        cluster.claim("data", "kept")
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        until(lambda: (cluster.api.get(PVS, pv) or {})["status"]["phase"] == "Released", "released")
        cluster.api.patch(PVS, pv, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
        cluster.gone(pv)
    assert not cluster.live()


@pytest.mark.parametrize("change", [
    {"metadata": {"annotations": {PROVISIONED_BY: "pure-csi"}}},
    {"metadata": {"annotations": {PROVISIONED_BY: None}}}], ids=["another provisioner's", "nobody's"])
def test_pvs_of_others_are_never_touched(cluster: Cluster, change: dict[str, Any]) -> None:
    """Point 43, AT-41: our driver alone is no order to delete."""
    pv = deleted(cluster)
    cluster.api.patch(PVS, pv, change)
    with cluster.provisioner():
        cluster.claim("other")
        cluster.bound("other")
        cluster.delete_claim("other")
        until(lambda: len(cluster.live()) == 1, "ours deleted")
    found = cluster.api.get(PVS, pv)
    assert f"k8s-{pv}" in cluster.live() and found and "deletionTimestamp" not in found["metadata"]


@pytest.mark.parametrize("options", [{"volume": "production-db"}, {"volume": "k9-pvc-1", "namespace": "k9"},
                                     {"volume": "k8s-pvc-00000000-0000-0000-0000-000000000000"}], ids=str)
def test_a_volume_that_is_not_provably_ours_is_left(cluster: Cluster, fa1: FlashArray, options: dict[str, str]) -> None:
    """1.7.5: another prefix, another name: a Warning, and nothing is touched."""
    fa1.add_volume(options["volume"], 2**30)
    cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{UID}", "annotations": {PROVISIONED_BY: "pure-provisioner"}},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                 "persistentVolumeReclaimPolicy": "Delete",
                 "claimRef": GONE,
                 "flexVolume": {"driver": "pure/flex", "options": {"backend": "block", "array": fa1.endpoint, **options}}}})
    with cluster.provisioner():
        event = cluster.event("VolumeFailedDelete", f"pvc-{UID}")
    assert "not ours" in event["message"] and options["volume"] in cluster.live()


@pytest.mark.parametrize("state", ["eradicated", "destroyed"])
def test_a_volume_that_is_gone_is_deleted(cluster: Cluster, fa1: FlashArray, state: str) -> None:
    """Point 37."""
    pv = deleted(cluster)
    fa1.destroy_volume(f"k8s-{pv}")
    if state == "eradicated":
        fa1.eradicate_volume(f"k8s-{pv}")
    with cluster.provisioner():
        cluster.gone(pv)


def test_the_class_is_not_needed_to_delete(cluster: Cluster) -> None:
    """Point 38: nor are the labels the array had."""
    pv = deleted(cluster)
    cluster.api.delete("storageclasses", "pure")
    cluster.sim.flash_array("fa1").labels.clear()
    cluster.write_fleet()
    with cluster.provisioner():
        cluster.gone(pv)
    assert not cluster.live()


def test_an_array_that_left_pure_json_is_named(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 39, AT-51: the PV stays until the array is back."""
    import json
    pv = deleted(cluster)
    fleet = cluster.sim.pure_json()
    everything = json.dumps(fleet)
    fleet["FlashArrays"] = [entry for entry in fleet["FlashArrays"] if entry["MgmtEndPoint"] != fa1.endpoint]
    cluster.pure_json.write_text(json.dumps(fleet))
    with cluster.provisioner(retry_longest=300.0):
        event = cluster.event("VolumeFailedDelete", pv)
        assert fa1.endpoint in event["message"] and "pure.json" in event["message"]
        cluster.claim("other")
        cluster.bound("other")
        cluster.pure_json.write_text(everything)
        cluster.gone(pv)


def test_an_unreachable_array_is_waited_for(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-50: the PV stays, an event says why, and it succeeds later without help."""
    pv = deleted(cluster)
    fa1.faults.add(reset=True)
    with cluster.provisioner():
        event = cluster.event("VolumeFailedDelete", pv)
        assert fa1.endpoint in event["message"] and cluster.api.get(PVS, pv)
        fa1.faults.clear()
        cluster.gone(pv)
    assert not cluster.live()


def test_a_volume_that_moved_to_another_array_is_found(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """The array in the PV is a hint."""
    pv = deleted(cluster)
    fa1.destroy_volume(f"k8s-{pv}")
    fa1.eradicate_volume(f"k8s-{pv}")
    fa2.add_volume(f"k8s-{pv}", 10 * 2**30)
    with cluster.provisioner():
        cluster.gone(pv)
    assert fa2.volume(f"k8s-{pv}").destroyed


def test_a_pv_of_the_original_driver_is_deleted(cluster: Cluster, fa2: FlashArray) -> None:
    """Point 41, 1.7.9: no options of ours, finalizer of 2019, deleted while the library of that time refused."""
    fa2.add_volume(f"k8s-pvc-{UID}", 10 * 2**30)
    cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{UID}", "annotations": {PROVISIONED_BY: "pure-provisioner"}, "finalizers": [FINALIZER]},
        "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                 "persistentVolumeReclaimPolicy": "Delete",
                 "claimRef": GONE,
                 "flexVolume": {"driver": "pure/flex", "fsType": "xfs"}}})
    cluster.api.delete(PVS, f"pvc-{UID}")
    with cluster.provisioner():
        cluster.gone(f"pvc-{UID}")
    assert fa2.volume(f"k8s-pvc-{UID}").destroyed


def test_a_pv_without_an_array_waits_while_an_entry_of_pure_json_is_unusable(cluster: Cluster, fa2: FlashArray) -> None:
    """Its volume may be on just that array: taken for gone, it would stay there without a PV."""
    import json
    fa2.add_volume(f"k8s-pvc-{UID}", 10 * 2**30)
    cluster.api.create({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{UID}", "annotations": {PROVISIONED_BY: "pure-provisioner"}},
        "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                 "persistentVolumeReclaimPolicy": "Delete", "claimRef": GONE,
                 "flexVolume": {"driver": "pure/flex", "fsType": "xfs"}}})
    fleet = cluster.sim.pure_json()
    everything = json.dumps(fleet)
    del fleet["FlashArrays"][1]["APIToken"]
    cluster.pure_json.write_text(json.dumps(fleet))
    with cluster.provisioner():
        event = cluster.event("VolumeFailedDelete", f"pvc-{UID}")
        assert "FlashArrays[1]" in event["message"]
        cluster.pure_json.write_text(everything)
        cluster.gone(f"pvc-{UID}")
    assert fa2.volume(f"k8s-pvc-{UID}").destroyed


@pytest.mark.parametrize("before, after", [("usable", "unusable"), ("unusable", "usable")])
def test_a_volume_is_not_gone_while_pure_json_is_taken_over(cluster: Cluster, fa2: FlashArray, before: str, after: str,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Its array goes or comes in the middle of the search: with the complaints of the other reading nobody would miss it."""
    fa2.add_volume(f"k8s-pvc-{UID}", 10 * 2**30)
    fleets = {"usable": load(str(cluster.pure_json))}
    fleets["unusable"] = Fleet(fleets["usable"].flash_arrays[:1], fleets["usable"].flash_blades, ("a slip",))
    backends = Backends(lambda: fleets.pop(before, None) or fleets[after], 4, 4, Pace())
    backends.reload()
    found = BlockStore.find

    def find_meanwhile(store: BlockStore, name: str) -> Found | None:
        backends.reload()
        return found(store, name)

    monkeypatch.setattr(BlockStore, "find", find_meanwhile)
    with pytest.raises((ArrayGone, Unreachable)):       # both are tried again
        Search(backends).find(pv_record(array="", backend="", volume=""), f"k8s-pvc-{UID}")


def test_old_pvs_get_the_finalizer(cluster: Cluster) -> None:
    """1.8: a PV that was made without it is held from now on."""
    with cluster.provisioner(finalizers=False):
        cluster.claim()
        pv = cluster.bound()
    assert FINALIZER not in pv["metadata"]["finalizers"]
    with cluster.provisioner():
        until(lambda: FINALIZER in cluster.pv()["metadata"]["finalizers"], "held")
    with cluster.provisioner(finalizers=False):
        until(lambda: FINALIZER not in cluster.pv()["metadata"]["finalizers"], "let go")


def test_one_destroy_for_all_events(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 42: the second event, about deletionTimestamp, finds nothing to do."""
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
        cluster.claim("other")
        cluster.bound("other")
    assert sum(one.method == "DELETE" for one in fa1.requests) == 1


def test_a_right_that_was_missing_for_a_moment_costs_no_pv_its_finalizer(
        cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """An API server that starts refuses everybody until it has read its roles; only the setting switches finalizers off."""
    with cluster.provisioner():
        for name in ("held", "new"):
            cluster.claim(name)
            cluster.bound(name)
    cluster.api.patch(PVS, cluster.pv_name("new"), {"metadata": {"finalizers": ["kubernetes.io/pv-protection"]}})
    cluster.api.faults.add(verb="update", resource=PVS, status=403, reason="Forbidden", times=1)
    with cluster.provisioner():
        until(lambda: "PVs get no finalizer" in caplog.text, "the warning")
        cluster.api.patch(PVS, cluster.pv_name("held"), {"metadata": {"labels": {"seen": "again"}}})
        cluster.claim("last")
        cluster.bound("last")
        cluster.delete_claim("last")
        until(lambda: len(cluster.api.objects(PVS)) == 2, "the last one deleted")
        assert FINALIZER in cluster.pv("held")["metadata"]["finalizers"]
        cluster.delete_claim("held")
        until(lambda: len(cluster.api.objects(PVS)) == 1, "the held one deleted")
        cluster.claim("after")
        assert FINALIZER in cluster.bound("after")["metadata"]["finalizers"]


def test_a_pv_whose_finalizer_may_not_be_taken_off_is_not_said_to_be_deleted(
        cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """It stays, Terminating, until somebody gives the right; that is told where people look."""
    pv = deleted(cluster)
    cluster.user = cluster.api.add_user("poor", (
        rule("persistentvolumes", "create delete get list watch"), rule("persistentvolumeclaims", "get list watch"),
        rule("storageclasses", "get list watch"), rule("events", "create patch")))
    with cluster.provisioner():
        event = cluster.event("VolumeFailedDelete", pv)
        assert "neither patch nor update of persistentvolumes is allowed" in event["message"]
    assert not cluster.live() and cluster.api.get(PVS, pv) and "delete ok" not in caplog.text


@pytest.mark.parametrize("more, verbs", [((), ["update"]), ((rule("persistentvolumes", "patch"),), ["patch"])],
                         ids=["published chart", "with patch"])
def test_finalizers_with_the_rights_there_are(cluster: Cluster, more: tuple[Any, ...], verbs: list[str]) -> None:
    """Point 44: PUT instead of PATCH under the published chart's role."""
    cluster.user = cluster.account(*more)
    with cluster.provisioner():
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
    done = {one.verb for one in cluster.api.asked("", PVS) if one.verb in ("update", "patch") and one.status == 200}
    assert sorted(done) == verbs


def test_without_any_right_to_finalizers_it_works_without_and_says_so(
        cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    with cluster.provisioner(finalizers=False):
        cluster.claim()
        cluster.bound()
    cluster.user = cluster.api.add_user("poor", (
        rule("persistentvolumes", "create delete get list watch"), rule("persistentvolumeclaims", "get list watch"),
        rule("storageclasses", "get list watch"), rule("events", "create patch")))
    with cluster.provisioner():
        until(lambda: "PVs get no finalizer" in caplog.text, "the warning")
        cluster.claim("new")
        pv = cluster.bound("new")
        assert FINALIZER not in pv["metadata"]["finalizers"]
        cluster.delete_claim("new")
        cluster.gone(pv["metadata"]["name"])
