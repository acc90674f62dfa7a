"""pure migrate: the whole way to CSI, refusals, and cuts at every call (AT-73 to AT-78)."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from arrays import fleet as fleets
from provisioner.kube import Kube, from_kubeconfig
from provisioner.migration import csi, steps
from provisioner.migration.record import Record
from provisioner.migration.workloads import Workload, merged, workloads
from provisioner.objects import Raw
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.commands import Run, typed


@pytest.fixture
def run(cluster: Cluster, administrator: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path) -> Run:
    """Run `pure migrate …` as an administrator in an empty folder; status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return typed(cluster, administrator, monkeypatch, capsys, "pure", "migrate")


@pytest.fixture
def made(cluster: Cluster) -> Iterator[Cluster]:
    """Claims `data` (block) and `share` (file), bound; the provisioner has stopped, as a migration wants it."""
    with cluster.provisioner():
        cluster.claim("data")
        cluster.claim("share", "pure-file", mode="ReadWriteMany")
        cluster.bound("data")
        cluster.bound("share")
    yield cluster


def deployment(cluster: Cluster, replicas: int, claim: str = "data") -> None:
    cluster.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": {
            "metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [
                {"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}}}})


def pod(cluster: Cluster, claim: str = "data") -> None:
    cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db"}, "spec": {
        "nodeName": "node1", "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}})


def test_list_shows_flex_pvs_only_and_who_uses_them(run: Run, made: Cluster) -> None:
    """AT-73"""
    made.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "other"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp/data"}}})
    pod(made)
    status, out, _ = run("list", "-o", "json")
    rows = {row["claim"]: row for row in json.loads(out)}
    assert status == 0 and set(rows) == {"default/data", "default/share"}
    assert rows["default/data"]["volume"] == made.volume() and rows["default/data"]["pods"] == "default/db"
    assert (rows["default/data"]["storage_class"], rows["default/data"]["size"]) == ("pure", "10Gi")
    assert "default/data" in run("list")[1] and "no FlexVolume PVs" in run("list", "-n", "elsewhere")[1]


def test_pods_that_run_stop_it_and_the_plan_keeps_their_replicas(run: Run, made: Cluster) -> None:
    """AT-74: the replicas first seen are given back, also after a second look found them scaled down."""
    deployment(made, 3)
    pod(made)
    status, out, err = run("plan")
    assert status == 1 and "kubectl -n default scale deployment/shop --replicas=0" in out and "pod default/db" in err
    status, _, err = run("retain", "--yes")
    assert status == 2 and "default/db" in err and made.pv()["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    made.api.delete("pods", "db", gracePeriodSeconds=0)
    deployment(made, 0)
    assert run("plan")[0] == 0
    assert run("restore-scale", "--yes")[0] == 0
    found = made.api.get("deployments", "shop")
    assert found and found["spec"]["replicas"] == 3


def test_the_whole_way(run: Run, made: Cluster, fa1: FlashArray, fb1: FlashBlade) -> None:
    """AT-75 to AT-78: volumes stay the same from the first step to the last."""
    pvs, before = {name: made.pv(name) for name in ("data", "share")}, made.live()
    volume = made.volume()
    assert run("retain", "--dry-run")[0] == 0 and not Path("pure-migration.json").exists()
    assert run("retain", "--yes")[0] == 0
    assert {made.pv(name)["spec"]["persistentVolumeReclaimPolicy"] for name in pvs} == {"Retain"}
    assert Path("pure-migration.json").stat().st_mode & 0o777 == 0o600
    assert run("snapshot")[0] == 0 == run("snapshot")[0]
    [suffix] = fa1.volume(volume).snapshots
    assert suffix.startswith("flex-migration-")
    status, _, err = run("delete", "--dry-run")
    assert status == 0 and volume in err and made.api.get(CLAIMS, "data")

    assert run("delete", "--yes")[0] == 0
    assert not made.api.objects(PVS) and not made.api.objects(CLAIMS) and made.live() == before

    assert run("export", "--to", "csi.yaml")[0] == 0
    text = Path("csi.yaml").read_text()
    manifests = list(yaml.safe_load_all(text))
    assert "5.2.0 or later" in text and len(manifests) == 4
    new = {one["metadata"]["name"]: one for one in manifests if one["kind"] == "PersistentVolume"}
    csi_spec = new[pvs["data"]["metadata"]["name"]]["spec"]
    assert csi_spec["csi"] == {"driver": "pure-csi", "volumeHandle": volume, "fsType": "xfs",
                               "volumeAttributes": {"backend": "block"}}
    assert csi_spec["claimRef"]["name"] == "data" and csi_spec["capacity"] == pvs["data"]["spec"]["capacity"]
    assert csi_spec["storageClassName"] == "pure" and csi_spec["persistentVolumeReclaimPolicy"] == "Retain"

    assert run("verify")[0] == 1
    for one in manifests:
        made.api.create(one)
    made.until(lambda: all(claim["status"].get("phase") == "Bound" for claim in made.api.objects(CLAIMS)), "claims bound")
    status, out, _ = run("verify", "-o", "json")
    assert status == 0 and {row["ok"] for row in json.loads(out)} == {"yes"}
    assert run("snapshot", "--cleanup", "--yes")[0] == 0
    assert fa1.volume(volume).snapshots == () and made.live() == before


def test_a_pv_without_fstype_has_that_of_the_setting(run: Run, made: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PVs of the original driver are: what it made was of the cluster's default, and xfs cannot be mounted there."""
    run("retain", "--yes")
    record = Record.load(Path("pure-migration.json"))
    del record.volumes[made.pv_name()]["pv"]["spec"]["flexVolume"]["fsType"]
    record.save()
    for fs_type in ("ext4", "xfs"):
        monkeypatch.setenv("PURE_DEFAULT_BLOCK_FS_TYPE", fs_type)
        assert f"fsType: {fs_type}\n" in run("export")[1]


def test_cleanup_destroys_exactly_its_own_snapshots(run: Run, made: Cluster, fa1: FlashArray) -> None:
    """AT-77"""
    run("retain", "--yes")
    fleet = fleets.load(str(made.pure_json))
    record = Record.load(Path("pure-migration.json"))
    other = {pv: {**entry} for pv, entry in record.volumes.items()}
    steps.snapshot(fleet, Record(Path("other.json"), "k8s", other), made.pv_name(), "daily")
    run("snapshot")
    run("snapshot", "--cleanup", "--yes")
    assert fa1.volume(made.volume()).snapshots == ("daily",)


def test_a_snapshot_of_an_earlier_run_is_not_passed_off_as_a_new_one(run: Run, made: Cluster, fa1: FlashArray) -> None:
    """A migration broken off on Monday and begun again on Friday: the safety snapshot has Monday's data, which is said."""
    run("retain", "--yes")
    assert "take snapshot" in run("snapshot")[2]
    suffix, = fa1.volume(made.volume()).snapshots
    status, _, err = run("snapshot")
    assert status == 0 and "take snapshot" not in err and f"keep snapshot {made.volume()}.{suffix}" in err


def test_a_pv_that_is_not_retained_is_not_deleted(run: Run, made: Cluster) -> None:
    """AT-76: looked at on the live object, whatever the record says."""
    run("retain", "--yes")
    made.api.patch(PVS, made.pv_name(), {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    status, _, err = run("delete", "--yes")
    assert status == 1 and "not Retain" in err
    assert made.api.get(CLAIMS, "data") and not made.api.get(CLAIMS, "share")


def test_a_volume_that_is_not_there_stops_its_deletion(run: Run, made: Cluster, fa1: FlashArray) -> None:
    """Before: nothing is deleted for it; an array that gives no answer is as good as no proof."""
    run("retain", "--yes")
    fa1.faults.add(reset=True)
    status, _, err = run("delete", "--yes")
    assert status == 1 and fa1.endpoint in err and made.api.get(CLAIMS, "data") and made.api.get(PVS, made.pv_name())


def test_without_a_person_nothing_is_deleted(run: Run, made: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No --yes and no terminal: refused."""
    run("retain", "--yes")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("delete")[0] == 2 and made.api.get(CLAIMS, "data")


def test_steps_without_a_record_say_where_to_begin(run: Run, made: Cluster) -> None:
    for step in ("delete", "export", "verify", "snapshot", "restore-scale"):
        status, _, err = run(step)
        assert status == 2 and "begin with `pure migrate retain`" in err


def test_a_record_of_another_prefix_is_not_gone_on_with(run: Run, made: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    run("retain", "--yes")
    monkeypatch.setenv("PURE_K8S_NAMESPACE", "shop")
    status, _, err = run("delete", "--yes")
    assert status == 2 and "prefix k8s, and PURE_K8S_NAMESPACE is shop" in err and made.api.get(CLAIMS, "data")


def test_each_change_can_be_tried_first(run: Run, made: Cluster, fa1: FlashArray) -> None:
    """--dry-run says what would be done and does none of it; repeats say that nothing is left."""
    deployment(made, 3)
    run("plan")
    run("retain", "--yes")
    deployment(made, 0)
    for step, words in (("snapshot", "would take snapshot"), ("delete", "would delete claim default/data"),
                        ("restore-scale", "would kubectl -n default scale deployment/shop --replicas=3")):
        status, _, err = run(step, "--dry-run")
        assert status == 0 and words in err
    assert fa1.volume(made.volume()).snapshots == () and made.api.get(CLAIMS, "data")
    run("delete", "--yes")
    assert "nothing is left to do" in run("delete", "--yes")[2] and run("snapshot", "--cleanup")[0] == 0


class Cut(BaseException):
    """kill -9 while a call is under way."""


class Cutting(Kube):
    """Dies at its n-th change, before or after the server did it."""

    def __init__(self, access: Any, at: int, after: bool) -> None:
        super().__init__(access)
        self._left, self._after = at, after

    def _change(self, act: Callable[[], Raw]) -> Raw:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Cut
        answer = act()
        if self._left == 0:
            raise Cut
        return answer

    def merge(self, path: str, body: Raw) -> Raw:
        return self._change(lambda: super(Cutting, self).merge(path, body))

    def delete(self, path: str, uid: str) -> Raw:
        return self._change(lambda: super(Cutting, self).delete(path, uid))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_cut_at_each_change_and_repeated(made: Cluster, administrator: str, tmp_path: Path, at: int, after: bool) -> None:
    """retain and delete of one volume are four changes at most; after any cut the same steps finish the work."""
    fleet, path, before = fleets.load(str(made.pure_json)), tmp_path / "record.json", made.live()
    access = from_kubeconfig(administrator)

    def work(kube: Kube) -> None:
        record = Record.begin(path, "k8s")
        for volume in steps.survey(kube, "k8s"):
            if volume.claim == "default/data" or volume.pv in record.volumes:
                steps.retain(kube, fleet, record, volume)
        for pv in record.volumes:
            steps.delete(kube, fleet, record, pv)

    try:
        work(Cutting(access, at, after))
    except Cut:
        work(Kube(access))
    assert not made.api.get(CLAIMS, "data") and [pv["spec"]["claimRef"]["name"] for pv in made.api.objects(PVS)] == ["share"]
    assert made.live() == before
    entry, = Record.load(path).volumes.values()
    assert entry["claim"]["metadata"]["name"] == "data" and entry["pv"]["spec"]["flexVolume"] and entry["pv_deleted"]
    assert [one["kind"] for one in csi.manifests(entry)] == ["PersistentVolume", "PersistentVolumeClaim"]


def test_a_pv_that_goes_after_the_survey_is_no_failure(made: Cluster, administrator: str, tmp_path: Path) -> None:
    """As a repeated `retain` meets it when the API server still finishes the deletion that was cut."""
    kube, record = Kube(from_kubeconfig(administrator)), Record.begin(tmp_path / "record.json", "k8s")
    volume, = (one for one in steps.survey(kube, "k8s") if one.claim == "default/data")
    steps.retain(kube, fleets.load(str(made.pure_json)), record, volume)
    before = dict(record.volumes)
    made.api.patch(PVS, volume.pv, {"metadata": {"finalizers": None}})
    made.api.delete(PVS, volume.pv)
    steps.retain(kube, fleets.load(str(made.pure_json)), record, volume)
    assert record.volumes == before and volume.pv in before


def test_workloads_are_found_by_their_templates() -> None:
    """Also when no pod runs any more; a StatefulSet by the names its claims get."""
    stateful = {"metadata": {"namespace": "shop", "name": "db"}, "spec": {
        "replicas": 3, "template": {"spec": {}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}}
    assert workloads([stateful], "StatefulSet", {"shop/data-db-2"}) == [Workload("StatefulSet", "shop", "db", 3)]
    assert not workloads([stateful], "StatefulSet", {"shop/data-db-x", "other/data-db-0", "shop/data-db"})
    one, scaled = Workload("Deployment", "a", "b", 2), Workload("Deployment", "a", "b", 0)
    assert merged([one], [scaled]) == merged([scaled], [one]) == [one]
