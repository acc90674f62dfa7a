"""Where the time of a call-out goes: its steps by the hook in flex/node/command.py, and how long arrays were asked."""

import json
import os
import threading
import time

from arrays import client
from flex import cli
from flex.node import command

REPORT = "/run/pure-lab-times"               # JSON: see `arm`


class Asking:
    """The time in which at least one call to an array was under way."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls, self.seconds, self.since, self.number = 0, 0.0, 0.0, 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.calls:
                self.since = time.monotonic()
            self.calls += 1
            self.number += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.calls -= 1
            if not self.calls:
                self.seconds += time.monotonic() - self.since


def arm() -> None:
    """Write REPORT when the call answers: `steps` [[name, ms]…] from the process's start, `arrays` ms and `calls`."""
    began, asking, steps = _started(), Asking(), []
    ask, tell = client.Client._ask, cli._tell

    def measured(self, *args):
        with asking:
            return ask(self, *args)

    def at_step(step: str) -> None:
        steps.append([step, (time.monotonic() - began) * 1000])

    def last(told, stdout):
        at_step("answered")
        with open(REPORT, "w") as file:
            json.dump({"steps": steps, "arrays": asking.seconds * 1000, "calls": asking.number}, file)
        return tell(told, stdout)

    at_step("armed")
    client.Client._ask, cli._tell, command.at_step = measured, last, at_step


def _started() -> float:
    """When this process was started, on the monotonic clock, as exactly as the kernel tells (10 ms)."""
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
