"""`make demo` tells the truth: the whole story in its pretended form, its failures, and its end by Ctrl-C."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.demo.screen import Screen
from simulator.demo.workload import whole
from simulator.kubelet import CallOut

ROOT = Path(__file__).parents[2]


def demo(home: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start the demo with an empty HOME and a directory of its own to work in."""
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "simulator.demo", "--pretend", *arguments], cwd=ROOT, text=True,
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def left_behind(home: Path) -> list[str]:
    """Command lines of what the demo started and still runs: all have its TMPDIR in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if str(home).encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue                     # it ended meanwhile
    return found


@pytest.fixture
def home() -> Iterator[Path]:
    """A short directory: a pretend node's socket has no room for pytest's long ones. Empty again afterwards."""
    with tempfile.TemporaryDirectory(prefix="d-") as place:
        yield Path(place)
        assert os.listdir(place) == [], "the demo left files behind"


@pytest.mark.slow
def test_the_whole_story_holds(home: Path) -> None:
    """Every chapter, every statement checked, exit status 0, in time, nothing left behind."""
    began = time.monotonic()
    process = demo(home)
    output, _ = process.communicate(timeout=58)
    assert process.returncode == 0, output
    assert time.monotonic() - began < 58
    assert "✗" not in output and re.search(r"all \d+ statements held", output)
    assert [int(number) for number in re.findall(r"^ +[\d.]+ s  (\d)\. ", output, re.M)] == list(range(1, 10))
    for words in ("is Bound to pvc-", "is on fa2", "waits for node1", "taken over after",
                  "what node2 writes node1 reads", "20.0 GiB", "recoverable for 24 h", "pretended"):
        assert words in output
    for call in ("init", "mount", "unmount", "expandfs"):
        assert re.search(rf"node[12]  flex {call} .* Success +[\d,]+ ms", output), call
    assert left_behind(home) == []


@pytest.mark.slow
def test_a_story_that_breaks_off_says_so(home: Path) -> None:
    """Out of time: the reason, the statements that did not hold, exit status 1."""
    process = demo(home, "--limit", "2.2")
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 1, output
    assert "did not hold" in output and "not within" in output


@pytest.mark.slow
def test_ctrl_c_stops_and_removes_everything(home: Path) -> None:
    """Also in the middle of a call-out; exit status 130."""
    process = demo(home)
    assert process.stdout
    for line in process.stdout:
        if "2. A pod" in line:
            break
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)       # an impatient user
    output = process.stdout.read()
    assert process.wait(40) == 130, output
    assert "interrupted" in output and "Traceback" not in output
    assert left_behind(home) == []


def test_help_names_the_options() -> None:
    """--help works without starting anything."""
    done = subprocess.run([sys.executable, "-m", "simulator.demo", "--help"], cwd=ROOT, text=True, capture_output=True,
                          check=True, timeout=30, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert all(option in done.stdout for option in ("--pretend", "--keep", "--verbose", "--limit"))


def call(name: str, error: str = "", message: str = "") -> CallOut:
    """A call-out that took 12 ms."""
    status = "Failure" if error else "Success"
    return CallOut("node1", name, ("/pods/u/volumes/pure~flex/pvc-1234567890", "{}"), {"status": status, "message": message},
                   0, "", 0.0, 12.0, error)


def test_a_false_statement_is_marked_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The summary repeats what did not hold."""
    screen = Screen()
    screen.check("water is wet", True)
    screen.check("fire is cold", False, "hot")
    screen.summary()
    output = capsys.readouterr().out
    assert "fire is cold  (found: hot)" in output
    assert "1 of 2 statements did not hold" in output
    assert screen.failed == ["fire is cold"]


def test_a_call_out_is_one_line_and_a_failure_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Node, call, volume, answer, milliseconds; the driver's words below when it failed."""
    screen = Screen()
    screen.call_out(call("mount"))
    screen.call_out(call("mount", "mount command failed", "waits for host node2"))
    good, bad, why = capsys.readouterr().out.splitlines()
    assert good.split() == ["node1", "flex", "mount", "pvc-12345678…", "Success", "12", "ms"]
    assert "Failure" in bad and why.strip() == "waits for host node2"


@pytest.mark.parametrize(("text", "expected"), [
    ("life a line 1\nlife a line 2\n", True), ("life a line 1\nlife a line 3\n", False),
    ("life a line 2\nlife a line 1\n", False), ("life a line 1\n", False), ("", False),
    ("life b line 1\nlife a line 1\nlife a line 2\nlife b line 2\n", True)])
def test_a_journal_is_whole_without_gaps(text: str, expected: bool) -> None:
    """In order, from one, at least so many."""
    assert whole(text, "a", 2) is expected
