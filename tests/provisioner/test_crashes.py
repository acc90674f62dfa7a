"""The crash rows of provisioner.md 1.13, C1 … C13: the process is really killed there, and a new one finishes.

Where a reply has to get lost, the pretend array or the stand-in API acts and then breaks the connection.
"""

import threading
from typing import Any

import pytest

from provisioner.wellknown import FINALIZER
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.waiting import until


def exactly_one(cluster: Cluster, array: str = "fa1") -> None:
    """One volume, one PV, bound to the claim."""
    cluster.bound()
    assert cluster.live() == {cluster.volume(): array} and len(cluster.api.objects(PVS)) == 1
    assert cluster.options()["array"] == cluster.sim.array(array).endpoint


def test_c1_killed_before_the_array_was_called(cluster: Cluster) -> None:
    """The claim is still annotated: listed again."""
    looking = cluster.api.faults.add(verb="get", resource=CLAIMS, hang=True, times=None)
    with cluster.process() as process:
        cluster.claim()
        until(lambda: looking.hits, "the look before work")
        process.kill()
        process.join()
    assert not cluster.live()
    looking.clear()
    with cluster.process():
        exactly_one(cluster)


@pytest.mark.parametrize("fault", ["lose_reply", "hang_after"])
def test_c2_the_array_acted_and_gave_no_answer(cluster: Cluster, fa1: FlashArray, fault: str) -> None:
    """Same process: the volume is found under its name and taken over, on that array and no other (point 29)."""
    lost = fa1.faults.add(method="POST", path="volume/*", times=1, **{fault: True})
    with cluster.provisioner(array_timeout=0.3):
        cluster.claim()
        cluster.event("ProvisioningFailed", "data", "cannot be reached")
        fa1.faults.remove(lost)
        exactly_one(cluster)


def test_c2_killed_while_waiting_for_the_answer(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """The next process asks the arrays for the name before it makes anything, even if another array is better now."""
    lost = fa1.faults.add(method="POST", path="volume/*", hang_after=True, times=1)
    with cluster.process() as process:
        cluster.claim()
        until(lambda: len(fa1.volumes) == 1, "the volume")
        process.kill()
        process.join()
    fa1.faults.remove(lost)
    fa1.used, fa2.used = fa1.capacity // 2, 0
    with cluster.process():
        exactly_one(cluster)


def test_c3_killed_between_volume_and_pv(cluster: Cluster) -> None:
    """AT-39: one volume, one PV."""
    saving = cluster.api.faults.add(verb="create", resource=PVS, hang=True, times=None)
    with cluster.process() as process:
        cluster.claim()
        until(lambda: saving.hits, "the PV on its way")
        process.kill()
        process.join()
    assert len(cluster.live()) == 1 and not cluster.api.objects(PVS)
    saving.clear()
    with cluster.process():
        exactly_one(cluster)


def test_c3_a_volume_with_too_little_room_is_grown(cluster: Cluster, fa1: FlashArray) -> None:
    """1.4.5: what is found may be of another size; it is never smaller afterwards."""
    claim = cluster.claim()
    fa1.add_volume(f"k8s-pvc-{claim['metadata']['uid']}", 4 * 2**30)
    with cluster.provisioner():
        exactly_one(cluster)
    assert fa1.volume(cluster.volume()).size == 10 * 2**30


def test_c3_a_volume_with_more_room_is_taken_as_it_is(cluster: Cluster, fa1: FlashArray) -> None:
    claim = cluster.claim()
    fa1.add_volume(f"k8s-pvc-{claim['metadata']['uid']}", 40 * 2**30)
    with cluster.provisioner():
        exactly_one(cluster)
    assert cluster.pv()["spec"]["capacity"] == {"storage": "40Gi"}


def test_c3_a_volume_somebody_uses_is_not_taken(cluster: Cluster, fa1: FlashArray) -> None:
    claim = cluster.claim()
    name = f"k8s-pvc-{claim['metadata']['uid']}"
    fa1.add_volume(name, 10 * 2**30)
    fa1.add_host("somebody", iqns=["iqn.2001-01.com.example:x"])
    fa1.connect("somebody", name)
    with cluster.provisioner():
        assert "connected to somebody" in cluster.event("ProvisioningFailed", "data")["message"]
    assert not cluster.api.objects(PVS)


@pytest.mark.parametrize("array", ["fa1", "fa2"])
def test_a_destroyed_namesake_is_recovered(cluster: Cluster, array: str) -> None:
    """Point 28: its name stays taken for a day, so the claim would fail for ever."""
    claim = cluster.claim()
    name = f"k8s-pvc-{claim['metadata']['uid']}"
    holder = cluster.sim.flash_array(array)
    holder.add_volume(name, 10 * 2**30)
    holder.destroy_volume(name)
    with cluster.provisioner():
        exactly_one(cluster, array)


def test_a_destroyed_file_system_is_recovered_and_exported_again(cluster: Cluster, fb1: FlashBlade) -> None:
    """Point 28 for files: after a recovery the protocols are off."""
    claim = cluster.claim("data", "pure-file", mode="ReadWriteMany")
    name = f"k8s-pvc-{claim['metadata']['uid']}"
    fb1.add_file_system(name, 10 * 2**30)
    fb1.destroy_file_system(name)
    with cluster.provisioner():
        exactly_one(cluster, "fb1")
    assert fb1.file_system(name).v3


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"status": 504}], ids=str)
def test_c4_the_api_stored_the_pv_and_did_not_say_so(cluster: Cluster, fault: dict[str, Any]) -> None:
    """Point 27: 409 with our claim's UID is success."""
    cluster.api.faults.add(verb="create", resource=PVS, after=True, times=1, **fault)
    with cluster.provisioner():
        cluster.claim()
        exactly_one(cluster)


