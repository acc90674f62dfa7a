"""pure arrays|volumes|orphans, snapshot, and the provisioner's command line (AT-33, AT-79, AT-80, AT-82, AT-84)."""

import json
import re
from typing import Any

import pytest

from provisioner.__main__ import known_flags
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import PVS, Cluster
from tests.provisioner.commands import Run, typed
from tests.provisioner.given import UID


@pytest.fixture
def run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line as in the provisioner's pod; status, stdout, stderr."""
    return typed(cluster, cluster.api.kubeconfig(user=cluster.user), monkeypatch, capsys)


def test_show_tells_capacity_reduction_and_load(run: Run, cluster: Cluster, fa2: FlashArray) -> None:
    """AT-80: and a second call shows what changed; JSON has the same fields as numbers."""
    status, out, _ = run("pure", "arrays", "show")
    assert status == 0 and re.search(rf"{fa2.endpoint} +FlashArray +fa2 +\S+ +100TiB +50TiB +50\.0 ", out)
    assert "env=prod" in out and f"https://{fa2.endpoint}/" in out
    fa2.used = 75 * 2**40
    rows = json.loads(run("pure", "arrays", "show", "-o", "json")[1])
    assert [row["used_percent"] for row in rows] == [0.0, 75.0, 0.0] and rows[1]["labels"] == {"env": "prod"}
    assert {"array_name", "version", "data_reduction", "total_reduction", "iops", "bandwidth", "usec_per_read"} <= {*rows[0]}


def test_show_goes_on_without_a_dead_array(run: Run, fa1: FlashArray, fa2: FlashArray) -> None:
    fa1.faults.add(reset=True)
    status, out, err = run("pure", "arrays", "show")
    assert status == 1 and fa2.endpoint in out and fa1.endpoint not in out and fa1.endpoint in err


def test_show_goes_on_without_one_whose_answer_is_odd(run: Run, fa1: FlashArray, fa2: FlashArray) -> None:
    """An array without a name: nothing it may say ends the command with a traceback, nor hides the others."""
    fa1.faults.add(method="GET", path="array", body='{"id": "1"}')
    status, out, err = run("pure", "arrays", "show")
    assert status == 1 and fa2.endpoint in out and "nobody foresaw" in err and fa1.endpoint in err and fa1.token not in err


def test_best_names_the_array_and_masks_its_token(run: Run, fa1: FlashArray, fa2: FlashArray) -> None:
    """AT-33."""
    status, out, err = run("pure", "arrays", "best", "-o", "json")
    row, = json.loads(out)
    assert status == 0 and row["use_name"] == fa1.endpoint and row["use_url"] == f"https://{fa1.endpoint}/"
    assert row["use_api"].startswith(fa1.token[:4]) and fa1.token not in out + err
    fa1.capacity = 2**30
    status, out, err = run("pure", "arrays", "best", "--size", "50Gi")
    assert fa2.endpoint in out and f"not {fa1.endpoint}: has 1GiB free" in err
    status, out, err = run("pure", "arrays", "best", "-l", "env=test")
    assert status == 1 and not out and "env=test" in err


def test_best_of_the_file_arrays(run: Run, fb1: FlashBlade) -> None:
    assert fb1.endpoint in run("pure", "arrays", "best", "--backend", "file")[1]


