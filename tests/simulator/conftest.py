"""Fixtures for tests of the pretend arrays."""

import itertools
from collections.abc import Iterator

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.fleet import Simulator
from tests.simulator.arrayclient import Rest, connect

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A running simulator without data plane; its monitors sample only when a test says so."""
    with Simulator(tmp_path_factory.mktemp("arrays"), sampling_interval=0) as sim:
        yield sim


@pytest.fixture
def array(arrays: Simulator) -> Iterator[FlashArray]:
    """A fresh FlashArray, the test's own."""
    fresh = arrays.add_flash_array(f"fa-{next(_numbers)}")
    yield fresh
    arrays.remove(fresh)


@pytest.fixture
def other(arrays: Simulator) -> Iterator[FlashArray]:
    """A second FlashArray of the same fleet."""
    fresh = arrays.add_flash_array(f"fa-{next(_numbers)}")
    yield fresh
    arrays.remove(fresh)


@pytest.fixture
def blade(arrays: Simulator) -> Iterator[FlashBlade]:
    """A fresh FlashBlade."""
    fresh = arrays.add_flash_blade(f"fb-{next(_numbers)}")
    yield fresh
    arrays.remove(fresh)


@pytest.fixture
def client(array: FlashArray, arrays: Simulator) -> Client:
    """`purestorage` 1.19.0, logged in at `array`."""
    return connect(array, arrays.ca)


@pytest.fixture
def rest(array: FlashArray, arrays: Simulator) -> Rest:
    """Plain HTTP, logged in at `array`."""
    return Rest(array, arrays.ca)


@pytest.fixture
def blade_rest(blade: FlashBlade, arrays: Simulator) -> Rest:
    """Plain HTTP, logged in at `blade`."""
    return Rest(blade, arrays.ca)
