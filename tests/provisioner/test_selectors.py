"""Label selectors over arrays (checklist 12, AT-31, AT-44)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError
from provisioner.selectors import Requirement, parse_selector, parse_topologies, unmet, unmet_topology

DEV = {"env": "dev", "rack": "22"}


def expression(key: str, operator: str, *values: Any) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize("selector, meets", [
    (None, True), ({}, True), ({"matchLabels": {"env": "dev"}}, True), ({"matchLabels": {"env": "prod"}}, False),
    ({"matchLabels": {"env": "dev", "rack": "7b"}}, False), ({"matchLabels": {"rack": 22}}, True),
    (expression("env", "In", "dev", "test"), True), (expression("env", "In", "prod"), False),
    (expression("rack", "In", 22), True), (expression("zone", "In", "a"), False),
    (expression("env", "NotIn", "prod"), True), (expression("env", "NotIn", "dev"), False),
    (expression("zone", "NotIn", "a"), True),
    (expression("rack", "Exists"), True), (expression("zone", "Exists"), False),
    (expression("zone", "DoesNotExist"), True), (expression("rack", "DoesNotExist"), False),
    ({"matchLabels": {"env": "dev"}, **expression("rack", "DoesNotExist")}, False),
], ids=str)
def test_arrays_by_label(selector: dict[str, Any] | None, meets: bool) -> None:
    """matchLabels and all four operators, ANDed; values compare as text."""
    assert (unmet(DEV, parse_selector(selector)) == "") is meets


@pytest.mark.parametrize("selector, complaint", [
    (expression("env", "Gt", "1"), "operator 'Gt'"), (expression("env", "In"), "goes with values"),
    (expression("env", "Exists", "x"), "goes without values"), (expression("", "Exists"), "add the key")])
def test_a_selector_that_cannot_be_read_is_named_by_place(selector: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_selector(selector)
    assert "selector: matchExpressions[0]" in str(caught.value)


def test_what_is_missing_is_worded_for_the_event() -> None:
    wanted = parse_selector({"matchLabels": {"env": "prod"}, "matchExpressions": [
        {"key": "rack", "operator": "NotIn", "values": ["22", "23"]}, {"key": "zone", "operator": "Exists"},
        {"key": "env", "operator": "DoesNotExist"}]})
    assert unmet(DEV, wanted) == "env=prod, rack not in (22, 23), zone, no env"


def test_topologies_are_alternatives_of_demands() -> None:
    """AT-44: OR over terms, AND inside one; the key's prefix is the vendor's."""
    terms = parse_topologies([
        {"matchLabelExpressions": [{"key": "topology.purestorage.com/rack", "values": ["7b", "22"]},
                                   {"key": "topology.purestorage.com/env", "values": ["prod"]}]},
        {"matchLabelExpressions": [{"key": "rack", "values": ["6a"]}]}])
    assert unmet_topology({"rack": "22", "env": "prod"}, terms) == ""
    assert unmet_topology({"rack": "6a"}, terms) == ""
    assert unmet_topology(DEV, terms) == "rack in (7b, 22) and env=prod or rack=6a"
    assert unmet_topology(DEV, parse_topologies(None)) == ""


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(LABELS, st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=3))
def test_not_in_is_the_opposite_of_in(labels: dict[str, str], key: str, values: list[str]) -> None:
    inside = Requirement(key, "In", tuple(values)).holds(labels)
    assert Requirement(key, "NotIn", tuple(values)).holds(labels) is not inside
    assert Requirement(key, "Exists").holds(labels) is not Requirement(key, "DoesNotExist").holds(labels)
