"""install.sh and the explorer: off by default, on by one value, gone when it is not wanted any more."""

from collections.abc import Callable

from tests.install.conftest import Install
from tests.install.stub import Cluster

Values = Callable[..., str]
Installed = Callable[..., None]
KINDS = {"Deployment", "Service", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}


def explorers(cluster: Cluster) -> set[str]:
    return {kind for kind, name in cluster.kinds() if name == "pure-explorer"}


def test_on_by_one_value(cluster: Cluster, install: Install, values: Values) -> None:
    """The way to it is told when it is ready."""
    done = install("-n", "storage", "-f", values(), "--set", "explorer.enabled=true")
    assert done.status == 0 and explorers(cluster) == KINDS, done
    assert "explorer: ready" in done.out and "port-forward service/pure-explorer 9820" in done.out


def test_a_value_taken_away_takes_it_away(cluster: Cluster, install: Install, installed: Installed, values: Values) -> None:
    """Who may make no Service needs none then."""
    installed(explorer={"enabled": True})
    cluster.forbidden = {"services"}
    assert install("-n", "storage", "-f", values()).status == 0
    assert not explorers(cluster) and cluster.get("Deployment", "pure-provisioner", "storage")


def test_uninstalled_with_the_rest(cluster: Cluster, install: Install, installed: Installed) -> None:
    installed(explorer={"enabled": True})
    listed = install("--uninstall", "--dry-run").out
    assert all(f"would delete {kind.lower()}/pure-explorer" in listed for kind in KINDS)
    assert install("--uninstall").status == 0 and not cluster.kinds()


def test_one_that_does_not_get_ready_is_told(cluster: Cluster, install: Install, values: Values) -> None:
    """The driver and the provisioner are there all the same."""
    cluster.complaint = "claims: forbidden"
    done = install("-n", "storage", "-f", values(), "--set", "explorer.enabled=true", "--timeout", "0")
    assert done.status == 1 and "is not ready: 2026" in done.err and "claims: forbidden" in done.err


def test_who_may_not_make_a_service_is_told_before_anything_is_changed(cluster: Cluster, install: Install,
                                                                       values: Values) -> None:
    cluster.forbidden = {"services"}
    done = install("-n", "storage", "-f", values(), "--set", "explorer.enabled=true")
    assert done.status == 1 and "may not create: services" in done.err and not cluster.changes()
