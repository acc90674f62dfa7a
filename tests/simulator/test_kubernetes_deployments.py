"""The Deployment controller replaces pods the way storage notices: before the old ones are gone."""
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.kubernetes import KubeApi
from simulator.kubernetes.deployments import Deployments
from tests.simulator.kubeclient import claim


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """Two nodes and claim data, bound."""
    with KubeApi() as server:
        for name in ("node1", "node2"):
            server.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        server.create(claim("data"))
        server.patch("persistentvolumeclaims", "data", {"status": {"phase": "Bound"}}, status=True)
        yield server


@pytest.fixture
def deployments(api: KubeApi) -> Iterator[Deployments]:
    """The controller, which must not have met trouble in the end."""
    with Deployments(api) as controller:
        yield controller
        assert controller.trouble == []


def deployment(replicas: int = 1, claim_name: str = "data") -> dict[str, Any]:
    """A Deployment whose pods use a claim."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "pg"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "pg"}}, "template": {
            "metadata": {"labels": {"app": "pg"}}, "spec": {
                "containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}]}}}}


def nodes(api: KubeApi, deployments: Deployments, number: int) -> list[str]:
    """Nodes of the pods that count, once there are so many."""
    api.wait_for(lambda: len(deployments.pods("pg")) == number, f"{number} pods")
    return sorted(pod["spec"]["nodeName"] for pod in deployments.pods("pg"))


def test_replicas_spread_over_the_nodes(api: KubeApi, deployments: Deployments) -> None:
    """And shrink again."""
    api.create(deployment(2))
    assert nodes(api, deployments, 2) == ["node1", "node2"]
    api.patch("deployments", "pg", {"spec": {"replicas": 1}})
    nodes(api, deployments, 1)


def test_the_replacement_does_not_wait_for_the_old_pod(api: KubeApi, deployments: Deployments) -> None:
    """Deleted, in its grace period, on a cordoned node: the new one is on the other node already."""
    api.create(deployment())
    assert nodes(api, deployments, 1) == ["node1"]
    [old] = deployments.pods("pg")
    deployments.cordon("node1")
    api.delete("pods", old["metadata"]["name"])
    api.wait_for(lambda: api.count("pods") == 2, "the replacement")
    assert nodes(api, deployments, 1) == ["node2"]
    assert api.get("pods", old["metadata"]["name"])["metadata"]["deletionTimestamp"]


def test_a_pod_waits_for_its_claim(api: KubeApi, deployments: Deployments) -> None:
    """It is placed when the claim is bound."""
    api.create(claim("late"))
    api.create(deployment(claim_name="late"))
    api.create(claim("other"))
    assert api.count("pods") == 0
    api.patch("persistentvolumeclaims", "late", {"status": {"phase": "Bound"}}, status=True)
    nodes(api, deployments, 1)


def test_a_dead_nodes_pods_are_replaced_and_stay_terminating(api: KubeApi, deployments: Deployments) -> None:
    """Nobody is there to end them; nothing new is placed there until the node is back."""
    api.create(deployment(2))
    nodes(api, deployments, 2)
    deployments.node_dead("node2")
    api.wait_for(lambda: api.count("pods") == 3, "the replacement")
    assert nodes(api, deployments, 2) == ["node1", "node1"]
    deployments.node_back("node2")
    api.patch("deployments", "pg", {"spec": {"replicas": 3}})
    assert nodes(api, deployments, 3) == ["node1", "node1", "node2"]


def test_without_a_usable_node_nothing_is_made(api: KubeApi, deployments: Deployments) -> None:
    """All cordoned: pending until one is not."""
    for name in ("node1", "node2"):
        deployments.cordon(name)
    api.create(deployment())
    api.create(claim("other"))
    assert api.count("pods") == 0
    deployments.cordon("node2", on=False)
    assert nodes(api, deployments, 1) == ["node2"]
