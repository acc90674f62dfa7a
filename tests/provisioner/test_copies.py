"""Copies: of claims by their own dataSource, of snapshots by annotation, on FlashArray and FlashBlade (issue 6, point 5)."""

from typing import Any

import pytest

from provisioner.objects import claim_record
from provisioner.wellknown import CLONE_OF, SNAPSHOT
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.commands import typed
from tests.provisioner.filecopies import FILES, live_snapshots, of_claim, sources
from tests.provisioner.given import OURS
from tests.provisioner.waiting import until


def test_a_file_claim_from_a_file_claim(shared: Cluster, fb1: FlashBlade) -> None:
    """A FlashBlade copies snapshots only: one is taken for the copy, and gone afterwards. Exported like any other."""
    with shared.provisioner():
        shared.claim("copy", size="15Gi", **FILES, **of_claim("shared"))
        shared.bound("copy")
    copy = fb1.file_system(shared.volume("copy"))
    assert (copy.size, copy.rules, copy.v3) == (15 * 2**30, "*(rw,no_root_squash)", True)
    assert sources(fb1) == {shared.volume("copy"): shared.volume("shared")} and live_snapshots(fb1) == []
    assert "mountOptions" not in shared.options("copy")


def test_a_file_copy_whose_answer_was_lost_is_completed(shared: Cluster, fb1: FlashBlade) -> None:
    """C8 for files: the copy is found under its name, and the snapshot taken for it goes."""
    fb1.faults.add(method="POST", path="file-systems*", lose_reply=True, times=1)
    with shared.provisioner():
        shared.claim("copy", **FILES, **of_claim("shared"))
        shared.bound("copy")
    assert sources(fb1) == {shared.volume("copy"): shared.volume("shared")} and live_snapshots(fb1) == []


def test_a_file_claim_from_a_snapshot(shared: Cluster, fb1: FlashBlade, snapshots: Any) -> None:
    """`snapshot create` and `delete` serve both kinds of array."""
    name = snapshots("create", "-n", "default", "shared", "--suffix", "nightly").strip()
    assert name == f"{shared.volume('shared')}.nightly" and live_snapshots(fb1) == [name]
    with shared.provisioner():
        shared.claim("copy", **FILES, annotations={"snapshot.beta.purestorage.com/name": name})
        shared.bound("copy")
    assert sources(fb1) == {shared.volume("copy"): shared.volume("shared")} and live_snapshots(fb1) == [name]
    snapshots("delete", name)
    assert live_snapshots(fb1) == []


def test_a_flashblade_before_rest_1_9_has_no_copies(shared: Cluster, fb1: FlashBlade) -> None:
    """A clear refusal, in the event; no empty file system instead."""
    fb1.switches.versions = tuple(f"1.{minor}" for minor in range(9))
    with shared.provisioner():
        shared.claim("copy", **FILES, **of_claim("shared"))
        shared.event("ProvisioningFailed", "copy", "copies of file systems need REST 1.9")
    assert list(shared.live()) == [shared.volume("shared")]


@pytest.mark.parametrize("storage_class, text", [("pure", "is on backend file and cannot be copied to block"),
                                                 ("trees", "a copy of a btrfs")])
def test_what_cannot_be_copied_is_said(shared: Cluster, storage_class: str, text: str) -> None:
    shared.storage_class("trees", parameters={"fstype": "btrfs"})
    with shared.provisioner():
        shared.claim("copy", storage_class, **of_claim("shared"))
        shared.event("ProvisioningFailed", "copy", text)
    assert list(shared.live()) == [shared.volume("shared")]


def test_an_original_that_is_not_bound_yet_is_waited_for(cluster: Cluster) -> None:
    """Both in one file, as people apply them: the copy is made as soon as there is something to copy."""
    cluster.storage_class("late", volumeBindingMode="WaitForFirstConsumer")
    with cluster.provisioner():
        cluster.claim("copy", **of_claim("data"))
        cluster.event("ProvisioningFailed", "copy", "claim data, which is to be copied")
        cluster.claim("data", "late")
        cluster.event("ProvisioningFailed", "copy", "has no volume yet")
        cluster.api.patch(CLAIMS, "data", {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n1"}}})
        cluster.bound("copy")


def test_a_claim_from_a_claim_by_annotation(cluster: Cluster, fa1: FlashArray) -> None:
    """Where the API server drops `dataSource`; the same rules, so the name is one of the own namespace."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        cluster.claim("copy", size="15Gi", annotations={CLONE_OF: "data"})
        cluster.bound("copy")
        cluster.claim("none", annotations={CLONE_OF: "missing"})
        cluster.event("ProvisioningFailed", "none", "claim missing, which is to be copied")
        cluster.claim("both", annotations={CLONE_OF: "data", SNAPSHOT: f"{cluster.volume()}.nightly"})
        cluster.event("ProvisioningFailed", "both", "leave one out")
    copy = fa1.volume(cluster.volume("copy"))
    assert (copy.source, copy.size) == (cluster.volume(), 15 * 2**30) and len(cluster.live()) == 2


def test_a_claim_of_another_namespace_is_no_source(cluster: Cluster) -> None:
    """dataSourceRef.namespace (1.26 alpha): never the claim of that name in the own namespace instead."""
    source = {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "elsewhere"}
    raw = {"metadata": {"uid": "u", "namespace": "shop", "name": "copy", "annotations": {
        "volume.kubernetes.io/storage-provisioner": "pure-provisioner"}}, "spec": {"dataSourceRef": source}}
    found = claim_record(raw, OURS)
    assert found and found.source == ("", "PersistentVolumeClaim", "data", "elsewhere")
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        cluster.claim("copy", dataSourceRef=source)
        event = cluster.event("ProvisioningIgnored", "copy")
    assert "data of namespace elsewhere" in event["message"]
    assert list(cluster.live()) == [cluster.volume()] and len(cluster.api.objects(PVS)) == 1


def test_the_options_for_a_copied_xfs_are_for_xfs_only(cluster: Cluster, fa1: FlashArray) -> None:
    """nouuid is no option of ext4: a copy whose class leaves the file system to the settings must mount too."""
    with cluster.provisioner(fs_type="ext4"):
        cluster.claim()
        cluster.bound()
        cluster.claim("copy", **of_claim("data"))
        cluster.bound("copy")
    assert "mountOptions" not in cluster.options("copy") and fa1.volume(cluster.volume("copy")).source


@pytest.fixture
def snapshots(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `snapshot …` as in the provisioner's pod; what it printed."""
    typing = typed(cluster, cluster.api.kubeconfig(user=cluster.user), monkeypatch, capsys, "snapshot")

    def run(*argv: str) -> str:
        status, out, err = typing(*argv)
        assert status == 0, err
        return out

    return run


def test_copies_are_served_at_once(cluster: Cluster) -> None:
    """Many copies of one claim at a time do not hinder each other."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        for number in range(6):
            cluster.claim(f"copy{number}", **of_claim("data"))
        until(lambda: len(cluster.live()) == 7, "six copies")
        for number in range(6):
            cluster.bound(f"copy{number}")
