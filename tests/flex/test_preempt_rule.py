"""The rule of preemption as a table: who is taken from, when, and what the pod's events say meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.records import Connection
from flex import preempt


@pytest.mark.parametrize("waited, grace, allowed, busy, wanted", [
    (0, 60, True, False, preempt.WAIT),
    (59.9, 60, True, False, preempt.WAIT),
    (60, 60, True, False, preempt.TAKE),
    (60, 60, True, True, preempt.WAIT),
    (599, 60, True, True, preempt.WAIT),
    (600, 60, True, True, preempt.TAKE),
    (10 ** 6, 60, False, False, preempt.WAIT),
    (0, 0, True, True, preempt.TAKE),
    (0, 0, False, False, preempt.WAIT),
])
def test_the_verdict(waited: float, grace: float, allowed: bool, busy: bool, wanted: str) -> None:
    assert preempt.verdict(waited, grace, allowed, busy) == wanted


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.booleans(), st.booleans())
def test_nothing_is_taken_before_its_grace_or_against_the_setting(waited: float, grace: float, allowed: bool,
                                                                  busy: bool) -> None:
    if preempt.verdict(waited, grace, allowed, busy) == preempt.TAKE:
        assert allowed and waited >= grace and (not busy or waited >= 10 * grace)


def test_hosts_are_compared_without_case() -> None:
    """Arrays keep the case of a name and compare without it."""
    rows = [Connection("Node1", "v", 1), Connection("node2", "v", 1)]
    assert preempt.of_others(rows, "node1") == rows[1:]


@pytest.mark.parametrize("busy, said", [(True, "is still being read or written"), (False, "nobody reads or writes it"),
                                        (None, "does not tell")])
def test_the_words_say_for_whom_how_long_and_whether_it_writes(busy: bool | None, said: str) -> None:
    told = preempt.words("k8s-pvc-1", ["node7"], 12.4, 60, True, busy)
    assert "k8s-pvc-1" in told and "host node7" in told and "12 s" in told and said in told
