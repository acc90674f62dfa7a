"""A whole world for a while: cluster, pretend arrays and storage, our product on it; and nothing of it afterwards."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import cluster as clusters
from tests.cluster import machine, product
from tests.cluster.arrays import Arrays
from tests.cluster.audit import Audit
from tests.cluster.cluster import Cluster
from tests.cluster.pretend import Storage
from tests.cluster.world import World

# The controller manager's own limits (20 requests a second) would be all that a burst measures.
UNLIMITED = ["--kube-api-qps=400", "--kube-api-burst=800"]


@contextmanager
def installed(version: str = "", archives: Iterable[Path] = ()) -> Iterator[World]:
    """Everything, installed and Ready. At the end it is removed, whatever happened, and nothing may be left of it.

    `archives`: more images for the nodes. Waits while another run has the cluster; machine.Lacking when this machine cannot
    carry one.
    """
    machine.prepare()
    with clusters.reserved():
        cluster = Cluster(version)
        arrays, audit = Arrays(cluster.work), Audit(cluster.work)
        images = [*product.images(), *archives]
        storage = {node.name: Storage(node, arrays) for node in cluster.nodes}

        def before_nodes() -> None:
            arrays.start()
            for each in storage.values():
                each.put_ca()
        try:
            cluster.up(images, {"kube-apiserver": audit.flags(), "kube-controller-manager": UNLIMITED}, before_nodes)
            made = product.Product(cluster, arrays)
            made.install()
            yield World(cluster, arrays, audit, storage, made)
            for each in storage.values():
                assert each.problems() == [], "the pretend storage raised an alarm, or failed itself"
        finally:
            clusters.down()
        clusters.assert_nothing_left()
