"""PURE_FLEX_ATTACH=true: the attach family as kubelet and kube-controller-manager call it."""

import json

import pytest

from tests.lab.arrays import FlashArray, Volume
from tests.lab.node import Answer, Node, eventually, kubelet_options

SUCCESS = "Success"
GLOBAL = "/var/lib/kubelet/plugins/kubernetes.io/flexvolume/pure/flex/mounts"


@pytest.fixture
def attaching(node1: Node, node2: Node):
    """Both nodes with the attach family on."""
    for node in (node1, node2):
        node.set(PURE_FLEX_ATTACH="true", PURE_PREEMPT_RWO_GRACE="3")
    yield
    for node in (node1, node2):
        node.set()


def options(volume: Volume, pod: str = "pod") -> str:
    return json.dumps({**kubelet_options(pod, volume.pv), **volume.options()})


def brought_up(node: Node, volume: Volume, master: Node, pod: str) -> Answer:
    """attach by `master` for `node`, then what kubelet does on the node up to the pod's directory."""
    attached = eventually(lambda: master.flex("attach", options(volume), node.name))
    assert attached.status == SUCCESS and attached.whole["device"], attached
    waited = eventually(lambda: node.flex("waitforattach", attached.whole["device"], options(volume)))
    assert waited.status == SUCCESS and waited.whole["device"], waited
    node.sh(f"mkdir -p '{GLOBAL}/{volume.pv}' '{node.directory(pod, volume.pv)}'")
    answer = eventually(lambda: node.flex("mountdevice", f"{GLOBAL}/{volume.pv}", waited.whole["device"], options(volume)))
    assert answer.status == SUCCESS, answer
    return node.flex("mount", node.directory(pod, volume.pv), options(volume, pod))


def taken_down(node: Node, volume: Volume, master: Node, pod: str) -> None:
    for argv in (("unmount", node.directory(pod, volume.pv)), ("unmountdevice", f"{GLOBAL}/{volume.pv}")):
        answer = eventually(lambda argv=argv: node.flex(*argv))
        assert answer.status == SUCCESS, answer
    answer = eventually(lambda: master.flex("detach", volume.pv, node.name))
    assert answer.status == SUCCESS, answer


@pytest.mark.parametrize("by", ["kubelet", "controller"])
def test_a_life_by_the_attach_family(node1: Node, node2: Node, array: FlashArray, attaching: None, by: str):
    """init says attach:true; the volume goes up, is written by two pods, comes down, and moves to the other node."""
    assert node1.flex("init").whole["capabilities"]["attach"] is True
    volume = array.new_volume()
    master = node1 if by == "kubelet" else node2
    assert brought_up(node1, volume, master, "one").status == SUCCESS
    node1.sh(f"echo hello > '{node1.directory('one', volume.pv)}/hello'; mkdir -p '{node1.directory('two', volume.pv)}'")
    assert node1.flex("mount", node1.directory("two", volume.pv), options(volume, "two")).status == SUCCESS
    assert node1.sh(f"cat '{node1.directory('two', volume.pv)}/hello'") == "hello\n"
    for argv in ((options(volume), "node1"), ("node1", options(volume))):        # today's order, and the early one
        answer = node1.flex("isattached", *argv)
        assert (answer.status, answer.whole["attached"]) == (SUCCESS, True), answer
    assert node1.unmount("two", volume.pv).status == SUCCESS
    taken_down(node1, volume, master, "one")
    assert volume.connections == {}

    master = node2 if by == "kubelet" else node1
    assert brought_up(node2, volume, master, "one").status == SUCCESS
    assert node2.sh(f"cat '{node2.directory('one', volume.pv)}/hello'") == "hello\n"
    taken_down(node2, volume, master, "one")
    assert volume.connections == {}


def test_off_the_family_is_not_supported(node1: Node, array: FlashArray):
    """The default profile: init says attach:false, and the calls say Not supported."""
    assert node1.flex("init").whole["capabilities"]["attach"] is False
    volume = array.new_volume()
    for argv in (("attach", options(volume), "node1"), ("detach", volume.pv, "node1"),
                 ("waitforattach", "", options(volume)), ("isattached", options(volume), "node1"),
                 ("mountdevice", "/nowhere", "", options(volume)), ("unmountdevice", "/nowhere")):
        assert node1.flex(*argv).status == "Not supported", argv
