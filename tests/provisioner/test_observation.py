"""Probes, metrics and the orphan sweep (checklist 25, 50, 51, 61; C5, R5; AT-86)."""

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from arrays.probes import ProbeServer
from provisioner.claims import Claim
from provisioner.classes import VolumeClass
from provisioner.health import opened
from provisioner.informer import Timing
from provisioner.objects import ClaimRecord
from provisioner.program import Program
from simulator.flasharray import FlashArray
from tests.provisioner.cluster import CLASSES, PVS, Cluster
from tests.provisioner.given import UID
from tests.provisioner.waiting import PATIENCE, until


@contextmanager
def program(cluster: Cluster, **settings: object) -> Iterator[Program]:
    """The running program, to be looked into."""
    found, stopping = Program(cluster.settings(**settings)), threading.Event()
    thread = threading.Thread(target=found.run, args=(stopping,))
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join(PATIENCE)


@contextmanager
def serving(running: Program) -> Iterator[ProbeServer]:
    """Its pages on a port that is free."""
    server = opened(0, running.pages(), running._metrics.page)
    assert server
    try:
        yield server
    finally:
        server.stop()


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_after_one_provision_one_failure_and_one_delete(cluster: Cluster) -> None:
    """Point 61: the names of 2.3 with their labels; nothing is labelled by claim or PV."""
    cluster.storage_class("bad", parameters={"iops_limit": "3"})
    with program(cluster) as running:
        cluster.claim("failing", "bad")
        cluster.event("ProvisioningFailed", "failing")
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        cluster.delete_claim()
        cluster.gone(pv)
        until(lambda: "persistentvolume_delete_total" in running._metrics.page().decode(), "counted")
        text = running._metrics.page().decode()
    for line in ('controller_persistentvolumeclaim_provision_total{class="pure",source=""} 1.0',
                 'controller_persistentvolumeclaim_provision_duration_seconds_count{class="pure",source=""} 1.0',
                 'controller_persistentvolumeclaim_provision_duration_seconds_bucket{class="pure",le="0.005",source=""}',
                 'controller_persistentvolumeclaim_provision_failed_total{class="bad",source=""}',
                 'controller_persistentvolume_delete_total{class="pure"} 1.0',
                 'controller_persistentvolume_delete_duration_seconds_count{class="pure"} 1.0',
                 'leader_election_master_status{name="pure-provisioner"} 1.0', "leader_election_slowpath_total",
                 'pure_array_request_seconds_count{array="127.0.0.1', 'code="ok",method="create"} 1.0',
                 f'pure_array_up{{array="{cluster.sim.array("fa1").endpoint}"}} 1.0', "pure_array_free_bytes{array=",
                 "pure_array_capacity_bytes{array=", "pure_array_used_bytes{array=", 'pure_claims_pending{class="bad"} 1.0',
                 'pure_claims_pending_oldest_seconds{class="bad"}',
                 'pure_watch_age_seconds{resource="persistentvolumes"}', "pure_unsaved_pvs 0.0",
                 "process_resident_memory_bytes", "python_gc_collections_total"):
        assert line in text, line
    for name in ("depth", "adds_total", "retries_total", "queue_duration_seconds_count", "work_duration_seconds_count",
                 "unfinished_work_seconds", "longest_running_processor_seconds"):
        assert re.search(rf'^workqueue_{name}{{name="claims"}}', text, re.MULTILINE), name
    assert 'workqueue_depth{name="unsavedpvs"} 0.0' in text
    assert pv not in text and "failing" not in text
    assert not any(array.token in text for array in cluster.sim.arrays)         # point 21


def test_what_was_counted_for_a_class_goes_with_it(cluster: Cluster) -> None:
    """Else every class of every test namespace would be told for ever; its claims and PVs count on without its name."""
    cluster.storage_class("bad", parameters={"iops_limit": "3"})
    with program(cluster) as running:
        def text() -> str:
            lines = running._metrics.page().decode().splitlines()
            return "\n".join(line for line in lines if line.startswith("controller_"))

        cluster.claim("failing", "bad")
        cluster.claim()
        pv = cluster.bound()["metadata"]["name"]
        until(lambda: 'failed_total{class="bad",source=""}' in text(), "counted")
        cluster.api.delete(CLASSES, "bad")
        until(lambda: 'failed_total{class="",source=""}' in text(), "a class that is missing now")
        cluster.api.delete(CLASSES, "pure")
        until(lambda: 'class="pure"' not in text(), "gone")
        cluster.delete_claim()
        cluster.gone(pv)
        until(lambda: 'persistentvolume_delete_total{class=""} 1.0' in text(), "counted")
        assert 'class="bad"' not in text() and 'class="pure"' not in text()


