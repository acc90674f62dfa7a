"""Leader election (checklist 47-50; C13, R4, R14; 2.1)."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from provisioner.kube import Kube
from provisioner.leader import Elector, Times
from provisioner.locks import ANNOTATION, EndpointsLock, LeaseLock
from simulator.flasharray import FlashArray
from simulator.kubernetes import KubeApi
from simulator.kubernetes.access import Rule, full, published_chart, rule
from tests.provisioner.access import access
from tests.provisioner.cluster import PVS, Cluster
from tests.provisioner.waiting import PATIENCE, until

QUICK = Times(lease=1.1, renew=0.8, retry=0.05)
NAME = "pure-provisioner"


class Clock:
    """A monotonic clock of its own for each candidate; they never agree."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as server:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
        yield server


def candidate(api: KubeApi, identity: str, rules: tuple[Rule, ...] = full("pure"), times: Times = QUICK,
              clock: Callable[[], float] = time.monotonic) -> Elector:
    kube = Kube(access(api, api.add_user(identity, rules)), read_timeout=5)
    return Elector(LeaseLock(kube, "pure", NAME), EndpointsLock(kube, "pure", NAME), identity, times, clock)


@contextmanager
def running(elector: Elector) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=elector.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        elector.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def lease(api: KubeApi) -> dict[str, object]:
    found = api.get("leases", NAME, "pure")
    return found["spec"] if found else {}


