"""The published chart's manifests, unchanged, with our image: the drop-in that design.md 3.2 promises."""

from collections.abc import Iterator

import pytest

from tests.cluster import manifests, processes, product, published
from tests.cluster.product import NAMESPACE
from tests.cluster.world import World


@pytest.fixture(scope="module")
def chart(world: World) -> Iterator[World]:
    """Our installation replaced by the chart's; ours is back afterwards."""
    world.product.uninstall()
    theirs = published.manifests(NAMESPACE, product.IMAGE)
    world.apply(product.secret(world.arrays), *theirs)
    world.product.wait()
    yield world
    world.cluster.kubectl("-n", NAMESPACE, "delete", "daemonset,deployment", "--all", "--timeout=60s")
    world.cluster.kubectl("-n", NAMESPACE, "wait", "--for=delete", "pods", "--all", "--timeout=60s")
    world.cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", "-f", "-", stdin=product.as_list(theirs))
    world.product.install()


def test_claims_live_and_die_under_the_charts_role(chart: World, namespace: str) -> None:
    """`update` where our own role has `patch`: the finalizer is put on and taken off."""
    chart.apply(manifests.claim("data", namespace), manifests.claim("share", namespace, storage_class="pure-file",
                                                                    mode="ReadWriteMany"))
    names = [chart.bound(name, namespace)["metadata"]["name"] for name in ("data", "share")]
    for name in ("data", "share"):
        chart.delete("pvc", name, namespace)
    for name in names:
        chart.gone("pv", name, seconds=40)
    assert chart.arrays.volumes()[f"k8s-{names[0]}"]["destroyed"]


def test_finalizer_is_removed_with_update_only(chart: World, namespace: str) -> None:
    """A PV whose policy becomes Retain loses our finalizer, or nobody could ever delete it."""
    chart.apply(manifests.claim("data", namespace))
    pv = chart.bound("data", namespace)["metadata"]["name"]
    chart.patch("pv", pv, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    processes.wait("our finalizer gone", lambda: chart.get("pv", pv)["metadata"].get("finalizers") == [
        "kubernetes.io/pv-protection"], 20)
    chart.delete("pvc", "data", namespace)
    chart.delete("pv", pv)
    chart.gone("pv", pv)
    assert f"k8s-{pv}" in chart.arrays.alive()


def test_pods_restart_without_taking_the_driver_from_a_volume(chart: World, namespace: str) -> None:
    """A roll-out runs the chart's preStop hook on every node; the driver stays where a pod uses a volume."""
    chart.apply(manifests.claim("data", namespace), manifests.pod("user", namespace, ["data"], node="node1"))
    chart.running("user", namespace)
    driver = chart.storage["node1"].node.plugin_dir / "pure~flex/flex"
    chart.cluster.kubectl("-n", NAMESPACE, "delete", "pod", "-l", "app=pure-flex", "--wait=true", "--timeout=60s")
    assert driver.exists()
    chart.product.wait()
    chart.delete("pod", "user", namespace)
    chart.gone("pod", "user", namespace)
    name = chart.bound("data", namespace)["metadata"]["name"]
    processes.wait("the volume released", lambda: not chart.arrays.volumes()[f"k8s-{name}"]["connections"], 30)
