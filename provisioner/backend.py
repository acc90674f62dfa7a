"""One array at work: its client, its last measurement, what is being made on it, and its slots.

A slow or dead array must not stop the others, so it is measured by a thread of its own, placement only looks at the
last measurement, and an array that gave no answer is out of placement until that thread heard from it again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from arrays.errors import Busy, PureError, Unreachable
from provisioner.placement import ArrayState
from provisioner.stores import Measure, Store, foreseen

log = logging.getLogger(__name__)

_LONGEST_WORK = 120.0       # seconds; some calls of 30 s each


class Pace(NamedTuple):
    """Seconds."""

    measure_every: float = 30.0
    measure_again: float = 5.0          # under load: a measurement older than this is renewed in the background
    first_measurement: float = 5.0      # how long a claim waits for it after start
    after_failure: float = 1.0          # doubling up to measure_every
    recent: float = 600.0               # how long a new volume counts as used, for a thin one fills up later
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    busy: float = 10.0                  # milliseconds of waiting, in two measurements in a row, that make an array busy


Timed = Callable[[str, str], AbstractContextManager[None]]      # (array, step) -> what times it


def untimed(array: str, step: str) -> AbstractContextManager[None]:
    """Where nobody wants to know how long it took."""
    return nullcontext()


class OutOfUse(PureError):
    """An array gave no answer a moment ago, and was not heard from since; `problem` is what was seen."""

    retry = True

    def __init__(self, array: str, problem: str) -> None:
        super().__init__(array, problem)
        self.array, self.problem = array, problem

    def __str__(self) -> str:
        return self.problem


class Slots:
    """At most `limit` at a time; who comes too many is sent away."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._held = 0

    @property
    def full(self) -> bool:
        """Whether who comes now is sent away."""
        return self._held >= self.limit

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        """Hold a slot; Busy when there is none."""
        with self._lock:
            if self.full:
                raise Busy(who, "all its slots are in use")
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1


