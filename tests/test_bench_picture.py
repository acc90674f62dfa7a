"""The bench's picture: well-formed, in words too, and no broken budget looks like a kept one."""

import xml.etree.ElementTree as ET

from tests.bench.budget import Budget, status
from tests.bench.picture import LEFT, LONGEST, RIGHT, svg

KEPT = Budget("flex init", 0.6, "×", 0.9, 1.2, True)
FAST = Budget("claims/s <all> & more", 500.0, "claims/s", 290, 250, True, most=False)
BROKEN = Budget("CPU a claim", 30.0, "ms", 1.5, 2.0, False)
ZERO = Budget("volumes on overloaded arrays", 0.0, "%", 0, 0, True)


def bars(text: str) -> list[tuple[str, float]]:
    """Class and length of each bar, in order."""
    return [(bar.get("class", ""), float(bar.get("width", ""))) for bar in ET.fromstring(text).iter(
        "{http://www.w3.org/2000/svg}rect") if bar.get("class") != "paper"]


def test_a_bar_is_the_share_of_what_is_acceptable() -> None:
    """Half of it for 0.6 of 1.2 at the most, and for 500 of 250 at the least; nothing for nothing; cut off beyond."""
    half = (RIGHT - LEFT) / 2
    assert bars(svg({"a": [KEPT, FAST, ZERO], "b": [BROKEN], "not measured": []}, "today")) == [
        ("kept", half), ("kept", half), ("kept", 1), ("broken", round(LONGEST * 2 * half, 1))]


def test_it_says_in_words_what_it_shows() -> None:
    text = svg({"Starting": [KEPT, FAST], "not measured": []}, "Measured today.")
    told = "".join(ET.fromstring(text).itertext())
    for words in ("Starting", "flex init: 0.6 ×, acceptable ≤ 1.2", "claims/s <all> & more", "500 claims/s (≥ 250)",
                  "Measured today."):
        assert words in told, words
    assert "not measured" not in told and "prefers-color-scheme: dark" in text


def test_one_broken_budget_is_a_failure() -> None:
    assert (status([KEPT, FAST]), status([KEPT, BROKEN])) == (0, 1)
