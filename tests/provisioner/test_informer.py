"""Lists and watches (checklist 52, 53, 54, 55, 63; R10)."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from provisioner import informer as informer_module
from provisioner.informer import Informer, Timing
from provisioner.kube import NODES, Kube
from simulator.kubernetes import KubeApi
from simulator.kubernetes.access import rule
from tests.provisioner.access import access
from tests.provisioner.waiting import until

QUICK = Timing(silence=1.0, shortest_watch=5.0, longest_watch=6.0, first_delay=0.02, longest_delay=0.1)
READ = rule("nodes", "get list watch")
Change = tuple[str | None, str | None]


def node(name: str, mark: str = "1") -> dict[str, Any]:
    """The plainest object there is: no finalizers, no controller."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"mark": mark}}}


class Following(Informer[str]):
    """An informer of nodes that keeps "name mark" and notes every change."""

    def __init__(self, kube: Kube, timing: Timing) -> None:
        self.changes: list[Change] = []
        super().__init__(kube, NODES, lambda raw: None if raw["metadata"]["name"].startswith("foreign") else
                         f"{raw['metadata']['name']} {raw['metadata']['labels']['mark']}",
                         lambda raw: raw["metadata"]["uid"], lambda old, new: self.changes.append((old, new)), timing)

    def names(self) -> set[str]:
        return {record.split()[0] for record in list(self.cache.values())}


@contextmanager
def following(api: KubeApi, timing: Timing = QUICK) -> Iterator[Following]:
    """An informer on a thread, synced; it has to end when told to."""
    user = api.add_user("us", (READ,))
    found = Following(Kube(access(api, user)), timing)
    thread = threading.Thread(target=found.run, daemon=True)
    thread.start()
    assert found.synced.wait(10)
    try:
        yield found
    finally:
        found.stop()
        api.drop_watches()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi(bookmark_interval=0.2) as server:
        yield server


def test_what_is_there_and_what_happens_afterwards(api: KubeApi) -> None:
    api.create(node("a"))
    with following(api) as nodes:
        api.create(node("b"))
        api.create(node("foreign"))
        api.patch("nodes", "a", {"metadata": {"labels": {"mark": "2"}}})
        api.delete("nodes", "b")
        until(lambda: len(nodes.changes) == 4, "four changes")
    assert nodes.changes == [(None, "a 1"), (None, "b 1"), ("a 1", "a 2"), ("b 1", None)]


