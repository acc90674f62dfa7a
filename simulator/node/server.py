"""The executables of a pretend node, and the socket behind them.

Each executable is the same small script under another name: it passes its arguments to the node's abstract Unix socket,
prints the answer and ends with its status. It imports nothing but C modules, so that a call costs little more than the
start of an interpreter. The script may be told to run a real program instead and to report its status (realform.py).

Request: a line with the number of bytes, then JSON-free fields: working directory and argv, separated by NUL.
Answer: a line "STATUS BYTES_OF_STDOUT", then stdout and stderr; or "run", and the program's argv, separated by NUL.
"""

import contextlib
import hashlib
import os
import socket
import sys
import threading
from collections.abc import Callable

SCRIPT = '''#!{python} -IS
import _socket, posix, sys
name = sys.argv[0].rpartition("/")[2]
node = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    node.connect({address!r})
except OSError:
    posix.write(2, name.encode() + b": this node is switched off\\n")
    posix._exit(127)
try:
    here = posix.getcwd()
except OSError:
    here = "/"
request = "\\0".join([here, name, *sys.argv[1:]]).encode("utf-8", "surrogateescape")
node.sendall(b"%d\\n%b" % (len(request), request))
def answer():
    data = b""
    while chunk := node.recv(65536):
        data += chunk
    return data
def write(stream, data):
    while data:
        data = data[posix.write(stream, data):]
data = b""
while b"\\n" not in data:
    chunk = node.recv(65536)
    if not chunk:
        posix._exit(127)
    data += chunk
head, _, data = data.partition(b"\\n")
if head.startswith(b"run "):
    while len(data) < int(head[4:]):
        data += node.recv(65536)
    argv = data.split(b"\\0")
    child = posix.fork()
    if not child:
        try:
            posix.execve(argv[0], [name.encode(), *argv[1:]], posix.environ)
        finally:
            posix._exit(127)
    status = posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1])
    node.sendall(b"%d\\n" % status)
    answer()
    posix._exit(status if status >= 0 else 128 - status)
status, length = map(int, head.split())
data += answer()
try:
    write(1, data[:length])
    write(2, data[length:])
except OSError:
    pass
posix._exit(status)
'''


CONTROL = "-control"            # the socket for remote.py has the tools' address with this behind it


def address_of(directory: str) -> str:
    """The abstract socket of the node that lives in a directory: short, whatever the directory's name."""
    return "\0pretend-node/" + hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:24]


def install(directory: str, binaries: str, tools: list[str]) -> None:
    """Put the executables of `tools` into `binaries`."""
    os.makedirs(binaries, exist_ok=True)
    script = f"{binaries}/.tool"
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(python=os.path.realpath(sys.executable), address=address_of(directory)))
    os.chmod(script, 0o755)
    for name in tools:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{binaries}/{name}")
        os.symlink(".tool", f"{binaries}/{name}")


def hide(binaries: str, tools: list[str], hidden: bool) -> None:
    """Let executables be missing, or be there again."""
    for name in tools:
        link = f"{binaries}/{name}"
        if hidden and os.path.lexists(link):
            os.unlink(link)
        elif not hidden and not os.path.lexists(link):
            os.symlink(".tool", link)


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