def test_c4_killed_before_the_answer(cluster: Cluster) -> None:
    lost = cluster.api.faults.add(verb="create", resource=PVS, after=True, hang=True, times=1)
    with cluster.process() as process:
        cluster.claim()
        until(lambda: cluster.api.objects(PVS), "the PV")
        process.kill()
        process.join()
    lost.clear()
    with cluster.process():
        exactly_one(cluster)


def test_c6_the_claim_vanishes_while_its_volume_is_made(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 26: 0 volumes, 0 PVs, whichever of both ways it went."""
    fa1.faults.add(method="POST", path="volume/*", latency=0.3)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: cluster.asked("get", CLAIMS), "work begun")
        cluster.delete_claim()
        until(lambda: fa1.volumes and not cluster.live() and not cluster.api.objects(PVS), "nothing left")


def test_c6_the_claim_vanishes_after_an_answer_was_lost(cluster: Cluster, fa1: FlashArray) -> None:
    """The attempt outlives the claim: what it may have made is looked for and destroyed."""
    cluster.api.faults.add(verb="create", resource=PVS, status=500, times=None)
    with cluster.provisioner():
        cluster.claim()
        until(lambda: len(cluster.live()) == 1, "the volume")
        cluster.delete_claim()
        until(lambda: not cluster.live(), "nothing left")
    assert not cluster.api.objects(PVS)


def test_c7_the_event_is_lost(cluster: Cluster) -> None:
    """Events are best effort: the claim is bound all the same."""
    cluster.api.faults.add(verb="create", resource="events", drop=True, times=None)
    with cluster.provisioner():
        cluster.claim()
        exactly_one(cluster)


def test_c8_a_volume_without_its_limits_gets_them(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 30: whatever a crash kept from the volume is put on before the PV exists."""
    cluster.storage_class("fast", parameters={"iops_limit": "30000"})
    claim = cluster.claim("data", "fast")
    name = f"k8s-pvc-{claim['metadata']['uid']}"
    fa1.add_volume(name, 10 * 2**30)
    with cluster.provisioner():
        exactly_one(cluster)
    assert fa1.volume(name).iops_limit == 30000


def test_c8_killed_between_copy_and_limits(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 30: the copy is there, its limits are not; the next process sets them before it makes the PV."""
    cluster.storage_class("fast", parameters={"iops_limit": "30000"})
    with cluster.provisioner():
        cluster.claim("original")
        cluster.bound("original")
    limiting = fa1.faults.add(method="PUT", path="volume/*", hang=True)
    with cluster.process(array_timeout=20.0) as process:
        cluster.claim("data", "fast", dataSource={"kind": "PersistentVolumeClaim", "name": "original"})
        until(lambda: limiting.hits, "the limits on their way")
        process.kill()
        process.join()
    assert fa1.volume(cluster.volume()).iops_limit is None and cluster.api.get(PVS, cluster.pv_name()) is None
    fa1.faults.remove(limiting)
    saving = cluster.api.faults.add(verb="create", resource=PVS, hang=True, times=None)
    with cluster.process():
        until(lambda: saving.hits, "the PV on its way")
        assert fa1.volume(cluster.volume()).iops_limit == 30000
        saving.clear()
        cluster.bound()
    assert len(cluster.live()) == 2


def test_c9_killed_while_a_file_system_is_made(cluster: Cluster, fb1: FlashBlade) -> None:
    """Who mounts it at that moment finds the class's rules; the next process takes it over."""
    cluster.storage_class("office", "file", parameters={"export_rules": "10.0.0.0/8(rw)"})
    making = fb1.faults.add(method="POST", path="file-systems", hang_after=True)
    with cluster.process(array_timeout=20.0) as process:
        cluster.claim("data", "office", mode="ReadWriteMany")
        until(lambda: fb1.file_systems, "the file system")
        assert fb1.file_system(cluster.volume()).rules == "10.0.0.0/8(rw)"
        process.kill()
        process.join()
    fb1.faults.remove(making)
    with cluster.process():
        exactly_one(cluster, "fb1")


def test_c9_a_file_system_is_never_without_its_rules(cluster: Cluster, fb1: FlashBlade) -> None:
    """Rules are in the call that makes it: one write, nothing to be seen in between."""
    cluster.storage_class("office", "file", parameters={"export_rules": "10.0.0.0/8(rw)"})
    with cluster.provisioner():
        cluster.claim("data", "office", mode="ReadWriteMany")
        exactly_one(cluster, "fb1")
    assert [one.method for one in fb1.requests if one.method not in ("GET",) and "file-systems" in one.path] == ["POST"]


def released(cluster: Cluster) -> str:
    """A claim served and deleted while no provisioner runs; its PV is Released."""
    with cluster.provisioner():
        cluster.claim()
        pv: str = cluster.bound()["metadata"]["name"]
    cluster.delete_claim()
    until(lambda: cluster.api.get(PVS, pv)["status"]["phase"] == "Released", "released")
    return pv


def test_c10_killed_between_destroying_and_deleting_the_pv(cluster: Cluster) -> None:
    """Point 37: what is not there needs no destroying."""
    pv = released(cluster)
    deleting = cluster.api.faults.add(verb="delete", resource=PVS, hang=True, times=None)
    with cluster.process() as process:
        until(lambda: deleting.hits, "the PV's turn")
        process.kill()
        process.join()
    assert not cluster.live() and cluster.api.get(PVS, pv)
    deleting.clear()
    with cluster.process():
        cluster.gone(pv)


def test_c11_killed_between_deleting_the_pv_and_its_finalizer(cluster: Cluster) -> None:
    """No PV stays Terminating."""
    pv = released(cluster)
    letting_go = cluster.api.faults.add(verb="update", resource=PVS, hang=True, times=None)
    with cluster.process() as process:
        until(lambda: letting_go.hits, "the finalizer's turn")
        process.kill()
        process.join()
    found = cluster.api.get(PVS, pv)
    assert found and found["metadata"]["deletionTimestamp"] and FINALIZER in found["metadata"]["finalizers"]
    letting_go.clear()
    with cluster.process():
        cluster.gone(pv)


def test_c12_growing_twice_is_growing_once(cluster: Cluster, fa1: FlashArray) -> None:
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        cluster.api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "20Gi"}}}})
        until(lambda: fa1.volume(cluster.volume()).size == 20 * 2**30, "grown")
        cluster.event("VolumeResizeSuccessful", "data")
    with cluster.provisioner():
        cluster.claim("other")
        cluster.bound("other")
    assert [one.method for one in fa1.requests].count("PUT") == 1


