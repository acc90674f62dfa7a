"""pure import and pure orphans --delete (AT-83, AT-79), and what they leave alone."""

import io
import json
from typing import Any

import pytest
import yaml

from arrays.errors import ConfigError
from provisioner import imports
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.commands import Run, typed

GiB = 2**30
ORPHAN = "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"


@pytest.fixture
def run(cluster: Cluster, administrator: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `pure …` as an administrator; status, stdout, stderr."""
    return typed(cluster, administrator, monkeypatch, capsys, "pure")


def claim(cluster: Cluster, name: str) -> dict[str, Any]:
    found = cluster.api.get(CLAIMS, name)
    assert found
    return found


def test_a_volume_is_imported_as_it_is(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """AT-83: printed first; made with --create, twice if need be; bound; the volume's name unchanged."""
    fa1.add_volume("Old_Data", 20 * GiB)
    status, out, _ = run("import", "Old_Data", "--claim", "data", "--fstype", "ext4")
    pv, wanted = yaml.safe_load_all(out)
    assert status == 0 and not cluster.api.objects(PVS)
    assert pv["spec"]["flexVolume"] == {"driver": "pure/flex", "fsType": "ext4", "options": {
        "backend": "block", "namespace": "k8s", "volume": "Old_Data", "array": fa1.endpoint, "access": "ReadWriteOnce"}}
    assert pv["spec"]["persistentVolumeReclaimPolicy"] == "Retain" and "annotations" not in pv["metadata"]
    assert wanted["spec"]["volumeName"] == pv["metadata"]["name"] == "pure-import-old-data"
    for _ in range(2):
        assert run("import", "Old_Data", "--claim", "data", "--fstype", "ext4", "--create")[0] == 0
    cluster.until(lambda: claim(cluster, "data")["status"].get("phase") == "Bound", "claim bound")
    assert cluster.live() == {"Old_Data": "fa1"}
    status, _, err = run("import", "Old_Data", "--claim", "other", "--create")
    assert status == 2 and "is there already and is another" in err


def test_a_volume_that_a_host_has_is_not_imported(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """A pod would take it from that host, silent for a minute: it may be a machine's disk. Readers share."""
    fa1.add_volume("vm-disk", GiB)
    fa1.add_host("hypervisor", iqns=["iqn.2000-01.example:hypervisor"])
    fa1.connect("hypervisor", "vm-disk")
    for more in ((), ("--create",)):
        status, out, err = run("import", "vm-disk", "--claim", "data", *more)
        assert status != 0 and not out and "vm-disk is connected to hypervisor: disconnect it there first" in err
    assert run("import", "vm-disk", "--claim", "data", "--mode", "ReadOnlyMany")[0] == 0
    fa1.disconnect("hypervisor", "vm-disk")
    assert run("import", "vm-disk", "--claim", "data", "--create")[0] == 0
    fa1.connect("hypervisor", "vm-disk")            # a node, by now
    assert run("import", "vm-disk", "--claim", "data", "--create")[0] == 0


def test_one_volume_is_not_imported_under_two_spellings(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """To an array Old_Data and old_data are one volume."""
    fa1.add_volume("Old_Data", GiB)
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "by-hand"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "flexVolume": {"driver": "pure/flex", "options": {"volume": "old_data"}}}})
    status, _, err = run("import", "OLD_DATA", "--claim", "data", "--create")
    assert status == 2 and "PV by-hand" in err and "stands for volume Old_Data already" in err