def endpoints(api: KubeApi) -> str:
    found = api.get("endpoints", NAME, "pure")
    return ((found or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION, "")


def test_the_first_leads_and_says_so_in_both_locks() -> None:
    """Point 49: where both are allowed both are held, for an older provisioner looks at Endpoints only (R14); up to 1.32."""
    with KubeApi(version="1.32") as api:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
        one = candidate(api, "one")
        with running(one):
            assert one.leading.wait(PATIENCE) and one.leads()
        assert lease(api)["holderIdentity"] == "one" and lease(api)["leaseTransitions"] == 0
        assert str(lease(api)["renewTime"]).endswith("Z") and len(str(lease(api)["renewTime"])) == 27
        assert '"holderIdentity": "one"' in endpoints(api)


def test_the_second_waits_and_takes_over_when_the_first_is_silent(api: KubeApi) -> None:
    """C13, point 47: after a full lease of an unchanged record, not earlier."""
    one, two = candidate(api, "one"), candidate(api, "two")
    with running(one):
        one.leading.wait(PATIENCE)
        with running(two):
            until(lambda: two.holder == "one", "the second sees the first")
            one.stop()
            silent = time.monotonic()
            assert two.leading.wait(PATIENCE)
            assert time.monotonic() - silent > QUICK.lease / 2
    assert lease(api)["holderIdentity"] == "two" and lease(api)["leaseTransitions"] == 1


def test_a_released_lead_is_taken_at_once(api: KubeApi) -> None:
    """Point 47: SIGTERM costs no lease."""
    slow = Times(lease=60.0, renew=40.0, retry=0.05)
    one, two = candidate(api, "one", times=slow), candidate(api, "two", times=slow)
    with running(one):
        one.leading.wait(PATIENCE)
    one.release()
    assert lease(api)["holderIdentity"] == ""
    with running(two):
        assert two.leading.wait(5)


def test_clocks_of_others_are_not_believed(api: KubeApi) -> None:
    """Skew-safe: times inside the record say it ran out years ago; it is held all the same until it stands still."""
    clock = Clock(5000.0)
    one, two = candidate(api, "one"), candidate(api, "two", clock=clock)
    assert one._acquire()
    found = api.get("leases", NAME, "pure") or {}
    api.replace({**found, "spec": {**found["spec"], "renewTime": "1999-01-01T00:00:00.000000Z"}})
    assert not two._acquire()
    clock.now += 2.1                        # a record has whole seconds
    assert two._acquire()


def test_a_lease_is_as_long_as_its_holder_said(api: KubeApi) -> None:
    """During an update that shortens the times, the old one leads by its own renew deadline, cut off or not."""
    clock = Clock(0.0)
    one, two = candidate(api, "one", times=Times(60.0, 40.0, 2.0)), candidate(api, "two", clock=clock)
    assert one._acquire() and not two._acquire()
    clock.now += 59.0
    assert not two._acquire()
    clock.now += 2.0
    assert two._acquire()


def test_r4_of_two_at_once_one_wins(api: KubeApi) -> None:
    """R4: every write carries the resourceVersion of its read."""
    candidates = [candidate(api, f"c{number}") for number in range(4)]
    won: list[str] = []
    barrier = threading.Barrier(4)

    def run(elector: Elector) -> None:
        barrier.wait()
        if elector._acquire():
            won.append(elector.identity)

    threads = [threading.Thread(target=run, args=(elector,)) for elector in candidates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) <= 1
    with running(candidates[0]), running(candidates[1]):
        until(lambda: sum(elector.leads() for elector in candidates) == 1, "exactly one")


@pytest.mark.parametrize("trouble", ["hang", "drop", "status"])
def test_a_lead_that_cannot_be_renewed_ends_before_another_may_begin(api: KubeApi, trouble: str) -> None:
    """Point 48: no answer, no connection, or 500: after the renew deadline it is over, and the clock alone says so."""
    one = candidate(api, "one")
    with running(one):
        one.leading.wait(PATIENCE)
        for resource in ("leases", "endpoints"):
            api.faults.add(resource=resource, times=None, **{trouble: 500 if trouble == "status" else True})
        began = time.monotonic()
        until(lambda: not one.leads(), "no lead")
        assert time.monotonic() - began < QUICK.lease
        assert one.lost.wait(PATIENCE)


def test_a_renewal_that_fails_once_is_tried_again(api: KubeApi) -> None:
    one = candidate(api, "one")
    with running(one):
        one.leading.wait(PATIENCE)
        fault = api.faults.add(verb="update", resource="leases", status=500, times=2)
        until(lambda: fault.hits == 2, "two failures")
        until(lambda: one.age() < 0.5, "renewed")
        assert one.leads()


def test_a_conflict_is_looked_into(api: KubeApi) -> None:
    """Somebody labelled the object: ours is read again and renewed. Somebody took it: over."""
    one = candidate(api, "one")
    with running(one):
        one.leading.wait(PATIENCE)
        api.patch("leases", NAME, {"metadata": {"labels": {"a": "b"}}}, "pure")
        until(lambda: one.slow >= 1, "the slow path")
        assert one.leads()
        api.patch("leases", NAME, {"spec": {"holderIdentity": "usurper"}}, "pure")
        assert one.lost.wait(PATIENCE) and one.holder == "usurper" and not one.leads()


def test_with_the_published_charts_role_the_endpoints_lock_is_enough(api: KubeApi) -> None:
    """Point 49: Leases are forbidden there."""
    one, two = candidate(api, "one", published_chart("pure")), candidate(api, "two", published_chart("pure"))
    with running(one):
        assert one.leading.wait(PATIENCE) and one.kind() == "Endpoints"
        assert not two._acquire() and two.holder == "one"
    assert not lease(api) and '"holderIdentity": "one"' in endpoints(api)
    assert not [asked for asked in api.requests if asked.status == 403]      # asked what is allowed, and kept to it


def test_with_the_published_charts_role_a_deprecated_lock_is_better_than_none(api: KubeApi) -> None:
    """From 1.33 on the server warns of Endpoints; where Leases are forbidden they are taken all the same."""
    one = candidate(api, "one", published_chart("pure"))
    with running(one):
        assert one.leading.wait(PATIENCE) and one.kind() == "Endpoints" and one._endpoints.deprecated()


def own_role() -> tuple[Rule, ...]:
    """The Role pure-provisioner-leader of daemonset/rbac.yaml: rights on the one object, and to make a Lease."""
    return (*published_chart("elsewhere"), rule("leases", "create", "pure"), rule("leases", "get update", "pure", [NAME]),
            rule("endpoints", "get update", "pure", [NAME]))


def test_a_role_that_names_the_lock_is_enough(api: KubeApi) -> None:
    """get and update by resourceNames, as our manifests give them: a server says no when asked about any other name."""
    elector = candidate(api, "one", own_role())
    with running(elector):
        assert elector.leading.wait(PATIENCE)
    assert [lock.kind for lock in elector._locks] == ["Lease"]


def test_a_role_that_names_the_lock_sees_an_older_provisioner(api: KubeApi) -> None:
    """Who may not create Endpoints still reads and holds those that are there."""
    older = candidate(api, "older", published_chart("pure"))
    with running(older):
        assert older.leading.wait(PATIENCE)
        younger = candidate(api, "younger", own_role())
        with running(younger):
            assert not younger.leading.wait(0.5)
    assert younger.holder == "older"


def test_before_1_14_there_are_no_leases() -> None:
    with KubeApi(version="1.11") as old:
        old.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
        one = candidate(old, "one")
        with running(one):
            assert one.leading.wait(PATIENCE) and one.kind() == "Endpoints"


def test_from_1_33_on_endpoints_are_left_alone_unless_somebody_holds_them(api: KubeApi) -> None:
    """KEP-4974: the server warns of each use; 1.34 here. What was there before is honoured."""
    api.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": NAME, "namespace": "pure"}})
    one = candidate(api, "one")
    with running(one):
        assert one.leading.wait(PATIENCE)
    assert endpoints(api) == "" and lease(api)["holderIdentity"] == "one"


def test_r14_an_older_provisioner_is_waited_for(api: KubeApi) -> None:
    """R14: it holds the Endpoints lock and knows nothing of Leases."""
    old = candidate(api, "old", published_chart("pure"))
    new = candidate(api, "new")
    with running(old):
        old.leading.wait(PATIENCE)
        with running(new):
            until(lambda: new.holder == "old", "the new one sees the old one")
            assert not new.leads() and lease(api)["holderIdentity"] == "new"
            old.stop()
            assert new.leading.wait(PATIENCE)


def test_without_any_right_it_waits_and_names_what_to_grant(api: KubeApi, caplog: pytest.LogCaptureFixture) -> None:
    poor = candidate(api, "poor", (rule("persistentvolumes", "get"),))
    assert not poor._acquire() and not poor._acquire()
    assert caplog.text.count("neither Leases nor Endpoints are allowed") == 1


def test_a_record_nobody_can_read_is_nobodys(api: KubeApi) -> None:
    api.create({"apiVersion": "v1", "kind": "Endpoints",
                "metadata": {"name": NAME, "namespace": "pure", "annotations": {ANNOTATION: "{broken"}}})
    assert candidate(api, "one", published_chart("pure"))._acquire()


# The whole program

SLACK = 5.0         # seconds a loaded machine may need beyond what is promised
LEADING = {"leader_election": True, "lease": 1.2, "renew": 0.9, "renew_every": 0.1}


def test_c13_of_two_replicas_one_acts_and_the_other_takes_over(cluster: Cluster) -> None:
    """Point 47: kill -9 of the leader; the other one serves within lease and retry; nothing is made twice."""
    with cluster.process(**LEADING) as first:
        cluster.claim("one")
        cluster.bound("one")
        leader = cluster.event("LeaderElection", "", "became leader")
        with cluster.process(**LEADING):
            until(lambda: sum(asked.resource == "endpoints" for asked in cluster.api.requests) > 3, "the second waits")
            first.kill()
            killed = time.monotonic()
            cluster.claim("two")
            cluster.bound("two")
            took = time.monotonic() - killed
    assert leader["involvedObject"]["kind"] == "Endpoints" and len(cluster.live()) == 2
    assert took < LEADING["lease"] + LEADING["renew_every"] + SLACK


def test_r4_a_leader_that_was_paused_begins_nothing_more(cluster: Cluster, fa1: FlashArray) -> None:
    """SIGSTOP past the lease, a volume half made: the other one finishes it; the first wakes, writes nothing, and exits."""
    slow = fa1.faults.add(method="POST", path="volume/*", latency=0.2, times=1)
    with cluster.process(**LEADING) as first:
        cluster.event("LeaderElection", "", "became leader")
        cluster.claim("one")
        until(lambda: slow.hits, "a volume in the making")
        os.kill(first.pid, signal.SIGSTOP)
        with cluster.process(**LEADING):
            cluster.bound("one")
            posts = sum(one.method == "POST" for one in fa1.requests)
            os.kill(first.pid, signal.SIGCONT)
            first.join(PATIENCE)
            assert first.exitcode == 1
            assert sum(one.method == "POST" for one in fa1.requests) == posts
    assert list(cluster.live()) == [cluster.volume("one")] and len(cluster.api.objects(PVS)) == 1


def test_a_leader_cut_off_stops_and_exits(cluster: Cluster) -> None:
    """Point 48: no array write after the renew deadline, then exit with 1 to be started anew."""
    with cluster.process(**{**LEADING, "lease": 1.2, "renew": 0.8}) as process:
        cluster.claim("one")
        cluster.bound("one")
        cluster.api.faults.add(resource="endpoints", times=None, hang=True)
        process.join(PATIENCE)
        assert process.exitcode == 1
        cluster.claim("two")
    assert list(cluster.live()) == [cluster.volume("one")]


def test_the_lead_is_given_up_at_the_end(cluster: Cluster) -> None:
    """Point 47: after SIGTERM the next one begins at once."""
    with cluster.provisioner(**{**LEADING, "lease": 60.0, "renew": 40.0}):
        cluster.claim("one")
        cluster.bound("one")
    began = time.monotonic()
    with cluster.provisioner(**{**LEADING, "lease": 60.0, "renew": 40.0}):
        cluster.claim("two")
        cluster.bound("two")
    assert time.monotonic() - began < 10


def test_a_standby_can_be_stopped(cluster: Cluster) -> None:
    with cluster.provisioner(**LEADING):
        cluster.claim("one")
        cluster.bound("one")
        with cluster.provisioner(**LEADING):
            until(lambda: sum(asked.resource == "endpoints" for asked in cluster.api.requests) > 3, "the second waits")
