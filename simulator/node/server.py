"""The socket behind the executables of a pretend node (executables.py).

Request: a line with the number of bytes, then JSON-free fields: working directory and argv, separated by NUL.
Answer: a line "STATUS BYTES_OF_STDOUT", then stdout and stderr; or "run", and the program's argv, separated by NUL.
"""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Callable

CONTROL = "-control"            # the socket for remote.py has the tools' address with this behind it


def address_of(directory: str) -> str:
    """The abstract socket of the node that lives in a directory: short, whatever the directory's name."""
    return "\0pretend-node/" + hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:24]


class Client:
    """One connection of an executable."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._left = False

    def request(self) -> list[str]:
        """[working directory, tool, arguments …]; empty when the client left."""
        data = b""
        while b"\n" not in data:
            if not (chunk := self._connection.recv(65536)):
                return []
            data += chunk
        head, _, data = data.partition(b"\n")
        while len(data) < int(head):
            if not (chunk := self._connection.recv(65536)):
                return []
            data += chunk
        return data.decode("utf-8", "surrogateescape").split("\0")

    def killed(self) -> bool:
        """Whether the executable has died, or was killed."""
        if not self._left:
            with contextlib.suppress(OSError):          # nothing to read: it lives
                self._left = not self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return self._left

    def answer(self, status: int, out: str, err: str) -> None:
        data, errors = (text.encode("utf-8", "surrogateescape") for text in (out, err))
        with contextlib.suppress(OSError):
            self._connection.sendall(b"%d %d\n" % (status, len(data)) + data + errors)

    def run(self, argv: list[str]) -> int | None:
        """Let the executable run a real program; its status, or None when both were killed."""
        data = "\0".join(argv).encode("utf-8", "surrogateescape")
        try:
            self._connection.sendall(b"run %d\n" % len(data) + data)
            status = self._connection.recv(64)
        except OSError:
            return None
        return int(status) if status.strip() else None


class Server:
    """Listens for executables; one thread for each that runs."""

    def __init__(self, address: str, serve: Callable[[Client], None]) -> None:
        self._address = address
        self._serve = serve
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._address)
        self._listener.listen(128)
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), name="tools", daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            if self._accepting is not None:
                self._accepting.join(5.0)       # the name is free again only when accept() has returned

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):              # closed: the node was switched off
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            self._serve(Client(connection))
