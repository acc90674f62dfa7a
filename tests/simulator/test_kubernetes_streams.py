"""Lists in pages and watches of the stand-in API server, with the ways they go wrong."""
import json
import threading
import time
from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote

import pytest

from simulator.kubernetes import KubeApi
from tests.simulator.kubeclient import CLAIMS, PVS, Client, claim, pv

WATCH = f"{PVS}?watch=true"


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A server of the test's own, with bookmarks every 50 ms and five PVs."""
    with KubeApi(bookmark_interval=0.05) as server:
        for number in range(5):
            made = pv(f"pv-{number}")
            made["metadata"]["labels"] = {"env": "dev" if number % 2 else "prod", "rack": str(number)}
            server.create(made)
        yield server


@pytest.fixture
def client(api: KubeApi) -> Iterator[Client]:
    """The administrator."""
    with Client(api) as connected:
        yield connected


def names(answer: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    """Names of a list's items."""
    return [item["metadata"]["name"] for item in answer["items"]]


def version(client: Client) -> str:
    """The newest resourceVersion."""
    found: str = client.call("GET", PVS)[1]["metadata"]["resourceVersion"]
    return found


def test_pages_show_one_moment(api: KubeApi, client: Client) -> None:
    """What is written between two pages is not seen by the second; all pages carry the first one's version."""
    _, first = client.call("GET", f"{PVS}?limit=2")
    api.create(pv("pv-9"))
    seen, answer = names(first), first
    while token := answer["metadata"].get("continue"):
        _, answer = client.call("GET", f"{PVS}?limit=2&continue={quote(token)}")
        seen += names(answer)
        assert answer["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert seen == [f"pv-{number}" for number in range(5)]
    assert first["metadata"]["remainingItemCount"] == 3


def test_items_carry_no_kind(client: Client) -> None:
    """Built-in lists leave kind and apiVersion out of their items."""
    assert not {"kind", "apiVersion"} & set(client.call("GET", PVS)[1]["items"][0])


def test_an_expired_token_is_410_with_another_one(api: KubeApi, client: Client) -> None:
    """After compaction the page is refused; the token inside the Status lists the rest as it is now."""
    _, first = client.call("GET", f"{PVS}?limit=2")
    api.create(pv("pv-9"))
    api.compact()
    status, answer = client.call("GET", f"{PVS}?limit=2&continue={quote(first['metadata']['continue'])}")
    assert (status, answer["reason"]) == (410, "Expired")
    _, rest = client.call("GET", f"{PVS}?continue={quote(answer['metadata']['continue'])}")
    assert names(rest) == ["pv-2", "pv-3", "pv-4", "pv-9"]


def test_a_bad_token_is_400(client: Client) -> None:
    """So is a version beside a token."""
    assert client.call("GET", f"{PVS}?continue=bm9uc2Vuc2U=")[0] == 400
    token = quote(client.call("GET", f"{PVS}?limit=1")[1]["metadata"]["continue"])
    assert client.call("GET", f"{PVS}?continue={token}&resourceVersion=7")[0] == 400


def test_version_zero_is_not_paged(client: Client) -> None:
    """The watch cache answers resourceVersion=0 and ignores the limit."""
    _, answer = client.call("GET", f"{PVS}?limit=2&resourceVersion=0")
    assert len(answer["items"]) == 5 and "continue" not in answer["metadata"]


def test_a_version_from_the_future_is_504(client: Client) -> None:
    """Too large resource version: try again later."""
    status, answer = client.call("GET", f"{PVS}?resourceVersion=999999")
    assert (status, answer["reason"]) == (504, "Timeout")


@pytest.mark.parametrize(("selector", "expected"), [
    ("labelSelector=env=dev", [1, 3]), ("labelSelector=env%20in%20(dev,test),rack!=1", [3]),
    ("labelSelector=!env", []), ("labelSelector=env", [0, 1, 2, 3, 4]), ("labelSelector=rack%20notin%20(0,1,2)", [3, 4]),
    ("fieldSelector=metadata.name=pv-2", [2]), ("fieldSelector=metadata.name!=pv-2", [0, 1, 3, 4]),
])
def test_selectors_filter(client: Client, selector: str, expected: list[int]) -> None:
    """Label and field selectors of a list."""
    assert names(client.call("GET", f"{PVS}?{selector}")[1]) == [f"pv-{number}" for number in expected]


def test_an_unknown_field_selector_is_400(client: Client) -> None:
    """Only some fields can be selected by."""
    status, answer = client.call("GET", f"{PVS}?fieldSelector=spec.capacity=x")
    assert (status, answer["message"]) == (400, "field label not supported: spec.capacity")


def test_a_watch_from_a_version_starts_after_it(api: KubeApi, client: Client) -> None:
    """No initial events, then each change once and in order; a deletion carries a version of its own."""
    stream = client.events(f"{WATCH}&resourceVersion={version(client)}&timeoutSeconds=5")
    api.create(pv("pv-9"))
    api.patch("persistentvolumes", "pv-9", {"metadata": {"finalizers": None}})
    api.delete("persistentvolumes", "pv-9")
    seen = list(islice(stream, 3))
    assert [event["type"] for event in seen] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))
    assert seen[0]["object"]["kind"] == "PersistentVolume"