def test_check_reports_each_array_by_endpoint_and_cause(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """AT-84: wrong and swapped tokens, no token printed, the others still work."""
    status, out, _ = run("pure", "arrays", "check")
    assert status == 0 and out.count(" yes ") == 3
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"][0]["APIToken"] = "T-c4925090-c9bf-4033-8537-d24ee5669135"
    cluster.pure_json.write_text(json.dumps(fleet))
    status, out, _ = run("pure", "arrays", "check", "-o", "json")
    rows = json.loads(out)
    assert status == 1 and [row["ok"] for row in rows] == ["no", "yes", "yes", "no"]
    assert "token" in rows[0]["says"] and "swapped" in rows[3]["says"] and "c4925090" not in out


@pytest.mark.parametrize("argv", [("pure", "arrays", "shoe"), ("pure", "--nonsense"), ("snapshot", "create"),
                                  ("snapshot", "delete", "no-dot"), ("snapshot", "delete", "other.x")], ids=str)
def test_a_wrong_command_line_ends_with_2(run: Run, argv: tuple[str, ...]) -> None:
    status, out, err = run(*argv)
    assert status == 2 and err and not out


def test_a_missing_pure_json_is_one_sentence(run: Run, cluster: Cluster) -> None:
    cluster.pure_json.unlink()
    status, out, err = run("pure", "arrays", "show")
    assert status == 2 and err.startswith("pure: ") and "cannot be read" in err and err.count("\n") == 1


def test_volumes_with_their_claims(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound()
    fa1.add_volume("somebody-elses", 2**30)
    rows = json.loads(run("pure", "volumes", "-o", "json")[1])
    assert rows == [{"array": fa1.endpoint, "volume": cluster.volume(), "size": 10 * 2**30, "pv": cluster.pv_name(),
                     "claim": "default/data", "phase": "Bound"}]
    assert "10GiB" in run("pure", "volumes")[1]
    assert run("pure", "volumes", "--array", "1.2.3.4")[1] == "no volume of ours\n"


def test_orphans_are_ours_and_without_pv(run: Run, cluster: Cluster, fa1: FlashArray, fa2: FlashArray,
                                         fb1: FlashBlade) -> None:
    """AT-79: other clusters', people's and other products' volumes never appear; nor what another kind of PV holds by now,
    CSI's or plain NFS, of which a FlashBlade does not say that it is mounted.
    """
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound()
    for name in (f"k8s2-pvc-{UID}", "cinder-volume", f"k8s-pvc-{UID}-x", "k8s-by-hand",
                 "k8s-pvc-00000000-0000-0000-0000-000000000001"):
        fa1.add_volume(name, 2**30)
    fa2.add_volume(f"k8s-pvc-{UID}", 3 * 2**30)
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "migrated"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": "pure-csi", "volumeHandle": "k8s-pvc-00000000-0000-0000-0000-000000000001"}}})
    fb1.add_file_system("k8s-pvc-00000000-0000-0000-0000-000000000002", 2**30)
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"],
        "nfs": {"server": "192.0.2.7", "path": "/k8s-pvc-00000000-0000-0000-0000-000000000002"}}})
    status, out, _ = run("pure", "orphans", "-o", "json")
    orphan, = json.loads(out)
    assert (orphan["array"], orphan["volume"], orphan["size"], orphan["why"]) == (
        fa2.endpoint, f"k8s-pvc-{UID}", 3 * 2**30, "no PV, and its claim is gone")
    assert status == 0 and f"k8s-pvc-{UID}" in cluster.live()


