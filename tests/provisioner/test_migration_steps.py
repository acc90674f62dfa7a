"""The steps of a migration: cut at every moment, and each thing that can be wrong on the way (AT-75 to AT-78).

PVs, claims and volumes are made by hand here: what a provisioner made looks the same (test_admin_migrate.py).
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arrays import fleet as fleets
from arrays.errors import Busy, ConfigError, NeverHappened, NotFound, PureError, Refused, Unreachable, VolumeDiffers
from provisioner import wellknown
from provisioner.kube import Kube, from_kubeconfig
from provisioner.migration import csi, steps
from provisioner.migration.record import Record
from provisioner.objects import Raw
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.kubernetes.access import ADMIN
from tests.provisioner.cluster import CLAIMS, PVS, Cluster

PV, VOLUME = "pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354", "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"
GiB = 2**30


class Cut(BaseException):
    """kill -9."""


class Cuts:
    """Ends the work at one moment: each effect on the cluster or on the record has one before and one after."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.moments = at, 0

    def around(self, act: Callable[[], Any]) -> Any:
        self._moment()
        answer = act()
        self._moment()
        return answer

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Cut


class World:
    """One bound block volume `shop/data` that a Deployment of three uses, and what a migration of it needs."""

    def __init__(self, cluster: Cluster, array: FlashArray, folder: Path) -> None:
        self.api, self.array, self.path, self._cluster = cluster.api, array, folder / "record.json", cluster
        self._access = from_kubeconfig(cluster.api.kubeconfig(user=cluster.api.add_user("administrator", ADMIN)))
        self.kube = Kube(self._access)

    @property
    def fleet(self) -> fleets.Fleet:
        return fleets.load(str(self._cluster.pure_json))

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
        self._cluster.until(lambda: self.claim["status"].get("phase") == "Bound", "claim bound")
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

    def way(self, cuts: Cuts) -> None:
        """All steps, each from the record on disk as the commands do it."""
        kube, begin = CuttingKube(self._access, cuts, self.path), recording(cuts)
        found, record = steps.survey(kube, "k8s"), begin(self.path, "k8s")
        steps.remember(record, steps.movers(kube, found))
        self.scale(0)
        for one in found:
            steps.retain(kube, self.fleet, record, one)
        for step in (lambda pv: steps.snapshot(self.fleet, record, pv),
                     lambda pv: steps.delete(kube, self.fleet, record, pv, pause)):
            record = begin(self.path, "k8s")
            for pv in [pv for pv, entry in record.volumes.items() if not entry["pv_deleted"]]:
                step(pv)
        for workload in begin(self.path, "k8s").workloads:
            steps.give_back(kube, workload)
        record = begin(self.path, "k8s")
        for pv in [pv for pv, entry in record.volumes.items() if entry["snapshot"]]:
            steps.drop_snapshot(self.fleet, record, pv)

    def retained(self) -> Record:
        """A record of the volume, after `retain`."""
        record = Record.begin(self.path, "k8s")
        for one in steps.survey(self.kube, "k8s"):
            steps.retain(self.kube, self.fleet, record, one)
        return record

    def delete(self, record: Record) -> None:
        steps.delete(self.kube, self.fleet, record, PV, pause)


class CuttingKube(Kube):
    """Dies at a moment; and deletes nothing of which the record on disk could not make a new one."""

    def __init__(self, access: Any, cuts: Cuts, path: Path) -> None:
        super().__init__(access)
        self._cuts, self._path = cuts, path

    def merge(self, path: str, body: Raw) -> Raw:
        return dict(self._cuts.around(lambda: super(CuttingKube, self).merge(path, body)))

    def delete(self, path: str, uid: str) -> Raw:
        entry = Record.load(self._path).volumes[PV]
        assert entry["pv"]["spec"]["flexVolume"] and entry["claim"]["spec"]["volumeName"] == PV
        return dict(self._cuts.around(lambda: super(CuttingKube, self).delete(path, uid)))


def recording(cuts: Cuts) -> Callable[[Path, str], Record]:
    """Record.begin whose records die at a moment of their saving."""
    class CuttingRecord(Record):
        def save(self) -> None:
            cuts.around(super().save)
    return CuttingRecord.begin


def pause(_: float) -> None:
    time.sleep(0.005)


