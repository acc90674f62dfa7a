"""Fixtures for the provisioner's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.kubernetes.access import ADMIN
from tests.provisioner.cluster import Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.filecopies import FILES
from tests.provisioner.migrating import World


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of Kubernetes 1.34 with two FlashArrays and a FlashBlade; no provisioner runs yet."""
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def fa1(cluster: Cluster) -> FlashArray:
    """The emptier FlashArray, env=dev: where block volumes go."""
    return cluster.sim.flash_array("fa1")


@pytest.fixture
def fa2(cluster: Cluster) -> FlashArray:
    """The half full FlashArray, env=prod."""
    return cluster.sim.flash_array("fa2")


@pytest.fixture
def fb1(cluster: Cluster) -> FlashBlade:
    """The FlashBlade, env=dev."""
    return cluster.sim.flash_blades[0]


@pytest.fixture
def administrator(cluster: Cluster) -> str:
    """A kubeconfig that may do everything."""
    return cluster.api.kubeconfig(user=cluster.api.add_user("administrator", ADMIN))


@pytest.fixture
def shared(cluster: Cluster) -> Cluster:
    """A bound claim "shared" with a file system."""
    with cluster.provisioner():
        cluster.claim("shared", **FILES)
        cluster.bound("shared")
    return cluster


@pytest.fixture
def world(cluster: Cluster, fa1: FlashArray, tmp_path: Path) -> World:
    """A bound block volume of a Deployment, all that a migration of it needs, and no provisioner."""
    made = World(cluster, fa1, tmp_path)
    made.make()
    return made
