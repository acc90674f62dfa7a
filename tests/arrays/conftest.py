"""What the tests of arrays/ stand on: one simulator for all of them, fresh arrays and clients for each."""

import itertools
from collections.abc import Iterator

import pytest

from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.flasharray import FlashArray
from arrays.flashblade import FlashBlade
from simulator.fleet import Simulator
from simulator.flasharray import FlashArray as PretendArray
from simulator.flashblade import FlashBlade as PretendBlade

_numbers = itertools.count(1)

SHOWN = 40          # requests told of when a test has failed
PATIENT = 40.0      # seconds for an answer: a pretend array shares a busy machine; tests of silence have limits of their own


@pytest.fixture(scope="session")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A running simulator without arrays; its monitors sample only when a test says so."""
    with Simulator(tmp_path_factory.mktemp("sim"), sampling_interval=0) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause before the one repeat of a safe call is kept short."""
    monkeypatch.setattr("arrays.https.PAUSE", 0.01)


@pytest.fixture
def pretend(sim: Simulator) -> Iterator[PretendArray]:
    """A FlashArray of the simulator, empty and all switches at their defaults; gone after the test."""
    array = sim.add_flash_array(f"fa{next(_numbers)}")
    yield array
    _tell_requests(array)
    sim.remove(array)


@pytest.fixture
def pretend_blade(sim: Simulator) -> Iterator[PretendBlade]:
    """A FlashBlade of the simulator, empty and all switches at their defaults; gone after the test."""
    blade = sim.add_flash_blade(f"fb{next(_numbers)}")
    yield blade
    _tell_requests(blade)
    sim.remove(blade)


@pytest.fixture
def array(sim: Simulator, pretend: PretendArray) -> Iterator[FlashArray]:
    """Our client of `pretend`, verifying its certificate."""
    client = FlashArray(array_entry(sim, pretend), connect_timeout=PATIENT, read_timeout=PATIENT)
    yield client
    client.close()


@pytest.fixture
def blade(sim: Simulator, pretend_blade: PretendBlade) -> Iterator[FlashBlade]:
    """Our client of `pretend_blade`, verifying its certificate."""
    client = FlashBlade(blade_entry(sim, pretend_blade), connect_timeout=PATIENT, read_timeout=PATIENT)
    yield client
    client.close()


def _tell_requests(pretend: PretendArray | PretendBlade) -> None:
    """pytest shows what is printed here beside a test that failed."""
    print(f"{pretend.name} was asked:", *(" ".join(map(str, one)) for one in pretend.requests[-SHOWN:]), sep="\n  ")


def array_entry(sim: Simulator, pretend: PretendArray, token: str | None = None) -> FlashArrayEntry:
    return FlashArrayEntry(pretend.endpoint, token or pretend.token, pretend.labels, sim.ca)


def blade_entry(sim: Simulator, pretend: PretendBlade, token: str | None = None) -> FlashBladeEntry:
    return FlashBladeEntry(pretend.endpoint, token or pretend.token, pretend.nfs_endpoint, pretend.labels, sim.ca)
