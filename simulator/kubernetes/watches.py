"""Watches: one stream of JSON lines per request, from a revision on, with bookmarks and the ways streams die.

As the real server does: with resourceVersion no initial events, without (or "0") an ADDED for everything there; a
revision that is compacted away answers 200 with an ERROR event carrying a 410 Status (older servers: HTTP status 410, see
`gone_as_status`); objects that start or stop matching a selector appear as ADDED or DELETED.
"""
import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from simulator.kubernetes import lists, selectors
from simulator.kubernetes.faults import Fault
from simulator.kubernetes.resources import Resource
from simulator.kubernetes.status import ApiError, expired, invalid
from simulator.kubernetes.store import Event, Store
from simulator.kubernetes.version import Version


class Watches:
    """Answers WATCH."""

    def __init__(self, store: Store, version: Version, bookmark_interval: float) -> None:
        self._store = store
        self._version = version
        self.bookmark_interval = bookmark_interval   # seconds; about a minute on a real server
        self.gone_as_status = False
        self._open: set[_Stream] = set()

    async def answer(self, request: web.BaseRequest, resource: Resource, namespace: str, query: Mapping[str, str],
                     fault: Fault | None) -> web.StreamResponse:
        """Stream until timeoutSeconds have passed, the client goes, or a fault ends it."""
        tests = lists.tests(resource, query)
        if namespace:
            tests.append(lambda found: found["metadata"].get("namespace") == namespace)
        if query.get("sendInitialEvents") and not self._version.streaming_lists:
            raise invalid(resource, "", [("sendInitialEvents", "FieldValueForbidden", "Forbidden: sendInitialEvents is "
                                          "forbidden for watch unless the WatchList feature gate is enabled")])
        stream = _Stream(self._store, resource, tests)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            stream.start(query)
        except LookupError as error:
            if self.gone_as_status:
                raise expired(str(error)) from None
            await response.prepare(request)
            await response.write(_error_line(expired(str(error))))
            return response
        self._open.add(stream)
        try:
            await response.prepare(request)
            await self._run(stream, request, response, query, fault)
        except (ConnectionResetError, ConnectionError):
            pass                         # the client went away; nothing is left to tell it
        finally:
            self._open.discard(stream)
            stream.stop()
        return response

    def drop_all(self) -> int:
        """Break every open stream off, as a restarting API server does; how many there were. Event loop only."""
        for stream in self._open:
            stream.broken = True
            stream.wake.set()
        return len(self._open)

    async def _run(self, stream: "_Stream", request: web.BaseRequest, response: web.StreamResponse,
                   query: Mapping[str, str], fault: Fault | None) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (float(query.get("timeoutSeconds") or 0) or random.uniform(1800, 3600))
        bookmarks = self._version.bookmarks and query.get("allowWatchBookmarks") in ("true", "1")
        next_bookmark = loop.time() + self.bookmark_interval
        sent = 0
        while True:
            if stream.broken:
                _abort(request)
                return
            if fault and fault.stream and sent >= fault.events:
                await _break_off(fault, request, response)
                return
            lines = stream.take(max(fault.events - sent, 1) if fault and fault.stream else 0)
            for line in lines if fault and fault.pause else ():
                await asyncio.sleep(fault.pause if fault else 0)
                await response.write(line)
            if lines and not (fault and fault.pause):
                await response.write(b"".join(lines))
            sent += len(lines)
            now = loop.time()
            if now >= end:
                if bookmarks:
                    await response.write(stream.bookmark())
                return
            if bookmarks and now >= next_bookmark:
                await response.write(stream.bookmark())
                next_bookmark = now + self.bookmark_interval
            if not stream.pending:
                await stream.wait(min(end, next_bookmark if bookmarks else end) - now)


class _Stream:
    """One watch: the changes not yet sent, filled by the store's thread, emptied by the event loop."""

    def __init__(self, store: Store, resource: Resource, tests: list[selectors.Test]) -> None:
        self._store = store
        self._resource = resource
        self._tests = tests
        self._loop = asyncio.get_running_loop()
        self._seen = 0
        self._told = False
        self._stop: Callable[[], None] = lambda: None
        self.pending: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self.broken = False

    def start(self, query: Mapping[str, str]) -> None:
        """Subscribe; LookupError when the revision is too old."""
        wanted = query.get("resourceVersion", "")
        with self._store.lock:
            if query.get("sendInitialEvents") in ("true", "1"):
                self._initial()
                self.pending.append(self._bookmark(self._store.revision, {"k8s.io/initial-events-end": "true"}))
                since = None
            elif wanted in ("", "0"):
                self._initial()
                since = None
            else:
                since = int(wanted)
            self._seen = max(self._seen, since or self._store.revision)
            self._stop = self._store.subscribe(self._resource, self._take_in, since)

    def stop(self) -> None:
        """Unsubscribe."""
        self._stop()

    def take(self, at_most: int) -> list[bytes]:
        """The lines to send now; 0 means all."""
        self._told = False
        self.wake.clear()
        number = len(self.pending) if not at_most else min(at_most, len(self.pending))
        return [self.pending.popleft() for _ in range(number)]

    async def wait(self, seconds: float) -> None:
        """Until something happens, or the time is over."""
        timer = self._loop.call_later(max(seconds, 0.0), self.wake.set)
        await self.wake.wait()
        timer.cancel()

    def bookmark(self) -> bytes:
        """A BOOKMARK with the newest revision this stream has got past."""
        with self._store.lock:
            return self._bookmark(self._store.revision if not self.pending else self._seen, {})

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        metadata = {"resourceVersion": str(revision), **({"annotations": annotations} if annotations else {})}
        return json.dumps({"type": "BOOKMARK", "object": {"kind": self._resource.kind, "metadata": metadata,
                                                          "apiVersion": self._resource.api_version}}).encode() + b"\n"

    def _initial(self) -> None:
        for stored in self._store.list(self._resource):
            if all(test(stored.object) for test in self._tests):
                self.pending.append(_line("ADDED", stored.full))

    def _take_in(self, event: Event) -> None:
        kind: str | None = event.type
        if self._tests:
            kind = self._kind_for_selector(event)
        if kind is None:
            return
        self.pending.append(_line(kind, event.stored.full))
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self.wake.set)

    def _kind_for_selector(self, event: Event) -> str | None:
        matches = event.type != "DELETED" and all(test(event.stored.object) for test in self._tests)
        matched = event.previous is not None and all(test(event.previous.object) for test in self._tests)
        return {(True, True): "MODIFIED", (True, False): "ADDED", (False, True): "DELETED"}.get((matches, matched))


def _line(kind: str, content: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + content + b"}\n"


def _error_line(error: ApiError) -> bytes:
    return _line("ERROR", error.to_json())


async def _break_off(fault: Fault, request: web.BaseRequest, response: web.StreamResponse) -> None:
    if fault.stream == "stall":
        while not fault.cleared.is_set() and request.transport is not None:
            await asyncio.sleep(0.05)
        _abort(request)
    elif fault.stream == "half":
        await response.write(b'{"type":"ADDED","object":{"kind":"Persis')
        _abort(request)
    elif fault.stream == "garbage":
        await response.write(b"this is not JSON\n")
    elif fault.stream == "gone":
        await response.write(_error_line(expired("too old resource version: 1 (2)")))
    elif fault.stream == "error":
        await response.write(_error_line(ApiError(500, "InternalError", "etcdserver: no leader")))
    elif fault.stream == "cut":
        _abort(request)


def _abort(request: web.BaseRequest) -> Any:
    if request.transport is not None:
        request.transport.abort()