def test_what_is_on_its_way_out_is_not_taken_as_made(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """The PV of an earlier import that somebody deleted, and that something still holds."""
    fa1.add_volume("Old_Data", 20 * GiB)
    assert run("import", "Old_Data", "--claim", "data", "--create")[0] == 0
    cluster.api.patch(PVS, "pure-import-old-data", {"metadata": {"finalizers": ["example.com/slow"]}})
    cluster.api.delete(PVS, "pure-import-old-data")
    status, _, err = run("import", "Old_Data", "--claim", "data", "--create")
    assert status != 0 and "on its way out: run the same command again" in err


def test_a_file_system_is_imported_with_its_export(run: Run, cluster: Cluster, fb1: FlashBlade) -> None:
    fb1.add_file_system("shared", 5 * GiB)
    status, out, _ = run("import", "shared", "--claim", "data", "--backend", "file", "--mode", "ReadWriteMany")
    pv, _ = yaml.safe_load_all(out)
    assert status == 0 and pv["spec"]["flexVolume"]["options"]["nfs"].endswith(":/shared")
    assert "fsType" not in pv["spec"]["flexVolume"]


def test_a_snapshot_becomes_a_volume_of_its_own(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """A repeat makes no second copy; the source keeps its name and data."""
    fa1.add_volume("golden", 20 * GiB)
    fa1.snapshot("golden", "monday")
    for _ in range(2):
        status, out, err = run("import", "golden.monday", "--claim", "data", "--from-snapshot", "--create")
        assert status == 0, err
    copy, = set(cluster.live()) - {"golden"}
    assert copy.startswith("k8s-import-") and fa1.volume(copy).size == 20 * GiB and copy in out


def test_a_copy_of_an_earlier_import_is_not_passed_off_as_the_snapshot(run: Run, cluster: Cluster,
                                                                       fa1: FlashArray) -> None:
    """A restore tried again, claim and PV deleted in between: the volume has what was written to it, not the snapshot's."""
    fa1.add_volume("golden", 20 * GiB)
    fa1.snapshot("golden", "monday")
    assert run("import", "golden.monday", "--claim", "data", "--from-snapshot", "--create")[0] == 0
    copy, = set(cluster.live()) - {"golden"}
    cluster.delete_claim("data")
    cluster.api.delete(PVS, imports.pv_name(copy))
    cluster.until(lambda: not cluster.api.objects(PVS), "the PV gone")
    status, _, err = run("import", "golden.monday", "--claim", "data", "--from-snapshot", "--create")
    assert status == 1 and f"pure import {copy}" in err and not cluster.api.objects(PVS)
    assert run("import", copy, "--claim", "data", "--create")[0] == 0


def test_what_cannot_be_imported(run: Run, cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """Missing, on two arrays, held by a PV, or shared over block."""
    assert "has no block volume nowhere" in run("import", "nowhere", "--claim", "data")[2]
    for array in (fa1, fa2):
        array.add_volume("twice", GiB)
    status, _, err = run("import", "twice", "--claim", "data")
    assert status == 2 and fa1.endpoint in err and fa2.endpoint in err
    assert run("import", "twice", "--claim", "data", "--array", fa2.endpoint)[0] == 0
    assert "ReadWriteMany" in run("import", "twice", "--claim", "x", "--mode", "ReadWriteMany", "--array", fa2.endpoint)[2]
    with cluster.provisioner():
        cluster.claim("mine")
        cluster.bound("mine")
    assert "stands for volume" in run("import", cluster.volume("mine"), "--claim", "data")[2]
    fa1.faults.add(reset=True)
    assert "cannot tell" in run("import", "twice", "--claim", "data")[2]


@pytest.mark.parametrize(("volume", "name"), [("Old_Data", "pure-import-old-data"), ("pod1::x", "pure-import-x")])
def test_the_same_volume_gets_the_same_pv(volume: str, name: str) -> None:
    assert imports.pv_name(volume) == name


def test_a_claims_name_is_checked() -> None:
    with pytest.raises(ConfigError, match="claim's name"):
        imports.manifests(imports.Wanted("My Claim", "a", "pure", "ReadWriteOnce", "xfs"),
                          imports.Existing("fa1", "block", "x", GiB), "k8s")


def test_a_claims_volume_is_told_in_full(run: Run, cluster: Cluster, fa1: FlashArray, fb1: FlashBlade) -> None:
    """AT-81: of that claim only, as its array shows it now."""
    with cluster.provisioner():
        cluster.claim("data")
        cluster.claim("share", "pure-file", mode="ReadWriteMany")
        cluster.bound("data")
        cluster.bound("share")
    fa1.add_host("host5")
    fa1.connect("host5", cluster.volume())
    row, = json.loads(run("volumes", "data", "-o", "json")[1])
    assert (row["volume"], row["array"], row["hosts"], row["size"]) == (cluster.volume(), fa1.endpoint, "host5", 10 * GiB)
    assert {"iops", "bandwidth", "usec_per_read", "usec_per_write", "data_reduction", "total_reduction"} <= set(row)
    fa1.set_volume_used(cluster.volume(), 3 * GiB)
    assert json.loads(run("volumes", "data", "-o", "json")[1])[0]["used"] == 3 * GiB
    assert "3GiB" in run("volumes", "data")[1]
    shared, = json.loads(run("volumes", "share", "-o", "json")[1])
    assert shared["array"] == fb1.endpoint and shared["used"] == 0 and shared["export"].endswith(shared["volume"])
    status, out, err = run("volumes", "other")
    assert status == 1 and "other" in err and not out


def test_a_claim_without_a_volume_of_ours(run: Run, cluster: Cluster) -> None:
    """Not bound yet, or bound to what another driver made: said so, and nothing of it is shown."""
    cluster.claim("waiting")
    assert run("volumes", "waiting")[::2] == (2, "pure: claim default/waiting is not bound yet\n")
    cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "nfs"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
        "hostPath": {"path": "/tmp/data"}}})
    cluster.claim("other", "none", size="1Gi", volumeName="nfs")
    cluster.until(lambda: claim(cluster, "other")["status"].get("phase") == "Bound", "claim bound")
    status, out, err = run("volumes", "other")
    assert status == 2 and not out and "is bound to nfs, which is not of this driver" in err


