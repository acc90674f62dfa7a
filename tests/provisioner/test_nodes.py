"""WaitForFirstConsumer with labels of arrays and nodes; nodeAffinity; nodes that are gone (checklist 7, 23; R9; 1.6)."""

from typing import Any

import pytest

from arrays.errors import ConfigError
from provisioner.kube import Kube
from provisioner.nodes import Node, Nodes, affinity
from provisioner.settings import read
from simulator.kubernetes.access import full
from tests.provisioner.access import access
from tests.provisioner.cluster import CLAIMS, Cluster
from tests.provisioner.waiting import until

ENV = "topology.purestorage.com/env"
KEYS = (("env", ENV),)
SELECTED = "volume.kubernetes.io/selected-node"


@pytest.fixture
def late(cluster: Cluster) -> Cluster:
    """The class "late" waits for its first consumer; the provisioner may read nodes."""
    cluster.storage_class("late", volumeBindingMode="WaitForFirstConsumer")
    cluster.user = cluster.account(*full("pure"))
    return cluster


def node(cluster: Cluster, name: str, **labels: str) -> None:
    cluster.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "labels": {f"topology.purestorage.com/{key}": value for key, value in labels.items()}}})


def chosen(cluster: Cluster, name: str, by: str = "n1", **more: Any) -> None:
    cluster.claim(name, "late", annotations={SELECTED: by}, **more)


@pytest.mark.parametrize("text, keys", [
    ("", ()), ("env", KEYS), (" env , ", KEYS),
    ("zone=topology.kubernetes.io/zone", (("zone", "topology.kubernetes.io/zone"),)),
    ("a,b=c", (("a", "topology.purestorage.com/a"), ("b", "c")))])
def test_the_setting(text: str, keys: tuple[tuple[str, str], ...]) -> None:
    assert read({"PURE_PV_NODE_AFFINITY": text}).node_affinity == keys


@pytest.mark.parametrize("text", ["=x", "a=not a label", "-"])
def test_a_setting_that_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="PURE_PV_NODE_AFFINITY"):
        read({"PURE_PV_NODE_AFFINITY": text})


@pytest.mark.parametrize("labels, expected", [
    ({"env": "dev"}, [{"key": ENV, "operator": "In", "values": ["dev"]}]),
    ({"env": "a b"}, [{"key": ENV, "operator": "In", "values": ["a-b"]}]), ({"rack": "1"}, None), ({}, None)], ids=str)
def test_affinity_names_labels_that_the_array_has(labels: dict[str, str], expected: Any) -> None:
    """Point 23."""
    made = affinity(labels, KEYS)
    assert (made and made["required"]["nodeSelectorTerms"][0]["matchExpressions"]) == expected


@pytest.mark.parametrize("labels, refusal", [
    ({"env": "dev"}, ""), ({"rack": "1"}, ""),
    ({"env": "prod"}, f"cannot be reached from node n1: {ENV}=prod is needed, and the node has dev")], ids=str)
def test_which_arrays_a_node_reaches(labels: dict[str, str], refusal: str) -> None:
    assert Node("n1", {ENV: "dev"}, KEYS).refusal(labels) == refusal
    assert Node("n1", {ENV: "dev"}, ()).refusal(labels) == ""


def test_an_array_near_the_node_is_preferred_and_no_more(late: Cluster) -> None:
    """Without nodeAffinity a node's label is a wish: the fuller array near it, and another one when that cannot serve."""
    node(late, "n1", env="prod")
    with late.provisioner():
        chosen(late, "near")
        late.bound("near")
        chosen(late, "far", selector={"matchLabels": {"env": "dev"}})
        late.bound("far")
    assert late.live() == {late.volume("near"): "fa2", late.volume("far"): "fa1"}
    assert "nodeAffinity" not in late.pv("near")["spec"]


