"""Pods with claim data on node1, and what became of them."""

from typing import Any

from simulator.kubelet import Kubelet
from simulator.kubernetes import KubeApi
from simulator.kubernetes.controller import PODS


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod on node1 with claim data."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": {
        "nodeName": "node1", "terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "none"}],
        "volumes": [{"name": "vol", "persistentVolumeClaim": {"claimName": "data"}}], **spec}}


def running(api: KubeApi, name: str = "web") -> dict[str, Any]:
    """Wait until a pod runs."""
    def look() -> dict[str, Any] | None:
        found = api.get(PODS, name)
        return found if found and found["status"]["phase"] == "Running" else None
    return api.wait_for(look, f"pod {name} running")


def gone(api: KubeApi, name: str = "web") -> None:
    """Wait until a pod is no more."""
    api.wait_for(lambda: api.get(PODS, name) is None, f"the end of pod {name}")


def words(kubelet: Kubelet) -> list[str]:
    """The calls in order."""
    return [call.call for call in kubelet.calls]
