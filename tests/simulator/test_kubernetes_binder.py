"""The Binder orders, binds, releases and protects as kube-controller-manager does (provisioner.md 1.1)."""
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.kubernetes import Binder, KubeApi, quantity
from simulator.kubernetes.controller import CLAIMS, CLASSES, PVS
from tests.simulator.kubeclient import claim, provisioned, pv, storage_class

BETA, GA = "volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A cluster with class pure and a running Binder, which must not have met trouble in the end."""
    with KubeApi() as server, Binder(server, resync=0.2) as binder:
        server.create(storage_class(allowVolumeExpansion=True))
        yield server
        assert binder.trouble == []


def phase(api: KubeApi, plural: str, name: str, wanted: str) -> dict[str, Any]:
    """Wait until an object has a phase."""
    def look() -> dict[str, Any] | None:
        found = api.get(plural, name)
        return found if found and found["status"]["phase"] == wanted else None
    return api.wait_for(look, f"{plural} {name} {wanted}")


def ordered(api: KubeApi, name: str) -> dict[str, Any]:
    """Wait until the claim carries an order to provision."""
    def look() -> dict[str, Any] | None:
        found = api.get(CLAIMS, name)
        annotations = (found or {}).get("metadata", {}).get("annotations") or {}
        return found if BETA in annotations or GA in annotations else None
    return api.wait_for(look, f"the order for {name}")


def bound(api: KubeApi, name: str = "data", **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A claim and the PV made for it, bound."""
    api.create(claim(name, **more))
    made = api.create(provisioned(ordered(api, name)))
    return phase(api, CLAIMS, name, "Bound"), phase(api, PVS, made["metadata"]["name"], "Bound")


def event(api: KubeApi, about: str, reason: str) -> dict[str, Any]:
    """Wait for an event."""
    return api.wait_for(lambda: (api.events(about, reason) or [None])[0], f"{reason} about {about}")


def test_a_claim_becomes_an_order(api: KubeApi) -> None:
    """The provisioner's name in both annotations, an ExternalProvisioning event, nothing bound."""
    api.create(claim("data"))
    found = ordered(api, "data")
    assert found["metadata"]["annotations"] == {BETA: "pure-provisioner", GA: "pure-provisioner"}
    assert "pure-provisioner" in event(api, "data", "ExternalProvisioning")["message"]
    assert found["status"] == {"phase": "Pending"}


def test_before_1_23_only_the_beta_annotation_is_written() -> None:
    """kubernetes/kubernetes#104590."""
    with KubeApi(version="1.22") as api, Binder(api):
        api.create(storage_class())
        api.create(claim("data"))
        assert set(ordered(api, "data")["metadata"]["annotations"]) == {BETA}


def test_a_provisioned_pv_is_bound(api: KubeApi) -> None:
    """Claim: volumeName, bind-completed, capacity and modes copied. PV: Bound, not marked bound-by-controller."""
    found, made = bound(api)
    assert found["spec"]["volumeName"] == made["metadata"]["name"]
    assert found["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    assert found["status"] == {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Gi"}}
    assert "pv.kubernetes.io/bound-by-controller" not in made["metadata"]["annotations"]


def test_capacity_is_the_pvs_not_the_request(api: KubeApi) -> None:
    """Rounding up is shown to the user."""
    api.create(claim("data", "1.5G"))
    api.create(provisioned(ordered(api, "data"), capacity={"storage": "1500512256"}))
    assert phase(api, CLAIMS, "data", "Bound")["status"]["capacity"] == {"storage": "1500512256"}


