"""pure.json changes under the running program: nothing restarts, nothing in flight is lost, nothing is left behind (AT-11,
AT-12, AT-49, AT-51; issue 6, point 4)."""

import json
import threading
from pathlib import Path

from arrays.errors import Unreachable
from arrays.fleet import load
from provisioner.backend import Backend, Pace
from provisioner.backends import Backends
from simulator.flasharray import FlashArray
from tests.provisioner.cluster import PVS, Cluster
from tests.provisioner.waiting import until

HANGS = {"method": "POST", "path": "volume/*"}


def measuring(cluster: Cluster) -> int:
    """Threads that measure the cluster's arrays."""
    names = {f"measure {array.endpoint}" for array in cluster.sim.arrays}
    return sum(thread.name in names for thread in threading.enumerate())


def without(cluster: Cluster, array: FlashArray) -> None:
    """pure.json without one array."""
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"] = [entry for entry in fleet["FlashArrays"] if entry["MgmtEndPoint"] != array.endpoint]
    cluster.pure_json.write_text(json.dumps(fleet))


def test_what_left_the_fleet_leaves_no_thread_and_no_connection(cluster: Cluster, fa1: FlashArray) -> None:
    """Twenty rotations of a token: one measuring thread an array, as before, and all old clients are closed."""
    backends = Backends(lambda: load(str(cluster.pure_json)), 4, 4, Pace(measure_every=0.05))
    backends.reload()
    fleet, old = json.loads(cluster.pure_json.read_text()), []
    try:
        until(lambda: measuring(cluster) == 3, "three arrays measured")
        for number in range(20):
            found = backends.get(fa1.endpoint)
            assert found
            old.append(found)
            fleet["FlashArrays"][0]["APIToken"] = f"00000000-0000-0000-0000-{number:012}"
            cluster.pure_json.write_text(json.dumps(fleet))
            assert backends.reload() and not backends.reload()
        until(lambda: measuring(cluster) == 3, "as many threads as before")
        assert all(backend.store.array.closed for backend in old)       # type: ignore[attr-defined]
    finally:
        backends.stop()
    until(lambda: measuring(cluster) == 0, "no thread")


def test_connections_close_after_the_work_in_flight_and_not_before(cluster: Cluster) -> None:
    entry = load(str(cluster.pure_json)).flash_arrays[0]
    from provisioner.block import BlockStore
    backend = Backend(BlockStore(entry, 1.0, 1.0), Pace(measure_every=0.05))
    backend.start()
    assert backend.measured.wait(5)
    with backend.at_work(backend.claim_slots):
        backend.stop()
        assert backend.store.find("k8s-pvc-1") is None
    until(lambda: backend.store.array.closed, "closed")                 # type: ignore[attr-defined]
    try:
        backend.store.find("k8s-pvc-1")
        raise AssertionError("it is closed")
    except Unreachable as error:
        assert "closed its connection" in str(error)


def test_a_rotated_token_does_not_disturb_what_is_in_flight(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-49: the volume being made with the old token is finished, the next one is made with the new token."""
    slow = fa1.faults.add(**HANGS, latency=0.6)
    with cluster.provisioner():
        cluster.claim("before")
        until(lambda: slow.hits, "a volume in the making")
        fa1.add_user("another", "secret")
        cluster.write_fleet()
        cluster.bound("before")
        cluster.claim("after")
        cluster.bound("after")
        assert not cluster.api.events("before", "ProvisioningFailed")
    assert set(cluster.live().values()) == {"fa1"}


def test_an_array_dropped_with_work_in_flight_is_finished_with(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-51: its volume is made and gets its PV, new claims go elsewhere, and it is deleted when the array is back."""
    slow = fa1.faults.add(**HANGS, latency=0.6)
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim("before")
        until(lambda: slow.hits, "a volume in the making")
        without(cluster, fa1)
        cluster.bound("before")
        cluster.claim("after")
        cluster.bound("after")
        assert cluster.live() == {cluster.volume("before"): "fa1", cluster.volume("after"): "fa2"}
        pv = cluster.pv_name("before")
        cluster.delete_claim("before")
        assert fa1.endpoint in cluster.event("VolumeFailedDelete", pv)["message"] and cluster.api.get(PVS, pv)
        cluster.write_fleet()
        cluster.gone(pv)


def test_a_file_that_breaks_changes_nothing(cluster: Cluster, fa1: FlashArray) -> None:
    """Half a file, an empty one, none at all: the arrays known so far go on serving."""
    with cluster.provisioner():
        cluster.settled()
        for number, text in enumerate(("{", "", None)):
            cluster.pure_json.unlink(missing_ok=True)
            if text is not None:
                cluster.pure_json.write_text(text)
            cluster.claim(f"c{number}")
            cluster.bound(f"c{number}")
    assert set(cluster.live().values()) == {"fa1"}


def test_a_file_broken_from_the_start_is_said_to_those_who_wait(cluster: Cluster) -> None:
    """The event has the file's own problem, not that no array fits."""
    cluster.pure_json.write_text("{")
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim()
        cluster.event("ProvisioningFailed", "data", "is not JSON")
        cluster.write_fleet()
        cluster.bound()


def test_a_secret_as_kubelet_mounts_it(cluster: Cluster, tmp_path: Path) -> None:
    """AT-11: kubelet swaps a link to a directory; the file's own name never changes."""
    mount = tmp_path / "secret"
    fleet = cluster.sim.pure_json()
    for number in range(2):
        (mount / f"..{number}").mkdir(parents=True)
        (mount / f"..{number}" / "pure.json").write_text(json.dumps(
            {**fleet, "FlashArrays": fleet["FlashArrays"][:number + 1]}))
    (mount / "..data").symlink_to("..0")
    (mount / "pure.json").symlink_to("..data/pure.json")
    with cluster.provisioner(pure_json=str(mount / "pure.json"), retry_longest=300.0):
        cluster.claim(selector={"matchLabels": {"env": "prod"}})
        cluster.event("ProvisioningFailed", "data", "no array fits")
        (mount / "..new").symlink_to("..1")
        (mount / "..new").rename(mount / "..data")
        cluster.bound()
    assert cluster.live() == {cluster.volume(): "fa2"}
