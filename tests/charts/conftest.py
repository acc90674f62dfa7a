"""Real helm, built once from its pinned Go module (some minutes; then a second to start)."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import components

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "charts/pure-k8s-plugin"

Template = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def helm() -> Path:
    return components.binaries(components.HELM) / "helm"


@pytest.fixture
def template(helm: Path, tmp_path: Path) -> Template:
    """template(values, *options) runs `helm template` with these values in namespace storage."""
    def run(values: dict[str, Any], *options: str) -> "subprocess.CompletedProcess[str]":
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump(values))
        return subprocess.run([str(helm), "template", "pure-storage-driver", str(CHART), "-n", "storage", "-f", str(path),
                               *options], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "HOME": str(tmp_path)})
    return run
