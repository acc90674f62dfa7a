"""Events: counted, bounded, never in the way (1.10, checklist 21, 62)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provisioner.events import About, Recorder
from provisioner.kube import Kube
from simulator.kubernetes import KubeApi
from simulator.kubernetes.access import published_chart, rule
from tests.provisioner.access import access
from tests.provisioner.waiting import until

DATA = About("PersistentVolumeClaim", "default", "data", "uid-1", "7")


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as server:
        yield server


@contextmanager
def recorder(api: KubeApi, *, rules: tuple = published_chart("pure"), **more: object) -> Iterator[Recorder]:
    """A recorder whose events are all written when the block ends."""
    kube = Kube(access(api, api.add_user("us", rules)))
    found = Recorder(kube, "pure-provisioner_pod-1_abc", **more)      # type: ignore[arg-type]
    thread = threading.Thread(target=found.run)
    thread.start()
    yield found
    found.stop()
    thread.join(10)


def test_an_event_says_who_what_and_about_whom(api: KubeApi) -> None:
    with recorder(api) as events:
        events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
    event, = api.events()
    told = (event["type"], event["reason"], event["message"], event["count"])
    assert told == ("Warning", "ProvisioningFailed", "no array fits", 1)
    assert event["involvedObject"] == {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data",
                                       "uid": "uid-1", "apiVersion": "v1", "resourceVersion": "7"}
    assert event["source"] == {"component": "pure-provisioner_pod-1_abc"}


def test_events_about_pvs_live_in_default(api: KubeApi) -> None:
    with recorder(api) as events:
        events.tell(About("PersistentVolume", "", "pvc-1", "uid-2"), "Normal", "VolumeDelete", "in use")
    assert api.events("pvc-1")[0]["metadata"]["namespace"] == "default"


def test_equal_events_are_counted_up(api: KubeApi) -> None:
    with recorder(api) as events:
        for _ in range(5):
            events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
        events.tell(DATA, "Warning", "ProvisioningFailed", "another reason")
    assert {(event["message"], event["count"]) for event in api.events()} == {("no array fits", 5), ("another reason", 1)}


def test_an_event_that_expired_meanwhile_is_written_anew(api: KubeApi) -> None:
    with recorder(api) as events:
        events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
        until(api.events, "the first")
        api.delete("events", api.events()[0]["metadata"]["name"])
        events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
    assert [event["count"] for event in api.events()] == [1]


def test_a_role_without_patch_still_tells(api: KubeApi) -> None:
    with recorder(api, rules=(rule("events", "create"),)) as events:
        for _ in range(3):
            events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
    assert len(api.events()) == 3


def test_many_similar_events_become_one(api: KubeApi) -> None:
    """client-go aggregates more than ten within ten minutes."""
    with recorder(api) as events:
        for number in range(20):
            events.tell(DATA, "Warning", "ProvisioningFailed", f"try {number}")
    combined = [event for event in api.events() if event["message"].startswith("(combined from similar events): ")]
    assert len(api.events()) == 11 and [event["count"] for event in combined] == [10]


def test_one_object_gets_25_events_at_most_in_a_burst(api: KubeApi) -> None:
    """Point 62, writes counted: 25, then one every five minutes; another object is not concerned."""
    with recorder(api) as events:
        for number in range(60):
            events.tell(DATA, "Warning", "ProvisioningFailed", "no array fits")
        events.tell(DATA._replace(uid="uid-9", name="other"), "Warning", "ProvisioningFailed", "no array fits")
    assert api.events("data")[0]["count"] == 25 and len(api.events("other")) == 1
    assert events.dropped == 35


def test_normal_events_have_a_rate_and_warnings_do_not(api: KubeApi) -> None:
    with recorder(api, rates={"ProvisioningSucceeded": (3, 60.0)}) as events:
        for number in range(8):
            about = DATA._replace(uid=f"uid-{number}", name=f"c{number}")
            events.tell(about, "Normal", "ProvisioningSucceeded", "done")
            events.tell(about, "Warning", "ProvisioningFailed", "no")
    assert len(api.events(reason="ProvisioningSucceeded")) == 3 and len(api.events(reason="ProvisioningFailed")) == 8


@pytest.mark.parametrize("length", [1024, 1025, 5000])
def test_long_messages_are_cut(api: KubeApi, length: int) -> None:
    with recorder(api) as events:
        events.tell(DATA, "Warning", "ProvisioningFailed", "x" * length)
    message = api.events()[0]["message"]
    assert len(message) == 1024 and message.endswith("..." if length > 1024 else "x")


def test_a_name_of_253_characters_leaves_room_for_the_events_own(api: KubeApi) -> None:
    with recorder(api) as events:
        events.tell(DATA._replace(name="a" * 253), "Normal", "Provisioning", "at it")
    assert len(api.events()[0]["metadata"]["name"]) <= 253


def test_a_full_queue_drops_and_an_api_that_refuses_does_not_end_it(api: KubeApi) -> None:
    fault = api.faults.add(resource="events", status=500, times=None)
    with recorder(api) as events:
        for number in range(5):
            events.tell(DATA._replace(uid=f"u{number}"), "Normal", "Provisioning", "at it")
        until(lambda: len(api.asked("create", "events")) == 5, "five tries")
        fault.clear()
        events.tell(DATA, "Normal", "Provisioning", "at it")
    assert len(api.events()) == 1 and events.dropped == 5
    idle = Recorder(Kube(access(api)), "pure-provisioner")
    for number in range(1010):
        idle.tell(DATA, "Normal", "Provisioning", "at it")
    assert idle.dropped == 10
