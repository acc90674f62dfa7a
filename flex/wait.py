"""Waiting, with a deadline and a name for what is waited for."""

import time

from arrays.errors import NeverHappened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SHORTEST = 0.02         # seconds between two looks at first: what comes at once is seen at once …
LONGEST = 0.2           # … and what takes long costs five looks a second


class Deadline:
    """A point in time that one call-out, or one step of it, must not pass."""

    __slots__ = ("seconds", "_clock", "_end")

    def __init__(self, seconds: float, clock: "Callable[[], float]" = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds left, 0.0 when passed: fit to be a timeout."""
        return max(0.0, self._end - self._clock())

    def passed(self) -> bool:
        return self._clock() >= self._end

    def check(self, what: str) -> None:
        """NeverHappened when the deadline passed while waiting for `what`."""
        if self.passed():
            raise NeverHappened(what, self.seconds)

    def within(self, seconds: float) -> float:
        """`seconds`, or what is left when that is less."""
        return min(seconds, self.left())


def wait_for(look: "Callable[[], T | None]", what: str, timeout: float, *, interval: float = SHORTEST,
             clock: "Callable[[], float]" = time.monotonic, sleep: "Callable[[float], None]" = time.sleep) -> "T":
    """Call `look` until it returns something that counts as true; NeverHappened(what, timeout) after `timeout` seconds.

    The pauses grow from `interval` to a fifth of a second. `look` is called at least once, and once more at the end.
    """
    end = clock() + timeout
    while True:
        late = clock() >= end
        found = look()
        if found:
            return found
        if late:
            raise NeverHappened(what, timeout)
        sleep(max(0.0, min(interval, end - clock())))
        interval = min(interval * 1.5, max(LONGEST, interval))
