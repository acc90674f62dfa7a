"""The abstract Unix socket of a pretend node's multipathd, whose name begins with the node's root.

Protocol: each way a native 64-bit length, then the text with a final NUL.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable

from simulator.node.machine import Machine
from simulator.node.multipath_tools import FAIL, MultipathTools
from simulator.node.executables import hide

SOCKET = "/org/kernel/linux/storage/multipathd"


class MultipathdSocket:
    """The abstract Unix socket of multipathd; there only while the daemon runs."""

    def __init__(self, machine: Machine, tools: MultipathTools, started: Callable[[], None]) -> None:
        self._machine, self._tools, self._started = machine, tools, started
        self._address = "\0" + machine.tree.root + SOCKET
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    def follow(self) -> None:
        """Listen or not, as settings.multipathd says, and be installed or not. Call with the machine's lock held."""
        hide(os.path.dirname(self._machine.tree.root) + "/bin", ["multipath", "multipathd"],
             self._machine.settings.multipathd == "absent")
        wanted = self._machine.running and self._machine.settings.multipathd == "running"
        if wanted and self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self._address)
            self._listener.listen(64)
            self._accepting = threading.Thread(target=self._accept, args=(self._listener,), name="multipathd", daemon=True)
            self._accepting.start()
            self._started()
        elif not wanted and self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            if self._accepting is not None:
                self._accepting.join(5.0)       # the name is free again only when accept() has returned

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):                # closed: multipathd was stopped
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := receive(connection):
                with self._machine.lock:
                    answer = self._tools.ask(request) if self._machine.running else FAIL
                    self._machine.changed.notify_all()
                data = answer.encode() + b"\0"
                connection.sendall(struct.pack("@Q", len(data)) + data)


def receive(connection: socket.socket) -> str:
    """One request; empty at the end."""
    head = exactly(connection, 8)
    if not head:
        return ""
    return exactly(connection, struct.unpack("@Q", head)[0]).rstrip(b"\0").decode(errors="replace")


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            return b""
        data += chunk
    return data
