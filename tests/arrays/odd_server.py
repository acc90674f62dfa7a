"""A server that answers what no array would: for replies the simulator has no reason to give."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import trustme


class Odd(NamedTuple):
    """One answer: status, headers (a name may come twice), body; `length` lies about the body's length."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    body: bytes = b"{}"
    length: int | None = None


class Asked(NamedTuple):
    """One request as it came; `port` is the client's, so it tells connections apart."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int = 0


@contextmanager
def serving(answer: Callable[[Asked], Odd], *, tls: bool = True, ca: trustme.CA | None = None,
            name: str = "127.0.0.1") -> Iterator[str]:
    """Serve `answer` on 127.0.0.1 with a certificate of `ca` (None: one nobody trusts) for `name`; yields the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            odd = answer(Asked(self.command, self.path, dict(self.headers), body, self.client_address[1]))
            self.send_response(odd.status)
            for name, value in odd.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(odd.body) if odd.length is None else odd.length))
            self.end_headers()
            self.wfile.write(odd.body)
            self.close_connection = odd.length is not None

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass                # a client that turns away from the certificate is what some tests are about

    server: socketserver.BaseServer = Server(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (ca or trustme.CA()).issue_cert(name).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)    # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"       # type: ignore[index]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