def test_c12_killed_between_growing_and_telling(cluster: Cluster, fa1: FlashArray) -> None:
    """The volume has its size; the next process, and the one after it, see that and leave it."""
    growing = fa1.faults.add(method="PUT", path="volume/*", hang_after=True)
    with cluster.process(array_timeout=20.0) as process:
        cluster.claim()
        cluster.bound()
        cluster.api.patch(CLAIMS, "data", {"spec": {"resources": {"requests": {"storage": "20Gi"}}}})
        until(lambda: fa1.volume(cluster.volume()).size == 20 * 2**30, "grown")
        process.kill()
        process.join()
    fa1.faults.remove(growing)
    for _ in range(2):
        with cluster.process():
            cluster.event("VolumeResizeSuccessful", "data")
    assert growing.hits == 1 and [one.method for one in fa1.requests].count("PUT") <= 1


def test_a_stop_finishes_what_is_in_flight(cluster: Cluster, fa1: FlashArray) -> None:
    """SIGTERM: nothing new is taken up, the claim in work gets its PV (2.2)."""
    fa1.faults.add(method="POST", path="volume/*", latency=0.3)
    with cluster.provisioner() as stopping:
        cluster.claim()
        until(lambda: cluster.asked("get", CLAIMS), "work begun")
        stopping.set()
    assert isinstance(stopping, threading.Event)
    exactly_one(cluster)
