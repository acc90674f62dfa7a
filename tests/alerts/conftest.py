"""The rules and the dashboard as data, and the metrics that really exist: scraped from the programs themselves."""

import json
import re
import urllib.request
from collections.abc import Iterator
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
def metrics(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all series that a provisioner, a daemon and `flex doctor -o prom` have to give."""
    folder = tmp_path_factory.mktemp("metrics")
    pages = [*_provisioner(folder), *_daemon(), prom.page(Node(Paths(str(folder)), Settings({}, str(folder))))]
    return {name + part for page in pages for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
            for part in PARTS[kind]}


def _provisioner(folder: Path) -> Iterator[str]:
    with running(folder) as cluster:
        program = Program(cluster.settings())
        server = opened(0, program.pages(), program._metrics.page)
        assert server
        yield _scraped(server)
        program.backends.stop()


def _daemon() -> Iterator[str]:
    yield _scraped(health.serve(0, Status(), 30.0))


def _scraped(server: ProbeServer) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        page: str = answer.read().decode()
    server.stop()
    return page