@pytest.fixture
def world(cluster: Cluster, fa1: FlashArray, tmp_path: Path) -> Iterator[World]:
    made = World(cluster, fa1, tmp_path)
    made.make()
    yield made


@pytest.mark.slow
def test_cut_at_any_moment_and_begun_again(world: World) -> None:
    """From the plan to the clean-up: after each cut the volume is there, and the same commands finish the work."""
    whole = Cuts()
    world.way(whole)
    created = world.array.volume(VOLUME).created
    assert whole.moments >= 20
    for at in range(1, whole.moments + 1):
        world.path.unlink()
        world.array.clock.advance(25 * 3600)        # the array forgets the snapshot of the last time
        world.make()
        with pytest.raises(Cut):
            world.way(Cuts(at))
        assert not world.array.volume(VOLUME).destroyed, at
        world.way(Cuts())
        entry = Record.load(world.path).volumes[PV]
        assert entry["claim_deleted"] and entry["pv_deleted"] and entry["snapshot"] == "", at
        assert [one["kind"] for one in csi.manifests(entry)] == ["PersistentVolume", "PersistentVolumeClaim"], at
        assert not world.api.objects(PVS) and not world.api.objects(CLAIMS) and world.replicas == 3, at
        found = world.array.volume(VOLUME)
        assert (found.destroyed, found.created, found.snapshots) == (False, created, ()), at


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
    steps.delete(Watched(world._access), world.fleet, record, PV, pause)
    (first, looked_first), (second, looked_second) = happened
    assert (first, second) == (CLAIMS, PVS)
    assert before < looked_first < looked_second < len(looks())


def test_a_volume_that_goes_with_its_claim_stops_the_rest(world: World) -> None:
    """Whoever destroyed it: the PV stays, the array has it for a day, and after its recovery the same step goes on."""
    record = world.retained()

    class Destroying(Kube):
        def delete(self, path: str, uid: str) -> Raw:
            world.array.destroy_volume(VOLUME)
            return super().delete(path, uid)

    with pytest.raises(NotFound, match="is destroyed"):
        steps.delete(Destroying(world._access), world.fleet, record, PV, pause)
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
    world._cluster.until(lambda: world.api.get(CLAIMS, "data") is None, "claim gone")
    world.put(CLAIMS, "data", {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                               "resources": {"requests": {"storage": "1Gi"}}})
    world.delete(record)
    assert world.claim["spec"]["storageClassName"] == "none" and not world.api.objects(PVS)


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


# Somebody else is quicker

class Racing(Kube):
    """Somebody does something between our look at an object and our change of it, once."""

    def __init__(self, world: World, meanwhile: Callable[[], Any]) -> None:
        super().__init__(world._access)
        self._meanwhile: Callable[[], Any] | None = meanwhile

    def _race(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()

    def merge(self, path: str, body: Raw) -> Raw:
        self._race()
        return super().merge(path, body)


class RacingDeletion(Racing):
    def merge(self, path: str, body: Raw) -> Raw:
        return Kube.merge(self, path, body)

    def delete(self, path: str, uid: str) -> Raw:
        self._race()
        return super().delete(path, uid)


def remove_pv(world: World) -> None:
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}})
    world.api.delete(PVS, PV)
    world.api.patch(PVS, PV, {"metadata": {"finalizers": None}}) if world.api.get(PVS, PV) else None


def leaving(world: World, kind: str, name: str) -> None:
    """Deleted, and held by somebody's finalizer."""
    world.api.patch(kind, name, {"metadata": {"finalizers": ["example.com/slow"]}})
    world.api.delete(kind, name)


@pytest.mark.parametrize(("kind", "name"), [(PVS, PV), (CLAIMS, "data")])
def test_what_somebody_deletes_at_this_moment_is_not_migrated(world: World, kind: str, name: str) -> None:
    """It can only go: a record of it would bring it back under CSI, and its volume may be on its way out."""
    [volume] = steps.survey(world.kube, "k8s")
    leaving(world, kind, name)
    with pytest.raises(Refused, match=f"retain {name}: somebody deleted it at .* held by example.com/slow"):
        steps.retain(world.kube, world.fleet, Record.begin(world.path, "k8s"), volume)
    assert not world.path.exists()


