"""The time a pretend array lives in: real time, which a test may push forward or speed up.

Session life and the time left of destroyed objects follow it. Sampling of counters does not (monitor.py).
"""

import time


class Clock:
    """Seconds since the epoch as the array sees them; safe to change from any thread."""

    def __init__(self) -> None:
        self._origin = time.time()
        self._anchor = time.monotonic()
        self._speed = 1.0

    def now(self) -> float:
        return self._origin + (time.monotonic() - self._anchor) * self._speed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once: pending timers and sessions see them on the next request."""
        self._origin += seconds

    @property
    def speed(self) -> float:
        """How many of the array's seconds pass in one real second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._origin, self._anchor = self.now(), time.monotonic()
        self._speed = speed


def iso(seconds: float) -> str:
    """Write a time the way REST 1.x does: "2020-06-11T20:35:50Z"."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
