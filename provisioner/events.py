"""Events on claims and PVs: what users see in `kubectl describe`. Best effort, bounded, never on the path of the work.

As client-go's recorder does it: a queue of 1,000 that drops when full; an event that was told before is counted up;
more than ten similar ones within ten minutes are told as one; one source may tell 25 about one object, then one every
five minutes. On top of that Normal events have a rate: in a burst of claims they are the first thing to go, because
each costs the API server as much as a PV, and the claims' state tells the same. Warnings have no such rate.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from arrays.errors import PureError
from provisioner.apierrors import Forbidden, NotThere
from provisioner.kube import Kube, in_namespace
from provisioner.objects import Raw

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 1024          # characters the API takes
LONGEST_NAME = 253

_QUEUE = 1000
_REMEMBERED = 4096              # objects whose events are remembered; some 4.6 MB
_SIMILAR, _SIMILAR_WINDOW = 10, 600.0
_PER_OBJECT, _PER_OBJECT_REFILL = 25, 300.0


class About(NamedTuple):
    """The object an event is about."""

    kind: str                   # PersistentVolumeClaim, PersistentVolume, …
    namespace: str              # "" for a PV: its events live in "default"
    name: str
    uid: str
    version: str = ""
    api_version: str = "v1"


class Event(NamedTuple):
    """One thing to tell; `kind` is Normal or Warning."""

    about: About
    kind: str
    reason: str
    message: str


class Bucket:
    """A rate: `burst` at once, then one every `refill` seconds."""

    __slots__ = ("_burst", "_refill", "_left", "_at")

    def __init__(self, burst: float, refill: float, now: float) -> None:
        self._burst, self._refill, self._left, self._at = burst, refill, burst, now

    def take(self, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) / self._refill)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Told:
    """What was told about one object."""

    __slots__ = ("bucket", "names", "similar")

    def __init__(self, now: float) -> None:
        self.bucket = Bucket(_PER_OBJECT, _PER_OBJECT_REFILL, now)
        self.names: dict[tuple[str, int], tuple[str, int, str]] = {}    # (reason, hash of message) -> (event, count, first)
        self.similar: dict[str, list[float]] = {}                       # reason -> when new messages came


class Recorder:
    """Takes events from any thread; `run` writes them until `stop`."""

    def __init__(self, kube: Kube, component: str, rates: Mapping[str, tuple[float, float]] = {},
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._component = component
        self._clock = clock
        self._queue: queue.Queue[Event | None] = queue.Queue(_QUEUE)
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._rates = {reason: Bucket(burst, refill, clock()) for reason, (burst, refill) in rates.items()}
        self._rates_lock = threading.Lock()
        self.dropped = 0

    def tell(self, about: About, kind: str, reason: str, message: str) -> None:
        """Have an event written, sooner or later or never; does not wait."""
        bucket = self._rates.get(reason)
        if bucket is not None:
            with self._rates_lock:
                if not bucket.take(self._clock()):
                    self.dropped += 1
                    return
        try:
            self._queue.put_nowait(Event(about, kind, reason, shortened(message)))
        except queue.Full:
            self.dropped += 1

    def run(self) -> None:
        """Write events until stopped; one that cannot be written is dropped."""
        while (event := self._queue.get()) is not None:
            try:
                self._write(event)
            except PureError as error:
                self.dropped += 1
                log.debug("event %s on %s dropped: %s", event.reason, event.about.name, error)

    def stop(self) -> None:
        """Write what is queued, then end `run`."""
        try:
            self._queue.put(None, timeout=1.0)
        except queue.Full:
            log.debug("events left untold")

    def _write(self, event: Event) -> None:
        now = self._clock()
        told = self._remember(event.about.uid, now)
        if not told.bucket.take(now):
            self.dropped += 1
            return
        message = self._aggregated(told, event, now)
        key = event.reason, _COMBINED_KEY if message.startswith(_COMBINED) else hash(message)
        known = told.names.get(key)
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if known is not None and self._count_up(event, *known, stamp):
            told.names[key] = (known[0], known[1] + 1, known[2])
            return
        body = manifest(event._replace(message=message), self._component, stamp)
        self._kube.create(in_namespace(event.about.namespace or "default", "events"), body)
        if len(told.names) > 4 * _PER_OBJECT:
            told.names.clear()
        told.names[key] = (body["metadata"]["name"], 1, stamp)

    def _count_up(self, event: Event, name: str, count: int, first: str, stamp: str) -> bool:
        """Write that a known event happened again; False when it is not there any more."""
        path = in_namespace(event.about.namespace or "default", "events", name)
        try:
            self._kube.merge(path, {"count": count + 1, "lastTimestamp": stamp})
        except (NotThere, Forbidden):           # events live for an hour; a role may lack patch
            return False
        return True

    def _remember(self, uid: str, now: float) -> _Told:
        told = self._told.get(uid)
        if told is None:
            told = self._told[uid] = _Told(now)
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        else:
            self._told.move_to_end(uid)
        return told

    def _aggregated(self, told: _Told, event: Event, now: float) -> str:
        """The message, or one that stands for all similar ones when there are too many."""
        if (event.reason, hash(event.message)) in told.names:
            return event.message
        times = told.similar.setdefault(event.reason, [])
        times[:] = [at for at in times if now - at < _SIMILAR_WINDOW][-_SIMILAR:] + [now]
        if len(times) <= _SIMILAR:
            return event.message
        return shortened(_COMBINED + event.message)


_COMBINED = "(combined from similar events): "
_COMBINED_KEY = 0               # in the place of a message's hash: all of a reason are one event


def shortened(message: str) -> str:
    """The message in the length the API takes."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE - 4]} ..."


def manifest(event: Event, component: str, stamp: str) -> Raw:
    """The Event object to POST. Its name has to be new: the object's and the time, as client-go makes it."""
    about = event.about
    involved = {"kind": about.kind, "namespace": about.namespace, "name": about.name, "uid": about.uid,
                "apiVersion": about.api_version, "resourceVersion": about.version}
    suffix = f".{time.time_ns():x}"
    return {"apiVersion": "v1", "kind": "Event",
            "metadata": {"name": about.name[:LONGEST_NAME - len(suffix)].rstrip(".-") + suffix,
                         "namespace": about.namespace or "default"},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "type": event.kind, "reason": event.reason, "message": event.message, "count": 1,
            "source": {"component": component}, "reportingComponent": component.partition("_")[0],
            "reportingInstance": component.partition("_")[2],
            "firstTimestamp": stamp, "lastTimestamp": stamp}
