"""Two replicas of the provisioner: one works, the other takes over."""

from collections.abc import Iterator

import pytest

from tests.cluster import manifests, processes
from tests.cluster.nodes import Node
from tests.cluster.product import NAMESPACE
from tests.cluster.world import World

LEASE_SECONDS = 15


@pytest.fixture(scope="module")
def two(world: World) -> Iterator[World]:
    """A second replica; one again afterwards."""
    world.cluster.kubectl("-n", NAMESPACE, "scale", "deployment/pure-provisioner", "--replicas=2")
    world.product.wait()
    yield world
    world.cluster.kubectl("-n", NAMESPACE, "scale", "deployment/pure-provisioner", "--replicas=1")
    processes.wait("one replica", lambda: len(world.product.pods("app=pure-provisioner")) == 1, 60)


def leader(world: World) -> str:
    """Name of the pod that holds the lock; "" for none."""
    lease = world.look("lease", "pure-provisioner", NAMESPACE) or {"spec": {}}
    return str(lease["spec"].get("holderIdentity") or "").partition("_")[0]


def new_leader(world: World, old: str, seconds: float) -> str:
    """Wait until another pod leads, and one that there is: a lock may still name one that has gone."""
    processes.wait(f"another leader than {old!r}", lambda: leader(world) != old
                   and leader(world) in world.product.pods("app=pure-provisioner"), seconds)
    return leader(world)


def process_of(world: World, pod: str) -> tuple[Node, str]:
    """Where the provisioner of a pod runs: its node, and its process there."""
    for node in world.cluster.nodes:
        for pid in node.pids("/k8s-provisioner"):
            if f"HOSTNAME={pod}\0" in node.run("cat", f"/proc/{pid}/environ", check=False):
                return node, pid
    raise AssertionError(f"no process of {pod}")


def test_deleted_leader_hands_over_at_once(two: World, namespace: str) -> None:
    """A leader that is told to end gives the lock up; nobody waits for the lease to run out."""
    old = new_leader(two, "", 30)
    two.delete("pod", old, NAMESPACE)
    new_leader(two, old, LEASE_SECONDS)
    two.apply(manifests.claim("data", namespace))
    two.bound("data", namespace)
    two.product.wait()


def test_stopped_leader_is_replaced_and_does_nothing_when_it_wakes(two: World, namespace: str) -> None:
    """SIGSTOP: the other takes over after the lease; each claim has one volume, and the one that slept starts anew."""
    old = new_leader(two, "", 30)
    node, pid = process_of(two, old)
    names = [f"c{number}" for number in range(10)]
    node.run("kill", "-STOP", pid)
    try:
        two.apply(*[manifests.claim(name, namespace) for name in names])
        new_leader(two, old, 3 * LEASE_SECONDS)
        made = {f"k8s-{two.bound(name, namespace)['metadata']['name']}" for name in names}
    finally:
        node.run("kill", "-CONT", pid)
    processes.wait("the end of the old leader", lambda: not node.run("sh", "-c", f"ls -d /proc/{pid}", check=False), 30)
    assert made <= set(two.arrays.alive()) and leader(two) != old
