"""Prometheus' own promtool on the rules, their tests, and the scrape configuration of docs/alerts.md."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[3]
UNPACKED = CHECKOUT / ".cache/promtool/usr/bin/promtool"


@pytest.fixture
def promtool() -> str:
    """tests/setup/alert-tools.sh has seen that there is one."""
    return shutil.which("promtool") or str(UNPACKED)


def run(*argv: object, stdin: str = "") -> str:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, input=stdin)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_can_be_loaded(promtool: str) -> None:
    assert "rules found" in run(promtool, "check", "rules", CHECKOUT / "daemonset/optional/alerts.yaml")


def test_each_alert_fires_when_it_should_and_not_before(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", Path(__file__).with_name("rules_test.yaml"))


def test_what_is_scraped_has_no_fault(promtool: str, pages: dict[str, str]) -> None:
    """Format, and names as Prometheus wants them."""
    for page in pages.values():
        assert run(promtool, "check", "metrics", stdin=page) == ""


def test_the_dashboards_queries_can_be_read(promtool: str, tmp_path: Path) -> None:
    """As recording rules, for promtool has no check of single queries."""
    queries = [target["expr"] for panel in json.loads((CHECKOUT / "daemonset/optional/dashboard.json").read_text())["panels"]
               for target in panel.get("targets", ())]
    rules = [{"record": f"pure:panel{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(queries)} rules found" in run(promtool, "check", "rules", tmp_path / "rules.yaml")


def test_the_documented_scraping_is_a_configuration(promtool: str, tmp_path: Path) -> None:
    text = (CHECKOUT / "docs/alerts.md").read_text()
    block = re.search(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block
    # Debian builds Prometheus without the discovery of Kubernetes
    found = block[1].replace("kubernetes_sd_configs: [{role: pod}]", "static_configs: [{targets: [192.0.2.11:9818]}]")
    (tmp_path / "prometheus.yml").write_text(found)
    shutil.copy(CHECKOUT / "daemonset/optional/alerts.yaml", tmp_path)
    run(promtool, "check", "config", tmp_path / "prometheus.yml")
