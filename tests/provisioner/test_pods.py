"""Volumes in replication pods: the PV says which of several volumes of one name is meant (AT-47)."""

import json

import pytest

from arrays import fleet as fleets
from provisioner import admin_orphans
from provisioner.migration import steps
from provisioner.orphans import GONE, Orphan
from simulator.flasharray import FlashArray
from tests.provisioner.cluster import PVS, Cluster
from tests.provisioner.migrating import PV, VOLUME, World
from tests.provisioner.waiting import until


def pods(cluster: Cluster, *names: str) -> None:
    """The replication pods of fa1, as pure.json names them from now on."""
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"][0]["ReplicationPods"] = list(names)
    cluster.pure_json.write_text(json.dumps(fleet))


def released(cluster: Cluster) -> str:
    """A claim served and deleted again while nobody runs; the name of its Released PV."""
    with cluster.provisioner():
        cluster.claim()
        pv: str = cluster.bound()["metadata"]["name"]
    cluster.delete_claim()
    until(lambda: (cluster.api.get(PVS, pv) or {})["status"]["phase"] == "Released", "released")
    return pv


def test_a_volume_in_a_pod_that_left_pure_json_is_destroyed(cluster: Cluster, fa1: FlashArray) -> None:
    """Taken for gone, its PV would go and the volume stay for ever, with nobody to know of it."""
    fa1.state.pods.create("pod1")
    pods(cluster, "pod1")
    pv = released(cluster)
    assert f"pod1::k8s-{pv}" in cluster.live()
    pods(cluster)
    with cluster.provisioner():
        cluster.gone(pv)
    assert not cluster.live()


def test_a_stretched_volume_waits_for_hosts_of_the_other_array(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """Each array knows its own connections only: the PV's own says that nobody has the volume."""
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", fa2.state)
    pods(cluster, "pod1")
    pv = released(cluster)
    volume = f"pod1::k8s-{pv}"
    fa2.add_host("node1", iqns=["iqn.2001-01.com.example:node1"])
    fa2.connect("node1", volume)
    with cluster.provisioner():
        told = cluster.event("VolumeDelete", pv)
        assert f"still connected to node1 (through {fa2.endpoint})" in told["message"] and not fa1.volume(volume).destroyed
        fa2.disconnect("node1", volume)
        cluster.gone(pv)
    assert fa1.volume(volume).destroyed


def test_a_stretched_volume_waits_for_an_array_that_does_not_tell(cluster: Cluster, fa1: FlashArray,
                                                                  fa2: FlashArray) -> None:
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", fa2.state)
    pods(cluster, "pod1")
    pv = released(cluster)
    fa2.faults.add(reset=True)
    with cluster.provisioner():
        assert fa2.endpoint in cluster.event("VolumeFailedDelete", pv)["message"]
        assert not fa1.volume(f"pod1::k8s-{pv}").destroyed
        fa2.faults.clear()
        cluster.gone(pv)


def test_a_copy_in_another_arrays_pod_of_that_name_keeps_nothing(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """Its pod is stretched to a third array that the fleet does not have; fa2 has a pod of its own under that name."""
    other = cluster.sim.add_flash_array("away")
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", other.state)
    fa2.state.pods.create("pod1")
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"] = [{**entry, "ReplicationPods": ["pod1"]} if entry["MgmtEndPoint"] == fa1.endpoint else entry
                            for entry in fleet["FlashArrays"] if entry["MgmtEndPoint"] != other.endpoint]
    cluster.pure_json.write_text(json.dumps(fleet))
    pv = released(cluster)
    fa2.add_volume(f"pod1::k8s-{pv}", 10 * 2**30)
    fa2.add_host("node1", iqns=["iqn.2001-01.com.example:node1"])
    fa2.connect("node1", f"pod1::k8s-{pv}")
    with cluster.provisioner():
        cluster.gone(pv)


@pytest.mark.parametrize("home", ["", "pod2"])
def test_an_administrators_copy_in_another_pod_stays(cluster: Cluster, fa1: FlashArray, home: str) -> None:
    """A pod that was cloned for a rehearsal has volumes of the same names; the PV's own one is meant."""
    for name in ("pod1", "pod2"):
        fa1.state.pods.create(name)
    pods(cluster, *filter(None, [home]))
    pv = released(cluster)
    fa1.add_volume(f"pod1::k8s-{pv}", 10 * 2**30)
    pods(cluster, "pod1", "pod2")
    with cluster.provisioner():
        cluster.gone(pv)
    assert list(cluster.live()) == [f"pod1::k8s-{pv}"]


def test_the_orphan_that_a_person_agreed_to_is_the_one_destroyed(cluster: Cluster, fa1: FlashArray) -> None:
    """And not another one of that name, in whichever pod pure.json names first."""
    for pod in ("pod1", "pod2"):
        fa1.state.pods.create(pod)
        fa1.add_volume(f"{pod}::{VOLUME}", 2**30)
    pods(cluster, "pod1", "pod2")
    fleet = fleets.load(str(cluster.pure_json))
    meant = Orphan(fa1.endpoint, f"pod2::{VOLUME}", 2**30, "", GONE, False)
    assert admin_orphans.delete([meant], fleet, True, lambda: [meant]) == 0
    assert list(cluster.live()) == [f"pod1::{VOLUME}"]
    assert admin_orphans.delete([meant], fleet, True, lambda: [meant]) == 0
    fa1.eradicate_volume(f"pod2::{VOLUME}")
    assert admin_orphans.delete([meant], fleet, True, lambda: [meant]) == 0
    assert list(cluster.live()) == [f"pod1::{VOLUME}"]


def test_a_migration_goes_on_with_the_pvs_own_volume(world: World) -> None:
    """Not with a copy of the same name in a pod, which the claim would find as its data afterwards."""
    world.array.state.pods.create("pod1")
    pods(world.cluster, "pod1")
    world.array.add_volume(f"pod1::{VOLUME}", 2**30)
    record = world.retained()
    assert record.volumes[PV]["volume"] == VOLUME
    assert steps.locate(world.fleet, "block", "", f"pod1::{VOLUME}")[1].name == f"pod1::{VOLUME}"


def test_an_orphan_of_a_stretched_pod_stays_while_the_other_arrays_hosts_have_it(
        cluster: Cluster, fa1: FlashArray, fa2: FlashArray, capsys: pytest.CaptureFixture[str]) -> None:
    """`pure migrate delete` asks in the same way."""
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", fa2.state)
    name = f"pod1::{VOLUME}"
    fa1.add_volume(name, 2**30)
    fa2.add_host("node5")
    fa2.connect("node5", name)
    meant, fleet = Orphan(fa1.endpoint, name, 2**30, "", GONE, False), fleets.load(str(cluster.pure_json))
    assert admin_orphans.delete([meant], fleet, True, lambda: [meant]) == 1
    assert f"still connected to node5 (through {fa2.endpoint})" in capsys.readouterr().out
    assert not fa1.volume(name).destroyed
    fa2.disconnect("node5", name)
    assert admin_orphans.delete([meant], fleet, True, lambda: [meant]) == 0 and fa1.volume(name).destroyed
