"""Long-running programs of the cluster: started with a log and a pid file each, so that a later run can stop them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

STOP_SECONDS = 10.0


def start(work: Path, name: str, argv: list[str], environment: dict[str, str] | None = None) -> int:
    """Start a program in a session of its own; its output goes to `work`/logs/NAME.log."""
    (work / "logs").mkdir(parents=True, exist_ok=True)
    (work / "pids").mkdir(exist_ok=True)
    with open(work / "logs" / f"{name}.log", "ab") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                 env={**os.environ, **(environment or {})})
    (work / "pids" / name).write_text(str(child.pid))
    return child.pid


def stop(work: Path, name: str, *, kill: bool = False) -> None:
    """End a program that `start` began, also in an earlier run; nothing to do if it is gone."""
    file = work / "pids" / name
    if not file.exists():
        return
    pid = int(file.read_text())
    if str(work).encode() in _command(pid) or name.encode() in _command(pid):
        _end(pid, signal.SIGKILL if kill else signal.SIGTERM)
    file.unlink()


def stop_all(work: Path) -> None:
    """End everything, youngest first."""
    files = sorted((work / "pids").glob("*"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for file in files:
        stop(work, file.name, kill=True)      # nothing of it is kept, so nobody has to say good-bye


def wait(what: str, look: Callable[[], object], seconds: float) -> None:
    """Look ten times a second until it is true; a RuntimeError names what never came."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)


def _end(pid: int, number: signal.Signals) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    try:
        os.killpg(pid, number)
        while time.monotonic() < deadline:
            if _is_gone(pid):
                return
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_gone(pid: int) -> bool:
    """Whether a process has ended with all its threads, also when nobody has asked for its status yet.

    The first thread of a killed process is a zombie at once; the others may still hold its sockets.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def _command(pid: int) -> bytes:
    """The command line of a process, b"" when it is gone: pids are reused, so look before killing."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
