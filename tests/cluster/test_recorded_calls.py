"""What the real kubelet asks of a driver, beside what the demo's stand-in asks: argv, order and options are the same.

Both execute the same recording driver through the same story: a first mount that fails, a pod with a group of its own,
growth while it runs, its end.
"""

from pathlib import Path
from typing import Any

from simulator.kubelet import Kubelet
from simulator.kubernetes import Binder, KubeApi
from simulator.kubernetes.controller import CLAIMS, PODS
from tests.cluster import manifests, processes
from tests.cluster.world import Object, World

RECORDER = """#!/bin/sh
# One line a call, words separated by unit separators; the first mount fails.
cd "${0%/*}"
printf '%s\\037' "$@" >> .calls
echo >> .calls
case "$1" in
init) echo '{"status":"Success","capabilities":{"attach":false,"requiresFSResize":true}}' ;;
mount) if [ -e .failed ]; then mount -t tmpfs recorded "$2" && echo '{"status":"Success"}'
       else touch .failed; echo '{"status":"Failure","message":"not yet"}'; fi ;;
unmount) umount "$2"; echo '{"status":"Success"}' ;;
*) echo '{"status":"Success"}' ;;
esac
"""


def test_stand_in_asks_what_the_real_kubelet_asks(world: World, namespace: str, tmp_path: Path) -> None:
    """The same calls in the same order with the same options, retries, directories and events."""
    real, told = on_the_real_kubelet(world, namespace)
    pretended, events = on_the_stand_in(namespace, tmp_path)
    assert real == pretended
    assert told == events
    assert [call[0] for call in real] == ["init", "mount", "mount", "expandfs", "unmount"]


def on_the_real_kubelet(world: World, namespace: str) -> tuple[list[list[str]], str]:
    """The recorded calls, and the event of the failed mount."""
    node = world.storage["node1"].node
    driver = install(node.plugin_dir / "test~recorder" / "recorder")
    world.apply(*objects(namespace, "test/recorder"), pod(namespace))
    try:
        uid = world.running("user", namespace)["metadata"]["uid"]
        world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
        processes.wait("growth", lambda: world.get("pvc", "data", namespace)["status"]["capacity"] == {"storage": "2Gi"}, 40)
        event = next(event["message"] for event in world.events("user", namespace) if event["reason"] == "FailedMount")
        world.delete("pod", "user", namespace)
        world.gone("pod", "user", namespace)
        processes.wait("unmount", lambda: "unmount" in driver.read_text(), 20)
        return recorded(driver, uid, "/var/lib/kubelet", "test~recorder"), event
    finally:
        world.delete("pod", "user", namespace, "--ignore-not-found")
        world.delete("pv", f"recorded-{namespace}")
        world.delete("storageclass", "recorded")


def on_the_stand_in(namespace: str, home: Path) -> tuple[list[list[str]], str]:
    """The same story under the stand-in."""
    driver = install(home / "exec/pure~flex/flex")
    with KubeApi() as api, Binder(api):
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for each in objects(namespace, "pure/flex"):
            api.create(each)
        api.wait_for(lambda: status(api, CLAIMS, "data", namespace)["phase"] == "Bound", "the claim bound")
        with Kubelet(api, "node1", home / "kubelet", home / "exec"):
            uid = api.create(pod(namespace, nodeName="node1"))["metadata"]["uid"]
            api.wait_for(lambda: status(api, PODS, "user", namespace).get("phase") == "Running", "the pod running")
            api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
            api.wait_for(lambda: status(api, CLAIMS, "data", namespace)["capacity"] == {"storage": "2Gi"}, "growth")
            event = api.events("user", "FailedMount")[0]["message"]
            api.delete(PODS, "user", namespace)
            api.wait_for(lambda: api.get(PODS, "user", namespace) is None, "the end of the pod")
    return recorded(driver, uid, str(home / "kubelet"), "pure~flex"), event


def install(executable: Path) -> Path:
    """Put the recording driver in place; the file its calls go to."""
    executable.parent.mkdir(parents=True)
    staged = executable.with_name(".new")
    staged.write_text(RECORDER)
    staged.chmod(0o755)
    staged.rename(executable)
    return executable.with_name(".calls")


def recorded(calls: Path, uid: str, root: str, folder: str) -> list[list[str]]:
    """The calls without what cannot be equal: the pod's uid, kubelet's root, the driver's name.

    `init` is counted once: how often it comes depends on how many file events the real prober sees before it looks.
    """
    text = calls.read_text().replace(uid, "UID").replace(root, "ROOT").replace(folder, "DRIVER")
    found = [line.split("\037")[:-1] for line in text.splitlines()]
    return found[:1] + [call for call in found[1:] if call != ["init"]]


def objects(namespace: str, driver: str) -> list[Object]:
    """A class that grows, a PV made by hand with awkward options, its claim."""
    name = f"recorded-{namespace}"
    made: dict[str, Any] = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "recorded",
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": "data"},
        "flexVolume": {"driver": driver, "fsType": "xfs", "options": {"volume": "k8s-x", "mountOptions": "a<b&c,ü",
                                                                      "zero": ""}}}
    return [manifests.storage_class("recorded") | {"provisioner": "example.org/nobody"},
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": made},
            manifests.claim("data", namespace, storage_class="recorded", volumeName=name)]


def status(api: KubeApi, resource: str, name: str, namespace: str) -> Object:
    """The status of an object of the stand-in API server."""
    return dict((api.get(resource, name, namespace) or {}).get("status", {}))


def pod(namespace: str, **more: Any) -> Object:
    """A pod with a group of its own."""
    return manifests.pod("user", namespace, ["data"], securityContext={"fsGroup": 2345}, serviceAccountName="default",
                         node="" if more else "node1", **more)
