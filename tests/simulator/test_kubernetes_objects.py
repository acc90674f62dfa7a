"""The stand-in API server keeps, changes and refuses objects as the real one does."""
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.kubernetes import KubeApi
from tests.simulator.kubeclient import CLAIMS, JSON_PATCH, MERGE, PVS, STRATEGIC, Client, claim, pv, storage_class


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApi]:
    """One server for the module; each test uses names of its own."""
    with KubeApi(tmp_path_factory.mktemp("kube")) as server:
        yield server


@pytest.fixture
def client(api: KubeApi) -> Iterator[Client]:
    """The administrator."""
    with Client(api) as connected:
        yield connected


def test_create_stamps_what_the_server_owns(client: Client) -> None:
    """uid, creationTimestamp, resourceVersion, phase Pending and the protection finalizer come from the server."""
    status, made = client.call("POST", PVS, pv("stamped"))
    assert status == 201
    assert set(made["metadata"]) >= {"uid", "creationTimestamp", "resourceVersion"}
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    assert made["status"] == {"phase": "Pending"}
    assert (made["kind"], made["apiVersion"]) == ("PersistentVolume", "v1")


def test_create_twice_says_already_exists(client: Client) -> None:
    """The second POST is 409 AlreadyExists and changes nothing."""
    _, first = client.call("POST", PVS, pv("twice"))
    status, answer = client.call("POST", PVS, pv("twice", capacity={"storage": "20Gi"}))
    assert (status, answer["reason"]) == (409, "AlreadyExists")
    assert answer["message"] == 'persistentvolumes "twice" already exists'
    assert client.call("GET", f"{PVS}/twice") == (200, first)


def test_get_of_nothing_is_404(client: Client) -> None:
    """NotFound names kind and object."""
    status, answer = client.call("GET", f"{PVS}/nothing")
    assert (status, answer["reason"], answer["message"]) == (404, "NotFound", 'persistentvolumes "nothing" not found')


