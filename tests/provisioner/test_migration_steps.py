"""The steps of a migration, and each thing that can be wrong on the way (AT-75 to AT-78)."""

from typing import Any

import pytest

from arrays.errors import ConfigError, NeverHappened, NotFound, Refused, Unreachable, VolumeDiffers
from provisioner import wellknown
from provisioner.kube import Kube
from provisioner.migration import csi, steps
from provisioner.migration.record import Record
from provisioner.objects import Raw
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS
from tests.provisioner.migrating import PV, VOLUME, GiB, World, pause


def test_the_array_shows_the_volume_before_and_after_each_deletion(world: World) -> None:
    """AT-76: four looks around two deletions, in this order."""
    record, happened = world.retained(), []

    class Watched(Kube):
        def delete(self, path: str, uid: str) -> Raw:
            happened.append((path.split("/")[-2], len(looks())))
            return super().delete(path, uid)

    def looks() -> list[object]:
        return [one for one in world.array.requests if one.method == "GET" and one.path.endswith(f"volume/{VOLUME}")]

    before = len(looks())
    steps.delete(Watched(world.access), world.fleet, record, PV, pause)
    (first, looked_first), (second, looked_second) = happened
    assert (first, second) == (CLAIMS, PVS)
    assert before < looked_first < looked_second < len(looks())


def test_a_volume_that_a_host_still_has_is_not_deleted_from_kubernetes(world: World) -> None:
    """A node that was cut off, its pods deleted by force: the CSI driver knows nothing of it and would mount elsewhere."""
    record = world.retained()
    world.array.add_host("node5")
    world.array.connect("node5", VOLUME)
    with pytest.raises(Refused, match="still connected to node5"):
        world.delete(record)
    assert world.claim and world.api.get(PVS, PV)
    world.array.disconnect("node5", VOLUME)
    world.delete(record)


def test_a_volume_that_goes_with_its_claim_stops_the_rest(world: World) -> None:
    """Whoever destroyed it: the PV stays, the array has it for a day, and after its recovery the same step goes on."""
    record = world.retained()

    class Destroying(Kube):
        def delete(self, path: str, uid: str) -> Raw:
            world.array.destroy_volume(VOLUME)
            return super().delete(path, uid)

    with pytest.raises(NotFound, match="is destroyed"):
        steps.delete(Destroying(world.access), world.fleet, record, PV, pause)
    assert world.api.get(PVS, PV) and not world.api.get(CLAIMS, "data")
    world.array.recover_volume(VOLUME)
    world.delete(Record.load(world.path))
    assert not world.api.objects(PVS) and not world.array.volume(VOLUME).destroyed


def test_another_volume_of_the_same_name_is_no_proof(world: World) -> None:
    record = world.retained()
    world.array.destroy_volume(VOLUME)
    world.array.eradicate_volume(VOLUME)
    world.array.clock.advance(60)
    world.array.add_volume(VOLUME, GiB)
    with pytest.raises(VolumeDiffers):
        world.delete(record)
    assert world.api.get(CLAIMS, "data") and steps.state(world.kube, world.fleet, record.volumes[PV])[0] is False


def test_a_silent_array_is_no_proof_unless_another_has_the_volume(world: World, fa2: FlashArray) -> None:
    world.array.faults.add(reset=True)
    with pytest.raises(Unreachable):
        world.retained()
    assert not world.path.exists()
    fa2.add_volume(VOLUME, GiB)
    assert world.retained().volumes[PV]["array"] == fa2.endpoint


def test_an_array_that_left_pure_json_is_named(world: World) -> None:
    record = world.retained()
    record.volumes[PV]["array"] = "203.0.113.9"
    for act in (steps.snapshot, steps.drop_snapshot):
        with pytest.raises(ConfigError, match="203.0.113.9 of the record is not in pure.json"):
            act(world.fleet, record, PV)


def test_a_pv_made_anew_is_not_the_records(world: World) -> None:
    record = world.retained()
    record.volumes[PV]["pv"]["metadata"]["uid"] = "another"
    with pytest.raises(Refused, match="not the PV of the record"):
        world.delete(record)
    assert world.api.get(CLAIMS, "data")


def test_a_claim_of_the_same_name_that_is_another_stays(world: World) -> None:
    """Made anew after a cut, by whoever: the PV goes, that claim does not."""
    record = world.retained()
    world.api.delete(CLAIMS, "data")
    world.cluster.until(lambda: world.api.get(CLAIMS, "data") is None, "claim gone")
    world.put(CLAIMS, "data", {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                               "resources": {"requests": {"storage": "1Gi"}}})
    world.delete(record)
    assert world.claim["spec"]["storageClassName"] == "none" and not world.api.objects(PVS)


def test_a_claim_made_anew_for_the_same_pv_is_refused(world: World) -> None:
    """The retained PV was given to a claim that the record does not know; without its PV that claim would be lost."""
    record = world.retained()
    world.api.delete(CLAIMS, "data")
    world.cluster.until(lambda: world.api.get(CLAIMS, "data") is None, "claim gone")
    world.api.patch(PVS, PV, {"spec": {"claimRef": None}})
    world.put(CLAIMS, "data", {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure", "volumeName": PV,
                               "resources": {"requests": {"storage": "1Gi"}}})
    world.cluster.until(lambda: world.claim["status"].get("phase") == "Bound", "bound anew")
    with pytest.raises(Refused, match="made anew"):
        steps.delete(world.kube, world.fleet, record, PV, lambda _: None)
    live = world.api.get(PVS, PV)
    assert live and "deletionTimestamp" not in live["metadata"]


