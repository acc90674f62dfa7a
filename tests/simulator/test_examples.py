"""The manifests in examples/ are what a user may apply as they are: the API server takes them, and they fit together."""
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.kubernetes import KubeApi
from simulator.kubernetes.protection import claims_of

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
INSTALLED = ROOT / "daemonset" / "storageclasses.yaml"


def documents(*paths: Path) -> list[dict[str, Any]]:
    """All objects of some files."""
    return [found for path in paths for found in yaml.safe_load_all(path.read_text()) if found]


def kind(name: str) -> list[dict[str, Any]]:
    """All objects of a kind in the examples."""
    return [found for found in documents(*EXAMPLES) if found["kind"] == name]


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A cluster on which install.sh has left its classes."""
    server = KubeApi()
    for found in documents(INSTALLED):
        server.create(found)
    yield server


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_server_takes_every_example(api: KubeApi, path: Path) -> None:
    """Each file by itself: known kinds, valid names, sizes, modes, selectors."""
    for found in documents(path):
        api.create(found)


def test_all_examples_fit_into_one_cluster(api: KubeApi) -> None:
    """No two have the same name."""
    for found in documents(*EXAMPLES):
        api.create(found)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_plain_text_and_explains_itself(path: Path) -> None:
    """A comment first; straight quotes and plain dashes only, no tabs (the seeds' YAML was damaged that way)."""
    text = path.read_text()
    assert text.startswith("# ")
    assert text.isascii() and "\t" not in text


def test_claims_name_classes_that_exist() -> None:
    """Installed ones or the example's own."""
    classes = {found["metadata"]["name"] for found in documents(INSTALLED) + kind("StorageClass")}
    templates = [template for found in kind("StatefulSet") for template in found["spec"]["volumeClaimTemplates"]]
    assert {found["spec"]["storageClassName"] for found in kind("PersistentVolumeClaim") + templates} <= classes


def test_pods_name_claims_that_exist() -> None:
    """In the examples."""
    claims = {found["metadata"]["name"] for found in kind("PersistentVolumeClaim")}
    pods = kind("Pod") + [found["spec"]["template"] for found in kind("Deployment")]
    assert {name for pod in pods for name in claims_of(pod)} == {"pure-claim", "pg-volume", "shared"} <= claims


def test_deployments_select_their_own_pods() -> None:
    """selector.matchLabels are labels of the template."""
    for found in kind("Deployment") + kind("StatefulSet"):
        wanted, labels = found["spec"]["selector"]["matchLabels"], found["spec"]["template"]["metadata"]["labels"]
        assert wanted.items() <= labels.items()


def test_containers_mount_volumes_that_the_pod_has() -> None:
    """By name."""
    for found in kind("Deployment"):
        spec = found["spec"]["template"]["spec"]
        mounted = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_only_the_shared_claim_is_read_write_many() -> None:
    """Block volumes are for one node at a time."""
    many = [found for found in kind("PersistentVolumeClaim") if found["spec"]["accessModes"] == ["ReadWriteMany"]]
    assert [found["spec"]["storageClassName"] for found in many] == ["pure-file"]
