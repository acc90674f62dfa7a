"""Runs the suite's binary with its runner, in the control plane's network, against the cluster."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cluster.namespaces import CONTROL, inside
from tests.cluster.world import World
from tests.conformance import outcome

LIMIT = "40m"
_running: "set[subprocess.Popen[bytes]]" = set()


def run(world: World, programs: Path, folder: Path, driver: Path, *, serial: bool, only: str, procs: int) -> Path:
    """Run all specs that apply; the report, JSON as ginkgo writes it. What is said meanwhile is in `folder`/log."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    skip = [pattern for pattern in outcome.LEFT_OUT if not (serial and pattern == outcome.SERIAL)]
    focus = f"External.Storage.*{'Serial.*' if serial else ''}{only}"
    argv = [*inside(CONTROL), str(programs / "ginkgo"), f"--procs={procs}", f"--timeout={LIMIT}", "--no-color",
            f"--json-report={report.name}", f"--output-dir={folder}", f"--focus={focus}",
            f"--skip={'|'.join(skip)}", str(programs / "e2e.test"), "--",
            f"-kubeconfig={world.cluster.work}/admin.kubeconfig", "-provider=local", f"-repo-root={folder}",
            f"-storage.testdriver={driver}", "-num-nodes=2", "-disable-log-dump=true"]
    environment = {**os.environ, "PATH": f"{world.cluster.programs}:{os.environ['PATH']}",
                   "KUBECONFIG": f"{world.cluster.work}/admin.kubeconfig"}
    with (folder / "log").open("w") as log:
        suite = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
    _running.add(suite)
    try:
        suite.wait()
    finally:
        _end(suite)
    if not report.exists():
        raise RuntimeError(f"the suite did not run: {(folder / 'log').read_text()[-2000:]}")
    return report


def interrupt() -> None:
    """End all runs before their time."""
    for suite in list(_running):
        _end(suite)


def _end(suite: "subprocess.Popen[bytes]") -> None:
    """What is left of a run. At once: cleaning up takes specs minutes, and the cluster they ran on is thrown away."""
    with suppress(ProcessLookupError):
        os.killpg(suite.pid, signal.SIGKILL)
    suite.wait()
    _running.discard(suite)
