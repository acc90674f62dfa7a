"""Fixtures for the tests of the stand-in kubelet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.kubelet import Kubelet
from simulator.kubernetes import Binder, KubeApi
from simulator.kubernetes.controller import CLAIMS
from tests.simulator.kubeclient import claim, provisioned, storage_class
from tests.simulator.kubelet.recorder import Recorder, started


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A driver that always succeeds, until told otherwise."""
    return Recorder(tmp_path)


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A cluster with class pure and claim data, bound."""
    with KubeApi() as server, Binder(server):
        server.create(storage_class(allowVolumeExpansion=True))
        made = server.create(claim("data", "1Gi"))
        server.create(provisioned(made, flexVolume={"driver": "pure/flex", "fsType": "xfs", "options": {
            "volume": "k8s-x", "mountOptions": "a<b&c"}}))
        server.wait_for(lambda: server.get(CLAIMS, "data")["status"]["phase"] == "Bound", "the claim bound")
        yield server


@pytest.fixture
def kubelet(api: KubeApi, recorder: Recorder, tmp_path: Path) -> Iterator[Kubelet]:
    """kubelet of node1, in a hurry."""
    with started(api, recorder, tmp_path) as agent:
        yield agent
