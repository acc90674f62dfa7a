"""What a test of the cluster has at hand: the cluster, the arrays, the nodes' storage, the product, and short questions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster import flood, processes
from tests.cluster.arrays import Arrays
from tests.cluster.audit import Audit
from tests.cluster.cluster import Cluster
from tests.cluster.nodes import Node
from tests.cluster.pretend import Storage
from tests.cluster.product import Product

Object = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A cluster with our product on it."""

    cluster: Cluster
    arrays: Arrays
    audit: Audit
    storage: dict[str, Storage]      # by node name
    product: Product

    def apply(self, *documents: Object) -> None:
        """kubectl apply."""
        self.cluster.apply(*documents)

    def look(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """An object, or None."""
        scope = ["--namespace", namespace] if namespace else []
        text = self.cluster.kubectl("get", kind, name, *scope, "--ignore-not-found", "-o", "json")
        return dict(json.loads(text)) if text.strip() else None

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """An object that must be there."""
        found = self.look(kind, name, namespace)
        assert found is not None, f"no {kind} {namespace}/{name}"
        return found

    def delete(self, kind: str, name: str, namespace: str = "", *more: str) -> None:
        """kubectl delete, without waiting for the end."""
        scope = ["--namespace", namespace] if namespace else []
        self.cluster.kubectl("delete", kind, name, *scope, "--wait=false", *more)

    def patch(self, kind: str, name: str, change: Object, namespace: str = "") -> None:
        """kubectl patch --type merge."""
        scope = ["--namespace", namespace] if namespace else []
        self.cluster.kubectl("patch", kind, name, *scope, "--type=merge", "-p", json.dumps(change))

    def bound(self, claim: str, namespace: str, seconds: float = 30) -> Object:
        """Wait until a claim is bound; its PV."""
        processes.wait(f"claim {claim} bound",
                       lambda: self.get("pvc", claim, namespace).get("status", {}).get("phase") == "Bound", seconds)
        return self.get("pv", self.get("pvc", claim, namespace)["spec"]["volumeName"])

    def gone(self, kind: str, name: str, namespace: str = "", seconds: float = 30) -> None:
        """Wait until an object is no more."""
        processes.wait(f"{kind} {name} gone", lambda: self.look(kind, name, namespace) is None, seconds)

    def running(self, pod: str, namespace: str, seconds: float = 60) -> Object:
        """Wait until a pod is Ready; the pod."""
        self.cluster.kubectl("-n", namespace, "wait", f"pod/{pod}", "--for=condition=Ready", f"--timeout={seconds:g}s",
                             seconds=seconds + 10)
        return self.get("pod", pod, namespace)

    def pod_of(self, app: str, namespace: str, node: str = "", seconds: float = 60) -> Object:
        """Wait until a Deployment has one pod, Ready (and on that node); the pod."""
        def found() -> list[Object]:
            pods = json.loads(self.cluster.kubectl("-n", namespace, "get", "pods", "-l", f"app={app}", "-o", "json"))
            return [pod for pod in pods["items"] if not pod["metadata"].get("deletionTimestamp")
                    and node in ("", pod["spec"].get("nodeName")) and is_ready(pod)]
        processes.wait(f"a pod of {app} Ready on {node or 'any node'}", found, seconds)
        return found()[0]

    def run_in(self, pod: str, namespace: str, script: str) -> str:
        """Run a shell script in a pod's container; its stdout."""
        return self.cluster.kubectl("-n", namespace, "exec", pod, "--", "/bin/sh", "-c", script)

    def events(self, name: str, namespace: str) -> list[Object]:
        """Events about an object, oldest first."""
        found = json.loads(self.cluster.kubectl("-n", namespace, "get", "events", "--field-selector",
                                                f"involvedObject.name={name}", "-o", "json"))["items"]
        return sorted(found, key=lambda event: event["metadata"]["creationTimestamp"])

    def restart_api(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Kill the API server and start it again. Until it has read the roles it forbids everything: that is not counted."""
        self.cluster.restart_api(meanwhile)
        processes.wait("the roles read", lambda: self.cluster.kubectl(
            "auth", "can-i", "list", "pv", "--as=system:serviceaccount:pure-flex:pure", check=False).strip() == "yes", 30)
        self.audit.forget()

    def flood(self, requests: list[Object]) -> dict[str, int]:
        """Send many requests to the API server at once, as admin; how many answers had which status."""
        return flood.send(self.cluster.work, requests)

    def provisioner(self) -> tuple[Node, str]:
        """Where the provisioner runs: its node, and its process there."""
        for node in self.cluster.nodes:
            for pid in node.pids("/k8s-provisioner"):
                return node, pid
        raise AssertionError("the provisioner runs nowhere")

    def other(self, node: str) -> str:
        """The node that this one is not."""
        return next(name for name in self.storage if name != node)


def is_ready(pod: Object) -> bool:
    """Whether a pod's Ready condition is True."""
    return any(condition["type"] == "Ready" and condition["status"] == "True"
               for condition in pod.get("status", {}).get("conditions", []))
