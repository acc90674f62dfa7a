"""A StatefulSet's claims go to different arrays where that costs no balance (issue 6, point 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.placement import choose_array, ordered, reason
from provisioner.spread import Spread, set_of
from simulator.flasharray import FlashArray
from tests.provisioner.cluster import Cluster
from tests.provisioner.given import TiB, array, claim, pv_record


@pytest.mark.parametrize("name, expected", [
    ("data-db-0", "shop/data-db"), ("data-db-12", "shop/data-db"), ("data", ""), ("0", ""), ("-0", ""),
    ("data-2024-01", "shop/data-2024"), ("data-0000000", "")])
def test_the_set_is_in_the_name(name: str, expected: str) -> None:
    assert set_of("shop", name) == expected


def test_claims_that_are_being_made_count_until_their_pv_does() -> None:
    spread = Spread()
    spread.reserve("pvc-1", "shop/db", "a")
    assert spread.siblings("shop/db") == {"a": 1}
    pv = pv_record(name="pvc-1", claim_name="db-0", phase="Pending", array="a")
    spread.changed(None, pv)
    spread.changed(pv, pv._replace(phase="Bound"))
    assert spread.siblings("shop/db") == {"a": 1}
    spread.changed(pv._replace(phase="Bound"), pv._replace(phase="Released"))
    assert spread.siblings("shop/db") == {}
    spread.changed(pv._replace(phase="Released"), None)
    assert spread.siblings("shop/db") == {}


def test_a_volume_that_was_not_made_counts_no_more_and_one_found_elsewhere_counts_there() -> None:
    spread = Spread()
    spread.reserve("pvc-1", "shop/db", "a")
    spread.cancel("pvc-1")
    spread.cancel("pvc-1")
    assert spread.siblings("shop/db") == {}
    spread.reserve("pvc-1", "shop/db", "a")
    spread.changed(None, pv_record(name="pvc-1", claim_name="db-0", phase="Bound", array="b"))
    assert spread.siblings("shop/db") == {"b": 1}


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["reserve", "cancel", "seen", "gone"])), max_size=40))
def test_nothing_is_kept_of_sets_that_are_gone(steps: list[tuple[int, str]]) -> None:
    """Memory is bounded by the sets there are."""
    spread, seen = Spread(), {}
    for number, step in steps:
        pv = pv_record(name=f"pvc-{number}", claim_name=f"db-{number}", phase="Bound", array="ab"[number % 2])
        if step == "reserve" and number not in seen:
            spread.reserve(pv.name, "shop/db", pv.array)
        elif step == "cancel":
            spread.cancel(pv.name)
        elif step == "seen":
            spread.changed(seen.get(number), pv)
            seen[number] = pv
        elif number in seen:
            spread.changed(seen.pop(number), None)
    for number, pv in seen.items():
        spread.changed(pv, None)
    for number in range(6):
        spread.cancel(f"pvc-{number}")
    assert (spread._counts, spread._making) == ({}, {})


@pytest.mark.parametrize("arrays, chosen", [
    ([array("a", siblings=1), array("b", used=int(1.9 * TiB))], "b"),       # 9 points fuller: spread
    ([array("a", siblings=1), array("b", used=int(2.1 * TiB))], "a"),       # 11 points fuller: balance
    ([array("a", siblings=2), array("b", siblings=1, used=int(1.5 * TiB))], "b"),
    ([array("a", siblings=1), array("b", siblings=1, used=int(1.5 * TiB))], "a"),
    ([array("a", busy="its hosts wait 20 ms for it"), array("b", used=8 * TiB)], "b"),
    ([array("a", busy="its hosts wait 20 ms for it"), array("b", used=10 * TiB)], "a"),     # better busy than none
    ([array("a", away="rack 1, node n 2"), array("b", busy="its hosts wait 20 ms for it")], "b"),
    ([array("a", siblings=9, used=0), array("b", used=8 * TiB, busy="its hosts wait 20 ms for it")], "a")], ids=str)
def test_what_comes_before_fullness(arrays: list, chosen: str) -> None:
    assert choose_array(arrays, claim()).name == chosen


def test_the_reason_says_what_counted() -> None:
    arrays = [array("a", siblings=2), array("b", used=int(1.5 * TiB)),
              array("c", used=0, busy="its hosts wait 20 ms for it")]
    said = reason(arrays, claim(), choose_array(arrays, claim()))
    assert said == ("b was the best of 3 that fit: b 15.0 %, a 10.0 % (2 of the same set), "
                    "c 0.0 % (its hosts wait 20 ms for it)")
    assert [state.name for state in ordered(arrays)] == ["b", "a", "c"]


def test_three_replicas_on_two_arrays(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """fa2 is 5 points fuller: without a set all three would go to fa1. Also when they come at once, and after a restart."""
    fa2.used = fa2.capacity // 20
    with cluster.provisioner():
        for number in range(2):
            cluster.claim(f"data-db-{number}")
        for number in range(2):
            cluster.bound(f"data-db-{number}")
    with cluster.provisioner():
        for number in range(2, 4):
            cluster.claim(f"data-db-{number}")
            cluster.bound(f"data-db-{number}")
        cluster.claim("alone")
        cluster.bound("alone")
    homes = cluster.live()
    assert sorted(homes[cluster.volume(f"data-db-{number}")] for number in range(4)) == ["fa1", "fa1", "fa2", "fa2"]
    assert homes[cluster.volume("alone")] == "fa1"
