"""install.sh and the explorer: off by default, on by one value, gone when it is not wanted any more."""

from collections.abc import Callable

from tests.install.conftest import Install
from tests.install.stub import Cluster

Values = Callable[..., str]
KINDS = {"Deployment", "Service", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}


def explorers(cluster: Cluster) -> set[str]:
    return {kind for kind, name in cluster.kinds() if name == "pure-explorer"}


def test_on_then_off_then_uninstalled(cluster: Cluster, install: Install, values: Values) -> None:
    """The way to it is told when it is ready. A value taken away takes it away; so does --uninstall."""
    there = ("-n", "storage", "-f", values())
    done = install(*there, "--set", "explorer.enabled=true")
    assert done.status == 0 and explorers(cluster) == KINDS, done
    assert "explorer: ready" in done.out and "port-forward service/pure-explorer 9820" in done.out
    assert install(*there).status == 0
    assert not explorers(cluster) and cluster.get("Deployment", "pure-provisioner", "storage")
    install(*there, "--set", "explorer.enabled=true")
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
    """And only who asks for the explorer needs that right."""
    cluster.forbidden = {"services"}
    there = ("-n", "storage", "-f", values())
    done = install(*there, "--set", "explorer.enabled=true")
    assert done.status == 1 and "may not create: services" in done.err and not cluster.changes()
    assert install(*there).status == 0
