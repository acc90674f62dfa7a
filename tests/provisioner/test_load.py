"""Bursts, faults all over, replication pods (checklist 50, 56-60; AT-47, AT-48; the soak of issue 6 in small)."""

import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulator.flasharray import FlashArray
from simulator.kubernetes.resources import BY_PLURAL
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.waiting import until


def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """TLS connections that clients of this process open from now on; servers here do not use this call."""
    opened: list[str] = []
    real = ssl.SSLContext.wrap_socket

    def counting(self: ssl.SSLContext, *args: Any, **more: Any) -> ssl.SSLSocket:
        opened.append(str(more.get("server_hostname")))
        return real(self, *args, **more)

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", counting)
    return opened


def test_connections_are_kept(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point 60: in steady state no call opens one, neither to an array nor to the API."""
    opened = connected(monkeypatch)
    with cluster.provisioner(claim_workers=4, measure_every=30.0):
        for number in range(100):
            cluster.claim(f"first-{number}")
        until(lambda: bound(cluster) == 100, "all bound", 30)
        assert opened
        opened.clear()
        requests = len(cluster.sim.flash_array("fa1").requests)
        for number in range(100):
            cluster.claim(f"second-{number}")
        until(lambda: bound(cluster) == 200, "all bound", 30)
        assert len(cluster.sim.flash_array("fa1").requests) >= requests + 40
        assert len(opened) <= 8, f"{len(opened)} new connections for 100 claims"


def threads(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def bound(cluster: Cluster) -> int:
    return sum(stored.object["status"].get("phase") == "Bound" for stored in cluster.api.store.list(BY_PLURAL[CLAIMS]))


def renewed(cluster: Cluster) -> Callable[[], float]:
    """Call it often: the longest time in which the lock was not renewed, as far as it was looked at."""
    seen, since, longest = 0, time.monotonic(), 0.0

    def look() -> float:
        nonlocal seen, since, longest
        renewals, now = cluster.asked("update", "endpoints"), time.monotonic()
        longest = max(longest, now - since)
        if renewals != seen:
            seen, since = renewals, now
        return longest

    return look


def test_a_burst_is_served_by_the_same_threads_and_the_lead_is_kept(cluster: Cluster) -> None:
    """AT-48, points 50, 57: 1,000 claims, 16 + 8 workers: all bound, no thread more, renewed in time, nothing dropped."""
    count, renew = 1000, 4.0
    with cluster.process(leader_election=True, lease=6.0, renew=renew, renew_every=0.2) as process:
        cluster.claim("first")
        cluster.bound("first")
        rest = 8        # main, election, events, three watches, at least two arrays measured
        until(lambda: threads(process.pid) >= 16 + 8 + rest, "all workers")
        before, look = threads(process.pid), renewed(cluster)
        for number in range(count):
            cluster.claim(f"c{number}")
            look()
        until(lambda: look() >= 0.0 and cluster.api.count(PVS) == count + 1, "all PVs", 60)
        until(lambda: look() >= 0.0 and bound(cluster) == count + 1, "all bound", 60)
        assert threads(process.pid) <= before + 2
        assert process.is_alive() and look() < renew
    requests = [one for one in cluster.api.requests if one.user == cluster.user.name and one.resource in (CLAIMS, PVS)
                and one.verb != "watch"]
    assert len(requests) <= 2 * count + 60
    assert ["became leader" in event["message"] for event in cluster.api.events("", "LeaderElection")] == [True]
    assert len(cluster.live()) == count + 1


def test_faults_all_over_leave_nothing_behind(cluster: Cluster, fa1: FlashArray, fa2: FlashArray) -> None:
    """Claims come and go while answers get lost on both sides; in the end there is a volume for each claim, and no other."""
    dice = random.Random(20260131)
    there: list[str] = []
    fa2.used = 0
    with cluster.provisioner(array_timeout=0.5):
        cluster.settled()
        for number in range(60):
            cluster.claim(f"c{number}")
            array = dice.choice((fa1, fa2))
            match dice.randrange(8):
                case 0:
                    array.faults.add(method="POST", path="volume/*", lose_reply=True, times=1)
                case 1:
                    array.faults.add(method="DELETE", path="volume/*", lose_reply=True, times=1)
                case 2:
                    array.faults.add(status=503, times=2)
                case 3:
                    cluster.api.faults.add(verb="create", resource=PVS, status=500, after=dice.random() < 0.5, times=1)
                case 4:
                    cluster.api.faults.add(verb="delete", resource=PVS, drop=True, after=dice.random() < 0.5, times=1)
                case 5:
                    cluster.api.drop_watches()
                case 6:
                    cluster.api.faults.add(verb="watch", stream=dice.choice(("half", "garbage", "gone")), events=1)
            there.append(f"c{number}")
            if number >= 10 and dice.random() < 0.6:
                cluster.delete_claim(there.pop(dice.randrange(len(there))))
        fa1.faults.clear(), fa2.faults.clear(), cluster.api.faults.clear()
        until(lambda: bound(cluster) == cluster.api.count(CLAIMS), "all that are left bound", 30)
        wanted = {f"k8s-pvc-{found['metadata']['uid']}" for found in cluster.api.objects(CLAIMS)}
        until(lambda: set(cluster.live()) == wanted and cluster.api.count(PVS) == len(wanted), "nothing else left", 30)


def test_volumes_share_replication_pods(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-47: two in each, the names say so, and the PV has the full name; deletion finds them."""
    import json
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"][0]["ReplicationPods"] = ["pod1", "pod2"]
    cluster.pure_json.write_text(json.dumps(fleet))
    for pod in ("pod1", "pod2"):
        fa1.state.pods.create(pod)
    with cluster.provisioner():
        for number in range(4):
            cluster.claim(f"c{number}")
        for number in range(4):
            cluster.bound(f"c{number}")
        volumes = [cluster.options(f"c{number}")["volume"] for number in range(4)]
        assert sorted(volume.partition("::")[0] for volume in volumes) == ["pod1", "pod1", "pod2", "pod2"]
        assert sorted(fa1.volumes) == sorted(volumes)
        pv = cluster.pv_name("c0")
        cluster.delete_claim("c0")
        cluster.gone(pv)
    assert len(cluster.live()) == 3
