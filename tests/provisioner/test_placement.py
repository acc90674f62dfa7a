"""Which array gets a volume (AT-30 … AT-34, AT-44, AT-47, C-12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import NoArrayFits
from provisioner.placement import ArrayState, choose_array, choose_pod, may_hold, rank, reason, refusal
from tests.provisioner.given import GiB, TiB, array, claim, volume_class

DEV = {"env": "dev"}


@pytest.mark.parametrize("arrays, chosen", [
    pytest.param([array("a", used=2 * TiB), array("b", used=TiB)], "b", id="the less used wins"),
    pytest.param([array("a", used=2 * TiB), array("b", capacity=30 * TiB, used=3 * TiB)], "b",
                 id="by percentage, not by bytes"),
    pytest.param([array("a", volumes=3), array("b", volumes=2)], "b", id="equally used: fewer volumes"),
    pytest.param([array("b"), array("a")], "a", id="all equal: by name"),
    pytest.param([array("a", used=TiB), array("b", used=TiB + GiB, volumes=-1)], "b",
                 id="a difference below a tenth of a percent is none"),
    pytest.param([array("a", coming=TiB), array("b")], "b", id="what is being made counts as used"),
    pytest.param([array("a", recent=TiB), array("b")], "b", id="what was made lately counts as used"),
    pytest.param([array("a", uncounted=1), array("b")], "b", id="what the array did not count yet counts"),
    pytest.param([array("a", used=0, problem="down"), array("b", used=9 * TiB)], "b", id="a dead array is skipped"),
    pytest.param([array("a", used=0, capacity=5 * GiB), array("b", used=9 * TiB)], "b", id="too small is skipped"),
    pytest.param([array("a", used=0, backend="file"), array("b", used=9 * TiB)], "b", id="the other kind is skipped"),
])
def test_the_best_array(arrays: list[ArrayState], chosen: str) -> None:
    assert choose_array(arrays, claim()).name == chosen


@pytest.mark.parametrize("state, reason", [
    (array("a", labels={"env": "prod"}), "has not the labels asked for: env=dev"),
    (array("a", labels=DEV, problem="no answer in 30 s"), "no answer in 30 s"),
    (array("a", labels=DEV, capacity=0), "reports no capacity"),
    (array("a", labels=DEV, used=10 * TiB - GiB), "has 1GiB free of 10TiB, 10GiB needed"),
    (array("a", labels=DEV, used=9 * TiB, coming=TiB), "has 0B free of 10TiB, 10GiB needed"),
    (array("a", labels=DEV, used=11 * TiB), "has 0B free of 10TiB, 10GiB needed"),
    (array("a", labels=DEV, pods={"p1": 3000, "p2": 3000}), "has 3000 volumes in each of its replication pods"),
    (array("a", labels=DEV), "")], ids=str)
def test_every_refusal_has_its_reason(state: ArrayState, reason: str) -> None:
    assert refusal(state, claim(selector={"matchLabels": {"env": "dev"}})) == reason


def test_nothing_fits_says_why_of_each() -> None:
    """AT-32: the event lists the labels wanted."""
    states = [array("1.2.3.4", labels={"env": "prod"}), array("1.2.3.5", problem="FlashArray 1.2.3.5 gave no answer"),
              array("1.2.3.6", backend="file")]
    with pytest.raises(NoArrayFits) as caught:
        choose_array(states, claim(selector={"matchLabels": {"env": "dev"}}))
    assert str(caught.value) == ("no array fits shop/data (10GiB, block, env=dev): 1.2.3.4: has not the labels asked for: "
                                 "env=dev; 1.2.3.5: has not the labels asked for: env=dev")


def test_topology_and_selector_must_both_hold() -> None:
    """C-28."""
    from provisioner.selectors import parse_topologies
    of = volume_class(topologies=parse_topologies([{"matchLabelExpressions": [{"key": "rack", "values": ["r1"]}]}]))
    wanted = claim(of, selector={"matchLabels": {"env": "dev"}})
    assert refusal(array("a", labels={"env": "dev", "rack": "r2"}), wanted) == "is not in the topology of pure: rack=r1"
    assert refusal(array("a", labels={"env": "dev", "rack": "r1"}), wanted) == ""
    full = array("b", labels={"env": "dev", "rack": "r1"}, used=10 * TiB)
    assert [state.name for state in may_hold([full, array("c")], wanted)] == ["b"]


def test_claims_at_once_spread_over_equal_arrays() -> None:
    """AT-34: each choice counts what was chosen before."""
    made = {"a": 0, "b": 0}
    for _ in range(10):
        states = [array(name, uncounted=count, coming=count * 10 * GiB) for name, count in made.items()]
        made[choose_array(states, claim()).name] += 1
    assert made == {"a": 5, "b": 5}


def test_pods_are_filled_evenly() -> None:
    """AT-47."""
    pods = {"p1": 0, "p2": 0}
    for _ in range(4):
        pods[choose_pod(pods)] += 1
    assert pods == {"p1": 2, "p2": 2}
    assert choose_pod({"p1": 3000, "p2": 2999}) == "p2"
    assert choose_pod({}) == ""


STATES = st.lists(st.builds(ArrayState, name=st.uuids().map(str), backend=st.sampled_from(["block", "file"]),
                            capacity=st.integers(0, 10 * TiB), used=st.integers(0, 11 * TiB), volumes=st.integers(0, 9),
                            problem=st.sampled_from(["", "down"]), coming=st.integers(0, TiB)), max_size=6)


@given(STATES)
def test_the_choice_fits_and_nothing_that_fits_is_better(states: list[ArrayState]) -> None:
    wanted = claim()
    fitting = [state for state in states if state.backend == "block" and not refusal(state, wanted)]
    try:
        chosen = choose_array(states, wanted)
    except NoArrayFits as error:
        assert not fitting and set(error.refusals) == {state.name for state in states if state.backend == "block"}
    else:
        assert chosen in fitting and all(rank(chosen) <= rank(other) for other in fitting)


def test_the_reason_tells_each_array_that_fits_and_each_refusal() -> None:
    arrays = [array("fa1", used=2 * TiB), array("fa2"), array("fa3", problem="it is off"), array("fb", backend="file")]
    wanted = claim()
    assert reason(arrays, wanted, choose_array(arrays, wanted)) == (
        "fa2 was the least full of 2 that fit: fa2 10.0 %, fa1 20.0 %; not fa3: it is off")
