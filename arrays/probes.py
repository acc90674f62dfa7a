"""HTTP for probes and Prometheus, the same for every program that runs for long: plain, read only, without secrets.

It is here because this is the room that the provisioner and the daemon share. Only they import it: nothing that lives for
one call-out does.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

Page = Callable[[], tuple[int, str]]        # -> status and text

SLOWEST = 10.0              # seconds a client has for each piece of its request; then its thread and socket are free


class ProbeServer:
    """Answers GET of `pages` on `port` (0: one that is free, see `port`) from `start` until `stop`; OSError without one."""

    def __init__(self, port: int, pages: Mapping[str, Page]) -> None:
        none = 404, f"try {', '.join(pages)}\n"

        class Handler(BaseHTTPRequestHandler):
            """Answers GET; says nothing on its own."""

            timeout = SLOWEST

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                status, text = page() if page else none
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes come every few seconds; nobody wants to read of them."""

        self._server = _Server(("", port), Handler)
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """On IPv6 and IPv4 where the machine has both: a cluster may know pods by either."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)         # HTTPServer's would ask a DNS server for our name, and may wait for it
        self.server_name, self.server_port = "", self.server_address[1]
