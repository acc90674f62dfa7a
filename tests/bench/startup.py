"""What starting the driver costs, call by call, as ratios to a bare interpreter in the same run (packaging.md 10).

The driver is laid out as the bundle has it (sourceless .pyc, no site, Debian's or the test's own interpreter), without the
bundle's launcher and its trimmed libraries; the bundle's own bench has those. Milliseconds depend on the machine and on who
else uses it: all candidates run in turn in every round, and a ratio is the median over the rounds of the ratio in one.
"""

import compileall
import json
import os
import py_compile
import random
import shutil
import socket
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.budget import Budget, status

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 40
FLAGS = ("-I", "-S", "-B", "-X", "utf8=1")
DEPENDENCIES = ("click", "requests", "urllib3", "idna", "charset_normalizer", "certifi", "purestorage")
MAIN = "import sys\nsys.path[:0] = [{tree!r}]\nfrom flex.cli import run\nrun()\n"

# Some sixty mounts, as a node with a few pods has them.
MOUNTINFO = "20 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n" + "".join(
    f"{30 + each} 20 0:{each} / /run/pods/{each} rw,relatime shared:{each} - tmpfs tmpfs rw\n" for each in range(60))


class Row(NamedTuple):
    """One line of the table: `ratio` to the bare interpreter, and design.md's budget for it."""

    name: str
    ratio: float
    milliseconds: float
    target: float
    worst: float

    @property
    def kept(self) -> bool:
        return self.ratio <= self.worst


def measure(rounds: int = ROUNDS) -> list[Row]:
    """All rows; a minute on two busy cores."""
    with tempfile.TemporaryDirectory(prefix="flex-bench") as folder:
        place = Path(folder)
        python = os.path.realpath(sys.executable)
        command = [python, *FLAGS, str(lay_out(place))]
        environment = machine(place)
        directory = str(place / "pods/uid-1/volumes/pure~flex/pvc-1")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            options = json.dumps({"backend": "block", "volume": "k8s-pvc-1", "array": fleet(place, listener)})
            candidates: dict[str, tuple[Callable[[], float], float, float]] = {
                "flex init": (ending(*command, "init", **environment), 0.9, 1.2),
                "unsupported call": (ending(*command, "getvolumename", "{}", **environment), 0.9, 1.2),
                "unmount, nothing to do": (ending(*command, "unmount", directory, **environment), 1.4, 2.7),
                "bad arguments": (ending(*command, "mount", **environment), 4.6, 6.0),
                "help": (ending(*command, "--help", **environment), 4.6, 6.0),
                "mount, to its first network byte": (
                    talking(listener, *command, "mount", directory, options, **environment), 8.0, 12.0),
            }
            floor = ending(python, "-I", "-S", "-c", "pass")
            times = interleaved({"": floor, **{name: run for name, (run, _, _) in candidates.items()}}, rounds)
    return [Row(name, statistics.median(ours / bare for ours, bare in zip(times[name], times[""])),
                statistics.median(times[name]) * 1000, target, worst)
            for name, (_, target, worst) in candidates.items()]


def interleaved(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round, in random order within the round, after one round to warm the cache."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(-1, rounds):
        for name in random.sample(sorted(candidates), len(candidates)):
            seconds = candidates[name]()
            if number >= 0:
                times[name].append(seconds)
    return times


def ending(*argv: str, **environment: str) -> Callable[[], float]:
    """Seconds from start to end of a command."""
    def run() -> float:
        begin = time.perf_counter()
        child = spawn(argv, environment)
        os.waitpid(child, 0)
        return time.perf_counter() - begin
    return run


def talking(listener: socket.socket, *argv: str, **environment: str) -> Callable[[], float]:
    """Seconds from the start of a command to the first byte it sends; then it is ended."""
    def run() -> float:
        begin = time.perf_counter()
        child = spawn(argv, environment)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)
            seconds = time.perf_counter() - begin
            os.kill(child, 9)
        os.waitpid(child, 0)
        return seconds
    listener.settimeout(20)
    return run


def spawn(argv: Sequence[str], environment: dict[str, str]) -> int:
    quiet = [(os.POSIX_SPAWN_OPEN, stream, "/dev/null", os.O_RDWR, 0) for stream in (0, 1, 2)]
    return os.posix_spawn(argv[0], list(argv), environment, file_actions=quiet)


def lay_out(place: Path) -> Path:
    """The driver and what it imports as .pyc only; returns the script to start."""
    tree = place / "tree"
    for package in ("flex", "arrays"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for package in DEPENDENCIES:
        installed = Path(sysconfig.get_path("purelib"), package)
        if installed.is_dir():
            shutil.copytree(installed, tree / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    compileall.compile_dir(tree, quiet=2, legacy=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    for source in tree.rglob("*.py"):
        source.unlink()
    script = place / "main.py"
    script.write_text(MAIN.format(tree=str(tree)))
    py_compile.compile(str(script), str(place / "main.pyc"), doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    return place / "main.pyc"


def machine(place: Path) -> dict[str, str]:
    """A machine with mounts and nothing of ours, and the environment for it."""
    (place / "root/proc/self").mkdir(parents=True)
    (place / "root/proc/self/mountinfo").write_text(MOUNTINFO)
    (place / "pods/uid-1/volumes/pure~flex").mkdir(parents=True)
    return {"PURE_FLEX_ROOT": str(place / "root"), "PATH": "/usr/bin:/bin"}


def fleet(place: Path, listener: socket.socket) -> str:
    """pure.json beside the script, with one array that only listens; its endpoint."""
    endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
    token = "00000000-0000-0000-0000-000000000000"
    (place / ".pure.json").write_text(json.dumps({"FlashArrays": [{"MgmtEndPoint": endpoint, "APIToken": token}]}))
    return endpoint


def run() -> list[Budget]:
    """Measure, print the table, and return what it comes to."""
    rows = measure()
    print(f"{'call ÷ bare interpreter':<36}{'ratio':>8}{'ms':>8}{'target':>8}{'worst':>8}")
    for row in rows:
        print(f"{row.name:<36}{row.ratio:>8.2f}{row.milliseconds:>8.1f}{row.target:>8.1f}{row.worst:>8.1f}"
              f"{'' if row.kept else '  over budget'}")
    return [Budget(row.name, row.ratio, "×", row.target, row.worst, row.kept) for row in rows]


if __name__ == "__main__":
    sys.exit(status(run()))