def test_generate_name_adds_five_letters(client: Client) -> None:
    """generateName makes a new name each time."""
    event = {"metadata": {"generateName": "note.", "namespace": "default"}, "reason": "Test",
             "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"}}
    names = {client.call("POST", "/api/v1/namespaces/default/events", event)[1]["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3 and all(name.startswith("note.") and len(name) == 10 for name in names)


def test_put_with_an_old_version_is_a_conflict(client: Client) -> None:
    """Optimistic concurrency: the second writer with the same resourceVersion loses."""
    _, first = client.call("POST", PVS, pv("raced"))
    first["metadata"]["labels"] = {"who": "a"}
    assert client.call("PUT", f"{PVS}/raced", first)[0] == 200
    first["metadata"]["labels"] = {"who": "b"}
    status, answer = client.call("PUT", f"{PVS}/raced", first)
    assert (status, answer["reason"]) == (409, "Conflict")
    assert "the object has been modified" in answer["message"]


def test_put_with_a_foreign_uid_is_a_conflict(client: Client) -> None:
    """A namesake made after a deletion is not overwritten."""
    _, made = client.call("POST", PVS, pv("namesake"))
    made["metadata"].update(uid="00000000-0000-0000-0000-000000000000", resourceVersion="")
    assert client.call("PUT", f"{PVS}/namesake", made)[0] == 409


def test_a_write_that_changes_nothing_keeps_the_version(client: Client) -> None:
    """No-op updates are not stored, so no watch sees them."""
    _, made = client.call("POST", PVS, pv("still"))
    assert client.call("PUT", f"{PVS}/still", made) == (200, made)
    assert client.call("PATCH", f"{PVS}/still", {"metadata": {"name": "still"}}, MERGE) == (200, made)


def test_status_is_written_through_its_subresource_only(client: Client) -> None:
    """PUT of the object ignores the status, PUT of /status ignores everything else."""
    _, made = client.call("POST", PVS, pv("two-doors"))
    changed = {**made, "status": {"phase": "Released"}}
    assert client.call("PUT", f"{PVS}/two-doors", changed)[1]["status"] == {"phase": "Pending"}
    changed["spec"] = {**made["spec"], "capacity": {"storage": "99Gi"}}
    _, answer = client.call("PUT", f"{PVS}/two-doors/status", changed)
    assert (answer["status"]["phase"], answer["spec"]["capacity"]["storage"]) == ("Released", "10Gi")


@pytest.mark.parametrize(("kind", "patch", "expected"), [
    (MERGE, {"metadata": {"finalizers": ["b/b"]}}, ["b/b"]),
    (STRATEGIC, {"metadata": {"finalizers": ["b/b"]}}, ["a/a", "kubernetes.io/pv-protection", "b/b"]),
    (STRATEGIC, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"]}}, ["kubernetes.io/pv-protection"]),
    (JSON_PATCH, [{"op": "test", "path": "/metadata/finalizers/0", "value": "a/a"},
                  {"op": "remove", "path": "/metadata/finalizers/0"}], ["kubernetes.io/pv-protection"]),
    (JSON_PATCH, [{"op": "add", "path": "/metadata/finalizers/-", "value": "b/b"}],
     ["a/a", "kubernetes.io/pv-protection", "b/b"]),
], ids=["merge replaces a list", "strategic merges finalizers", "strategic deletes one", "json tests and removes",
        "json appends"])
def test_patch_dialects_differ_in_lists(client: Client, request: pytest.FixtureRequest, kind: str, patch: Any,
                                        expected: list[str]) -> None:
    """Merge patch replaces lists, strategic merge knows finalizers, JSON patch works by position."""
    made = pv("patched")
    made["metadata"]["finalizers"] = ["a/a"]
    client.call("POST", PVS, made)
    _, answer = client.call("PATCH", f"{PVS}/patched", patch, kind)
    assert answer["metadata"]["finalizers"] == expected
    client.call("PATCH", f"{PVS}/patched", {"metadata": {"finalizers": None}}, MERGE)
    client.call("DELETE", f"{PVS}/patched")


def test_a_failed_json_patch_test_changes_nothing(client: Client) -> None:
    """`test` on the resourceVersion is how a patch says "only if unchanged": 422."""
    client.call("POST", PVS, pv("tested"))
    patch = [{"op": "replace", "path": "/spec/storageClassName", "value": "x"},
             {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]
    status, answer = client.call("PATCH", f"{PVS}/tested", patch, JSON_PATCH)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert client.call("GET", f"{PVS}/tested")[1]["spec"]["storageClassName"] == "pure"


def test_a_patch_with_an_old_version_is_a_conflict(client: Client) -> None:
    """A merge patch may carry resourceVersion as a precondition."""
    client.call("POST", PVS, pv("guarded"))
    assert client.call("PATCH", f"{PVS}/guarded", {"metadata": {"resourceVersion": "1"}}, MERGE)[0] == 409


def test_an_apply_patch_is_refused_honestly(client: Client) -> None:
    """Server-side apply is not played: 415, not a guess."""
    client.call("POST", PVS, pv("applied"))
    assert client.call("PATCH", f"{PVS}/applied", {}, "application/apply-patch+yaml")[0] == 415


def test_delete_waits_for_finalizers(client: Client) -> None:
    """DELETE marks, the last finalizer taken off removes; new finalizers may not be added meanwhile."""
    client.call("POST", PVS, pv("finalized"))
    status, marked = client.call("DELETE", f"{PVS}/finalized")
    assert status == 200 and marked["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["kubernetes.io/pv-protection", "new/one"]}}
    assert client.call("PATCH", f"{PVS}/finalized", more, MERGE)[0] == 422
    assert client.call("PATCH", f"{PVS}/finalized", {"metadata": {"finalizers": []}}, MERGE)[0] == 200
    assert client.call("GET", f"{PVS}/finalized")[0] == 404


def test_delete_with_preconditions_spares_a_namesake(client: Client) -> None:
    """uid and resourceVersion in DeleteOptions must be the current ones."""
    _, made = client.call("POST", PVS, pv("spared"))
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        status, answer = client.call("DELETE", f"{PVS}/spared", {"preconditions": wrong})
        assert (status, answer["reason"]) == (409, "Conflict")
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert client.call("DELETE", f"{PVS}/spared", right)[0] == 200


def test_a_pod_on_a_node_keeps_its_grace_period(client: Client) -> None:
    """DELETE of a running pod only marks it; kubelet's second DELETE with grace 0 removes it."""
    pods = "/api/v1/namespaces/default/pods"
    client.call("POST", pods, {"metadata": {"name": "web"}, "spec": {"nodeName": "node1", "containers": []}})
    _, marked = client.call("DELETE", f"{pods}/web")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert client.call("DELETE", f"{pods}/web", {"gracePeriodSeconds": 0})[0] == 200
    assert client.call("GET", f"{pods}/web")[0] == 404


@pytest.mark.parametrize(("change", "field"), [
    ({"accessModes": []}, "spec.accessModes"),
    ({"capacity": {}}, "spec.capacity[storage]"),
    ({"capacity": {"storage": "0"}}, "spec.capacity[storage]"),
    ({"flexVolume": None}, "spec"),
    ({"flexVolume": {"options": {}}}, "spec.flexVolume.driver"),
    ({"flexVolume": {"driver": "pure/flex", "options": {"kubernetes.io/fsType": "xfs"}}},
     "spec.flexVolume.options[kubernetes.io/fsType]"),
    ({"nfs": {"server": "192.0.2.1", "path": "/x"}}, "spec.nfs"),
    ({"persistentVolumeReclaimPolicy": "Keep"}, "spec.persistentVolumeReclaimPolicy"),
    ({"accessModes": ["ReadWriteMeny"]}, "spec.accessModes"),
], ids=str)
def test_a_malformed_pv_is_invalid_and_names_the_field(client: Client, change: dict[str, Any], field: str) -> None:
    """422 with the field among the causes: retrying the same body is useless."""
    made = pv("malformed", **change)
    made["spec"] = {key: value for key, value in made["spec"].items() if value is not None}
    status, answer = client.call("POST", PVS, made)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert field in [cause["field"] for cause in answer["details"]["causes"]]


def test_the_mount_options_annotation_is_invalid_on_a_flex_pv(client: Client) -> None:
    """flexVolume reports no support for mount options; the field form passes here and fails at kubelet."""
    made = pv("options")
    made["metadata"]["annotations"] = {"volume.beta.kubernetes.io/mount-options": "discard"}
    assert client.call("POST", PVS, made)[0] == 422
    assert client.call("POST", PVS, pv("options", mountOptions=["discard"]))[0] == 201


@pytest.mark.parametrize("labels", [{"rack": "7 b"}, {"bad key": "x"}, {"rack": "x" * 64}], ids=str)
def test_labels_must_be_valid(client: Client, labels: dict[str, str]) -> None:
    """Array labels are free text; labels of objects are not."""
    made = pv("labelled")
    made["metadata"]["labels"] = labels
    assert client.call("POST", PVS, made)[0] == 422


@pytest.mark.parametrize("body", [
    {"metadata": {"name": "x", "labels": {"rack": 22}}, "spec": pv("x")["spec"]},
    pv("x", flexVolume={"driver": "pure/flex", "options": {"lun": 1}}),
    pv("x", capacity={"storage": "ten gigs"}),
    {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}},
    {"metadata": {"name": "x", "resourceVersion": "7"}, "spec": pv("x")["spec"]},
    ["x"],
], ids=["label is a number", "option is a number", "no quantity", "other kind", "has a version", "a list"])
def test_what_cannot_be_decoded_is_a_bad_request(client: Client, body: Any) -> None:
    """400, before any validation."""
    assert client.call("POST", PVS, body)[0] == 400


def test_a_pvs_source_mode_and_set_affinity_cannot_change(client: Client) -> None:
    """Immutable fields of a PV: 422."""
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "rack", "operator": "Exists"}]}]}}
    client.call("POST", PVS, pv("frozen", nodeAffinity=affinity))
    for change in ({"flexVolume": {"options": {"backend": "file"}}}, {"volumeMode": "Block"}, {"nodeAffinity": None}):
        assert client.call("PATCH", f"{PVS}/frozen", {"spec": change}, MERGE)[0] == 422


