"""One cluster for all tests of this folder: control plane, two nodes with pretend storage, arrays, our product."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import cluster as clusters
from tests.cluster import product
from tests.cluster.arrays import Arrays
from tests.cluster.audit import Audit
from tests.cluster.cluster import Cluster
from tests.cluster.pretend import Storage
from tests.cluster.world import World

# The controller manager's own limits (20 requests a second) would be all that a burst measures.
UNLIMITED = ["--kube-api-qps=400", "--kube-api-burst=800"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real clusters take longer than pretended ones; making the cluster (and building it, once) is not counted."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(150, func_only=True))


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Everything, installed and Ready; removed at the end, whatever happened."""
    assert os.geteuid() == 0, "a real Kubernetes needs root: network namespaces, mounts, cgroups"
    reserved = clusters.reserve()
    cluster = Cluster(os.environ.get("K8S", ""))
    arrays, audit = Arrays(cluster.work), Audit(cluster.work)
    archives = product.images()
    storage = {node.name: Storage(node, arrays) for node in cluster.nodes}

    def before_nodes() -> None:
        arrays.start()
        for each in storage.values():
            each.put_ca()

    try:
        cluster.up(archives, {"kube-apiserver": audit.flags(), "kube-controller-manager": UNLIMITED}, before_nodes)
        installed = product.Product(cluster, arrays)
        installed.install()
        yield World(cluster, arrays, audit, storage, installed)
        for each in storage.values():
            assert each.problems() == [], "the pretend storage raised an alarm, or failed itself"
    finally:
        clusters.down()
        os.close(reserved)


@pytest.fixture
def namespace(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, deleted afterwards with all that is in it. Nobody waits for that: it takes 10 s."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    world.cluster.kubectl("create", "namespace", name)
    yield name
    world.cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(autouse=True)
def nothing_forbidden(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may make the product ask for more than its role allows.

    A module's TRIED_ONCE names requests that may be refused, once each: how the product finds out what it may not.
    """
    world.audit.forget()
    yield
    refused = world.audit.refused()
    for prefix in getattr(request.module, "TRIED_ONCE", ()):
        tried = [each for each in refused if each.startswith(prefix)]
        refused = [each for each in refused if each not in tried[:1]]
    assert refused == []
