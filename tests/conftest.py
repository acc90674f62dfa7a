"""For all tests: other work on the machine is no failure, and files that live for seconds need no disk."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

import coverage
import pytest
from hypothesis import settings

from tests.measuring import Measuring

settings.register_profile("patient", deadline=None)      # no property has a deadline of its own
settings.load_profile("patient")

MEMORY, ROOM = "/dev/shm", 2 << 30


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):                  # one of several processes of one run
        if measured := coverage.Coverage.current():
            config.pluginmanager.register(Measuring(measured))
    _work_in_memory()
    _keep_setuptools_out()


def _keep_setuptools_out() -> None:
    """`purestorage` imports distutils: Python's own where there is one. The stand-in that setuptools puts before it brings
    120 modules into each process, a fifth of the time that collecting takes."""
    stand_in = sys.modules.get("_distutils_hack")
    if sys.version_info < (3, 12) and stand_in is not None:
        stand_in.remove_shim()


def _work_in_memory() -> None:
    """Temporary files in memory where it has room: the driver syncs what it writes, and a disk shared with others takes
    half of the suite's time for that. TMPDIR decides if it is set."""
    if "TMPDIR" not in os.environ and os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = MEMORY
        tempfile.tempdir = None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays to the end: the garbage collector looks through none of it, neither while it
    comes nor later. Each look would write to every page of it, and so copy what is shared with a fork."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """PURE_SKIPS=refused, as CI sets it: a test that cannot run here fails the run; the summary says which, and why."""
    told = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("PURE_SKIPS") == "refused" and told is not None and told.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
