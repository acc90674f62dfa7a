"""Fixtures for the explorer's tests: a small cluster with arrays, and the pages over it, asked without a socket."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from explorer.serve import Explorer, Way
from provisioner import settings as settings_module
from simulator.kubernetes.access import User, rule
from tests.provisioner.cluster import Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.waiting import until

MANIFEST = Path(__file__).resolve().parents[2] / "daemonset/optional/pure-explorer.yaml"
# The rights that the pod's account has, and no more.
READER = tuple(rule(" ".join(one["resources"]), " ".join(one["verbs"]))
               for document in yaml.safe_load_all(MANIFEST.read_text()) if document["kind"] == "ClusterRole"
               for one in document["rules"])

Look = Callable[..., TestResponse]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Kubernetes 1.34 with two FlashArrays and a FlashBlade; no provisioner runs yet."""
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def explorer(cluster: Cluster) -> Iterator[Explorer]:
    """The explorer as a pod runs it for others, with rights to read only; everything is listed once."""
    started = shared(cluster)
    yield started
    started.stop()


def shared(cluster: Cluster) -> Explorer:
    account = cluster.api.add_user("system:serviceaccount:pure:pure-explorer", READER)
    pod = cluster.api.service_account(cluster.directory / "account", account, "pure")
    made = Explorer(settings_module.read({**pod, "PURE_DISCOVERY_CONF": str(cluster.pure_json),
                                          "PURE_SERVICE_ACCOUNT_DIR": str(cluster.directory / "account"),
                                          "PURE_MEASURE_EVERY": "0.2"}), Way("127.0.0.1", 0, True))
    made.start()
    until(lambda: made.view.arrays and all(one.at for one in made.view.arrays.values()), "figures of all arrays")
    return made


@pytest.fixture
def look(cluster: Cluster, explorer: Explorer) -> Look:
    """Get a page as a user, by default one who may see all; `user=None` sends no token."""
    client: FlaskClient = explorer.application.test_client()

    def get(path: str, user: User | None = cluster.api.accounts.admin, **headers: Any) -> TestResponse:
        given = {"Authorization": f"Bearer {user.token}"} if user else {}
        return client.get(path, headers={**given, **headers})
    return get


def tenant(cluster: Cluster, namespace: str, kinds: str = "persistentvolumeclaims pods events") -> User:
    """Somebody who may list these kinds in one namespace only."""
    return cluster.api.add_user(f"tenant-of-{namespace}", (rule(kinds, "list", namespace),))