def test_a_snapshot_is_imported_at_once_or_not_at_all(run: Run, fa1: FlashArray) -> None:
    fa1.add_volume("golden", GiB)
    fa1.snapshot("golden", "monday")
    status, _, err = run("import", "golden.monday", "--claim", "data", "--from-snapshot")
    assert status == 2 and "say --create" in err
    fa1.destroy_volume("golden")
    status, _, err = run("import", "golden", "--claim", "data")
    assert status == 2 and "recover it there first" in err


def test_no_orphan_is_destroyed_without_a_person(run: Run, cluster: Cluster, fa1: FlashArray,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, err = run("orphans", "--delete")
    assert status == 0 and "nothing to destroy" in err
    fa1.add_volume(ORPHAN, GiB)
    for answer, wanted in (("", 2), ("n\n", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert run("orphans", "--delete")[0] == wanted and not fa1.volume(ORPHAN).destroyed
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("orphans", "--delete")[0] == 0 and fa1.volume(ORPHAN).destroyed


def test_orphans_are_destroyed_and_nothing_else(run: Run, cluster: Cluster, fa1: FlashArray) -> None:
    """AT-79: other clusters' and foreign volumes never; asked first; recoverable; one that a host has stays."""
    held = ORPHAN.replace("bf1c9108", "bf1c9109")
    others = ["k8s2-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354", "cinder-1", "k8s-import-x"]
    for name in (ORPHAN, held, *others):
        fa1.add_volume(name, GiB)
    fa1.add_host("host5")
    fa1.connect("host5", held)
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound("data")
    before = cluster.live()
    assert {row["volume"] for row in json.loads(run("orphans", "-o", "json")[1])} == {ORPHAN, held}
    assert cluster.live() == before
    status, out, _ = run("orphans", "--delete", "--yes")
    assert status == 1 and f"{ORPHAN} on {fa1.endpoint}: destroyed" in out and "still connected to host5" in out
    assert set(cluster.live()) == set(before) - {ORPHAN}
    assert fa1.volume(ORPHAN).destroyed