def test_a_watch_without_version_begins_with_everything(client: Client) -> None:
    """An ADDED for each object, then changes."""
    assert [event["object"]["metadata"]["name"] for event in islice(client.events(WATCH), 5)] == [
        f"pv-{number}" for number in range(5)]


def test_a_streaming_list_ends_with_a_marked_bookmark(client: Client) -> None:
    """sendInitialEvents: everything, then a bookmark that says so."""
    path = f"{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    *initial, mark = islice(client.events(path), 6)
    assert [event["type"] for event in initial] == ["ADDED"] * 5
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_bookmarks_advance_the_version_of_an_idle_watch(api: KubeApi, client: Client) -> None:
    """Writes to other kinds move the bookmark."""
    before = version(client)
    stream = client.events(f"{WATCH}&resourceVersion={before}&allowWatchBookmarks=true")
    api.create(claim("other"))
    marks = (event for event in stream if int(event["object"]["metadata"]["resourceVersion"]) > int(before))
    assert next(marks)["type"] == "BOOKMARK"


def test_timeout_seconds_ends_a_watch_politely(client: Client) -> None:
    """The stream closes by itself, and without being asked for there are no bookmarks."""
    began = time.monotonic()
    assert list(client.events(f"{WATCH}&resourceVersion={version(client)}&timeoutSeconds=1")) == []
    assert 0.9 < time.monotonic() - began < 5


def test_a_compacted_version_is_an_error_event(api: KubeApi, client: Client) -> None:
    """HTTP 200, then one ERROR event with a 410 Status."""
    before = version(client)
    api.create(pv("pv-9"))
    api.compact()
    [event] = client.events(f"{WATCH}&resourceVersion={before}")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_older_servers_answer_410_as_http_status() -> None:
    """The other place where "too old" is said."""
    with KubeApi(gone_as_status=True) as api, Client(api) as client:
        before = version(client)
        api.create(pv("pv-9"))
        api.compact()
        assert client.call("GET", f"{WATCH}&resourceVersion={before}")[0] == 410


def test_history_is_bounded() -> None:
    """Only so many changes are remembered; a watch that is further behind gets 410."""
    with KubeApi(remembered=3) as api, Client(api) as client:
        before = version(client)
        for number in range(4):
            api.create(pv(f"pv-{number}"))
        [event] = client.events(f"{WATCH}&resourceVersion={before}")
        assert event["object"]["code"] == 410


