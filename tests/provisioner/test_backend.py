"""One array at work: measurements, slots, and what is being made (1.9, R12)."""

from collections.abc import Mapping, Sequence

import pytest

from arrays.entries import Entry, FlashArrayEntry
from arrays.errors import Busy, PureError, Refused, Unreachable
from provisioner.backend import Backend, OutOfUse, Pace, Recent, Slots
from provisioner.claims import Claim
from provisioner.stores import Found, Measure, Scrap, Wishes


class Array:
    """An array in memory: it measures as told, or fails as told."""

    backend = "block"

    def __init__(self) -> None:
        self.entry: Entry = FlashArrayEntry("1.2.3.4", "fake-token", {"env": "dev"})
        self.answer: Measure | PureError = Measure(1000, 100, 5, {"pod1": 2})
        self.asked = 0

    def measure(self) -> Measure:
        self.asked += 1
        if isinstance(self.answer, PureError):
            raise self.answer
        return self.answer

    def find(self, name: str) -> Found | None: ...
    def create(self, name: str, claim: Claim, wishes: Wishes) -> Found: ...               # type: ignore[empty-body]
    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None: ...
    def tidy(self, source: str, uid: str) -> None: ...
    def scraps(self, prefix: str) -> Sequence[Scrap]: ...                                 # type: ignore[empty-body]
    def users(self, name: str) -> Sequence[str]: ...                                      # type: ignore[empty-body]
    def grow(self, name: str, size: int) -> None: ...
    def recover(self, name: str) -> None: ...
    def destroy(self, name: str) -> None: ...
    def eradicate(self, name: str) -> None: ...
    def export(self, name: str) -> str: ...                                               # type: ignore[empty-body]
    def holdings(self, prefix: str) -> Sequence[Found]: ...                               # type: ignore[empty-body]
    def close(self) -> None: ...


@pytest.fixture
def array() -> Array:
    return Array()


@pytest.fixture
def backend(array: Array) -> Backend:
    return Backend(array, Pace(first_measurement=0.01, recent=60.0))


LABELS: Mapping[str, str] = {"env": "dev"}


def test_nothing_is_changed_without_the_lead(backend: Backend) -> None:
    """Point 48: every change of an array goes through this door, directly before the call."""
    backend.measure()
    with backend.changing(backend.claim_slots, "create", lambda: True):
        pass
    with pytest.raises(Busy, match="does not lead"), backend.changing(backend.claim_slots, "create", lambda: False):
        raise AssertionError("changed")
    assert not backend.claim_slots.full


def test_before_it_answered_it_is_no_candidate(backend: Backend) -> None:
    assert "has not answered yet" in backend.state().problem


def test_a_measurement_is_what_placement_sees(backend: Backend) -> None:
    assert backend.measure()
    state = backend.state()
    assert (state.capacity, state.used, state.volumes, state.problem, state.pods) == (1000, 100, 5, "", {"pod1": 2})
    assert state.labels == LABELS and state.name == "1.2.3.4"


def test_what_is_being_made_counts_until_the_array_counts_it(backend: Backend) -> None:
    backend.measure()
    backend.reserve("a", 100)
    backend.reserve("b", 50)
    assert (backend.state().coming, backend.state().uncounted) == (150, 2)
    backend.settle("a", made=True)
    backend.settle("b", made=False)
    assert (backend.state().coming, backend.state().recent, backend.state().uncounted) == (0, 100, 1)
    backend.measure()
    assert (backend.state().uncounted, backend.state().recent) == (0, 100)


def test_a_failed_measurement_takes_it_out_and_the_next_good_one_in(backend: Backend, array: Array) -> None:
    good = array.answer
    array.answer = Unreachable("FlashArray 1.2.3.4", "no answer in 30 s")
    assert not backend.measure() and backend.state().problem.endswith("no answer in 30 s")
    array.answer = good
    assert backend.measure() and backend.state().problem == ""


def test_silence_at_work_takes_it_out_at_once(backend: Backend) -> None:
    """The breaker: nobody else waits for the same time-out."""
    backend.measure()
    with pytest.raises(Unreachable), backend.at_work(Slots(1)):
        raise Unreachable("FlashArray 1.2.3.4", "no answer in 30 s")
    with pytest.raises(OutOfUse, match="no answer in 30 s"), backend.at_work(Slots(1)):
        raise AssertionError("nobody works with it")
    backend.measure()
    with backend.at_work(Slots(1)):
        pass


def test_a_refusal_is_no_silence(backend: Backend) -> None:
    backend.measure()
    with pytest.raises(Refused), backend.at_work(Slots(1)):
        raise Refused("FlashArray 1.2.3.4", "create volume x", "limit reached")
    assert backend.state().problem == ""


def test_who_comes_too_many_goes_away_at_once(backend: Backend) -> None:
    backend.measure()
    slots = Slots(2)
    with backend.at_work(slots), backend.at_work(slots):
        with pytest.raises(Busy), backend.at_work(slots):
            raise AssertionError("no third one")
    with backend.at_work(slots):
        pass


def test_recent_bytes_fade() -> None:
    recent = Recent(60.0)
    for second in range(0, 120, 2):
        recent.add(float(second), 10)
    assert 280 <= recent.total(119.0) <= 310
    assert len(recent._parts) <= 32
    assert recent.total(1000.0) == 0
