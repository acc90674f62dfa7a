"""Which claims are ours and what they ask (checklist 1-13, 17; AT-36, AT-37)."""

from typing import Any

import pytest

from arrays.errors import ConfigError
from provisioner import objects
from provisioner.claims import LeftAlone, parse, why_skip
from tests.provisioner.given import OURS, claim, claim_record, class_record, volume_class

GA, BETA = "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
NODE, NODE_ALPHA = "volume.kubernetes.io/selected-node", "volume.alpha.kubernetes.io/selected-node"


def raw(annotations: dict[str, str] | None = None, deleting: bool = False, **spec: Any) -> dict[str, Any]:
    """A claim as the API gives it."""
    metadata: dict[str, Any] = {"uid": "u", "namespace": "shop", "name": "data", "resourceVersion": "7",
                                "annotations": annotations, "managedFields": [{"manager": "kubectl"}]}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                                           "resources": {"requests": {"storage": "10Gi"}}, **spec}}


@pytest.mark.parametrize("annotations, ours", [
    (None, False), ({}, False), ({BETA: "pure-provisioner"}, True), ({GA: "pure-provisioner"}, True),
    ({GA: "pure-provisioner", BETA: "other"}, True), ({GA: "other", BETA: "pure-provisioner"}, False),
    ({BETA: "pure-csi"}, False), ({BETA: "kubernetes.io/aws-ebs"}, False)], ids=str)
def test_the_annotation_is_the_order_to_work(annotations: dict[str, str] | None, ours: bool) -> None:
    """Points 1, 2, 3: no annotation no work; either name suffices; the GA name wins; others' claims are not even kept."""
    assert (objects.claim_record(raw(annotations), OURS) is not None) is ours


@pytest.mark.parametrize("annotations, spec, expected", [
    ({}, {}, "pure"), ({CLASS_BETA: "old"}, {}, "old"), ({CLASS_BETA: ""}, {}, ""),
    ({}, {"storageClassName": None}, None), ({}, {"storageClassName": ""}, "")], ids=str)
def test_the_beta_class_annotation_beats_the_field(annotations: dict[str, str], spec: dict[str, Any],
                                                   expected: str | None) -> None:
    """Point 5."""
    found = objects.claim_record(raw({BETA: "pure-provisioner", **annotations}, **spec), OURS)
    assert found and found.class_name == expected


@pytest.mark.parametrize("annotations, node", [({}, ""), ({NODE: "n1"}, "n1"), ({NODE_ALPHA: "n2"}, "n2"),
                                               ({NODE: "", NODE_ALPHA: "n2"}, "n2")], ids=str)
def test_both_names_of_the_selected_node_are_read(annotations: dict[str, str], node: str) -> None:
    """Point 8: 1.11 wrote the alpha name."""
    found = objects.claim_record(raw({BETA: "pure-provisioner", **annotations}), OURS)
    assert found and found.node == node


WAITING = class_record(waits=True)


@pytest.mark.parametrize("record, storage_class, why", [
    (claim_record(volume_name="pv-1"), class_record(), "bound to pv-1"),
    (claim_record(deleting=True), class_record(), "being deleted"),
    (claim_record(class_name=None), None, "without a class"), (claim_record(class_name=""), None, "without a class"),
    (claim_record(), class_record(provisioner="pure-csi"), "names provisioner pure-csi"),
    (claim_record(), WAITING, "waiting for its first consumer"),
    (claim_record(node="n1"), WAITING, ""), (claim_record(), class_record(), ""), (claim_record(), None, "")], ids=str)
def test_why_a_claim_is_left(record: objects.ClaimRecord, storage_class: objects.ClassRecord | None, why: str) -> None:
    """Points 4, 7, 13 and AT-37; a missing class is waited for (6)."""
    found = why_skip(record, storage_class, OURS)
    assert why in found and bool(why) == bool(found)


def test_a_claim_under_deletion_is_seen_as_such() -> None:
    found = objects.claim_record(raw({BETA: "pure-provisioner"}, deleting=True), OURS)
    assert found and found.deleting


@pytest.mark.parametrize("modes, backend, served", [
    (("ReadWriteOnce",), "block", True), (("ReadOnlyMany",), "block", True),
    (("ReadWriteOnce", "ReadOnlyMany"), "block", True),
    (("ReadWriteMany",), "block", False), (("ReadWriteOnce", "ReadWriteMany"), "block", False),
    (("ReadWriteOncePod",), "block", False), (("ReadWriteOncePod",), "file", False), ((), "block", False),
    (("ReadWriteMany",), "file", True), (("ReadWriteOnce",), "file", True), (("ReadOnlyMany",), "file", True),
    (("RWM",), "file", False)], ids=str)
def test_access_modes(modes: tuple[str, ...], backend: str, served: bool) -> None:
    """Point 11, AT-36: RWX on block would corrupt; ReadWriteOncePod is CSI's."""
    record = claim_record(access_modes=modes)
    if served:
        assert parse(record, volume_class(backend=backend)).access_modes == modes
    else:
        with pytest.raises(ConfigError, match="access mode"):
            parse(record, volume_class(backend=backend))


def test_raw_block_is_refused() -> None:
    """Point 9."""
    with pytest.raises(ConfigError, match="volumeMode Block"):
        claim(volume_mode="Block")


def test_an_unknown_source_is_left_to_somebody_else() -> None:
    """Point 10: an empty volume in a copy's place would be the worst answer."""
    spec = {"dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}}
    record = objects.claim_record(raw({BETA: "pure-provisioner"}, **spec), OURS)
    assert record
    with pytest.raises(LeftAlone, match="snapshot.storage.k8s.io/VolumeSnapshot/s"):
        parse(record, volume_class())


@pytest.mark.parametrize("asked, size", [("1Gi", 2**30), ("1G", 954 * 2**20), ("1.5Gi", 1536 * 2**20), ("1", 2**20),
                                         ("1000m", 2**20)])
def test_the_size_is_at_least_what_was_asked(asked: str, size: int) -> None:
    """Point 17: a PV smaller than its claim would never bind."""
    assert claim(requested=asked).size == size


@pytest.mark.parametrize("asked", ["5Pi", "1e40", "nonsense", ""])
def test_a_size_no_array_has_is_refused(asked: str) -> None:
    with pytest.raises(ConfigError):
        claim(requested=asked)


def test_names_come_from_the_uid() -> None:
    """Point 14: a repeat of the work finds what the first left."""
    assert claim().pv_name == "pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"


def test_what_matters_only_before_binding_is_not_kept() -> None:
    found = objects.claim_record(raw({BETA: "pure-provisioner"}, volumeName="pv-1", selector={"matchLabels": {}}), OURS)
    assert found and found.bound and found.selector is None and found.access_modes == ()
