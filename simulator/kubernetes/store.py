"""What etcd and the watch cache are to the real server: objects by key, one growing revision, and the recent changes.

Objects here are never changed in place: each write stores a new dict and its JSON, so lists and watches only join
bytes. Safe for threads; subscribers are called with the lock held, in the order of the revisions.
"""
import bisect
import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from simulator.kubernetes.resources import ALL, Resource

Key = tuple[str, str]                    # namespace ("" when the kind has none), name


class Stored(NamedTuple):
    """One version of one object, without apiVersion and kind: the items of real lists do not carry them either."""
    resource: Resource
    key: Key
    revision: int
    object: dict[str, Any]
    raw: bytes                           # JSON of `object`

    @property
    def full(self) -> bytes:
        """JSON with kind and apiVersion, as GET answers it."""
        head = f'{{"kind":"{self.resource.kind}","apiVersion":"{self.resource.api_version}",'
        return head.encode() + self.raw[1:]

    def copy(self) -> dict[str, Any]:
        """A dict of the caller's own, with kind and apiVersion."""
        return {"kind": self.resource.kind, "apiVersion": self.resource.api_version, **json.loads(self.raw)}


class Event(NamedTuple):
    """One change: ADDED, MODIFIED or DELETED; `previous` is what was there before."""
    type: str
    stored: Stored
    previous: Stored | None


Subscriber = Callable[[Event], None]


class Store:
    """All objects of one pretend cluster."""

    def __init__(self, remembered: int = 20_000) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.revision = 1000
        self._remembered = remembered    # changes kept per kind; older ones are compacted away
        self._tables: dict[str, dict[Key, Stored]] = {resource.plural: {} for resource in ALL}
        self._sorted: dict[str, list[Key]] = {resource.plural: [] for resource in ALL}
        self._history: dict[str, deque[Event]] = {resource.plural: deque() for resource in ALL}
        self._compacted: dict[str, int] = {resource.plural: 0 for resource in ALL}
        self._subscribers: dict[str, list[Subscriber]] = {resource.plural: [] for resource in ALL}

    def get(self, resource: Resource, key: Key) -> Stored | None:
        """The current version."""
        return self._tables[resource.plural].get(key)

    def list(self, resource: Resource, namespace: str = "") -> list[Stored]:
        """All current versions in etcd's order: by namespace, then by name."""
        with self.lock:
            table = self._tables[resource.plural]
            return [table[key] for key in self._sorted[resource.plural] if not namespace or key[0] == namespace]

    def put(self, resource: Resource, key: Key, content: dict[str, Any]) -> Stored:
        """Store `content` as the next revision; its metadata gets the new resourceVersion."""
        with self.lock:
            table = self._tables[resource.plural]
            previous = table.get(key)
            stored = self._next(resource, key, content)
            table[key] = stored
            if previous is None:
                bisect.insort(self._sorted[resource.plural], key)
            self._tell(Event("MODIFIED" if previous else "ADDED", stored, previous))
            return stored

    def remove(self, resource: Resource, key: Key) -> Stored:
        """Forget the object; the last version carries the revision of the removal."""
        with self.lock:
            previous = self._tables[resource.plural].pop(key)
            names = self._sorted[resource.plural]
            del names[bisect.bisect_left(names, key)]
            gone = self._next(resource, key, previous.object)
            self._tell(Event("DELETED", gone, previous))
            return gone

    def subscribe(self, resource: Resource, subscriber: Subscriber, since: int | None = None) -> Callable[[], None]:
        """Call `subscriber` for each change after revision `since` (None: from now on); returns how to stop it.

        LookupError when `since` is older than what is remembered.
        """
        with self.lock:
            if since is not None:
                if since < self._compacted[resource.plural]:
                    raise LookupError(f"too old resource version: {since} ({self._compacted[resource.plural]})")
                for event in self._history[resource.plural]:
                    if event.stored.revision > since:
                        subscriber(event)
            subscribers = self._subscribers[resource.plural]
            subscribers.append(subscriber)

        def stop() -> None:
            with self.lock:
                if subscriber in subscribers:
                    subscribers.remove(subscriber)
        return stop

    def compact(self) -> None:
        """Forget all changes so far, as etcd does every few minutes: older watches and pages get 410."""
        with self.lock:
            for plural, history in self._history.items():
                history.clear()
                self._compacted[plural] = self.revision

    def oldest(self, resource: Resource) -> int:
        """The oldest revision a watch or a page may still ask for."""
        return self._compacted[resource.plural]

    def _next(self, resource: Resource, key: Key, content: dict[str, Any]) -> Stored:
        self.revision += 1
        metadata = {**content["metadata"], "resourceVersion": str(self.revision)}
        content = {**content, "metadata": metadata}
        raw = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return Stored(resource, key, self.revision, content, raw)

    def _tell(self, event: Event) -> None:
        plural = event.stored.resource.plural
        history = self._history[plural]
        history.append(event)
        if len(history) > self._remembered:
            self._compacted[plural] = history.popleft().stored.revision
        for subscriber in tuple(self._subscribers[plural]):
            subscriber(event)
        self.changed.notify_all()
