"""The provisioner against the real API server, binder and controllers, as a Deployment with its service account."""

import json

import pytest

from tests.cluster import manifests, processes
from tests.cluster.world import Object, World

FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
GIB = 1 << 30


def volume_of(pv: Object) -> str:
    """The volume's name on the array."""
    return f"k8s-{pv['metadata']['name']}"


def test_claim_is_bound_by_the_real_binder(world: World, namespace: str) -> None:
    """AT-28, AT-38: volume, PV and binding; both protection finalizers and ours are on."""
    world.apply(manifests.claim("data", namespace, "10Gi"))
    pv = world.bound("data", namespace)

    volume = world.arrays.volumes()[volume_of(pv)]
    assert (volume["size"], volume["connections"]) == (10 * GIB, {})
    assert pv["spec"]["flexVolume"]["driver"] == "pure/flex" and pv["spec"]["capacity"] == {"storage": "10Gi"}
    assert {FINALIZER, "kubernetes.io/pv-protection"} <= set(pv["metadata"]["finalizers"])
    claim = world.get("pvc", "data", namespace)
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"


def test_describe_says_what_happened(world: World, namespace: str) -> None:
    """`kubectl describe pvc` shows our events beside those of the controllers."""
    world.apply(manifests.claim("data", namespace))
    pv = world.bound("data", namespace)
    processes.wait("the event", lambda: world.events("data", namespace), 10)

    def told() -> str:
        return world.cluster.kubectl("-n", namespace, "describe", "pvc", "data")
    processes.wait("our event", lambda: f"Successfully provisioned volume {pv['metadata']['name']}" in told(), 10)
    assert "ProvisioningSucceeded" in told() and "pure-provisioner" in told()


def test_claim_no_array_can_hold_says_why_and_is_served_when_one_can(world: World, namespace: str) -> None:
    """AT-32: a Warning with the labels wanted; the claim waits."""
    world.apply(manifests.claim("data", namespace, selector={"matchLabels": {"env": "nowhere"}}))
    processes.wait("a warning", lambda: [event for event in world.events("data", namespace)
                                         if event["reason"] == "ProvisioningFailed"], 20)
    (event,) = [event for event in world.events("data", namespace) if event["reason"] == "ProvisioningFailed"]
    assert event["type"] == "Warning" and "env" in event["message"] and "nowhere" in event["message"]


def test_default_class_takes_claims_without_one(world: World, namespace: str) -> None:
    """The class's annotation makes the API server fill it in, and the provisioner serves the claim."""
    world.apply(manifests.storage_class("default-one", annotations={"storageclass.kubernetes.io/is-default-class": "true"}))
    try:
        world.apply(manifests.claim("data", namespace, storage_class=None))
        assert world.bound("data", namespace)["spec"]["storageClassName"] == "default-one"
    finally:
        world.delete("storageclass", "default-one")


def test_class_that_appears_later(world: World, namespace: str) -> None:
    """A claim may be older than its class."""
    world.apply(manifests.claim("data", namespace, storage_class="late"))
    world.apply(manifests.storage_class("late"))
    try:
        world.bound("data", namespace)
    finally:
        world.delete("storageclass", "late")


def test_wait_for_first_consumer_follows_the_scheduler(world: World, namespace: str) -> None:
    """Nothing is made before a pod is scheduled; then the volume is on the array of the allowed topology."""
    for number, node in enumerate(world.storage, start=1):
        world.cluster.kubectl("label", "node", node, f"rack=rack-{number}", "--overwrite")
    world.apply(manifests.storage_class("racks", volumeBindingMode="WaitForFirstConsumer", allowedTopologies=[
        {"matchLabelExpressions": [{"key": "rack", "values": ["rack-2"]}]}]))
    try:
        before = set(world.arrays.volumes())
        world.apply(manifests.claim("data", namespace, storage_class="racks"))
        processes.wait("the binder's word", lambda: [event for event in world.events("data", namespace)
                                                     if event["reason"] == "WaitForFirstConsumer"], 20)
        assert set(world.arrays.volumes()) == before

        world.apply(manifests.pod("first", namespace, ["data"]))
        assert world.running("first", namespace)["spec"]["nodeName"] == "node2"
        assert world.arrays.volumes()[volume_of(world.bound("data", namespace))]["array"] == "fa2"
    finally:
        world.delete("storageclass", "racks")


