"""A limit on requests a second that this process puts on itself; who comes early waits."""

import threading
import time
from collections.abc import Callable


class Pacer:
    """At most `rate` calls a second, and up to two seconds' worth at once. Safe for threads."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._interval, self._burst = 1.0 / rate, 2.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = clock() - self._burst              # when the next call would be due without any burst

    def __call__(self) -> None:
        """Wait for this call's turn."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._burst) + self._interval
            wait = self._next - now
        if wait > 0:
            self._sleep(wait)
