"""Work in a forked child that may hang without hanging the call-out.

A write to a SCSI host's `scan`, a read of a device whose paths are gone: such system calls can block for minutes, deaf to
signals, and a process with a thread in one cannot even exit (node-attach.md, facts 5 and 11). So they happen in a child of
their own: detached from kubelet's streams (kubelet reads until the last holder closes them), without our locks, and left
behind when its time is over. The child is a fork, not a program: it costs no exec.
"""

import errno
import os
import select
from _signal import SIG_BLOCK, SIG_DFL, SIG_SETMASK, pthread_sigmask, signal    # type: ignore[import-not-found]
from collections.abc import Callable
from time import monotonic

from arrays.errors import NeverHappened
from flex.node.command import ENDS_US

_REPLY = 3                      # where the child keeps its end of the pipe
_LONGEST_REPLY = 65536


class Aside:
    """One piece of work under way in a child; `what` names it in messages."""

    def __init__(self, work: Callable[[], bytes], what: str) -> None:
        """Start `work`; what it returns (at most a few KiB) or the OSError it raises comes out of `result`.

        `work` imports nothing: a thread that was importing at the moment of the fork holds that module's lock for ever.
        """
        self.what = what
        self._answer: bytes | None = None
        self._reader, writer = os.pipe()
        held = pthread_sigmask(SIG_BLOCK, ENDS_US)          # what cuts the call must not cut it once more in the child
        self._child = os.fork()
        if not self._child:
            _live(work, writer, held)
        pthread_sigmask(SIG_SETMASK, held)
        os.close(writer)

    def done(self) -> bool:
        """Whether the child has ended, well or not."""
        return self._answer is not None or self._poll(0.0)

    def result(self, timeout: float) -> bytes:
        """What the work returned; raises its OSError, or NeverHappened when it is not done in `timeout` seconds."""
        end = monotonic() + timeout
        while self._answer is None and not self._poll(max(end - monotonic(), 0.0)):
            raise NeverHappened(f"the end of {self.what}", timeout)
        answer = self._answer or b""
        if answer[:1] == b"=":
            return answer[1:]
        number = int(answer[1:] or errno.ECHILD)
        raise OSError(number, os.strerror(number), self.what)

    def _poll(self, seconds: float) -> bool:
        waiting = select.poll()
        waiting.register(self._reader, select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return False
        self._answer = os.read(self._reader, _LONGEST_REPLY)
        os.close(self._reader)
        os.waitpid(self._child, 0)
        return True


def _live(work: Callable[[], bytes], writer: int, held: set[int]) -> None:
    """The child's whole life: let go of everything inherited, work, tell in one write, end.

    It never returns, whatever happens: it would be a second call-out, at the place of its fork, and undo what the first has
    mounted. Nobody may be there to be told: the call-out has ended long before a write that hangs.
    """
    try:
        for number in ENDS_US:
            signal(number, SIG_DFL)
        pthread_sigmask(SIG_SETMASK, held)
        _let_go(writer)
        os.write(_REPLY, _answer(work))
    finally:
        os._exit(0)


def _answer(work: Callable[[], bytes]) -> bytes:
    try:
        return b"=" + work()
    except OSError as error:
        return b"!%d" % (error.errno or errno.EIO)


def _let_go(writer: int) -> None:
    os.setsid()                                         # kubelet may end our group: the array must not see half a job
    null = os.open("/dev/null", os.O_RDWR)
    keep = os.dup(writer)                               # `writer` may itself be one of the numbers written over below
    keep = keep if keep > _REPLY else os.dup(keep)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.dup2(keep, _REPLY)
    os.closerange(_REPLY + 1, min(os.sysconf("SC_OPEN_MAX"), 65536))


def write(path: str, text: str) -> Aside:
    """Write `text` to a file of sysfs, aside."""
    def work() -> bytes:
        file = os.open(path, os.O_WRONLY)
        os.write(file, text.encode())
        return b""
    return Aside(work, f"writing {text!r} to {path}")