def test_delete_policy_destroys_the_volume(world: World, namespace: str) -> None:
    """AT-40: claim gone, PV gone, volume destroyed but recoverable."""
    world.apply(manifests.claim("data", namespace))
    pv = world.bound("data", namespace)
    world.delete("pvc", "data", namespace)
    world.gone("pv", pv["metadata"]["name"])
    assert world.arrays.volumes()[volume_of(pv)]["destroyed"]


def test_retain_policy_keeps_both_until_it_is_changed(world: World, namespace: str) -> None:
    """AT-40: a retained PV is Released and stays with its volume; patched to Delete it goes."""
    world.apply(manifests.storage_class("kept", reclaimPolicy="Retain"), manifests.claim("data", namespace,
                                                                                         storage_class="kept"))
    pv = world.bound("data", namespace)
    name = pv["metadata"]["name"]
    assert FINALIZER not in pv["metadata"]["finalizers"]
    world.delete("storageclass", "kept")
    world.delete("pvc", "data", namespace)
    processes.wait("the PV released", lambda: world.get("pv", name)["status"]["phase"] == "Released", 20)
    assert not world.arrays.volumes()[volume_of(pv)]["destroyed"]

    world.patch("pv", name, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    world.gone("pv", name)
    assert world.arrays.volumes()[volume_of(pv)]["destroyed"]


def test_pv_deleted_while_bound_goes_after_its_claim(world: World, namespace: str) -> None:
    """The PV stays Terminating, held by finalizers, until the claim is gone; then the volume is freed too."""
    world.apply(manifests.claim("data", namespace))
    pv = world.bound("data", namespace)
    name = pv["metadata"]["name"]
    world.delete("pv", name)
    processes.wait("the PV terminating", lambda: "deletionTimestamp" in world.get("pv", name)["metadata"], 10)
    assert not world.arrays.volumes()[volume_of(pv)]["destroyed"]

    world.delete("pvc", "data", namespace)
    world.gone("pv", name)
    assert world.arrays.volumes()[volume_of(pv)]["destroyed"]


def test_claim_of_a_running_pod_is_protected(world: World, namespace: str) -> None:
    """AT-50: the claim stays Terminating, the volume connected, until the pod has gone."""
    world.apply(manifests.claim("data", namespace), manifests.pod("user", namespace, ["data"]))
    pv = world.bound("data", namespace)
    world.running("user", namespace)
    world.delete("pvc", "data", namespace)
    processes.wait("the claim terminating",
                   lambda: "deletionTimestamp" in world.get("pvc", "data", namespace)["metadata"], 10)
    assert not world.arrays.volumes()[volume_of(pv)]["destroyed"]

    world.delete("pod", "user", namespace)
    world.gone("pv", pv["metadata"]["name"], seconds=40)
    volume = world.arrays.volumes()[volume_of(pv)]
    assert volume["destroyed"] and volume["connections"] == {}


def test_larger_claim_grows_the_volume_on_the_array(world: World, namespace: str) -> None:
    """The array is grown without any node's help; a claim nobody mounts waits for kubelet with its file system."""
    world.apply(manifests.claim("data", namespace))
    pv = world.bound("data", namespace)
    world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}, namespace)
    processes.wait("the array's growth", lambda: world.arrays.volumes()[volume_of(pv)]["size"] == 3 * GIB, 20)
    name = pv["metadata"]["name"]
    processes.wait("the PV's capacity", lambda: world.get("pv", name)["spec"]["capacity"]["storage"] == "3Gi", 20)


