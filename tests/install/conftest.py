"""A cluster to install into, and install.sh to run."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from daemonset.render import files, objects
from daemonset.render.values import checked
from tests.install import stub

CHECKOUT = Path(__file__).resolve().parents[2]
TOKEN, BLADE_TOKEN = "a526a4c6-18b0-a8c9-1afa-3499293574bb", "T-c4925090-c9bf-4033-8537-d24ee5669135"
ARRAYS = {
    "FlashArrays": [{"MgmtEndPoint": "127.0.0.1:1", "APIToken": TOKEN, "Labels": {"rack": "22", "env": "prod"}}],
    "FlashBlades": [{"MgmtEndPoint": "127.0.0.2:1", "APIToken": BLADE_TOKEN, "NfsEndPoint": "1.2.3.7"}],
}


class Done(NamedTuple):
    """How install.sh ended."""

    status: int
    out: str
    err: str


Install = Callable[..., Done]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[stub.Cluster, Path]]:
    with stub.running(tmp_path) as found:
        yield found


@pytest.fixture
def cluster(world: tuple[stub.Cluster, Path]) -> stub.Cluster:
    """Two nodes, namespaces default, kube-system and storage; nothing of ours."""
    return world[0]


@pytest.fixture
def values(tmp_path: Path) -> Callable[..., str]:
    """values(key=...) writes a values file with our arrays and what is given, and returns its path."""
    def write(**more: Any) -> str:
        path = tmp_path / f"values-{len(list(tmp_path.glob('values-*')))}.yaml"
        path.write_text(yaml.safe_dump({"arrays": ARRAYS, **more}))
        return str(path)
    return write


@pytest.fixture
def installed(cluster: stub.Cluster) -> Callable[..., None]:
    """installed(key=...) puts into the namespace storage what install.sh would apply for such values."""
    def put(**more: Any) -> None:
        found, _ = checked(files.over(files.defaults(), {"arrays": ARRAYS, **more}))
        for one in objects.objects(found, "storage"):
            cluster.store(one)
    return put


@pytest.fixture
def install(world: tuple[stub.Cluster, Path], tmp_path: Path) -> Install:
    """Runs install.sh with the stub's kubectl and oc first on the PATH; dash if the machine has it."""
    def run(*argv: str, stdin: str = "") -> Done:
        environment = {**os.environ, "PATH": f"{world[1]}:/usr/bin:/bin", "TMPDIR": str(tmp_path),
                       "PERL_BADLANG": "0"}     # the stub's Perl is silent about a language that the machine lacks
        done = subprocess.run(["/bin/sh", str(CHECKOUT / "install.sh"), *argv], capture_output=True, text=True, input=stdin,
                              env=environment, timeout=60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)
    return run