@pytest.mark.parametrize("kept", [True, False])
def test_a_pv_that_goes_before_it_is_retained_is_done_only_if_its_volume_stayed(world: World, kept: bool) -> None:
    [volume], record = steps.survey(world.kube, "k8s"), Record.begin(world.path, "k8s")

    def meanwhile() -> None:
        remove_pv(world)
        if not kept:
            world.array.destroy_volume(VOLUME)

    if kept:
        steps.retain(Racing(world, meanwhile), world.fleet, record, volume)
    else:
        with pytest.raises(NotFound, match="is destroyed"):
            steps.retain(Racing(world, meanwhile), world.fleet, record, volume)
    assert Record.load(world.path).volumes[PV]["claim"]


def test_a_pv_that_controllers_change_is_tried_again(world: World) -> None:
    """The PV controller says Released at the very moment at which our finalizer is taken off."""
    record = world.retained()
    racing = Racing(world, lambda: world.api.patch(PVS, PV, {"metadata": {"labels": {"changed": "yes"}}}))
    steps.delete(racing, world.fleet, record, PV, pause)
    assert not world.api.objects(PVS) and not world.array.volume(VOLUME).destroyed


def test_a_pv_set_to_delete_meanwhile_is_refused(world: World) -> None:
    record = world.retained()
    racing = Racing(world, lambda: world.api.patch(PVS, PV, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}))
    with pytest.raises(Refused, match="not Retain"):
        steps.delete(racing, world.fleet, record, PV, pause)
    assert world.api.get(PVS, PV)


def test_a_pv_that_changes_all_the_time_is_said(world: World) -> None:
    record, numbers = world.retained(), iter(range(99))

    class Restless(Kube):
        def merge(self, path: str, body: Raw) -> Raw:
            world.api.patch(PVS, PV, {"metadata": {"labels": {"changed": str(next(numbers))}}})
            return super().merge(path, body)

    with pytest.raises(Busy, match="changes all the time"):
        steps.delete(Restless(world._access), world.fleet, record, PV, pause)


@pytest.mark.parametrize("racing", [Racing, RacingDeletion])
def test_a_pv_that_goes_meanwhile_is_deleted(world: World, racing: type[Racing]) -> None:
    record = world.retained()
    world.api.delete(CLAIMS, "data")
    record.mark(PV, claim_deleted=True)
    steps.delete(racing(world, lambda: remove_pv(world)), world.fleet, record, PV, pause)
    assert Record.load(world.path).volumes[PV]["pv_deleted"]


def test_a_claim_made_anew_meanwhile_stays(world: World) -> None:
    """Deletion names the uid; the new claim of the same name is told from ours by it."""
    record = world.retained()

    def meanwhile() -> None:
        world.api.delete(CLAIMS, "data")
        world._cluster.until(lambda: world.api.get(CLAIMS, "data") is None, "claim gone")
        world.put(CLAIMS, "data", {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                   "resources": {"requests": {"storage": "1Gi"}}})

    steps.delete(RacingDeletion(world, meanwhile), world.fleet, record, PV, pause)
    assert world.claim["spec"]["storageClassName"] == "none" and not world.api.objects(PVS)


def test_a_workload_that_goes_before_it_is_scaled_is_no_failure(world: World) -> None:
    [shop] = steps.movers(world.kube, steps.survey(world.kube, "k8s"))
    world.scale(0)
    assert steps.give_back(Racing(world, lambda: world.api.delete("deployments", "shop")), shop) is False


# The record

@pytest.mark.parametrize(("content", "said"), [
    ("", "not a record"), ("[]", "not a record"), ('{"format": 1}', "not a record"), ('{"format": 2}', "another release"),
    ('{"format": 1, "prefix": "shop", "volumes": {}, "workloads": []}', "prefix shop, and this cluster's is k8s")])
def test_a_record_that_cannot_be_used_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        Record.begin(tmp_path / "record.json", "k8s")


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Record.load(tmp_path)


def test_a_record_on_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deleted of which the record could not be written."""
    record = Record(tmp_path / "record.json", "k8s", {"a": {"step": 1}})
    record.save()
    (tmp_path / "record.json.new").mkdir()
    with pytest.raises(OSError):
        record.mark("a", step=2)
    assert json.loads(record.path.read_text())["volumes"] == {"a": {"step": 1}}
    assert issubclass(ConfigError, PureError)
