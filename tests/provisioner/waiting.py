"""Waiting in tests: look often, give up late."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 15.0         # seconds until a test gives up; all of them end long before


def until(look: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
    """Call `look` every few milliseconds until it returns something true; AssertionError names `what`."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.005)
    return found
