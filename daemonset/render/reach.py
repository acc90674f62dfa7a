"""Whether the arrays can be reached from here. Only a hint: the nodes may reach what this machine does not."""

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 3.0              # seconds for one array


def silent(endpoints: Iterable[str], patience: float = PATIENCE) -> list[str]:
    """A sentence for each management endpoint ("1.2.3.4", "[2001:db8::1]:8443") that takes no connection."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return [answer for answer in pool.map(lambda one: _try(one, patience), endpoints) if answer]


def _try(endpoint: str, patience: float) -> str:
    host, port = _split(endpoint)
    try:
        socket.create_connection((host, port), patience).close()
    except OSError as error:
        return f"array {endpoint} does not answer on port {port} from here: {error.strerror or error}"
    return ""


def _split(endpoint: str) -> tuple[str, int]:
    host, colon, port = endpoint.rpartition(":")
    if not colon or endpoint.endswith("]"):
        host, port = endpoint, "443"
    return host.strip("[]"), int(port)
