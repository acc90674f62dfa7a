"""Where coverage is measured: in the tests of the packages it is about, and there not in what only plays the world.

A trace function slows every line of its thread, whoever's it is: half as much again for tests of code that is not measured
at all, and for the servers of pretend arrays and of Kubernetes. pytest's own work, the collection, runs without it too.
"""

import importlib
import os
import pkgutil
import sys
import threading
from types import FrameType
from typing import Any

import coverage
import pytest

PACKAGES = ("arrays", "flex", "provisioner", "explorer")        # as in setup.cfg, [coverage:run] source
ROOMS = (*PACKAGES, "alerts")
WORLD = ("simulator", "asyncio")                                # whose threads these are: asyncio's run the servers

# By this processes that are started know that they are measured too; that took a quarter of the time and added nothing.
CHILDREN = "COVERAGE_PROCESS_CONFIG"


class Measuring:
    """Switches coverage on for the tests of ROOMS; a plugin of each process that runs tests."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self._coverage, self._on = measured, True
        for package in PACKAGES:                                # what an import runs is measured here, once
            for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
        self._switch(False)
        os.environ.pop(CHILDREN, None)
        os.register_at_fork(after_in_child=_trace_nothing)      # nobody would save what a fork has measured

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        wanted = item.nodeid.split("/")[1] in ROOMS
        if wanted != self._on:
            self._switch(wanted)

    def _switch(self, on: bool) -> None:
        self._on = on
        if on:
            self._coverage.start()
            os.environ.pop(CHILDREN, None)
            threading.settrace(_but_the_world(threading.gettrace()))
        else:
            self._coverage.stop()


def _but_the_world(trace: Any) -> Any:
    """What threads begin with: `trace`, unless it is the world's; its first event is the call of Thread.run."""
    def begin(frame: FrameType, event: str, arg: Any) -> Any:
        thread = frame.f_locals.get("self")
        target = getattr(thread, "_target", None)
        if str(getattr(target, "__module__", "")).partition(".")[0] in WORLD:
            sys.settrace(None)
            return None
        return trace(frame, event, arg)
    return begin


def _trace_nothing() -> None:
    sys.settrace(None)
    threading.settrace(None)
