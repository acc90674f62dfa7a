"""What `action=monitor` reports: means over the last sampling interval of what the data plane really did.

The real interval is unverified (seconds); here it is settable and short. Kept: the rates of the last interval for
each volume that did something in it, and HISTORY sums for the array.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from simulator.counters import Counters

HISTORY = 120


class Rates(NamedTuple):
    """I/O of one interval: per second, and mean microseconds per operation."""

    reads_per_sec: int = 0
    writes_per_sec: int = 0
    output_per_sec: int = 0           # bytes read: what leaves the array
    input_per_sec: int = 0            # bytes written
    usec_per_read_op: int = 0
    usec_per_write_op: int = 0


IDLE = Rates()


def rates(done: Counters, seconds: float) -> Rates:
    """Turn what was done in `seconds` into rates; a rate that is not nothing is at least 1."""
    reads, writes, read_bytes, written_bytes = (_per_second(count, seconds) for count in done[:4])
    return Rates(reads, writes, read_bytes, written_bytes,
                 done.read_usec // done.reads if done.reads else 0,
                 done.write_usec // done.writes if done.writes else 0)


def _per_second(count: int, seconds: float) -> int:
    return max(1, round(count / seconds)) if count else 0


class Monitor:
    """Rates of all volumes of one simulator, by serial; `sample` is called once an interval."""

    def __init__(self) -> None:
        self.volumes: Mapping[str, Counters] = {}
        self._totals: Mapping[str, Counters] = {}
        self._seconds = 1.0
        self.history: deque[tuple[float, Mapping[str, Counters], float]] = deque(maxlen=HISTORY)

    def sample(self, totals: Mapping[str, Counters], seconds: float, now: float) -> None:
        """End an interval of `seconds` at `now` (epoch) in which the counters rose to `totals`."""
        done = {serial: counters.minus(self._totals.get(serial, Counters())) for serial, counters in totals.items()}
        self.volumes = {serial: counters for serial, counters in done.items() if any(counters)}
        self._totals, self._seconds = totals, seconds
        self.history.append((now, self.volumes, seconds))

    def volume(self, serial: str) -> Rates:
        done = self.volumes.get(serial)
        return rates(done, self._seconds) if done else IDLE

    def array(self, serials: "set[str]") -> Rates:
        """Rates summed over the volumes of one array."""
        return _sum(self.volumes, serials, self._seconds)

    def past(self, serials: "set[str]") -> list[tuple[float, Rates]]:
        """(end of interval, rates summed over the volumes) for each interval still known, oldest first."""
        return [(when, _sum(volumes, serials, seconds)) for when, volumes, seconds in list(self.history)]


def _sum(volumes: Mapping[str, Counters], serials: "set[str]", seconds: float) -> Rates:
    total = Counters()
    for serial, done in volumes.items():
        if serial in serials:
            total = total.plus(done)
    return rates(total, seconds)