def test_a_selector_turns_changes_into_coming_and_going(api: KubeApi, client: Client) -> None:
    """An object that stops matching is DELETED for this watch, one that starts is ADDED."""
    stream = client.events(f"{WATCH}&labelSelector=env=dev&resourceVersion={version(client)}")
    api.patch("persistentvolumes", "pv-0", {"metadata": {"labels": {"env": "dev"}}})
    api.patch("persistentvolumes", "pv-1", {"metadata": {"labels": {"env": "prod"}}})
    seen = [(event["type"], event["object"]["metadata"]["name"]) for event in islice(stream, 2)]
    assert seen == [("ADDED", "pv-0"), ("DELETED", "pv-1")]


def test_a_namespaced_watch_sees_its_namespace(api: KubeApi, client: Client) -> None:
    """Claims of other namespaces do not appear."""
    stream = client.events(f"{CLAIMS}?watch=1&resourceVersion={version(client)}")
    foreign = claim("foreign")
    foreign["metadata"]["namespace"] = "kube-public"
    api.create(foreign)
    api.create(claim("own"))
    assert next(stream)["object"]["metadata"]["name"] == "own"


def test_every_stream_sees_every_change_from_many_writers(api: KubeApi, client: Client) -> None:
    """Four writers, two watchers: nothing lost, nothing twice."""
    start = version(client)

    def write(base: int) -> None:
        for number in range(25):
            api.create(pv(f"many-{base}-{number}"))
    writers = [threading.Thread(target=write, args=(base,)) for base in range(4)]
    streams = [client.events(f"{WATCH}&resourceVersion={start}") for _ in range(2)]
    for writer in writers:
        writer.start()
    for stream in streams:
        assert len({event["object"]["metadata"]["name"] for event in islice(stream, 100)}) == 100
    for writer in writers:
        writer.join()


@pytest.mark.parametrize(("stream", "last"), [
    ("end", None), ("garbage", b"this is not JSON\n"), ("half", b'{"type":"ADDED","object":{"kind":"Persis'),
    ("gone", b"410"), ("error", b"500"), ("cut", None)])
def test_streams_die_in_every_way(api: KubeApi, client: Client, stream: str, last: bytes | None) -> None:
    """After two events the stream ends as the fault says."""
    api.faults.add(verb="watch", resource="persistentvolumes", stream=stream, events=2)
    lines: list[bytes] = []
    try:
        lines.extend(client.lines(WATCH))
    except OSError:
        assert stream in ("half", "cut")
    whole = [line for line in lines if line.startswith(b'{"type":"ADDED"') and line.endswith(b"\n")]
    assert len(whole) == 2
    if last is not None and lines[2:]:
        assert last in lines[2]


def test_a_stalled_stream_says_nothing_until_it_is_cleared(api: KubeApi, client: Client) -> None:
    """Connection open, no events, no bookmarks: what a lost NAT entry looks like."""
    fault = api.faults.add(verb="watch", stream="stall", events=0)
    with pytest.raises(TimeoutError):
        list(client.lines(f"{WATCH}&allowWatchBookmarks=true", timeout=0.3))
    fault.clear()


def test_a_slow_stream_trickles(api: KubeApi, client: Client) -> None:
    """Each event comes late."""
    api.faults.add(verb="watch", pause=0.05)
    began = time.monotonic()
    assert len(list(islice(client.events(WATCH), 5))) == 5
    assert time.monotonic() - began >= 0.2


def test_dropped_watches_are_all_dropped(api: KubeApi, client: Client) -> None:
    """As when the API server restarts."""
    stream = client.lines(f"{WATCH}&allowWatchBookmarks=true&resourceVersion={version(client)}")
    assert json.loads(next(stream))["type"] == "BOOKMARK"
    assert api.drop_watches() == 1
    try:
        assert all(b"BOOKMARK" in line for line in stream)
    except OSError:
        pass                             # either way the stream is over


def test_a_broken_client_leaves_nothing_behind(api: KubeApi, client: Client) -> None:
    """A watch whose client went away is unsubscribed with the next write."""
    stream = client.lines(f"{WATCH}&allowWatchBookmarks=true")
    next(stream)
    stream.close()
    api.wait_for(lambda: not api.store._subscribers["persistentvolumes"], "the stream's end", 5)
