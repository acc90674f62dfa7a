"""Every query asks for what there is, every alert has its words, its test and its paragraph on what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
RUNBOOK = (CHECKOUT / "docs/alerts.md").read_text()
PROMETHEUS_OWN = {"up"}                 # made by Prometheus itself at each scrape
WORDS = {"and", "or", "unless", "bool", "offset"}


def asked(query: str) -> set[str]:
    """Names of the series that a query asks for."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    return {name for name, call in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(\s*\()?", bare) if not call} - WORDS


def paragraphs() -> dict[str, str]:
    """Alert -> what docs/alerts.md says of it."""
    parts = re.split(r"^### ", RUNBOOK.split("\n## Alerts\n")[1], flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


@pytest.mark.parametrize(("query", "names"), [
    ('max by (a) (x{y="b or c"}) > 0.8 or rate(z_total[5m]) == 0', {"x", "z_total"}),
    ('histogram_quantile(0.5, sum by (le) (rate(s_bucket[5m])))', {"s_bucket"}), ("vector(0)", set())])
def test_names_are_read_off_queries(query: str, names: set[str]) -> None:
    assert asked(query) == names


def test_alerts_ask_for_metrics_that_exist(rules: list[dict[str, Any]], metrics: set[str]) -> None:
    for rule in rules:
        assert asked(rule["expr"]) and not asked(rule["expr"]) - metrics - PROMETHEUS_OWN, rule["alert"]


def test_the_dashboard_asks_for_metrics_that_exist(panels: list[dict[str, Any]], metrics: set[str]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            assert asked(target["expr"]) and not asked(target["expr"]) - metrics - PROMETHEUS_OWN, panel["title"]


def test_the_document_names_metrics_that_exist(metrics: set[str]) -> None:
    named = set(re.findall(r"`(pure_[a-z_]+[a-z])`", RUNBOOK))
    assert named and named <= metrics


def test_each_alert_has_a_paragraph_that_says_what_to_do(rules: list[dict[str, Any]]) -> None:
    """And the paragraphs are of these alerts, in their order."""
    told = paragraphs()
    assert list(told) == [rule["alert"] for rule in rules]
    for rule in rules:
        assert len(told[rule["alert"]]) > 150
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_each_alert_is_seen_to_fire_and_not_to_fire(rules: list[dict[str, Any]]) -> None:
    """By promtool, in `make alerts`; here only that it has cases."""
    cases = [case for test in yaml.safe_load((CHECKOUT / "tests/alerts/promtool/rules_test.yaml").read_text())["tests"]
             for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == {rule["alert"] for rule in rules}
    quiet = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    at_once = {rule["alert"] for rule in rules if rule.get("for") == "1m"}
    assert {rule["alert"] for rule in rules} - quiet <= at_once | {"PurePoolAbove90", "PureCallsFailing"}


def test_the_dashboard_can_be_imported(panels: list[dict[str, Any]]) -> None:
    """Its data source is chosen at the import, panels have numbers of their own and lie side by side."""
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