def test_a_pv_says_which_nodes_reach_it(late: Cluster) -> None:
    """Point 23: only when configured."""
    node(late, "n1", env="prod")
    with late.provisioner(node_affinity=KEYS):
        chosen(late, "data")
        late.bound("data")
        late.claim("anywhere")
        late.bound("anywhere")
    for name, env in (("data", "prod"), ("anywhere", "dev")):
        terms = late.pv(name)["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        assert terms == [{"matchExpressions": [{"key": ENV, "operator": "In", "values": [env]}]}]


def test_a_node_no_array_reaches_is_given_back(late: Cluster) -> None:
    """Reschedule: the claim without its selected node, the reason in the event; the next choice is served."""
    node(late, "n1", env="test")
    node(late, "n2", env="prod")
    with late.provisioner(node_affinity=KEYS, retry_longest=300.0):
        chosen(late, "data")
        late.event("ProvisioningFailed", "data", f"{ENV}=dev is needed, and the node has test")
        until(lambda: SELECTED not in late.api.get(CLAIMS, "data")["metadata"]["annotations"], "given back")
        assert not late.live()
        late.api.patch(CLAIMS, "data", {"metadata": {"annotations": {SELECTED: "n2"}}})
        late.bound("data")
    assert late.live() == {late.volume("data"): "fa2"}


def test_r9_a_node_that_is_gone_is_given_back(late: Cluster) -> None:
    """R9: the node was deleted after the scheduler chose it, and the volume would have depended on it."""
    node(late, "n2", env="dev")
    with late.provisioner(node_affinity=KEYS, retry_longest=300.0):
        chosen(late, "data", "gone")
        late.event("ProvisioningFailed", "data", "node gone, which the scheduler chose, is gone")
        until(lambda: SELECTED not in late.api.get(CLAIMS, "data")["metadata"]["annotations"], "given back")
        late.api.patch(CLAIMS, "data", {"metadata": {"annotations": {SELECTED: "n2"}}})
        late.bound("data")


def test_a_node_that_cannot_be_looked_at_is_asked_for_again(late: Cluster) -> None:
    """Where labels bind, a volume made without looking may be on an array that the pod's node never reaches."""
    node(late, "n1", env="prod")
    late.api.faults.add(verb="get", resource="nodes", status=500, times=1)
    with late.provisioner(node_affinity=KEYS):
        chosen(late, "data")
        late.bound("data")
    assert late.live() == {late.volume("data"): "fa2"}


def test_nodes_that_were_forbidden_for_a_moment_are_looked_at_again(late: Cluster) -> None:
    """An API server that starts refuses everybody; volumes would go where their pods' nodes do not reach, till a restart."""
    node(late, "n1", env="prod")
    now = [1000.0]
    nodes = Nodes(Kube(access(late.api, late.user)), KEYS, lambda: now[0])
    late.api.faults.add(verb="get", resource="nodes", status=403, reason="Forbidden", times=1)
    assert nodes.look("n1") is None and nodes.look("n1") is None and late.asked("get", "nodes") == 1
    now[0] += 601
    found = nodes.look("n1")
    assert found and found.labels == {ENV: "prod"}


@pytest.mark.parametrize("may_read", [True, False], ids=["nodes may be read", "published chart's role"])
def test_r9_a_node_that_is_gone_does_not_hold_a_claim_that_needs_none(late: Cluster, may_read: bool) -> None:
    """R9: the volume does not depend on the node, so the claim is served and the pod scheduled anew."""
    if not may_read:
        late.user = late.account()
    with late.provisioner():
        chosen(late, "data", "gone")
        late.bound("data")


def test_topology_of_the_class_and_the_node_go_together(late: Cluster) -> None:
    """allowedTopologies with WaitForFirstConsumer: the class says which arrays may, the node which of them is near."""
    late.sim.add_flash_array("fa3", labels={"env": "test"})
    late.write_fleet()
    late.storage_class("both", volumeBindingMode="WaitForFirstConsumer", allowedTopologies=[
        {"matchLabelExpressions": [{"key": ENV, "values": ["prod", "test"]}]}])
    node(late, "n1", env="dev")
    node(late, "n2", env="prod")
    with late.provisioner():
        late.claim("waits", "both")
        for name, by in (("a", "n1"), ("b", "n2")):
            late.claim(name, "both", annotations={SELECTED: by})
            late.bound(name)
    assert late.live() == {late.volume("a"): "fa3", late.volume("b"): "fa2"}


def test_a_nodes_labels_are_read_once_for_many_claims(late: Cluster) -> None:
    node(late, "n1", env="prod")
    with late.provisioner():
        for number in range(6):
            chosen(late, f"c{number}")
        for number in range(6):
            late.bound(f"c{number}")
    assert 1 <= late.asked("get", "nodes") <= 6
    assert set(late.live().values()) == {"fa2"}