class Backend:
    """One array of the fleet. Its thread runs from `start` to `stop`."""

    def __init__(self, store: Store, pace: Pace, clock: Callable[[], float] = time.monotonic,
                 timed: Timed = untimed) -> None:
        self.store = store
        self.name = store.entry.name
        self.measured = threading.Event()               # the first measurement succeeded or failed
        self.claim_slots = Slots(1)                     # set by Backends, which knows how many arrays there are
        self.volume_slots = Slots(1)
        self._labels: Mapping[str, str] = store.entry.labels
        self._pace = pace
        self._clock = clock
        self._timed = timed
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._at_work = 0                               # who works with its connections just now
        self._measure = Measure(0, 0, 0)
        self._busy = ""
        self._measured_at = float("-inf")
        self._problem = f"array {self.name} has not answered yet"
        self._coming: dict[str, tuple[int, str]] = {}   # volume -> bytes and pod, being made
        self._in_pods: dict[str, int] = {}              # pod -> volumes made since the last measurement
        self._uncounted = 0
        self._recent = Recent(pace.recent)

    @property
    def backend(self) -> str:
        return self.store.backend

    @property
    def problem(self) -> str:
        """Why it cannot be used now, "" when it can."""
        return self._problem

    @property
    def labels(self) -> Mapping[str, str]:
        return self._labels

    def state(self) -> ArrayState:
        """What placement may know now."""
        with self._lock:
            found = self._measure
            return ArrayState(self.name, self.store.backend, self._labels, found.capacity, found.used, found.volumes,
                              self._problem, sum(size for size, _ in self._coming.values()),
                              self._recent.total(self._clock()), self._uncounted + len(self._coming), self._pods(),
                              self._busy)

    @contextmanager
    def at_work(self, slots: Slots, step: str = "find") -> Iterator[None]:
        """Work with the array: on a slot of `slots`, and not when it is known to give no answer.

        `step` names the work in metrics. Busy, OutOfUse, or what the work raises.
        """
        self.measured.wait(self._pace.first_measurement)
        if self._problem:
            raise OutOfUse(self.name, self._problem)
        with slots.taken(f"array {self.name}"), self._counted():
            try:
                with self._timed(self.name, step):
                    yield
            except Unreachable as error:
                self._failed(error)
                raise

    @contextmanager
    def changing(self, slots: Slots, step: str, may_act: Callable[[], bool]) -> Iterator[None]:
        """Change something on the array: as at_work, and only as the leader; election has no fencing."""
        with self.at_work(slots, step):
            if not may_act():
                raise Busy(f"array {self.name}", "this process does not lead any more")
            yield

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1

    def refresh(self) -> None:
        """Have the measurement renewed if it is not young."""
        if self._clock() - self._measured_at > self._pace.measure_again:
            self._wake.set()

    def _pods(self) -> Mapping[str, int]:
        """Volumes in each replication pod, with those that the array did not count yet."""
        counts = dict(self._measure.pods)
        if counts:
            for pod, count in [*self._in_pods.items(), *((pod, 1) for _, pod in self._coming.values())]:
                counts[pod] = counts.get(pod, 0) + count
        return counts

    def reserve(self, volume: str, size: int, pod: str = "") -> None:
        """A volume is about to be made here, in that replication pod."""
        with self._lock:
            self._coming[volume] = size, pod

    def settle(self, volume: str, made: bool) -> None:
        """The volume that was reserved for is there, or is not."""
        with self._lock:
            size, pod = self._coming.pop(volume, (0, ""))
            if made:
                self._uncounted += 1
                if pod:
                    self._in_pods[pod] = self._in_pods.get(pod, 0) + 1
                self._recent.add(self._clock(), size)

    def _failed(self, error: Unreachable) -> None:
        """It gave no answer: out of placement until it is measured again."""
        self._complain(str(error))
        self._measured_at = float("-inf")
        self._wake.set()

    # The measuring thread

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"measure {self.name}", daemon=True).start()

    def stop(self) -> None:
        """Measure no more. Work in flight goes on with its connections; they are closed after it."""
        self._stopped = True
        self._wake.set()

    def relabel(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def _run(self) -> None:
        failures = 0
        while not self._stopped:
            failures = 0 if self.measure() else failures + 1
            wait = self._pace.measure_every
            if failures:
                wait = min(wait, self._pace.after_failure * 2.0 ** min(failures - 1, 16))
            self._wake.wait(wait)
            self._wake.clear()
        self._leave()

    def _leave(self) -> None:
        """Close the connections when nobody works with them any more, or nobody can be by the time-outs there are."""
        deadline = time.monotonic() + _LONGEST_WORK
        while self._at_work and time.monotonic() < deadline:
            time.sleep(0.05)
        self.store.close()

    def measure(self) -> bool:
        """Ask the array how full it is; whether it said."""
        with self._lock:
            before, in_pods = self._uncounted, dict(self._in_pods)
        try:
            with self._timed(self.name, "measure"), foreseen(self.name):
                found = self.store.measure()
        except PureError as error:
            self._complain(str(error))
            return False
        with self._lock:
            if self._problem:
                log.info("array=%s answers, used=%d capacity=%d volumes=%d", self.name, found.used, found.capacity,
                         found.volumes)
            waits = min(self._measure.wait, found.wait)
            self._busy = f"its hosts wait {waits:.0f} ms for it" if 0 < self._pace.busy <= waits else ""
            self._measure, self._problem = found, ""
            self._uncounted -= before
            self._in_pods = {pod: count - in_pods.get(pod, 0) for pod, count in self._in_pods.items()
                             if count > in_pods.get(pod, 0)}
            self._measured_at = self._clock()
        self.measured.set()
        return True

    def _complain(self, problem: str) -> None:
        with self._lock:
            if problem != self._problem:
                log.warning("array=%s %s", self.name, problem)
            self._problem = problem
        self.measured.set()


class Recent:
    """Bytes added within the last `window` seconds, to a thirtieth of it; constant memory and time."""

    def __init__(self, window: float) -> None:
        self._window, self._step = window, window / 30
        self._parts: deque[list[float]] = deque()       # [begin, bytes], oldest first
        self._total = 0

    def add(self, now: float, size: int) -> None:
        if not self._parts or now - self._parts[-1][0] > self._step:
            self._parts.append([now, 0])
        self._parts[-1][1] += size
        self._total += size

    def total(self, now: float) -> int:
        while self._parts and now - self._parts[0][0] > self._window:
            self._total -= int(self._parts.popleft()[1])
        return self._total