def test_a_bug_met_by_one_claim_is_logged_and_the_others_are_served(
        cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The one edge: its traceback, another try later, no thread lost."""
    from provisioner import claims
    parse, met = claims.parse, []

    def broken(record: ClaimRecord, of: VolumeClass) -> Claim:
        if record.name == "unlucky" and not met:
            met.append(record.name)
            raise ZeroDivisionError("a bug")
        return parse(record, of)

    monkeypatch.setattr(claims, "parse", broken)
    with program(cluster) as running:
        cluster.claim("unlucky")
        cluster.claim("lucky")
        cluster.bound("lucky")
        cluster.bound("unlucky")
        assert met and running.dead_parts() == []
    record = next(one for one in caplog.records if "unforeseen failure" in one.message)
    assert record.exc_info and "retry in" in record.message


def test_probes_over_http(cluster: Cluster) -> None:
    """2.2: three pages and the metrics; anything else is 404."""
    with program(cluster) as running, serving(running) as server:
        cluster.claim()
        cluster.bound()
        for path in ("/healthz", "/healthz/leader-election", "/readyz", "/readyz?verbose=1"):
            assert page(server.port, path) == (200, "ok\n")
        assert page(server.port, "/metrics")[0] == 200
        assert page(server.port, "/secrets") == (404, "try /healthz, /healthz/leader-election, /readyz, /metrics\n")


def test_a_bad_entry_is_named_by_readiness_and_takes_nobody_out(cluster: Cluster) -> None:
    """Point 64."""
    import json
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"].append({"MgmtEndPoint": "192.0.2.99"})
    cluster.pure_json.write_text(json.dumps(fleet))
    with program(cluster) as running:
        cluster.claim()
        cluster.bound()
        with serving(running) as server:
            status, body = page(server.port, "/readyz")
    assert status == 200 and body.splitlines()[0] == "ok" and "FlashArrays[2]: add APIToken" in body


def test_a_port_in_use_is_no_reason_not_to_work(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    taken = ProbeServer(0, {})
    with program(cluster, health_port=taken.port):
        cluster.claim()
        cluster.bound()
    assert f"no health and metrics on port {taken.port}" in caplog.text


def test_ready_means_a_claim_could_be_served(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-86, 2.2, point 64: one array of many away is no reason; all of them, pure.json, or the API are. Alive always."""
    with program(cluster) as running:
        cluster.claim()
        cluster.bound()
        until(lambda: not running.not_ready(), "ready")
        fa1.faults.add(reset=True)
        until(lambda: any("cannot be reached" in backend.state().problem for backend in running.backends), "fa1 away")
        assert running.not_ready() == []
        for array in cluster.sim.arrays:
            array.faults.add(reset=True)
        until(lambda: len(running.not_ready()) == 3, "all arrays away")
        for array in cluster.sim.arrays:
            array.faults.clear()
        until(lambda: not running.not_ready(), "ready again")
        cluster.pure_json.write_text("{broken")
        until(lambda: any("is not JSON" in complaint for complaint in running.not_ready()), "pure.json complained of")
        cluster.write_fleet()
        until(lambda: not running.not_ready(), "ready at last")
        assert running.dead_parts() == []


def test_an_api_that_is_silent(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """AT-86: readiness fails, liveness does not, for its loop turns; a loop that stands still is another matter."""
    with program(cluster) as running:
        cluster.claim()
        cluster.bound()
        monkeypatch.setattr("provisioner.program.Timing", lambda: Timing(silence=0.05, longest_delay=0.0))
        cluster.api.faults.add(verb="watch", drop=True, times=None)
        cluster.api.drop_watches()
        until(lambda: any("the Kubernetes API is silent" in complaint for complaint in running.not_ready()), "not ready")
        running.loop.informers[0].turned -= 1000.0
        assert any("stands still" in complaint for complaint in running.dead_parts())


def test_a_dead_thread_ends_the_program(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point 51: nobody works on while a worker or watch is missing; status 1, to be started anew."""
    found = Program(cluster.settings())
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(found.run(threading.Event())))
    thread.start()
    cluster.claim()
    cluster.bound()
    monkeypatch.setattr(found.loop.pvs, "_changed", lambda old, new: 1 / 0)
    cluster.claim("next")
    thread.join(PATIENCE)
    assert ended == [1]


def test_a_late_lead_is_unhealthy(cluster: Cluster) -> None:
    """Point 50, 2.2: a standby never is, a leader 20 s after its lease."""
    found = Program(cluster.settings(leader_election=True))
    assert found.late_lead() == []
    found.elector.leading.set()
    assert "was not renewed" in found.late_lead()[0]


# The sweep

SWEEP = {"sweep_every": 0.1, "sweep_grace": 0.3}


def test_c5_a_volume_left_by_a_crash_is_reported(cluster: Cluster, fa1: FlashArray) -> None:
    """Point 25: reported and not destroyed; nothing else is, neither what waits for its PV nor what is connected."""
    saving = cluster.api.faults.add(verb="create", resource=PVS, drop=True, times=None)
    with cluster.process() as process:
        cluster.claim()
        until(lambda: saving.hits, "the PV on its way")
        process.kill()
        process.join()
    left = cluster.volume()
    cluster.delete_claim()
    saving.clear()
    fa1.add_volume(f"k8s2-pvc-{UID}", 2**30)
    fa1.add_volume("k8s-pvc-00000000-0000-0000-0000-000000000001", 2**30)
    fa1.add_host("somebody", iqns=["iqn.2001-01.com.example:x"])
    fa1.connect("somebody", "k8s-pvc-00000000-0000-0000-0000-000000000001")
    with program(cluster, **SWEEP) as running:
        cluster.claim("other")
        cluster.bound("other")
        event = cluster.event("OrphanVolumes", "pure-provisioner")
        assert f'pure_orphan_volumes{{array="{fa1.endpoint}"}} 1.0' in running._metrics.page().decode()
    assert left in event["message"] and "000001" not in event["message"] and left in cluster.live()


def test_an_orphan_is_destroyed_only_if_told_to_and_provably_ours(cluster: Cluster, fa1: FlashArray) -> None:
    """Issue 6, point 5: the claim was seen here, and seen to go unbound; a name of that form alone proves nothing."""
    import json
    fa1.add_volume(f"k8s-pvc-{UID}", 2**30)                 # of another cluster with the same prefix, for all we know
    saving = cluster.api.faults.add(verb="create", resource=PVS, status=503, times=None)
    with program(cluster, **SWEEP, sweep_destroy=True) as found:
        cluster.claim(selector={"matchLabels": {"env": "dev"}})
        until(lambda: saving.hits, "a volume without PV")
        left, fleet = cluster.volume(), cluster.sim.pure_json()
        cluster.pure_json.write_text(json.dumps({**fleet, "FlashArrays": fleet["FlashArrays"][1:]}))
        until(lambda: len(found.backends) == 2, "fa1 left")
        cluster.delete_claim()
        until(lambda: cluster.api.get("persistentvolumeclaims", "data") is None, "claim gone")
        saving.clear()
        cluster.claim("other")
        cluster.bound("other")
        cluster.write_fleet()
        until(lambda: fa1.volume(left).destroyed, "destroyed")
        cluster.event("OrphanVolumes", "", UID)
    assert f"k8s-pvc-{UID}" in cluster.live() and cluster.volume("other") in cluster.live()


def test_r5_a_second_volume_of_the_same_name_is_reported(cluster: Cluster, fa2: FlashArray) -> None:
    with cluster.provisioner(**SWEEP):
        cluster.claim()
        cluster.bound()
        fa2.add_volume(cluster.volume(), 2**30)
        assert f"{cluster.volume()} on {fa2.endpoint}" in cluster.event("OrphanVolumes")["message"]


def test_a_sweep_goes_on_without_an_array_and_after_a_refusal(
        cluster: Cluster, fa1: FlashArray, fa2: FlashArray, caplog: pytest.LogCaptureFixture) -> None:
    fa2.add_volume(f"k8s-pvc-{UID}", 2**30)
    with cluster.provisioner(**SWEEP):
        cluster.settled()
        refused = cluster.api.faults.add(verb="list", resource=PVS, status=500, times=1)
        fa1.faults.add(reset=True)
        assert f"k8s-pvc-{UID} on {fa2.endpoint}" in cluster.event("OrphanVolumes")["message"]
    assert refused.hits == 1 and "orphan sweep broke off" in caplog.text
