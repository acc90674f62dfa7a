"""A queue of keys for several workers: no key is worked by two at once, each has its own back-off.

The rules are those of client-go's workqueue: a key added while it is worked on is worked on once more afterwards; a key
added twice before that is worked on once. Delays are kept in the same place, so a waiting key costs no thread.
"""

import heapq
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(NamedTuple):
    """Seconds to wait after the n-th failure in a row: first, doubling, with jitter, up to longest."""

    first: float = 1.0
    longest: float = 300.0

    def delay(self, failures: int) -> float:
        return min(self.first * 2.0 ** min(failures - 1, 32), self.longest) * random.uniform(0.75, 1.0)


BUSY = Backoff(0.25, 1.0)       # until what somebody else holds is tried again


def ignored(seconds: float) -> None:
    """Where nobody wants to know."""


class WorkQueue(Generic[K]):
    """See the module. `get` blocks; every key got must be given back with `done`."""

    def __init__(self, backoff: Backoff = Backoff(), clock: Callable[[], float] = time.monotonic,
                 waited: Callable[[float], None] = ignored, worked: Callable[[float], None] = ignored) -> None:
        self._backoff = backoff
        self._clock = clock
        self._changed = threading.Condition()
        self._waited, self._worked = waited, worked         # told seconds in the queue, and with a worker
        self._ready: deque[K] = deque()
        self._since: dict[K, float] = {}                    # when each ready key became so
        self._queued: set[K] = set()                        # in _ready, or dirty: to be added again when done
        self._working: dict[K, float] = {}                  # key -> since when
        self._delayed: list[tuple[float, int, K]] = []      # heap of (due, tie-breaker, key)
        self._due: dict[K, float] = {}                      # the earliest due time of each delayed key
        self._failures: dict[K, int] = {}
        self._postponed: dict[K, int] = {}                  # how often in a row what it needs was in use
        self._count = 0
        self._closed = False
        self.added = 0
        self.retried = 0

    def __len__(self) -> int:
        """Keys that are ready to be worked on."""
        return len(self._ready)

    def add(self, key: K) -> None:
        """Have the key worked on as soon as a worker is free."""
        with self._changed:
            self._add(key)

    def add_after(self, key: K, delay: float) -> None:
        """Have the key worked on in `delay` seconds; an earlier time already set stands."""
        with self._changed:
            due = self._clock() + delay
            if self._closed or self._due.get(key, due + 1) <= due:
                return
            self._count += 1
            self._due[key] = due
            heapq.heappush(self._delayed, (due, self._count, key))
            self._changed.notify()

    def retry(self, key: K, longest: bool = False, after: float | None = None) -> float:
        """Have the key worked on after its back-off, the longest one, or `after` seconds; returns the seconds."""
        with self._changed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            self._postponed.pop(key, None)
            self.retried += 1
        delay = self._backoff.longest if longest else self._backoff.delay(failures) if after is None else after
        self.add_after(key, delay)
        return delay

    def postpone(self, key: K) -> int:
        """Have the key worked on soon: something it needs is in use. Longer each time; returns how often so far."""
        with self._changed:
            times = self._postponed[key] = self._postponed.get(key, 0) + 1
        self.add_after(key, BUSY.delay(times))
        return times

    def failures(self, key: K) -> int:
        """How often the key was retried since it was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key's work succeeded or is void: its next failure is its first."""
        with self._changed:
            self._failures.pop(key, None)
            self._postponed.pop(key, None)
            self._due.pop(key, None)

    def hurry(self) -> None:
        """What was waited for may have changed for all: work on every delayed key now."""
        with self._changed:
            for key in list(self._due):
                self._add(key)

    def get(self, block: bool = True) -> K | None:
        """The next key; None when the queue is closed, or when nothing is ready and it is not to block."""
        with self._changed:
            while not self._closed:
                wait = self._promote()
                if self._ready:
                    key = self._ready.popleft()
                    self._queued.discard(key)
                    now = self._working[key] = self._clock()
                    self._waited(now - self._since.pop(key, now))
                    if self._delayed:                       # somebody else must now wait for the next due time
                        self._changed.notify()
                    return key
                if not block:
                    return None
                self._changed.wait(wait)
            return None

    def done(self, key: K) -> None:
        """The worker is finished with the key."""
        with self._changed:
            now = self._clock()
            self._worked(now - self._working.pop(key, now))
            if key in self._queued:
                self._append(key)

    def close(self) -> None:
        """Hand out nothing more; keys being worked on are finished by their workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def idle(self) -> bool:
        """Whether nothing is ready or worked on; delayed keys do not count."""
        with self._changed:
            return not self._ready and not self._working

    def unfinished(self) -> int:
        """Keys that are ready or being worked on."""
        return len(self._ready) + len(self._working)

    def running(self) -> list[float]:
        """For how many seconds each key being worked on has been so."""
        with self._changed:
            now = self._clock()
            return [now - since for since in self._working.values()]

    def _add(self, key: K) -> None:
        self._due.pop(key, None)
        if self._closed or key in self._queued:
            return
        self.added += 1
        self._queued.add(key)
        if key not in self._working:
            self._append(key)

    def _append(self, key: K) -> None:
        self._ready.append(key)
        self._since[key] = self._clock()
        self._changed.notify()

    def _promote(self) -> float | None:
        """Move what is due to the ready keys; returns seconds until the next is due, None when none waits."""
        now = self._clock()
        while self._delayed:
            due, _, key = self._delayed[0]
            if self._due.get(key) == due:
                if due > now:
                    return due - now
                self._add(key)
            heapq.heappop(self._delayed)                    # done now, or overtaken meanwhile
        return None
