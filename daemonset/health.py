"""Health over HTTP: /healthz (the loop turns), /readyz (the driver is in place and starts), /metrics (Prometheus text)."""

import time

from arrays.probes import ProbeServer
from daemonset.daemon import Status


def serve(port: int, status: Status, patience: float) -> ProbeServer:
    """Answer on `port` in a thread of its own; the loop is called dead after `patience` seconds without a turn."""
    seen = {"turns": -1, "at": time.monotonic()}

    def alive() -> bool:
        if status.turns != seen["turns"]:
            seen.update(turns=status.turns, at=time.monotonic())
        return time.monotonic() - seen["at"] < patience

    server = ProbeServer(port, {"/healthz": lambda: _health(alive()), "/readyz": lambda: _ready(status),
                                "/metrics": lambda: (200, _metrics(status))})
    server.start()
    return server


def _health(alive: bool) -> tuple[int, str]:
    return (200, "ok\n") if alive else (500, "the loop does not turn\n")


def _ready(status: Status) -> tuple[int, str]:
    return (200, "ok\n") if status.ready else (503, "".join(f"{problem}\n" for problem in status.problems))


def _metrics(status: Status) -> str:
    return ("# HELP pure_flex_installed Whether the driver is in place and starts.\n# TYPE pure_flex_installed gauge\n"
            f"pure_flex_installed {int(status.ready)}\n"
            "# HELP pure_flex_repairs_total Files put right since the daemon started.\n"
            "# TYPE pure_flex_repairs_total counter\n"
            f"pure_flex_repairs_total {status.changes}\n")
