"""Fixtures for the tests of pretend nodes."""

from collections.abc import Iterator

import pytest

from simulator.fleet import Simulator
from simulator.planes import FilePlane
from tests.simulator.node.bench import Bench, a_bench


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Arrays whose volumes are sparse files; each test adds an array of its own."""
    directory = tmp_path_factory.mktemp("sim")
    with Simulator(directory, FilePlane(directory / "plane")) as simulator:
        yield simulator


@pytest.fixture
def bench(sim: Simulator) -> Iterator[Bench]:
    """A pretend node and an array that knows it as host "node1"."""
    with a_bench(sim) as made:
        yield made
