"""What starting the driver costs on a node, measured on the bundle itself: launcher, loader, own Python (packaging.md 10).

The floor is Debian's `python3.11 -I -S -c pass`, the interpreter that the bundle carries. All candidates run in every round
in random order. A neighbour on the machine only ever makes a run longer, so a budget counts as broken when both the median
of the rounds' ratios and the ratio of the shortest runs are above it: that is what `make bundle` fails for.
"""

import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemonset.bundle.libraries import INTERPRETER
from tests.bench.budget import Budget, status
from tests.bench.startup import ending, fleet, interleaved, machine, talking

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "dist" / f"bundle-{platform.machine()}"
ROUNDS = 60
TRIVIAL = Path("/bin/true")
# Target and worst acceptable: design.md section 6.
BUDGETS = {"init": (0.9, 1.2), "unsupported call": (0.9, 1.2), "unmount, nothing to do": (1.4, 2.7),
           "bad arguments": (4.6, 6.0), "help": (4.6, 6.0)}


class Row(NamedTuple):
    """One line of the table; `median` and `shortest` are ratios to the floor."""

    name: str
    median: float
    shortest: float
    milliseconds: float
    target: float
    worst: float

    @property
    def kept(self) -> bool:
        return min(self.median, self.shortest) <= self.worst


def measure(bundle: Path = BUNDLE, rounds: int = ROUNDS) -> list[Row]:
    """All rows; some fifteen seconds on an idle core."""
    with tempfile.TemporaryDirectory(prefix="bundle-bench", dir=bundle.parent) as folder:
        place = Path(folder)
        environment = machine(place)
        directory = str(place / "pods/uid-1/volumes/pure~flex/pvc-1")
        shutil.copytree(bundle, place / "pure~flex", copy_function=os.link)
        flex, trivial = str(place / "pure~flex/flex"), trivial_bundle(bundle, place / "trivial")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            options = json.dumps({"backend": "block", "volume": "k8s-pvc-1", "array": fleet(place / "pure~flex", listener)})
            told = {"init": ("init",), "unsupported call": ("getvolumename", "{}"),
                    "unmount, nothing to do": ("unmount", directory), "bad arguments": ("mount",), "help": ("--help",)}
            for arguments in told.values():
                answers(flex, *arguments, **environment)
            runs: dict[str, tuple[Callable[[], float], float, float]] = {
                "launcher and loader, trivial program": (ending(trivial, **environment), 0.1, 0.2),
                **{name: (ending(flex, *arguments, **environment), *BUDGETS[name]) for name, arguments in told.items()},
                "mount, to its first network byte": (
                    talking(listener, flex, "mount", directory, options, **environment), 8.0, 12.0)}
            floor = ending(str(INTERPRETER), "-I", "-S", "-c", "pass")
            times = interleaved({"": floor, **{name: run for name, (run, _, _) in runs.items()}}, rounds)
    return [Row(name, statistics.median(ours / bare for ours, bare in zip(times[name], times[""], strict=True)),
                min(times[name]) / min(times[""]), statistics.median(times[name]) * 1000, target, worst)
            for name, (_, target, worst) in runs.items()]


def answers(*argv: str, **environment: str) -> None:
    """A driver that does not start would be quick: each call has to say something."""
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False)
    said = done.stdout.lstrip()
    assert said.startswith(("{", "Usage")) and not done.stderr and "cannot start" not in said, done


def trivial_bundle(bundle: Path, target: Path) -> str:
    """The same launcher, loader and libraries with `true` in the interpreter's place; its launcher."""
    shutil.copytree(bundle, target, copy_function=os.link)
    [python] = target.glob(".flex-rt-*/bin/python3.11")
    python.unlink()
    shutil.copy(TRIVIAL, python)
    return str(target / "flex")


def table(rows: list[Row]) -> str:
    """The rows for people."""
    lines = [f"{'bundle: call ÷ bare interpreter':<40}{'median':>8}{'shortest':>10}{'ms':>8}{'target':>8}{'worst':>8}"]
    lines += [f"{row.name:<40}{row.median:>8.2f}{row.shortest:>10.2f}{row.milliseconds:>8.1f}{row.target:>8.1f}"
              f"{row.worst:>8.1f}{'' if row.kept else '  over budget'}" for row in rows]
    return "\n".join(lines)


def run() -> list[Budget]:
    """Measure, print the table, and return what it comes to; nothing without a bundle."""
    if not (BUNDLE / "flex").exists():
        print("not measured: there is no bundle yet, make bundle builds it and measures it too")
        return []
    rows = measure()
    print(table(rows))
    return [Budget(row.name, row.median, "×", row.target, row.worst, row.kept) for row in rows]


if __name__ == "__main__":
    sys.exit(status(run()))