def test_a_class_cannot_be_edited(client: Client) -> None:
    """Provisioner, parameters, policy and binding mode are fixed; users delete and recreate."""
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    client.call("POST", classes, storage_class("fixed"))
    status, answer = client.call("PATCH", f"{classes}/fixed", {"parameters": {"backend": "file"}}, MERGE)
    assert status == 422 and "updates to parameters are forbidden" in answer["message"]


def test_a_claims_spec_is_fixed_but_for_name_and_size(client: Client, api: KubeApi) -> None:
    """volumeName may be set once; growth needs a bound claim and a class that allows it; shrinking is refused."""
    api.create(storage_class("growing", allowVolumeExpansion=True))
    client.call("POST", CLAIMS, claim("fixed", storageClassName="growing"))
    path = f"{CLAIMS}/fixed"
    assert client.call("PATCH", path, {"spec": {"accessModes": ["ReadWriteMany"]}}, MERGE)[0] == 422
    grown = {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    assert client.call("PATCH", path, grown, MERGE)[0] == 403
    api.patch("persistentvolumeclaims", "fixed", {"status": {"phase": "Bound"}}, status=True)
    assert client.call("PATCH", path, grown, MERGE)[0] == 200
    assert client.call("PATCH", path, {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}, MERGE)[0] == 422
    assert client.call("PATCH", path, {"spec": {"volumeName": "a"}}, MERGE)[0] == 200
    assert client.call("PATCH", path, {"spec": {"volumeName": "b"}}, MERGE)[0] == 422


def test_a_claim_without_class_gets_the_default(client: Client, api: KubeApi) -> None:
    """nil means default, "" means none."""
    marked = storage_class("preferred")
    marked["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.create(marked)
    assert client.call("POST", CLAIMS, claim("nil", storageClassName=None))[1]["spec"]["storageClassName"] == "preferred"
    assert client.call("POST", CLAIMS, claim("none", storageClassName=""))[1]["spec"]["storageClassName"] == ""
    api.delete("storageclasses", "preferred")


def test_events_must_live_beside_what_they_are_about(client: Client) -> None:
    """About a PV: namespace default. Anything else that differs: 422."""
    about = {"kind": "PersistentVolume", "name": "x", "namespace": ""}
    event = {"metadata": {"name": "e1"}, "involvedObject": about, "reason": "VolumeDelete"}
    assert client.call("POST", "/api/v1/namespaces/default/events", event)[0] == 201
    assert client.call("POST", "/api/v1/namespaces/kube-public/events", event)[0] == 422


def test_a_missing_namespace_is_404(client: Client) -> None:
    """Nothing can be created in a namespace that is not there."""
    status, answer = client.call("POST", CLAIMS.replace("default", "nowhere"), {**claim("x"), "metadata": {"name": "x"}})
    assert (status, answer["message"]) == (404, 'namespaces "nowhere" not found')


def test_a_lease_needs_a_version_to_be_updated(client: Client) -> None:
    """Unconditional PUT is refused for leases, so two candidates cannot both win."""
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    lease = {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "a"}}
    _, made = client.call("POST", leases, lease)
    assert client.call("PUT", f"{leases}/lock", lease)[0] == 422
    made["spec"]["holderIdentity"] = "b"
    assert client.call("PUT", f"{leases}/lock", made)[0] == 200
    assert client.call("PUT", f"{leases}/lock", {**made, "spec": {"holderIdentity": "c"}})[0] == 409


def test_methods_that_make_no_sense_are_405(client: Client) -> None:
    """Deleting a whole collection is not played."""
    assert client.call("DELETE", PVS)[0] == 405
    assert client.call("POST", f"{PVS}/x", {})[0] == 405


def test_the_python_client_agrees(api: KubeApi) -> None:
    """The `kubernetes` package creates, lists, patches, watches and deletes through a kubeconfig."""
    import kubernetes
    with kubernetes.config.new_client_from_config(api.kubeconfig()) as connection:
        core = kubernetes.client.CoreV1Api(connection)
        made = core.create_persistent_volume(pv("typed"))
        assert made.spec.flex_volume.driver == "pure/flex" and made.metadata.creation_timestamp.tzinfo
        assert "typed" in [found.metadata.name for found in core.list_persistent_volume(limit=2, watch=False).items
                           ] + [found.metadata.name for found in core.list_persistent_volume().items]
        core.patch_persistent_volume("typed", {"metadata": {"labels": {"env": "dev"}}})
        stream = kubernetes.watch.Watch().stream(core.list_persistent_volume, label_selector="env=dev",
                                                 resource_version="0", timeout_seconds=1)
        assert [event["object"].metadata.name for event in stream] == ["typed"]
        core.delete_persistent_volume("typed")
        with pytest.raises(kubernetes.client.ApiException) as refused:
            core.create_persistent_volume(pv("typed"))
        assert refused.value.status == 409
