"""The rules and the dashboard as data, and the metrics that really exist: scraped from the programs themselves."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from arrays.probes import ProbeServer
from daemonset import health
from daemonset.daemon import Status
from flex import prom
from flex.machine import Node
from flex.paths import Paths
from flex.settings import Settings
from provisioner.health import opened
from provisioner.program import Program
from tests.provisioner.cluster import cluster as running

CHECKOUT = Path(__file__).resolve().parents[2]
OPTIONAL = CHECKOUT / "daemonset/optional"
PARTS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture(scope="session")
def rules() -> list[dict[str, Any]]:
    """Every alert of alerts.yaml."""
    return [rule for group in yaml.safe_load((OPTIONAL / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def panels() -> list[dict[str, Any]]:
    """Every panel of the dashboard that asks something."""
    return [panel for panel in json.loads((OPTIONAL / "dashboard.json").read_text())["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a provisioner and a daemon answer to a scrape, and what `flex doctor -o prom` prints."""
    folder = tmp_path_factory.mktemp("metrics")
    return {"provisioner": _provisioner(folder), "daemon": _scraped(health.serve(0, Status(), 30.0)),
            "doctor": prom.page(Node(Paths(str(folder)), Settings({}, str(folder))))}


@pytest.fixture(scope="session")
def metrics(pages: dict[str, str]) -> set[str]:
    """Names of all series in them."""
    return {name + part for page in pages.values() for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
            for part in PARTS[kind]}


def _provisioner(folder: Path) -> str:
    with running(folder) as cluster:
        program = Program(cluster.settings())
        server = opened(0, program.pages(), program._metrics.page)
        assert server
        page = _scraped(server)
        program.backends.stop()
        return page


def _scraped(server: ProbeServer) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        page: str = answer.read().decode()
    server.stop()
    return page
