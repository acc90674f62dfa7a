"""The manifests say what the programs need, and no more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from daemonset.image.rootfs import COMMANDS
from daemonset.settings import DRIVER_SETTINGS, read
from explorer.command import explore
from provisioner.settings import Settings

FOLDER = Path(__file__).resolve().parents[2] / "daemonset"


def documents() -> list[dict[str, Any]]:
    return [document for path in sorted([*FOLDER.glob("*.yaml"), FOLDER / "optional/pure-explorer.yaml"])
            for document in yaml.safe_load_all(path.read_text())]


def one(kind: str, name: str) -> dict[str, Any]:
    return next(document for document in documents() if (document["kind"], document["metadata"]["name"]) == (kind, name))


def container(kind: str, name: str) -> dict[str, Any]:
    return one(kind, name)["spec"]["template"]["spec"]["containers"][0]


WORKLOADS = (("DaemonSet", "pure-flex"), ("Deployment", "pure-provisioner"), ("Deployment", "pure-explorer"))


@pytest.mark.parametrize(("kind", "name"), WORKLOADS)
def test_workloads_start_a_command_of_the_image(kind: str, name: str) -> None:
    assert container(kind, name)["command"][0] in COMMANDS


def test_the_daemon_is_told_only_settings_it_hands_on() -> None:
    names = {entry["name"] for entry in container("DaemonSet", "pure-flex")["env"]}
    assert names - {"PURE_DISCOVERY_CONF"} <= set(DRIVER_SETTINGS)


def test_every_node_gets_the_driver() -> None:
    """Tainted nodes too: their pods have volumes to unmount."""
    assert one("DaemonSet", "pure-flex")["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]


def test_nothing_is_privileged() -> None:
    for kind, name in WORKLOADS:
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


def test_the_explorer_answers_where_its_service_leads() -> None:
    """The port is the command's default; pods are asked for health there too."""
    port = next(option.default for option in explore.params if option.name == "port")
    found = container("Deployment", "pure-explorer")
    assert found["ports"] == [{"name": "http", "containerPort": port}]
    service = one("Service", "pure-explorer")["spec"]
    assert service["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
    labels = one("Deployment", "pure-explorer")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert [found[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")] == [
        {"path": "/healthz", "port": "http"}, {"path": "/readyz", "port": "http"}]


def test_the_explorer_may_look_and_no_more() -> None:
    """No verb that changes anything, no Secret, and exactly what it watches."""
    rules = one("ClusterRole", "pure-explorer")["rules"]
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in rules)
    assert {kind for rule in rules for kind in rule["resources"]} == {
        "persistentvolumeclaims", "persistentvolumes", "pods", "events", "storageclasses"}
    assert not one("Deployment", "pure-explorer")["spec"]["template"]["spec"].get("hostPID")


def test_classes_are_the_charts() -> None:
    """AT-07: pure, pure-block and pure-file, all by pure-provisioner."""
    classes = {document["metadata"]["name"]: document for document in documents() if document["kind"] == "StorageClass"}
    assert {name: made["parameters"]["backend"] for name, made in classes.items()} == {
        "pure": "block", "pure-block": "block", "pure-file": "file"}
    assert {made["provisioner"] for made in classes.values()} == {"pure-provisioner"}


def test_no_token_is_in_a_manifest() -> None:
    assert all(document["kind"] != "Secret" for document in documents())
