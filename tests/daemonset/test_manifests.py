"""The manifests say what the programs need, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemonset.image.rootfs import COMMANDS
from daemonset.settings import DRIVER_SETTINGS, read
from provisioner.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "daemonset"


def documents() -> list[dict[str, Any]]:
    return [document for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]


def one(kind: str, name: str) -> dict[str, Any]:
    return next(document for document in documents() if (document["kind"], document["metadata"]["name"]) == (kind, name))


def container(kind: str, name: str) -> dict[str, Any]:
    return one(kind, name)["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("kind", "name"), [("DaemonSet", "pure-flex"), ("Deployment", "pure-provisioner")])
def test_workloads_start_a_command_of_the_image(kind: str, name: str) -> None:
    assert container(kind, name)["command"][0] in COMMANDS


def test_the_daemon_is_told_only_settings_it_hands_on() -> None:
    names = {entry["name"] for entry in container("DaemonSet", "pure-flex")["env"]}
    assert names - {"PURE_DISCOVERY_CONF"} <= set(DRIVER_SETTINGS)


def test_every_node_gets_the_driver() -> None:
    """Tainted nodes too: their pods have volumes to unmount."""
    assert one("DaemonSet", "pure-flex")["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_nothing_is_privileged() -> None:
    for kind, name in (("DaemonSet", "pure-flex"), ("Deployment", "pure-provisioner")):
        context = container(kind, name)["securityContext"]
        assert not context.get("privileged") and context["capabilities"]["drop"] == ["ALL"]
        assert context["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(("kind", "name", "port"), [("DaemonSet", "pure-flex", read("/x", environment={}).health_port),
                                                    ("Deployment", "pure-provisioner", Settings().health_port)])
def test_kubelet_asks_for_health_where_the_program_answers(kind: str, name: str, port: int) -> None:
    """AT-86: /healthz decides about a restart, /readyz does not."""
    found = container(kind, name)
    assert found["ports"] == [{"name": "health", "containerPort": port}]
    assert found["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert all(found[probe]["timeoutSeconds"] >= 5 for probe in ("livenessProbe", "readinessProbe"))


def test_classes_are_the_charts() -> None:
    """AT-07: pure, pure-block and pure-file, all by pure-provisioner."""
    classes = {document["metadata"]["name"]: document for document in documents() if document["kind"] == "StorageClass"}
    assert {name: made["parameters"]["backend"] for name, made in classes.items()} == {
        "pure": "block", "pure-block": "block", "pure-file": "file"}
    assert {made["provisioner"] for made in classes.values()} == {"pure-provisioner"}


def test_no_token_is_in_a_manifest() -> None:
    assert all(document["kind"] != "Secret" for document in documents())
