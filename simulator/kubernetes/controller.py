"""A controller's loop: keys of changed objects wait in a queue, one thread works them off, conflicts come back."""
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from simulator.kubernetes.api import KubeApi
from simulator.kubernetes.resources import BY_PLURAL
from simulator.kubernetes.status import ApiError
from simulator.kubernetes.store import Event, Key

CLAIMS, PVS, CLASSES, PODS = "persistentvolumeclaims", "persistentvolumes", "storageclasses", "pods"

Work = tuple[str, Key]                   # plural, key


class Controller:
    """Calls `work(plural, key)` for each changed object of `watched`; subclasses say what that means.

    `trouble` keeps what no controller should see: errors other than 404 and 409.
    """

    watched: tuple[str, ...] = ()

    def __init__(self, api: KubeApi, *, resync: float = 15.0) -> None:
        self.api = api
        self.registry = api.registry
        self.trouble: list[Exception] = []
        self._resync = resync            # seconds between two looks at everything unfinished
        self._queue: dict[Work, None] = {}
        self._ready = threading.Condition()
        self._stopped = False
        self._unsubscribe: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        with self.api.store.lock:
            for plural in self.watched:
                for stored in self.api.store.list(BY_PLURAL[plural]):
                    self._changed(Event("ADDED", stored, None))
                self._unsubscribe.append(self.api.subscribe(plural, self._changed))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        self._thread.join(30)

    def enqueue(self, plural: str, key: Key) -> None:
        """Look at one object soon."""
        with self._ready:
            self._queue[plural, key] = None
            self._ready.notify_all()

    def changed(self, event: Event) -> None:
        """Store locked: take note of a change and enqueue what it concerns."""
        self.enqueue(event.stored.resource.plural, event.stored.key)

    def work(self, plural: str, key: Key) -> None:
        """Bring the world closer to what one object wants."""

    def resync(self) -> None:
        """Enqueue what is unfinished."""

    def get(self, plural: str, key: Key) -> dict[str, Any] | None:
        """The current object without a copy: not to be changed."""
        found = self.api.store.get(BY_PLURAL[plural], key)
        return {"kind": found.resource.kind, "apiVersion": found.resource.api_version, **found.object} if found else None

    def put(self, plural: str, content: dict[str, Any], *, status: bool = False) -> dict[str, Any]:
        """Replace an object that was read before; ApiError 409 when it changed in between."""
        metadata = content["metadata"]
        stored = self.registry.replace(BY_PLURAL[plural], metadata.get("namespace", ""), metadata["name"], content,
                                       "status" if status else "")
        return {"kind": stored.resource.kind, "apiVersion": stored.resource.api_version, **stored.object}

    def _changed(self, event: Event) -> None:
        self.changed(event)

    def _next(self, until: float) -> Work | None:
        with self._ready:
            while not self._queue and not self._stopped and time.monotonic() < until:
                self._ready.wait(max(until - time.monotonic(), 0.0))
            if self._stopped or not self._queue:
                return None
            work = next(iter(self._queue))
            del self._queue[work]
            return work

    def _run(self) -> None:
        next_resync = time.monotonic() + self._resync
        while not self._stopped:
            if time.monotonic() >= next_resync:
                self.resync()
                next_resync = time.monotonic() + self._resync
            if (work := self._next(next_resync)) is None:
                continue
            try:
                self.work(*work)
            except ApiError as error:
                if error.code not in (404, 409):
                    self.trouble.append(error)
                elif error.code == 409:
                    self.enqueue(*work)
            except Exception as error:   # the top edge of this thread: a test looks at `trouble`
                self.trouble.append(error)