def test_a_claim_bound_elsewhere_is_refused(world: World) -> None:
    record = world.retained()
    record.volumes[PV]["claim"]["metadata"]["name"] = "other"
    world.put("persistentvolumeclaims", "other", {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                                  "resources": {"requests": {"storage": "1Gi"}}})
    record.volumes[PV]["claim"]["metadata"]["uid"] = world.api.get(CLAIMS, "other")["metadata"]["uid"]
    with pytest.raises(Refused, match="not bound to"):
        world.delete(record)


def test_a_foreign_finalizer_is_named_and_left(world: World) -> None:
    """Ours is taken off, for it would have the volume destroyed first; another controller's is its own business."""
    record = world.retained()
    world.api.patch(PVS, PV, {"metadata": {"finalizers": [wellknown.FINALIZER, "example.com/keep"]}})
    with pytest.raises(NeverHappened, match="held by .*example.com/keep"):
        steps.delete(world.kube, world.fleet, record, PV, lambda _: None)
    assert "example.com/keep" in world.api.get(PVS, PV)["metadata"]["finalizers"]
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}})
    world.delete(Record.load(world.path))
    assert Record.load(world.path).volumes[PV]["pv_deleted"]


def test_what_somebody_deleted_by_hand_is_done(world: World) -> None:
    record = world.retained()
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}})
    world.api.delete(CLAIMS, "data")
    world.api.delete(PVS, PV)
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}}) if world.api.get(PVS, PV) else None
    world.delete(record)
    assert record.volumes[PV]["claim_deleted"] and record.volumes[PV]["pv_deleted"]
    assert "no PV: apply" in steps.state(world.kube, world.fleet, record.volumes[PV])[1]


def test_verify_says_how_far_a_volume_came(world: World) -> None:
    entry = world.retained().volumes[PV]

    def said(**spec: Any) -> str:
        good, words = steps.state(Answering({"metadata": {"name": PV}, **spec}), world.fleet, entry)
        assert not good
        return words

    class Answering(Kube):
        def __init__(self, answer: Raw) -> None:
            self._answer = answer

        def get(self, path: str) -> Raw:
            return self._answer

    assert "still a FlexVolume" in steps.state(world.kube, world.fleet, entry)[1]
    assert "names other, not" in said(spec={"csi": {"volumeHandle": "other"}})
    assert "is Pending, its claim is not bound" in said(spec={"csi": {"volumeHandle": VOLUME}}, status={"phase": "Pending"})


def test_replicas_are_given_back_once(world: World) -> None:
    [shop] = steps.movers(world.kube, steps.survey(world.kube, "k8s"))
    assert steps.give_back(world.kube, shop) is False
    world.scale(0)
    assert steps.give_back(world.kube, shop) is True and world.replicas == 3
    assert steps.give_back(world.kube, shop._replace(name="gone")) is False


def test_a_pv_without_a_claim_migrates_too(world: World, fb1: FlashBlade) -> None:
    """Retained by hand, its claim long gone: its new PV is free for any claim. A share has no safety snapshot."""
    fb1.add_file_system("share", GiB)
    world.put("persistentvolumes", "share", {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem", "flexVolume": {"driver": "pure/flex", "options": {
            "backend": "file", "volume": "share", "mountOptions": "nfsvers=3,hard"}}}, labels={"rack": "22"})
    world.put("persistentvolumes", "left", {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "default", "name": "gone", "uid": "0"},
        "flexVolume": {"driver": "pure/flex", "options": {"backend": "file", "volume": "share"}}})
    record = world.retained()
    assert record.volumes["left"]["claim"] == {} == record.volumes["share"]["claim"]
    assert steps.snapshot(world.fleet, record, "share") == ""
    steps.delete(world.kube, world.fleet, record, "share", pause)
    assert not world.api.get(PVS, "share") and not fb1.file_system("share").destroyed
    [pv] = csi.manifests(record.volumes["share"])
    assert pv["metadata"]["labels"] == {"rack": "22"} and "claimRef" not in pv["spec"] and pv["spec"]["volumeMode"]
    assert pv["spec"]["mountOptions"] == ["nfsvers=3", "hard"] and "fsType" not in pv["spec"]["csi"]


def test_a_claims_labels_and_own_annotations_stay(world: World) -> None:
    """What the server and the old provisioner wrote into them does not."""
    entry = world.retained().volumes[PV]
    entry["claim"]["metadata"]["annotations"] = {"example.com/owner": "shop", "pv.kubernetes.io/bind-completed": "yes",
                                                 "volume.kubernetes.io/storage-provisioner": "pure-provisioner"}
    _, claim = csi.manifests(entry)
    assert claim["metadata"] == {"name": "data", "namespace": "default", "labels": {"app": "shop"},
                                 "annotations": {"example.com/owner": "shop"}}