def test_file_claim_of_many_readers_and_writers(world: World, namespace: str) -> None:
    """AT-35: a file system on the FlashBlade; grown and destroyed like a volume."""
    world.apply(manifests.claim("share", namespace, storage_class="pure-file", mode="ReadWriteMany"))
    pv = world.bound("share", namespace)
    assert pv["spec"]["flexVolume"]["options"]["nfs"].endswith(f":/{volume_of(pv)}")
    world.patch("pvc", "share", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
    processes.wait("growth", lambda: world.arrays.file_systems()[volume_of(pv)]["size"] == 2 * GIB, 20)
    world.delete("pvc", "share", namespace)
    world.gone("pv", pv["metadata"]["name"])
    assert world.arrays.file_systems()[volume_of(pv)]["destroyed"]


@pytest.mark.parametrize("mode, storage_class", [("ReadWriteMany", "pure-block"), ("ReadWriteOncePod", "pure-block")])
def test_access_modes_that_block_cannot_serve(world: World, namespace: str, mode: str, storage_class: str) -> None:
    """AT-36: refused with an event, no volume."""
    before = set(world.arrays.volumes())
    world.apply(manifests.claim("data", namespace, storage_class=storage_class, mode=mode))
    processes.wait("a warning", lambda: [event for event in world.events("data", namespace)
                                         if event["reason"] == "ProvisioningFailed" and mode in event["message"]], 20)
    assert set(world.arrays.volumes()) == before


def test_quota_refuses_the_claim_and_its_growth(world: World, namespace: str) -> None:
    """A namespace's quota for a class stops claims before they reach us, and growth too."""
    world.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "storage", "namespace": namespace},
                 "spec": {"hard": {"pure-block.storageclass.storage.k8s.io/requests.storage": "2Gi"}}})
    processes.wait("the quota", lambda: world.get("resourcequota", "storage", namespace).get("status", {}).get("used"), 20)
    world.apply(manifests.claim("data", namespace, "2Gi"))
    world.bound("data", namespace)
    with pytest.raises(RuntimeError, match="exceeded quota"):
        world.apply(manifests.claim("more", namespace, "1Gi"))
    with pytest.raises(RuntimeError, match="exceeded quota"):
        world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}, namespace)


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
def test_pv_that_admission_refuses(world: World, namespace: str, reason: str) -> None:
    """A policy of the cluster's owners may refuse our PVs: the claim's events say so in its words, and no volume leaks."""
    name = f"no-pvs-{reason.lower()}"
    world.apply(manifests.storage_class(name), *refusing_policy(name, reason))
    try:
        processes.wait("the policy at work", lambda: refused(world, name), 20)
        world.apply(manifests.claim("data", namespace, storage_class=name))
        processes.wait("a warning", lambda: [event for event in world.events("data", namespace) if event["type"] == "Warning"
                                             and "not on this cluster" in event["message"]], 20)
        uid = world.get("pvc", "data", namespace)["metadata"]["uid"]
        world.delete("pvc", "data", namespace)
        processes.wait("the volume destroyed", lambda: f"k8s-pvc-{uid}" not in world.arrays.alive(), 30)
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy", "storageclass"):
            world.delete(kind, name)


def refusing_policy(name: str, reason: str) -> list[Object]:
    """A ValidatingAdmissionPolicy against PVs of one class."""
    kind, group = "ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1"
    return [
        {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["persistentvolumes"]}]},
            "validations": [{"expression": f"object.spec.storageClassName != '{name}'", "reason": reason,
                             "message": "not on this cluster"}]}},
        {"apiVersion": group, "kind": f"{kind}Binding", "metadata": {"name": name},
         "spec": {"policyName": name, "validationActions": ["Deny"]}}]


def refused(world: World, storage_class: str) -> bool:
    """Whether a PV of the class is refused by now: the server takes a moment to see a new policy."""
    trial: Object = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "trial"},
                     "spec": {"storageClassName": storage_class, "capacity": {"storage": "1Gi"},
                              "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}}
    try:
        world.cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(trial))
    except RuntimeError as error:
        return "not on this cluster" in str(error)
    return False
