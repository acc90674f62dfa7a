"""One kind of API objects, listed in pages and then watched: a cache of small records, and a call for each change.

    list pages of 500 ──► differences to the cache ──► watch from the list's resourceVersion ──► every event
         ▲                                                │ ended, broken, silent: again from the last version
         └──────────────── 410 Gone ──────────────────────┘

Why each part is as it is: provisioner.md 3.7 of the reference (kubernetes-client/python#728, #2223, #1148; kopf#1268).
* A silent connection is noticed after `Timing.silence` seconds: API servers send bookmarks about every minute. Until
  one was seen (none before 1.16) watches are asked to end within that time by themselves: a hang is noticed as soon.
* Nothing is retried faster than `Timing.first_delay`, doubling with jitter up to `Timing.longest_delay`.
* Only `parse`'s record is kept; the parsed JSON of a page is dropped page by page, with the collector off meanwhile.
"""

import gc
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from arrays.errors import PureError, Unreachable
from provisioner.apierrors import WHO, Gone, Malformed, failure_in_watch
from provisioner.kube import Kube
from provisioner.objects import Raw

log = logging.getLogger(__name__)

R = TypeVar("R")
PAGE = 500
_SOON = 0.5                     # seconds; a watch that ended within them counts as a failure


class Timing(NamedTuple):
    """Seconds."""

    silence: float = 70.0               # without an event or bookmark: the connection is taken for dead
    shortest_watch: float = 300.0       # a watch is asked to end after a random time between these two
    longest_watch: float = 600.0
    first_delay: float = 0.8            # after a failure
    longest_delay: float = 30.0


class Informer(Generic[R]):
    """Keeps `cache` (key -> record) like the API has it; `changed(old, new)` is told of each difference.

    `parse` gives None for objects that are not wanted; they are as if they were not there. `changed` runs on the
    informer's thread, so it must be quick; it is told after the cache was changed.
    """

    def __init__(self, kube: Kube, path: str, parse: Callable[[Raw], R | None], key: Callable[[Raw], str],
                 changed: Callable[[R | None, R | None], None], timing: Timing = Timing()) -> None:
        self._kube, self.path, self._parse, self._key, self._changed = kube, path, parse, key, changed
        self._timing = timing
        self.version = ""                       # resourceVersion the cache is up to; "" means list first
        self._bookmarks = False                 # whether this server ever sent one
        self._failures = 0
        self._stopped = threading.Event()
        self.cache: dict[str, R] = {}
        self.synced = threading.Event()         # the first list is in the cache
        self.progress = time.monotonic()        # when the server was last heard
        self.turned = time.monotonic()          # when this loop last did anything, failed tries included
        self.relists = 0
        self.name = path.rpartition("/")[2]

    def stop(self) -> None:
        """End `run` at the next event or time-out."""
        self._stopped.set()

    def run(self) -> None:
        """Follow the API until stopped. Foreseen errors are logged and waited out."""
        while not self._stopped.is_set():
            self.turned = time.monotonic()
            try:
                if not self.version:
                    self._list()
                self._watch()
            except Gone as error:
                log.info("watch of %s starts over: %s", self.name, error)
                self.version = ""
                self._wait(quick=self._failures == 0)
            except PureError as error:
                if not self._stopped.is_set():
                    log.warning("watch of %s broke off: %s", self.name, error)
                    self._wait()

    def _wait(self, quick: bool = False) -> None:
        """Back off; `quick` for a failure that a fresh list cures, unless it is not the first."""
        self._failures += 1
        if quick:
            return
        longest = min(self._timing.first_delay * 2 ** (self._failures - 1), self._timing.longest_delay)
        self._stopped.wait(longest * random.uniform(0.5, 1.0))

    # List

    def _list(self) -> None:
        found: dict[str, R] = {}
        with collector_off(freeze=not self.synced.is_set()):
            version = self._collect(found)
        for key in [key for key in self.cache if key not in found]:
            self._put(key, None)
        for key, record in found.items():
            if self.cache.get(key) != record:
                self._put(key, record)
        self.version = version
        self.relists += self.synced.is_set()
        self.progress = time.monotonic()
        self.synced.set()

    def _collect(self, found: dict[str, R]) -> str:
        """Read all pages into `found`; returns the resourceVersion of the list."""
        token, version, limit = "", "", PAGE
        while True:
            try:
                page = self._kube.list_page(self.path, limit, token)
            except (Gone, Malformed):
                if not token:
                    raise
                found.clear()                   # the pages' snapshot is gone: once more, in one piece
                token, version, limit = "", "", 0
                continue
            metadata = page.get("metadata") or {}
            version = version or str(metadata.get("resourceVersion") or "")
            for raw in page.get("items") or ():
                record = self._parse(raw)
                if record is not None:
                    found[self._key(raw)] = record
            token = metadata.get("continue") or ""
            if not token:
                return version

    # Watch

    def _watch(self) -> None:
        begun = time.monotonic()
        for lines in self._kube.watch(self.path, self._query(), self._timing.silence):
            self.progress = self.turned = time.monotonic()
            for line in lines:
                if line:
                    self._event(_parsed(line, self.name))
            if self._stopped.is_set():
                return
        self.progress = time.monotonic()
        if self.progress - begun < _SOON:       # a server that ends every watch at once must not be asked at once
            self._wait()
        else:
            self._failures = 0

    def _query(self) -> dict[str, Any]:
        timing = self._timing
        seconds = random.uniform(timing.shortest_watch, timing.longest_watch)
        if not self._bookmarks:
            seconds = min(seconds, timing.silence * random.uniform(0.7, 0.9))
        return {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": max(1, int(seconds)),
                "resourceVersion": self.version}

    def _event(self, event: Raw) -> None:
        kind, raw = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            raise failure_in_watch(raw, f"watch {self.name}")
        metadata = raw.get("metadata")
        if not isinstance(metadata, dict):
            raise Unreachable(WHO, f"watch {self.name}: an event without object")
        self.version = metadata.get("resourceVersion") or self.version
        self._failures = 0
        if kind == "BOOKMARK":
            self._bookmarks = True
        else:
            record = None if kind == "DELETED" else self._parse(raw)
            self._put(self._key(raw), record)

    def _put(self, key: str, record: R | None) -> None:
        """Change the cache and tell; nothing is told of an object that was and is not wanted."""
        old = self.cache.get(key)
        if record is None:
            if old is None:
                return
            del self.cache[key]
        else:
            self.cache[key] = record
        self._changed(old, record)


def _parsed(line: bytes, name: str) -> Raw:
    try:
        found = json.loads(line.decode())       # given bytes, json guesses at their encoding in Python
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(WHO, f"watch {name}: an event that is no JSON object")
    return found


_pauses = 0                     # the collector is the process's, so is the count of those who want it off
_freezes = False                # one of them reads its first list
_pauses_lock = threading.Lock()


@contextmanager
def collector_off(freeze: bool = False) -> Iterator[None]:
    """No garbage collection meanwhile: a list makes many objects and no cycles (0.60 s instead of 0.85 s for 20,000).

    What a first list leaves is cache: with `freeze` no later collection walks over it (2 ms instead of 256 ms). Once only:
    garbage that waits for the collector at that moment is frozen too, and stays for ever.
    """
    global _pauses, _freezes
    with _pauses_lock:
        _pauses += 1
        _freezes |= freeze
        gc.disable()
    try:
        yield
    finally:
        with _pauses_lock:
            _pauses -= 1
            if _pauses == 0:
                if _freezes:
                    gc.freeze()
                _freezes = False
                gc.enable()
