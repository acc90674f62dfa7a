"""One cluster for all tests of this folder: control plane, two nodes with pretend storage, arrays, our product."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.installed import installed
from tests.cluster.machine import Lacking
from tests.cluster.world import World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real clusters take longer than pretended ones; making the cluster (and building it, once) is not counted."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(150, func_only=True))


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Everything, installed and Ready; removed at the end, whatever happened."""
    try:
        with installed(os.environ.get("K8S", "")) as made:
            yield made
    except Lacking as lack:
        pytest.exit(str(lack), returncode=2)


@pytest.fixture
def namespace(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, deleted afterwards with all that is in it. Nobody waits for that: it takes 10 s."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    world.cluster.kubectl("create", "namespace", name)
    yield name
    world.cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(autouse=True)
def nothing_forbidden(world: World) -> Iterator[None]:
    """No test may make the product ask for more than its role allows: one forbidden call is a failure."""
    world.audit.forget()
    yield
    assert world.audit.refused() == []
