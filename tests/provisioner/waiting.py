"""Waiting in tests: look often, give up late."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 15.0         # seconds until a test gives up; all of them end long before


def until(look: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
    """Call `look` every few milliseconds until it returns something true; AssertionError names `what`.

    A look that costs a lot is not made so often: what is waited for needs the CPU too.
    """
    deadline = time.monotonic() + timeout
    began = time.thread_time()
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(max(0.005, 4 * (time.thread_time() - began)))
        began = time.thread_time()
    return found
