"""`python -m tests.lab`: build the guest if need be, run every scenario of the lab, tell what was run and how long.

    python -m tests.lab                          all scenarios, in two labs side by side; once more what failed
    python -m tests.lab [pytest arguments]       those that the arguments choose, in one lab
    python -m tests.lab keep [pytest arguments]  the same on guests that stay up for the next run
    python -m tests.lab stop                     end guests that were kept
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.lab.guest import build, dependencies, emulator
from tests.lab.guest.machine import die_with_parent
from tests.lab.lab import KEPT, Lab

HERE = Path(__file__).resolve().parent
# The unit tests' settings leave this folder out and give a test a minute.
OPTIONS = ["-o", "norecursedirs=__pycache__ guest inside", "-o", "timeout=300", "-p", "no:cacheprovider", "--durations=0",
           "--durations-min=5", "-v", "--color=no"]

# Scenarios of one node mostly wait: for paths to fail, for daemons, for a guest of one CPU. So a second lab, with one
# node, runs beside the first; it has what is named here, and the first has all the rest.
SECOND = ("test_block.py", "test_cut.py", "test_luns.py", "test_resize.py", "test_container.py", "test_doctor.py")


def main(argv: list[str]) -> int:
    if argv[:1] == ["stop"]:
        return stop()
    if argv[:1] == ["keep"]:
        os.environ["PURE_LAB_KEEP"], argv = "1", argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("lab: told to end"))
    began = time.monotonic()
    image = build.image()
    emulator.command()
    dependencies.disk()
    dependencies.bundle()
    print(f"lab: guest {image.root.parent.name} ready after {time.monotonic() - began:.0f} s "
          f"({cpus()} CPUs, software emulation)", flush=True)
    status = one_lab(argv) if argv or "PURE_LAB_KEEP" in os.environ else two_labs()
    print(f"lab: ended with {status} after {time.monotonic() - began:.0f} s")
    return status


def one_lab(argv: list[str]) -> int:
    paths = [] if any(arg.startswith(str(HERE)) or "tests/lab" in arg for arg in argv) else [str(HERE)]
    return int(pytest.main([*OPTIONS, *argv, *paths]))


def two_labs() -> int:
    """Run all files in two labs side by side, and once more what failed; the exit status.

    Guests that share two cores with whatever else this machine does have hiccups; a defect fails in a fresh lab, too.
    """
    second = [str(HERE / name) for name in SECOND]
    rest = sorted(str(path) for path in HERE.glob("test_*.py") if str(path) not in second)
    for old in map(failures, "12"):
        old.unlink(missing_ok=True)
    status = run_all({"1": (2, rest), "2": (1, second)})
    failed = [test for path in map(failures, "12") if path.exists() for test in failed_in(path.read_text())]
    if status != pytest.ExitCode.TESTS_FAILED or not failed:
        return status
    print(f"lab: FAILED, now tried once more in a fresh lab: {' '.join(failed)}", flush=True)
    again = run_all({"again": (2, failed)})
    print(f"lab: failed at first, {'and again' if again else 'passed in a fresh lab'}: {' '.join(failed)}", flush=True)
    return again


def failures(name: str) -> Path:
    """Where a lab tells of the tests that failed."""
    return build.CACHE / f"last{name}-failures.txt"


def failed_in(told: str) -> list[str]:
    """The tests that a lab told of, each once."""
    return list(dict.fromkeys(re.findall(r"^==== (.+) \((?:setup|call|teardown)\)$", told, re.MULTILINE)))


def run_all(labs: dict[str, tuple[int, list[str]]]) -> int:
    """Run labs side by side, each a name with its number of nodes and its tests; the worst exit status."""
    runs = {name: start(name, nodes, tests) for name, (nodes, tests) in labs.items()}
    readers = [threading.Thread(target=show, args=each) for each in runs.items()]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return max(abs(run.wait()) for run in runs.values())        # minus a signal's number when one ended it


def start(name: str, nodes: int, files: list[str]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PURE_LAB_NAME": name, "PURE_LAB_NODES": str(nodes), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, "-m", "pytest", *OPTIONS, *files], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)


def show(name: str, run: "subprocess.Popen[str]") -> None:
    """Print what a lab says, line by line, with the lab's name and the time before it."""
    assert run.stdout
    for line in run.stdout:
        print(f"[{name} {time.strftime('%H:%M:%S')}] {line}", end="", flush=True)


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