def test_a_fitting_free_pv_is_taken_before_anything_is_ordered(api: KubeApi) -> None:
    """The smallest that fits by class, mode, size and selector."""
    for name, size, env in (("big", "50Gi", "dev"), ("small", "11Gi", "dev"), ("tiny", "1Gi", "dev"),
                            ("prod", "10Gi", "prod")):
        made = pv(name, capacity={"storage": size})
        made["metadata"]["labels"] = {"env": env}
        api.create(made)
        phase(api, PVS, name, "Available")
    api.create(claim("data", selector={"matchLabels": {"env": "dev"}}))
    assert phase(api, CLAIMS, "data", "Bound")["spec"]["volumeName"] == "small"
    small = phase(api, PVS, "small", "Bound")
    assert small["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] == "yes"


@pytest.mark.parametrize("spec", [{"capacity": {"storage": "9Gi"}}, {"accessModes": ["ReadOnlyMany"]},
                                  {"volumeMode": "Block"}], ids=["too small", "other mode", "raw block"])
def test_a_pv_that_does_not_fit_its_claim_is_passed_over_in_silence(api: KubeApi, spec: dict[str, Any]) -> None:
    """A provisioner's mistake leaves the claim pending for ever."""
    api.create(claim("data"))
    found = ordered(api, "data")
    made = provisioned(found)
    made["spec"].update(spec)
    api.create(made)
    api.create(claim("later"))
    ordered(api, "later")                # the Binder has been past the PV by now
    assert api.get(CLAIMS, "data")["status"]["phase"] == "Pending"


def test_a_missing_class_is_an_event_until_it_comes(api: KubeApi) -> None:
    """Then the order follows at once."""
    api.create(claim("data", storageClassName="late"))
    assert '"late" not found' in event(api, "data", "ProvisioningFailed")["message"]
    api.create(storage_class("late"))
    ordered(api, "data")


def test_without_class_nothing_is_ordered(api: KubeApi) -> None:
    """"" means static volumes only."""
    api.create(claim("data", storageClassName=""))
    event(api, "data", "FailedBinding")
    assert "annotations" not in api.get(CLAIMS, "data")["metadata"]


def test_a_default_class_comes_late(api: KubeApi) -> None:
    """Retroactive default: a claim without class takes it."""
    api.create(claim("data", storageClassName=None))
    event(api, "data", "FailedBinding")
    late = storage_class("late")
    late["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.create(late)
    assert ordered(api, "data")["spec"]["storageClassName"] == "late"


@pytest.mark.parametrize("version", ["1.11", "1.34"])
def test_wait_for_first_consumer_waits_for_a_node(version: str) -> None:
    """No order before selected-node is there; 1.11 wrote its alpha name."""
    with KubeApi(version=version) as api, Binder(api, resync=0.2) as binder:
        api.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
        api.create(claim("data"))
        event(api, "data", "WaitForFirstConsumer")
        assert "annotations" not in api.get(CLAIMS, "data")["metadata"]
        binder.select_node("data", "node1")
        ordered(api, "data")


def test_a_deleted_claim_releases_its_pv(api: KubeApi) -> None:
    """Deletion is left to the provisioner: phase Released, the object stays."""
    _, made = bound(api)
    api.delete(CLAIMS, "data")
    phase(api, PVS, made["metadata"]["name"], "Released")
    assert api.get(CLAIMS, "data") is None


def test_without_provisioned_by_a_released_pv_fails(api: KubeApi) -> None:
    """The binder finds no in-tree deleter for flexVolume."""
    api.create(claim("data"))
    made = provisioned(ordered(api, "data"))
    del made["metadata"]["annotations"]
    api.create(made)
    phase(api, CLAIMS, "data", "Bound")
    api.delete(CLAIMS, "data")
    phase(api, PVS, made["metadata"]["name"], "Failed")
    event(api, made["metadata"]["name"], "VolumeFailedDelete")


def test_a_recreated_claim_is_another_claim(api: KubeApi) -> None:
    """Same name, new uid: the old PV is Released, the new claim is ordered anew."""
    first, made = bound(api)
    api.delete(CLAIMS, "data")
    phase(api, PVS, made["metadata"]["name"], "Released")
    api.create(claim("data"))
    second = ordered(api, "data")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_a_pv_for_a_vanished_claim_is_released(api: KubeApi) -> None:
    """The PV came too late."""
    api.create(claim("data"))
    made = provisioned(ordered(api, "data"))
    api.delete(CLAIMS, "data")
    api.wait_for(lambda: api.get(CLAIMS, "data") is None, "the claim's end")
    api.create(made)
    phase(api, PVS, made["metadata"]["name"], "Released")


def test_a_surplus_pv_is_released(api: KubeApi) -> None:
    """R1: the claim was bound to another PV meanwhile."""
    api.create(claim("data"))
    found = ordered(api, "data")
    api.create(pv("other"))
    phase(api, CLAIMS, "data", "Bound")
    made = api.create(provisioned(found))
    phase(api, PVS, made["metadata"]["name"], "Released")


def test_a_claim_that_lost_its_pv_is_lost(api: KubeApi) -> None:
    """Somebody forced the PV away."""
    _, made = bound(api)
    name = made["metadata"]["name"]
    api.delete(PVS, name)
    api.patch(PVS, name, {"metadata": {"finalizers": None}})
    phase(api, CLAIMS, "data", "Lost")
    event(api, "data", "ClaimLost")


def test_a_bound_pv_survives_its_own_deletion(api: KubeApi) -> None:
    """pv-protection holds while Bound and goes when the claim is gone; the provisioner's finalizer stays."""
    _, made = bound(api)
    name = made["metadata"]["name"]
    api.delete(PVS, name)
    assert "kubernetes.io/pv-protection" in api.get(PVS, name)["metadata"]["finalizers"]
    api.delete(CLAIMS, "data")
    phase(api, PVS, name, "Released")
    api.wait_for(lambda: api.get(PVS, name)["metadata"]["finalizers"] ==
                 ["external-provisioner.volume.kubernetes.io/finalizer"], "pv-protection taken off")


def test_a_claim_in_use_is_kept(api: KubeApi) -> None:
    """pvc-protection holds until the last pod is gone."""
    bound(api)
    api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
        "nodeName": "node1", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}})
    api.delete(CLAIMS, "data")
    api.create(claim("later"))
    ordered(api, "later")
    assert api.get(CLAIMS, "data")["metadata"]["deletionTimestamp"]
    api.delete("pods", "web", gracePeriodSeconds=0)
    api.wait_for(lambda: api.get(CLAIMS, "data") is None, "the claim's end")


