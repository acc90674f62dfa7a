"""The HTTP server of provisioner and daemon, apart from what their pages say."""

import errno
import socket
import threading

import pytest

from arrays import probes
from tests.provisioner.waiting import until


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_probes_by_either_family(address: str) -> None:
    """A cluster may know its pods by IPv6 only."""
    server = probes.ProbeServer(0, {"/healthz": lambda: (200, "ok\n")})
    server.start()
    try:
        with socket.create_connection((address, server.port), 5) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in client.recv(100)
    except OSError as error:
        assert address == "::1" and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT), error     # no IPv6 here
    finally:
        server.stop()


def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each one would keep a thread and a socket for ever."""
    monkeypatch.setattr(probes, "SLOWEST", 0.1)
    server = probes.ProbeServer(0, {"/healthz": lambda: (200, "ok\n")})
    server.start()
    before = threading.active_count()
    clients = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(5)]
    for client in clients:
        assert client.recv(1) == b""
        client.close()
    until(lambda: threading.active_count() <= before, "their threads")
    server.stop()