def test_one_volume_behind_two_addresses_is_no_twin(run: Run, cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """The arrays of a stretched pod, or one array written twice: who destroys the second destroys the PV's own."""
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", fa2.state)
    fleet = cluster.sim.pure_json()
    for entry in fleet["FlashArrays"]:
        entry["ReplicationPods"] = ["pod1"]
    again = {**fleet["FlashArrays"][0], "MgmtEndPoint": fa1.endpoint.replace("127.0.0.1", "localhost")}
    cluster.pure_json.write_text(json.dumps({**fleet, "FlashArrays": [*fleet["FlashArrays"], again]}))
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound()
    assert run("pure", "volumes")[1].count(cluster.volume().rpartition("::")[2]) == 3
    assert run("pure", "orphans") == (0, "no orphans\n", "")
    home = cluster.api.get(PVS, cluster.pv_name())["spec"]["flexVolume"]["options"]["array"]
    other = fa2 if home != fa2.endpoint else fa1
    other.add_volume(cluster.volume().rpartition("::")[2], 2**30)
    assert f"twin: its PV uses the one on {home}" in run("pure", "orphans")[1]


def test_no_orphans(run: Run) -> None:
    assert run("pure", "orphans") == (0, "no orphans\n", "")


# Snapshots and copies

def test_snapshot_create_and_delete(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """AT-82: the words of the published documentation."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    status, out, _ = run("snapshot", "create", "-n", "default", "data")
    name = out.strip()
    assert status == 0 and re.fullmatch(rf"{cluster.volume()}\.[0-9TZ]+", name)
    assert [f"{cluster.volume()}.{suffix}" for suffix in fa1.volume(cluster.volume()).snapshots] == [name]
    assert run("snapshot", "delete", name) == (0, "", "")
    assert fa1.volume(cluster.volume()).snapshots == ()
    status, _, err = run("snapshot", "delete", name)
    assert status == 1 and "has no snapshot" in err


@pytest.mark.parametrize("kind", [{}, {"storage_class": "pure-file", "mode": "ReadWriteMany"}], ids=["block", "file"])
def test_a_snapshot_of_that_name_is_not_passed_off_as_a_new_one(run: Run, cluster: Cluster, kind: dict[str, str]) -> None:
    """Who takes "before-upgrade" at each upgrade would roll back to the first one's data."""
    with cluster.provisioner():
        cluster.claim(**kind)
        cluster.bound()
    assert run("snapshot", "create", "data", "--suffix", "before-upgrade")[0] == 0
    status, out, err = run("snapshot", "create", "data", "--suffix", "Before-Upgrade")
    assert status == 1 and not out and "is there already" in err and "choose another suffix" in err
    assert run("snapshot", "delete", f"{cluster.volume()}.before-upgrade")[0] == 0


def test_snapshots_of_what_has_none(run: Run, cluster: Cluster) -> None:
    cluster.claim("waiting")
    assert "not bound yet" in run("snapshot", "create", "waiting")[2]
    status, _, err = run("snapshot", "create", "nothing")
    assert status == 1 and "nothing" in err


@pytest.mark.parametrize("asked, size", [("10Gi", 10), ("15Gi", 15)])
def test_a_claim_from_a_snapshot(run: Run, cluster: Cluster, fa1: FlashArray, asked: str, size: int) -> None:
    """AT-82: a read-write copy with the data; larger is fine, it is grown afterwards."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        name = run("snapshot", "create", "data", "--suffix", "nightly-1")[1].strip()
        cluster.claim("copy", size=asked, annotations={"snapshot.beta.purestorage.com/name": name})
        cluster.bound("copy")
    copy = fa1.volume(cluster.volume("copy"))
    assert (copy.source, copy.size) == (cluster.volume(), size * 2**30)
    assert cluster.options("copy")["mountOptions"] == "nouuid"


def test_a_claim_from_a_claim(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """As Kubernetes' storage tests do it; on the array of the original, although the other one is emptier."""
    with cluster.provisioner():
        cluster.claim(size="10Gi")
        cluster.bound()
        fa1.used = 80 * 2**40
        cluster.claim("copy", dataSource={"kind": "PersistentVolumeClaim", "name": "data"})
        cluster.bound("copy")
    assert cluster.live() == {cluster.volume(): "fa1", cluster.volume("copy"): "fa1"}
    assert fa1.volume(cluster.volume("copy")).source == cluster.volume()


def test_a_copy_whose_answer_was_lost_is_completed(cluster: Cluster, fa1: FlashArray) -> None:
    """C8: copied, and neither grown nor limited yet; both are done before the PV exists."""
    cluster.storage_class("fast", parameters={"iops_limit": "30000"})
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        fa1.faults.add(method="POST", path="volume/*", lose_reply=True, times=1)
        cluster.claim("copy", "fast", size="20Gi", dataSource={"kind": "PersistentVolumeClaim", "name": "data"})
        cluster.bound("copy")
    copy = fa1.volume(cluster.volume("copy"))
    assert (copy.source, copy.size, copy.iops_limit) == (cluster.volume(), 20 * 2**30, 30000)


@pytest.mark.parametrize("claim, text", [
    ({"size": "5Gi"}, "a copy cannot be smaller"),
    ({"snapshot": "other-pvc-1.x"}, "is no volume that was made for a claim in namespace default"),
    ({"snapshot": f"k8s-pvc-{UID}.x"}, "is no volume that was made for a claim in namespace default"),
    ({"snapshot": "nonsense"}, "is no snapshot"), ({"source": "missing"}, "missing")], ids=str)
def test_copies_that_are_refused(cluster: Cluster, claim: dict[str, Any], text: str) -> None:
    """Never an empty volume instead, never somebody else's data."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        cluster.api.create({**cluster.pv(), "metadata": {
            "name": f"pvc-{UID}", "annotations": cluster.pv()["metadata"]["annotations"]}, "spec": {
            **cluster.pv()["spec"], "claimRef": {**cluster.pv()["spec"]["claimRef"], "namespace": "elsewhere", "uid": UID}}})
        annotations = {"snapshot.beta.purestorage.com/name": claim.get("snapshot") or f"{cluster.volume()}.s"}
        source = {"dataSource": {"kind": "PersistentVolumeClaim", "name": claim["source"]}} if "source" in claim else {}
        cluster.claim("copy", size=claim.get("size", "10Gi"), annotations={} if source else annotations, **source)
        cluster.event("ProvisioningFailed", "copy", text)
    assert list(cluster.live()) == [cluster.volume()] and cluster.api.get(PVS, cluster.pv_name("copy")) is None


@pytest.mark.parametrize("given, kept", [
    (["-logtostderr=true", "-log_file_max_size=32", "-stderrthreshold=2"], []),
    (["-logtostderr=true", "-log_file_max_size=32", "-stderrthreshold=2", "--debug"], ["--debug"]),
    (["--v=5"], ["--debug"]), (["-v=2"], []), (["--help"], ["--help"]),
    (["--log-format", "json"], ["--log-format", "json"])])
def test_the_published_charts_command_line_is_understood(given: list[str], kept: list[str]) -> None:
    """design.md 3.2."""
    assert known_flags(given) == kept