def test_growing_jumps_without_asking_the_array(api: KubeApi) -> None:
    """The expand controller's no-op: PV says the new size, the claim waits for kubelet (provisioner.md 1.11)."""
    _, made = bound(api)
    api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "20Gi"}}}})
    event(api, "data", "FileSystemResizeRequired")
    assert api.get(PVS, made["metadata"]["name"])["spec"]["capacity"] == {"storage": "20Gi"}
    status = api.get(CLAIMS, "data")["status"]
    assert status["capacity"] == {"storage": "10Gi"}
    assert status["conditions"][0]["type"] == "FileSystemResizePending"


def test_a_pv_named_by_the_claim_must_fit(api: KubeApi) -> None:
    """VolumeMismatch, and bound when it fits."""
    api.create(pv("chosen", capacity={"storage": "1Gi"}))
    api.create(claim("data", volumeName="chosen"))
    assert "too small" in event(api, "data", "VolumeMismatch")["message"]
    api.create(pv("roomy"))
    api.create(claim("fits", volumeName="roomy"))
    phase(api, CLAIMS, "fits", "Bound")


def test_the_binder_leaves_other_classes_alone(api: KubeApi) -> None:
    """In-tree names get no annotation."""
    api.create(storage_class("static", provisioner="kubernetes.io/no-provisioner"))
    api.create(claim("data", storageClassName="static"))
    api.create(claim("later"))
    ordered(api, "later")
    assert "annotations" not in api.get(CLAIMS, "data")["metadata"]
    assert len(api.objects(CLASSES)) == 2


@pytest.mark.parametrize(("text", "value"), [("1.5Gi", 1610612736), ("1e9", 10**9), ("500M", 500 * 10**6),
                                             ("1000m", 1), ("10", 10), ("2E", 2 * 10**18), ("1E3", 1000), (7, 7)])
def test_quantities(text: str | int, value: int) -> None:
    """All the forms users write."""
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["", "ten", "1 Gi", "1gi", "0x10", "1Gi ", "--1", None, True, "1e"])
def test_no_quantities(text: object) -> None:
    """Refused by the server before anything is stored."""
    with pytest.raises(ValueError):
        quantity.parse(text)


@given(st.integers(0, 2**60), st.sampled_from(["", "Ki", "Mi", "k", "M"]))
def test_a_quantity_is_its_number_times_its_suffix(number: int, suffix: str) -> None:
    """Exact, however large."""
    scale = {"": 1, "Ki": 1024, "Mi": 1024**2, "k": 1000, "M": 10**6}[suffix]
    assert quantity.parse(f"{number}{suffix}") == number * scale
