"""Health over HTTP: /healthz (the loop turns), /readyz (the driver is in place and starts), /metrics (Prometheus text)."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from daemonset.daemon import Status


def serve(port: int, status: Status, patience: float) -> ThreadingHTTPServer:
    """Answer on `port` in a thread of its own; the loop is called dead after `patience` seconds without a turn."""
    seen = {"turns": -1, "at": time.monotonic()}

    def alive() -> bool:
        if status.turns != seen["turns"]:
            seen.update(turns=status.turns, at=time.monotonic())
        return time.monotonic() - seen["at"] < patience

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {"/healthz": _health(alive()), "/readyz": _ready(status), "/metrics": (200, _metrics(status))}
            code, text = pages.get(self.path, (404, "there are /healthz, /readyz and /metrics\n"))
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds and tell nothing."""

    server = ThreadingHTTPServer(("", port), Answer)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
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
