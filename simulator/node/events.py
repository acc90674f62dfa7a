"""Files of sysfs that act when written to: FIFOs of a pretend node, read by one thread.

A write to a FIFO returns before it is acted upon, where the kernel would let the writer wait; so what follows from it
comes a moment later. A host that would block its writer (a session that is dying) has its FIFO closed for reading: the
writer's open() then waits, though unlike in the kernel it can be killed.
"""

import contextlib
import errno
import os
import selectors
import threading
from collections.abc import Callable

Act = Callable[[str], None]


class Events:
    """path of a FIFO -> what to do with each line written to it."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.EpollSelector()
        self._fds: dict[str, int] = {}
        self._acts: dict[str, Act] = {}
        self._wake, self._awake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ, "")
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._stopped = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        os.write(self._awake, b"x")
        self._thread.join()
        self.forget("")
        self._selector.close()
        os.close(self._wake)
        os.close(self._awake)

    def make(self, path: str, act: Act) -> None:
        """Make the FIFO `path`, which must not exist yet, and act on what is written to it."""
        os.mkfifo(path, 0o200)
        self._acts[path] = act
        self.open(path)

    def open(self, path: str) -> None:
        """Let writers through."""
        with self._lock:
            if path in self._acts and path not in self._fds:
                fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)   # our own end keeps it from ever ending
                self._fds[path] = fd
                self._selector.register(fd, selectors.EVENT_READ, path)

    def block(self, path: str) -> None:
        """From now on whoever opens the file for writing waits."""
        with self._lock:
            if (fd := self._fds.pop(path, None)) is not None:
                self._selector.unregister(fd)
                os.close(fd)

    def forget(self, below: str) -> None:
        """Everything below a directory is going away."""
        for path in [path for path in list(self._acts) if path.startswith(below)]:
            with contextlib.suppress(OSError):
                self.open(path)                     # who waits in open() gets through, to nowhere
            self.block(path)
            self._acts.pop(path, None)

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select():
                if key.data:
                    self._read(key.fd, key.data)

    def _read(self, fd: int, path: str) -> None:
        try:
            text = os.read(fd, 4096).decode(errors="replace")
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EBADF):
                return
            raise
        for line in text.split("\n"):
            if line.strip() and (act := self._acts.get(path)):
                try:
                    act(line.strip())
                except Exception as error:          # the top of this thread: the test is told, the node lives on
                    self._failed(path, error)
