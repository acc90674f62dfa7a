"""Faults a test or a person can ask a pretend array for: slow, silent, broken off, wrong, or done and not told.

One `Faults` stands before each array. `server.py` asks it once a request; without faults that costs nothing.
"""

import fnmatch
import threading
from dataclasses import dataclass, field
from typing import Any

# What a proxy in front of an array answers when it has lost its way: 200, but not JSON.
HTML = "<html><head><title>Login</title></head><body>Please log in.</body></html>"


@dataclass(eq=False)
class Fault:
    """One thing that goes wrong. `method` and `path` choose the requests, `times` how many of them (None: all)."""

    latency: float = 0.0              # seconds before anything else
    hang: bool = False                # no reply, until the fault is removed; then the connection is reset
    reset: bool = False               # connection reset, nothing done
    status: int | None = None         # answer this status, nothing done
    body: str | None = None           # with `status`: this text; alone: 200 and this text; a lone "<" start means HTML
    lose_reply: bool = False          # do it, then reset the connection
    hang_after: bool = False          # do it, then never reply
    method: str = "*"                 # "POST"; "*" is any
    path: str = "*"                   # shell pattern over "host/h1/volume/v1", as in the request log
    times: int | None = None
    skip: int = 0                     # let this many matching requests pass first
    hits: int = field(default=0, init=False)
    removed: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and fnmatch.fnmatchcase(path, self.path)

    @property
    def answers(self) -> bool:
        """Whether the fault answers in the array's place, so that nothing is done."""
        return self.status is not None or self.body is not None


class Faults:
    """The faults of one array, asked in the order they were added; latency adds up, then the first other one acts."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, **what: Any) -> Fault:
        """Add a fault (the fields of `Fault`) and return it; `html=True` is short for an HTML body with 200."""
        if what.pop("html", False):
            what["body"] = HTML
        fault = Fault(**what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a fault away; requests hanging on it are reset."""
        with self._lock:
            self._faults = [each for each in self._faults if each is not fault]
        fault.removed.set()

    def clear(self) -> None:
        for fault in list(self._faults):
            self.remove(fault)

    def of(self, method: str, path: str) -> tuple[float, Fault | None]:
        """Seconds to wait and the fault that strikes this request; counts it on those faults."""
        latency, strikes = 0.0, None
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path) or not self._due(fault):
                    continue
                latency += fault.latency
                if fault.answers or fault.hang or fault.reset or fault.lose_reply or fault.hang_after:
                    strikes = fault
                    break
        return latency, strikes

    @staticmethod
    def _due(fault: Fault) -> bool:
        if fault.skip > 0:
            fault.skip -= 1
            return False
        if fault.times is not None and fault.hits >= fault.times:
            return False
        fault.hits += 1
        return True
