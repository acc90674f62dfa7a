"""The PV (checklist 14-23, design 3.3)."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.labels import valid_labels
from provisioner.manifest import Made, persistent_volume
from provisioner.objects import pv_record
from provisioner.selectors import parse_selector, unmet
from tests.provisioner.given import OURS, UID, claim, volume_class

BLOCK = Made("1.2.3.4", f"k8s-pvc-{UID}", 10 * 2**30, {"env": "dev"})
FILE = Made("1.2.3.6", f"k8s-pvc-{UID}", 10 * 2**30, {}, nfs=f"1.2.3.7:/k8s-pvc-{UID}")


def test_a_block_pv_in_full() -> None:
    """Points 14-18, 20; AT-28."""
    wanted = claim(volume_class(fs_type="ext4", create_options="-q", mount_options="discard"))
    assert persistent_volume(wanted, BLOCK, "k8s") == {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{UID}", "labels": {"env": "dev"},
                     "annotations": {"pv.kubernetes.io/provisioned-by": "pure-provisioner"},
                     "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"]},
        "spec": {
            "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "pure",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data",
                         "uid": UID, "resourceVersion": "7"},
            "flexVolume": {"driver": "pure/flex", "fsType": "ext4", "options": {
                "backend": "block", "namespace": "k8s", "volume": f"k8s-pvc-{UID}", "array": "1.2.3.4",
                "mountOptions": "discard", "createOptions": "-q", "access": "ReadWriteOnce"}}}}


def test_a_file_pv_says_what_to_mount_and_has_no_file_system() -> None:
    wanted = claim(volume_class(backend="file"), access_modes=("ReadWriteMany",))
    flex = persistent_volume(wanted, FILE, "k8s")["spec"]["flexVolume"]
    assert "fsType" not in flex
    assert flex["options"] == {"backend": "file", "namespace": "k8s", "volume": f"k8s-pvc-{UID}", "array": "1.2.3.6",
                               "nfs": f"1.2.3.7:/k8s-pvc-{UID}", "access": "ReadWriteMany"}


@pytest.mark.parametrize("policy, finalizer, expected", [
    ("Delete", True, True), ("Retain", True, False), ("Delete", False, False)])
def test_the_finalizer_is_for_pvs_that_we_delete(policy: str, finalizer: bool, expected: bool) -> None:
    made = persistent_volume(claim(volume_class(policy=policy)), BLOCK, "k8s", finalizer=finalizer)
    assert ("finalizers" in made["metadata"]) is expected
    assert made["spec"]["persistentVolumeReclaimPolicy"] == policy


@pytest.mark.parametrize("modes, access", [
    (("ReadWriteOnce",), "ReadWriteOnce"), (("ReadOnlyMany",), "ReadOnlyMany"),
    (("ReadOnlyMany", "ReadWriteOnce"), "ReadWriteOnce")], ids=str)
def test_access_decides_about_preemption(modes: tuple[str, ...], access: str) -> None:
    made = persistent_volume(claim(access_modes=modes), BLOCK, "k8s")
    assert made["spec"]["flexVolume"]["options"]["access"] == access
    assert made["spec"]["accessModes"] == list(modes)       # point 18: the claim's, verbatim


def test_the_default_file_system_is_the_settings() -> None:
    made = persistent_volume(claim(), BLOCK, "k8s", default_fs_type="ext4")
    assert made["spec"]["flexVolume"]["fsType"] == "ext4"


def test_servers_before_1_9_get_no_volume_mode() -> None:
    """Point 63: the field is sent only to servers that know it."""
    assert "volumeMode" not in persistent_volume(claim(volume_mode=""), BLOCK, "k8s")["spec"]


def test_our_own_pvs_are_recognized() -> None:
    raw = persistent_volume(claim(), BLOCK, "k8s")
    found = pv_record(raw, OURS)
    assert found and (found.claim_uid, found.volume, found.array, found.finalized) == (UID, BLOCK.volume, "1.2.3.4", True)


@pytest.mark.parametrize("change", [
    lambda raw: raw["metadata"].pop("annotations"),
    lambda raw: raw["metadata"]["annotations"].update({"pv.kubernetes.io/provisioned-by": "pure-csi"}),
    lambda raw: raw["spec"]["flexVolume"].update(driver="other/flex"),
    lambda raw: raw["spec"].update(flexVolume=None, hostPath={"path": "/tmp/data"})])
def test_pvs_of_others_are_not_even_seen(change: Any) -> None:
    """Point 43, AT-41: static PVs, other provisioners', other drivers'."""
    raw = persistent_volume(claim(), BLOCK, "k8s")
    change(raw)
    assert pv_record(raw, OURS) is None


@given(st.dictionaries(st.text(max_size=80), st.text(max_size=80), max_size=4))
def test_labels_are_ones_the_api_takes(labels: dict[str, str]) -> None:
    for key, value in valid_labels(labels).items():
        assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", value)
        assert re.fullmatch(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", key)


@given(st.dictionaries(st.sampled_from(["env", "rack", "a.b/c"]), st.sampled_from(["dev", "22", "7b", "x_y.z"])))
def test_the_pv_meets_its_claims_selector(labels: dict[str, str]) -> None:
    """Point 22."""
    selector = {"matchLabels": labels}
    made = persistent_volume(claim(selector=selector), Made("1.2.3.4", "k8s-pvc-1", 2**30, labels), "k8s")
    assert unmet(made["metadata"]["labels"], parse_selector(selector)) == ""
