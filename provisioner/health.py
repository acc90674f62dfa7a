"""HTTP for probes and Prometheus: /healthz, /healthz/leader-election, /readyz, /metrics. Plain, without secrets, read only.

Alive is who turns its loops; the API server or an array being away is no reason to be killed. Ready is who could serve a
claim now; the answer names what is missing.
"""

import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

log = logging.getLogger(__name__)

Complaints = Callable[[], Sequence[str]]


class Note(str):
    """A complaint that is no reason to take the pod out of service; it is shown all the same."""


SLOWEST = 10.0              # seconds a client has for each piece of its request; then its thread and socket are free


class _Server(ThreadingHTTPServer):
    """On IPv6 and IPv4 where the machine has both: a cluster may know pods by either."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)         # HTTPServer's would ask a DNS server for our name, and may wait for it
        self.server_name, self.server_port = "", self.server_address[1]


class HealthServer:
    """Answers on `port` (0: one that is free, see `port`) until stopped. A page is 200 while it has notes at the most."""

    def __init__(self, port: int, pages: Mapping[str, Complaints], metrics: Callable[[], bytes]) -> None:
        def answer(path: str) -> tuple[int, bytes]:
            if path == "/metrics":
                return 200, metrics()
            if path not in pages:
                return 404, b"try /healthz, /healthz/leader-election, /readyz or /metrics\n"
            complaints = pages[path]()
            well = all(isinstance(line, Note) for line in complaints)
            return (200 if well else 500), "".join(f"{line}\n" for line in [*(["ok"] if well else []), *complaints]).encode()

        class Handler(BaseHTTPRequestHandler):
            """Answers GET; says nothing on its own."""

            timeout = SLOWEST

            def do_GET(self) -> None:
                status, body = answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes come every few seconds; nobody wants to read of them."""

        self._server = _Server(("", port), Handler)
        self.port = self._server.server_address[1]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def opened(port: int, pages: Mapping[str, Complaints], metrics: Callable[[], bytes]) -> HealthServer | None:
    """A running server, None when the port is not to be had: that is said, and no reason not to work."""
    try:
        server = HealthServer(port, pages, metrics)
    except OSError as error:
        log.warning("no health and metrics on port %d: %s", port, error.strerror)
        return None
    server.start()
    return server
