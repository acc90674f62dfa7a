"""What a call to a FlashArray costs: our client against `purestorage` as shipped, same array, same run.

The array is a pretend one in a process of its own, so that CPU is the client's alone. Rounds of all candidates take
turns, and a ratio is the median over the rounds of the ratio within one: the machine may be shared. Calls a second are
bounded by what one pretend array can answer; CPU per call is not.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import purestorage

from arrays import fleet
from arrays.entries import FlashArrayEntry
from arrays.flasharray import FlashArray
from tests.bench.budget import Budget, status

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
THREADS = 16
TARGET, WORST = 25.0, 20.0          # design.md section 6
SHIPPED, OURS, CROWD, CHECKED = ("purestorage as shipped", "ours", f"ours, {THREADS} threads",
                                 "purestorage, with a small CA file")


class Sample(NamedTuple):
    """One candidate in one round."""

    calls_per_second: float
    cpu_per_call: float             # seconds


class Row(NamedTuple):
    """One line of the table; `ratio` is calls a second and `cpu_ratio` CPU per call, both against the library."""

    name: str
    calls_per_second: float
    cpu_milliseconds: float
    ratio: float
    cpu_ratio: float


def measure(rounds: int = ROUNDS) -> list[Row]:
    """All rows, the library's first; some ten seconds."""
    with pretend_array() as entry, warnings.catch_warnings():
        warnings.simplefilter("ignore")         # the library warns at each call that it does not verify
        ours = FlashArray(entry)
        checked = purestorage.FlashArray(entry.endpoint, api_token=entry.token,
                                         request_kwargs={"verify": entry.verify})
        shipped = purestorage.FlashArray(entry.endpoint, api_token=entry.token)
        ours.create_volume("bench", 1 << 30)
        candidates: dict[str, Callable[[], Sample]] = {
            SHIPPED: lambda: one_by_one(lambda: shipped.get_volume("bench"), 20),
            CHECKED: lambda: one_by_one(lambda: checked.get_volume("bench"), 60),
            OURS: lambda: one_by_one(lambda: ours.volume("bench"), 400),
            CROWD: lambda: side_by_side(lambda: ours.volume("bench"), 400),
        }
        samples = {name: [] for name in candidates}     # type: dict[str, list[Sample]]
        for _ in range(rounds):
            for name, run in candidates.items():
                samples[name].append(run())
        ours.close()
    return [row(name, samples[name], samples[SHIPPED]) for name in candidates]


def row(name: str, found: list[Sample], base: list[Sample]) -> Row:
    def median(values: Iterator[float]) -> float:
        return statistics.median(values)
    return Row(name, median(each.calls_per_second for each in found),
               median(each.cpu_per_call for each in found) * 1000,
               median(each.calls_per_second / other.calls_per_second for each, other in zip(found, base, strict=True)),
               median(other.cpu_per_call / each.cpu_per_call for each, other in zip(found, base, strict=True)))


def one_by_one(call: Callable[[], object], times: int) -> Sample:
    call()
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    return Sample(times / (time.perf_counter() - began), (time.process_time() - cpu) / times)


def side_by_side(call: Callable[[], object], times: int) -> Sample:
    """Calls from many threads that share the client, as the provisioner makes them."""
    with ThreadPoolExecutor(THREADS) as crowd:
        list(crowd.map(lambda _: call(), range(THREADS)))
        began, cpu = time.perf_counter(), time.process_time()
        list(crowd.map(lambda _: call(), range(times)))
        return Sample(times / (time.perf_counter() - began), (time.process_time() - cpu) / times)


@contextmanager
def pretend_array() -> Iterator[FlashArrayEntry]:
    """One pretend FlashArray in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="array-bench") as directory:
        path = Path(directory, "pure.json")
        with subprocess.Popen([sys.executable, "-m", "simulator", "--directory", directory, "--flash-array", "bench"],
                              cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            try:
                yield wait_for(path, process).flash_arrays[0]
            finally:
                process.terminate()


def wait_for(path: Path, process: "subprocess.Popen[bytes]", limit: float = 30.0) -> fleet.Fleet:
    """The fleet in `path`, once the simulator has written it."""
    deadline = time.monotonic() + limit
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the simulator did not start: status {process.poll()}")
        time.sleep(0.05)
    return fleet.load(str(path))


def run() -> list[Budget]:
    """Measure, print the table, and return what it comes to."""
    rows = measure()
    print(f"{'array calls':<36}{'calls/s':>9}{'CPU ms':>8}{'x calls/s':>11}{'x CPU':>7}   target {TARGET:g}, "
          f"worst {WORST:g}")
    for each in rows:
        print(f"{each.name:<36}{each.calls_per_second:>9.0f}{each.cpu_milliseconds:>8.2f}{each.ratio:>11.1f}"
              f"{each.cpu_ratio:>7.1f}")
    ours = next(each for each in rows if each.name == OURS)
    kept = ours.ratio >= WORST
    print(f"array calls: ours ÷ purestorage as shipped: {ours.ratio:.1f}{'' if kept else '  over budget'}")
    return [Budget("calls/s ÷ purestorage as shipped", ours.ratio, "×", TARGET, WORST, kept, most=False)]


if __name__ == "__main__":
    sys.exit(status(run()))