def test_long_lists_come_in_pages(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of one snapshot; every object is there once."""
    monkeypatch.setattr(informer_module, "PAGE", 3)
    for number in range(8):
        api.create(node(f"n-{number}"))
    with following(api) as nodes:
        assert nodes.names() == {f"n-{number}" for number in range(8)}
    assert len(api.asked("list", "nodes")) == 3


def test_pages_whose_snapshot_is_gone_are_listed_in_one_piece(api: KubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A continue token lives for some minutes; 410 in the middle of a list is no end."""
    monkeypatch.setattr(informer_module, "PAGE", 3)
    for number in range(8):
        api.create(node(f"n-{number}"))
    calls = []
    real = Kube.list_page

    def compacting(self: Kube, path: str, limit: int = 0, token: str = "") -> Any:
        calls.append(token)
        if len(calls) == 2:
            api.compact()
        return real(self, path, limit, token)
    monkeypatch.setattr(Kube, "list_page", compacting)
    with following(api) as nodes:
        assert len(nodes.names()) == 8
    assert calls[0] == "" and calls[-1] == ""


def test_servers_before_1_9_give_everything_at_once_and_no_bookmarks() -> None:
    """Point 63: limit and allowWatchBookmarks are parameters such servers do not know."""
    with KubeApi(version="1.6") as old:
        for number in range(4):
            old.create(node(f"n-{number}"))
        with following(old) as nodes:
            old.create(node("later"))
            until(lambda: "later" in nodes.names(), "the event")


@pytest.mark.parametrize("stream", ["cut", "half", "garbage", "error", "end"])
def test_a_stream_that_breaks_is_taken_up_again_without_a_new_list(api: KubeApi, stream: str) -> None:
    """R10: nothing is lost and nothing told twice, whatever way a watch ends."""
    api.faults.add(verb="watch", stream=stream, events=1)
    with following(api) as nodes:
        for name in ("a", "b", "c"):
            api.create(node(name))
        until(lambda: len(nodes.changes) == 3, "three changes")
        assert nodes.relists == 0
    assert nodes.changes == [(None, "a 1"), (None, "b 1"), (None, "c 1")]


def test_only_the_first_list_is_frozen() -> None:
    """What the collector is told to pass over it passes over for ever, garbage too: a list after each break would leak."""
    with KubeApi(bookmark_interval=60) as api:
        api.create(node("one"))
        with following(api) as nodes:
            frozen = gc.get_freeze_count()
            assert frozen
            fault = api.faults.add(verb="watch", status=500, times=None)
            api.drop_watches()
            until(lambda: fault.hits > 0, "the gap")
            api.create(node("two"))
            api.compact()
            fault.clear()
            until(lambda: nodes.relists, "a list anew")
            assert nodes.names() == {"one", "two"} and gc.get_freeze_count() <= frozen and gc.isenabled()


@pytest.mark.parametrize("way", ["in the body", "as HTTP status"])
def test_410_leads_to_a_new_list_and_what_was_missed_is_told(way: str) -> None:
    """Point 52, R10: deletes during the gap are noticed, and a recreated namesake is another object."""
    with KubeApi(bookmark_interval=60, gone_as_status=way != "in the body") as api:
        for name in ("stays", "goes", "again"):
            api.create(node(name))
        with following(api) as nodes:
            nodes.changes.clear()
            fault = api.faults.add(verb="watch", status=500, times=None)
            api.drop_watches()
            until(lambda: fault.hits > 0, "the gap")
            api.delete("nodes", "goes")
            api.delete("nodes", "again")
            api.create(node("again"))
            api.create(node("new"))
            api.compact()
            fault.clear()
            until(lambda: nodes.names() == {"stays", "again", "new"} and nodes.relists == 1, "what is there now")
    assert sorted(map(str, nodes.changes)) == sorted(map(str, [
        ("goes 1", None), ("again 1", None), (None, "again 1"), (None, "new 1")]))


def test_a_silent_stream_is_noticed(api: KubeApi) -> None:
    """Point 52: after Timing.silence (70 s in service) without event or bookmark the connection is dead."""
    api.faults.add(verb="watch", stream="stall")
    with following(api, QUICK._replace(silence=0.3)) as nodes:
        api.create(node("a"))
        until(lambda: "a" in nodes.names(), "the object behind the stall")
        assert nodes.relists == 0


def test_before_a_bookmark_was_seen_watches_end_by_themselves_in_time() -> None:
    """A server that sends none must not look dead, and a dead one must be noticed as soon."""
    with KubeApi(bookmark_interval=3600) as api:
        opened = api.faults.add(verb="watch", times=None)
        with following(api, Timing()):
            until(lambda: opened.hits, "a watch")
        seconds = int(api.asked("watch")[0].path.partition("timeoutSeconds=")[2].partition("&")[0])
    assert 40 <= seconds <= 65


def test_bookmarks_move_the_version_so_that_compaction_costs_no_list() -> None:
    """Point 53: an idle time costs no list."""
    with KubeApi(bookmark_interval=0.05) as api:
        opened = api.faults.add(verb="watch", times=None)
        with following(api) as nodes:
            before = nodes.version
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
            until(lambda: nodes.version != before, "a bookmark")
            api.compact()
            api.drop_watches()
            until(lambda: opened.hits == 2, "the next watch")
            api.create(node("a"))
            until(lambda: "a" in nodes.names(), "the event")
            assert nodes.relists == 0


def test_failures_are_waited_out_and_not_hammered(api: KubeApi) -> None:
    """kubernetes.informer repeated a refused watch 23 times a second."""
    slow = QUICK._replace(first_delay=0.1, longest_delay=0.2)
    with following(api, slow) as nodes:
        fault = api.faults.add(verb="watch", status=403, times=None)
        began = time.monotonic()
        api.drop_watches()
        until(lambda: fault.hits >= 4, "four tries")
        assert time.monotonic() - began > 0.2
        fault.clear()
        api.create(node("a"))
        until(lambda: "a" in nodes.names(), "the event afterwards")


def test_an_api_that_is_away_at_the_start_is_waited_for(api: KubeApi) -> None:
    api.faults.add(verb="list", drop=True, times=2)
    with following(api) as nodes:
        assert nodes.synced.is_set()


def test_a_stopped_informer_ends(api: KubeApi) -> None:
    with following(api):
        pass
