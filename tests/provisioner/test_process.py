"""The program itself, as the image starts it: command line, service account, signals, exit status (design 3.2)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provisioner.cluster import Cluster
from tests.provisioner.waiting import PATIENCE

CHART = ("-logtostderr=true", "-log_file_max_size=32", "-stderrthreshold=2")


@contextlib.contextmanager
def program(*argv: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m provisioner` with nothing in its environment but what is given."""
    with subprocess.Popen([sys.executable, "-m", "provisioner", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, cwd=Path(__file__).parents[2],
                          env={"PATH": os.environ["PATH"], **coverage(), **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


def coverage() -> dict[str, str]:
    """What lets coverage measure the program too, if it measures us."""
    return {key: value for key, value in os.environ.items() if key.startswith("COVERAGE")}


def test_a_pod_of_the_published_chart(cluster: Cluster, tmp_path: Path) -> None:
    """Its command line, its four variables, its service account: serves a claim, and leaves on SIGTERM with 0."""
    account = cluster.api.service_account(tmp_path / "account", cluster.user, "pure")
    with program(*CHART, "--debug", PURE_DISCOVERY_CONF=str(cluster.pure_json), PURE_K8S_NAMESPACE="k8s",
                 PURE_DEFAULT_BLOCK_FS_TYPE="xfs", PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT="false", HOSTNAME="pod-7",
                 PURE_SERVICE_ACCOUNT_DIR=str(tmp_path / "account"), **account) as process:
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        event = cluster.event("ProvisioningSucceeded", "data")
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert event["source"]["component"].startswith("pure-provisioner_pod-7_")
    assert f"provision ok claim=default/data pv={pv} volume=k8s-{pv} array=" in said and " DEBUG " in said
    assert "Traceback" not in said and cluster.sim.flash_array("fa1").token not in said


@pytest.mark.parametrize("environment, sentence", [
    ({"PURE_K8S_NAMESPACE": "much-too-long-and-with-dashes"}, "cannot be the prefix of volume names"),
    ({"PURE_CLAIM_WORKERS": "many"}, "PURE_CLAIM_WORKERS: 'many' is not a number"),
    ({"KUBECONFIG": "/nowhere/config"}, "/nowhere/config"),
    ({"KUBERNETES_SERVICE_HOST": "203.0.113.1", "PURE_SERVICE_ACCOUNT_DIR": "/nowhere"}, "/nowhere has no ca.crt")], ids=str)
def test_what_cannot_be_used_is_one_sentence_and_status_2(environment: dict[str, str], sentence: str) -> None:
    with program(**environment) as process:
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and sentence in said and "Traceback" not in said
    assert len(said.splitlines()) == 1


def test_log_lines_are_json_objects_if_asked() -> None:
    with program("--log-format", "json", KUBECONFIG="/nowhere/config") as process:
        said, _ = process.communicate(timeout=PATIENCE)
    told = json.loads(said)
    assert told["level"] == "error" and "/nowhere/config" in told["message"]


def test_help() -> None:
    with program("--help") as process:
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Runs until SIGTERM" in said
