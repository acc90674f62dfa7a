"""Deployments: plays the Deployment and ReplicaSet controllers and the scheduler, as far as volumes notice them.

What matters for storage is kept: a pod that is being deleted no longer counts, so its replacement is made at once, while the
old one still has its grace period (real-kubernetes.md section 4). Pods are placed when their claims are bound, on the node
with the fewest pods of the Deployment that is neither cordoned nor NotReady. `node_dead` stands for the node lifecycle
controller. No ReplicaSets, no roll-outs, no resources.
"""
from typing import Any

from simulator.kubernetes.controller import CLAIMS, PODS, Controller
from simulator.kubernetes.protection import claims_of
from simulator.kubernetes.store import Event, Key

DEPLOYMENTS, NODES = "deployments", "nodes"


class Deployments(Controller):
    """Keeps as many pods as each Deployment wants."""

    watched = (DEPLOYMENTS, PODS, CLAIMS, NODES)

    def changed(self, event: Event) -> None:
        """Any change may concern any of the few Deployments there are."""
        if event.stored.resource.plural == DEPLOYMENTS:
            self.enqueue(DEPLOYMENTS, event.stored.key)
        else:
            self.resync()

    def resync(self) -> None:
        """Look at all Deployments."""
        for deployment in self.api.objects(DEPLOYMENTS):
            self.enqueue(DEPLOYMENTS, (deployment["metadata"]["namespace"], deployment["metadata"]["name"]))

    def work(self, plural: str, key: Key) -> None:
        """Make what is missing, delete what is too much."""
        deployment = self.get(DEPLOYMENTS, key)
        if deployment is None:
            return
        pods = self.pods(key[1], key[0])
        wanted = deployment["spec"].get("replicas", 1)
        for pod in pods[wanted:]:
            self.api.delete(PODS, pod["metadata"]["name"], key[0])
        for _ in range(wanted - len(pods)):
            if not self._make(deployment):
                return

    def pods(self, name: str, namespace: str = "default") -> list[dict[str, Any]]:
        """The pods that count, oldest first: those being deleted do not."""
        found = [pod for pod in self.api.objects(PODS, namespace) if not pod["metadata"].get("deletionTimestamp")
                 and name in [owner["name"] for owner in pod["metadata"].get("ownerReferences") or []]]
        return sorted(found, key=lambda pod: int(pod["metadata"]["resourceVersion"]))

    def cordon(self, node: str, on: bool = True) -> None:
        """kubectl cordon, and uncordon."""
        self.api.patch(NODES, node, {"spec": {"unschedulable": on or None}})

    def node_dead(self, node: str) -> None:
        """What happens some minutes after a node fell silent: NotReady, and its pods are deleted.

        They stay Terminating, because nobody is there to end them.
        """
        self.api.patch(NODES, node, {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, status=True)
        for pod in self.api.objects(PODS):
            if pod["spec"].get("nodeName") == node:
                self.api.delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])

    def node_back(self, node: str) -> None:
        """The node reports again; its kubelet ends the pods that were deleted meanwhile."""
        self.api.patch(NODES, node, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, status=True)

    def _make(self, deployment: dict[str, Any]) -> bool:
        template, metadata = deployment["spec"]["template"], deployment["metadata"]
        node = self._node_for(metadata["name"], metadata["namespace"])
        for claim in claims_of(template):
            found = self.get(CLAIMS, (metadata["namespace"], claim))
            if node is None or found is None or found["status"].get("phase") != "Bound":
                return False             # unschedulable for now; a change of claims or nodes brings us back
        self.api.create({"apiVersion": "v1", "kind": "Pod", "spec": {**template["spec"], "nodeName": node}, "metadata": {
            **template.get("metadata", {}), "generateName": f"{metadata['name']}-", "namespace": metadata["namespace"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"],
                                 "uid": metadata["uid"], "controller": True}]}})
        return True

    def _node_for(self, name: str, namespace: str) -> str | None:
        here = [pod["spec"].get("nodeName") for pod in self.pods(name, namespace)]
        nodes = [node["metadata"]["name"] for node in self.api.objects(NODES) if _usable(node)]
        return min(nodes, key=lambda node: (here.count(node), node), default=None)


def _usable(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = next((one["status"] for one in conditions if one["type"] == "Ready"), "True")
    return ready == "True" and not (node.get("spec") or {}).get("unschedulable")
