"""install.sh and the chart on the real cluster: nodes get the driver and lose it, by either way."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts.conftest import CHART
from tests.cluster import components, manifests, processes
from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, inside
from tests.cluster.world import World

NAMESPACE = "storage"
LEASE_SECONDS = 15


@pytest.fixture(scope="module")
def helm() -> str:
    """Real helm, built once."""
    return str(components.binaries(components.HELM) / "helm")


@pytest.fixture
def values(world: World, tmp_path: Path) -> Iterator[Path]:
    """A values file; the cluster is without our product, which comes back in the end."""
    world.product.uninstall()
    arrays = world.arrays.pure_json()
    for entry in [*arrays["FlashArrays"], *arrays["FlashBlades"]]:
        entry["VerifyTLS"] = False
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps({"arrays": arrays}))
    yield path
    world.product.install()


def run(world: World, *argv: str) -> str:
    """Run a command as an administrator, with the cluster's kubectl first on the PATH; its stdout."""
    done = subprocess.run([*inside(CONTROL), *argv], capture_output=True, text=True, timeout=140, check=False, cwd=CHECKOUT,
                          env={**os.environ, "PATH": f"{world.cluster.wrapper().parent}:{os.environ['PATH']}",
                               "KUBECONFIG": f"{world.cluster.work}/admin.kubeconfig"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def drivers(world: World) -> list[bool]:
    """Whether each node has the driver."""
    return [(node.plugin_dir / "pure~flex/flex").exists() for node in world.cluster.nodes]


def holder(world: World) -> str:
    """Who holds the provisioner's lock; "" when it was given up."""
    return str((world.look("lease", "pure-provisioner", NAMESPACE) or {"spec": {}})["spec"].get("holderIdentity") or "")


def test_install_sh_from_nothing_to_nothing_and_again(world: World, values: Path, namespace: str) -> None:
    """AT-01, AT-08, AT-67, AT-69: every node is told, a claim binds, uninstalling leaves the volume alone; and once more."""
    said = run(world, "./install.sh", "-n", NAMESPACE, "--create-namespace", "-f", str(values))
    assert all(f"{node.name}: ready" in said for node in world.cluster.nodes) and drivers(world) == [True, True]
    world.apply(manifests.claim("data", namespace))
    volume = world.bound("data", namespace)["spec"]["flexVolume"]["options"]["volume"]
    run(world, "./install.sh", "-f", str(values), "--update", "--set", "app.debug=true")
    said = run(world, "./install.sh", "--uninstall")
    assert said.count("driver removed") == 2 and not holder(world)
    processes.wait("the pods gone", lambda: not json.loads(
        world.cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"], 60)
    assert drivers(world) == [False, False]
    assert world.get("pvc", "data", namespace)["status"]["phase"] == "Bound" and volume in world.arrays.volumes()

    run(world, "./install.sh", "-n", NAMESPACE, "-f", str(values))
    world.apply(manifests.claim("more", namespace))
    world.bound("more", namespace, LEASE_SECONDS)           # nobody waits for a lock that nobody holds
    world.delete("pvc", "data", namespace)
    processes.wait("the first installation's volume destroyed", lambda: volume not in world.arrays.alive(), 30)
    run(world, "./install.sh", "--uninstall")
    run(world, "./install.sh", "--uninstall")


def test_helm_install_upgrade_rollback_uninstall(world: World, values: Path, helm: str) -> None:
    """AT-68: after install.sh's uninstall nothing is in helm's way."""
    release = ("pure-storage-driver", str(CHART), "-n", NAMESPACE, "-f", str(values))
    run(world, helm, "install", *release, "--create-namespace", "--wait", "--timeout", "100s")
    assert drivers(world) == [True, True]
    run(world, helm, "upgrade", *release, "--set", "app.debug=true", "--wait", "--timeout", "100s")
    run(world, helm, "rollback", "pure-storage-driver", "1", "-n", NAMESPACE, "--wait", "--timeout", "100s")
    daemon = world.get("daemonset", "pure-flex", NAMESPACE)
    assert "--debug" not in daemon["spec"]["template"]["spec"]["containers"][0]["command"]
    assert world.audit.refused() == []
    run(world, helm, "uninstall", "pure-storage-driver", "-n", NAMESPACE, "--wait")
    assert world.look("storageclass", "pure") is None and drivers(world) == [True, True]
    processes.wait("the pods gone", lambda: not world.cluster.get("pods", NAMESPACE), 60)
    world.audit.forget()        # helm takes the rights away beside the workloads: the provisioner's last word comes too late
