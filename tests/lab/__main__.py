"""`python -m tests.lab`: build the guest if need be, run every scenario of the lab, tell what was run and how long.

    python -m tests.lab [pytest arguments]       all scenarios, or those that the arguments choose
    python -m tests.lab keep [pytest arguments]  the same on guests that stay up for the next run
    python -m tests.lab stop                     end guests that were kept
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.lab.guest import build, dependencies
from tests.lab.lab import KEPT, Lab

HERE = Path(__file__).resolve().parent
# The unit tests' settings leave this folder out and give a test a minute.
OPTIONS = ["-o", "norecursedirs=__pycache__ guest inside", "-o", "timeout=300", "-p", "no:cacheprovider", "--durations=0",
           "--durations-min=0.5", "-v", "--color=no"]


def main(argv: list[str]) -> int:
    if argv[:1] == ["stop"]:
        return stop()
    if argv[:1] == ["keep"]:
        os.environ["PURE_LAB_KEEP"], argv = "1", argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("lab: told to end"))
    began = time.monotonic()
    image = build.image()
    dependencies.disk()
    print(f"lab: guest {image.root.parent.name} ready after {time.monotonic() - began:.0f} s "
          f"({cpus()} CPUs, software emulation)", flush=True)
    paths = [] if any(arg.startswith(str(HERE)) or "tests/lab" in arg for arg in argv) else [str(HERE)]
    status = int(pytest.main([*OPTIONS, *argv, *paths]))
    print(f"lab: ended after {time.monotonic() - began:.0f} s")
    return status


def stop() -> int:
    lab = Lab(kept=True)
    for guest in lab.guests:
        guest.stop()
    shutil.rmtree(KEPT, ignore_errors=True)
    return 0


def cpus() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
