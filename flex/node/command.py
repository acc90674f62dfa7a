"""Commands of this node: the one door through which the driver starts another program.

No shell, a deadline, English output, streams of their own: kubelet reads the driver's stdout and stderr as one JSON
document and until both are closed, so no child may have them. posix_spawn and two pipes instead of `subprocess`, whose
import alone costs more than starting the driver (packaging.md section 4).
"""

import os
import select
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask    # type: ignore[import-not-found]
from errno import ENOENT

from arrays.errors import CommandFailed
from flex import log
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# sysexits of a shell, which operators know.
NO_END = 124
NOT_EXECUTABLE = 126
NOT_INSTALLED = 127

# kubelet gives no PATH at times, and one without the administrator's tools at others.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

LONGEST_OUTPUT = 1 << 20        # bytes kept of each stream; a tool that prints more is broken
LAST_WORDS = 0.5                # seconds a killed child gets to die before it is left behind
TICK = 50                       # milliseconds between two looks whether the child ended

ENDS_US = (1, 2, 14, 15)       # HUP, INT, ALRM, TERM: see cli.py
_SIGKILL, _SIGPIPE = 9, 13      # the module `signal` imports enum, which costs as much as all of this


def at_step(step: str) -> None:
    """Called at each boundary between two steps of a call-out: tests put their own function here to cut it there."""


class Done:
    """How a command ended: its exit status (minus the signal that ended it), its stdout, its stderr."""

    __slots__ = ("status", "output", "errors")

    def __init__(self, status: int, output: str, errors: str) -> None:
        self.status = status
        self.output = output
        self.errors = errors

    def __repr__(self) -> str:
        return f"Done({self.status}, {self.output!r}, {self.errors!r})"


def step(name: str) -> None:
    """Mark a boundary in a call-out that is not a command: "connected on the array", "record written"."""
    at_step(name)


def run(*argv: str, timeout: float = 30.0, allow: tuple[int, ...] = (0,), inherit: tuple[int, ...] = (),
        secrets: tuple[str, ...] = ()) -> Done:
    """Run one command; CommandFailed when its status is not in `allow`, it is not installed, or `timeout` (s) passed.

    It gets its own process group. One that outlives its limit is killed; one that cannot even be killed, because it hangs
    on a device, is left behind with the file descriptors in `inherit` (a lock that must stay held as long as it lives).
    Words in `secrets` appear neither in the log nor in the error.
    """
    shown = [_masked(word, secrets) for word in argv]
    at_step(f"before {' '.join(shown)}")
    done = _run(argv, shown, timeout, inherit)
    log.debug(f"ran {' '.join(shown)}: status {done.status}, {_masked(done.output + done.errors, secrets)!r}")
    if done.status not in allow:
        raise CommandFailed(shown, done.status, _masked(done.output + done.errors, secrets))
    at_step(f"after {' '.join(shown)}")
    return done


def environment() -> dict[str, str]:
    """What children get: ours, a PATH with the administrator's folders, and the language our parsers read."""
    folders = [folder for folder in os.environ.get("PATH", "").split(":") if folder]
    folders += [folder for folder in FOLDERS if folder not in folders]
    return {**os.environ, "PATH": ":".join(folders), "LC_ALL": "C"}


def find(program: str) -> str:
    """The file that `program` means on this node, "" when it is not installed."""
    return _find(program, environment()["PATH"])


def _find(program: str, path: str) -> str:
    if "/" in program:
        return program
    files = (f"{folder}/{program}" for folder in path.split(":"))
    return next((file for file in files if os.access(file, os.X_OK) and not os.path.isdir(file)), "")


def _run(argv: "Sequence[str]", shown: "Sequence[str]", timeout: float, inherit: tuple[int, ...]) -> Done:
    deadline = Deadline(timeout)
    env = environment()
    file = _find(argv[0], env["PATH"])
    if not file:
        raise CommandFailed(shown, NOT_INSTALLED, f"{argv[0]} is not installed on this node")
    streams = [os.pipe(), os.pipe()]
    child = 0
    try:
        held = pthread_sigmask(SIG_BLOCK, ENDS_US)     # until we know whom to kill
        try:
            child = _spawn(file, argv, env, streams, inherit)
        except OSError as error:
            status = NOT_INSTALLED if error.errno == ENOENT else NOT_EXECUTABLE
            raise CommandFailed(shown, status, f"{file} cannot be started: {error.strerror}") from None
        finally:
            pthread_sigmask(SIG_SETMASK, held)
            for _, write in streams:
                os.close(write)
        said = {read: bytearray() for read, _ in streams}
        ended = _follow(child, said, deadline)
    except BaseException:       # SIGTERM, or our own time is up: nobody waits for this child any more
        if child:
            _kill(child)
        raise
    finally:
        for read, _ in streams:
            os.close(read)
    output, errors = (text.decode("utf-8", "replace") for text in said.values())
    if ended is None:
        raise CommandFailed(shown, NO_END, f"no end after {timeout:g} s {output}{errors}".rstrip())
    return Done(ended, output, errors)


def _spawn(file: str, argv: "Sequence[str]", env: "Mapping[str, str]", streams: list[tuple[int, int]],
           inherit: tuple[int, ...]) -> int:
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, streams[0][1], 1),
        (os.POSIX_SPAWN_DUP2, streams[1][1], 2)]
    for fd in inherit:
        os.set_inheritable(fd, True)
    try:
        # Python ignores SIGPIPE, and children would inherit that.
        return os.posix_spawn(file, list(argv), env, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=(_SIGPIPE,))
    finally:
        for fd in inherit:
            os.set_inheritable(fd, False)


def _follow(child: int, said: dict[int, bytearray], deadline: Deadline) -> int | None:
    """Gather what the child says until it ended; its status, or None when it outlived the deadline.

    Not until its pipes are closed: a daemon that it started may keep them.
    """
    poll = select.poll()
    for read in said:
        os.set_blocking(read, False)
        poll.register(read, select.POLLIN)
    still_open = set(said)
    while not deadline.passed():
        for fd, _ in poll.poll(min(TICK, 1 + int(deadline.left() * 1000)) if still_open else 1):
            if not _gather(fd, said[fd]):
                poll.unregister(fd)
                still_open.discard(fd)
        status = _ended(child)
        if status is not None:
            for fd in still_open:
                _gather(fd, said[fd])
            return status
    _kill(child)
    last = Deadline(LAST_WORDS)
    while not last.passed() and _ended(child) is None:
        poll.poll(1)
    return None


def _gather(fd: int, said: bytearray) -> bool:
    """Read what is there; False at the end of the stream."""
    while True:
        try:
            piece = os.read(fd, 1 << 16)
        except BlockingIOError:
            return True
        if not piece:
            return False
        del said[LONGEST_OUTPUT:]
        said += piece


def _ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _kill(child: int) -> None:
    try:
        os.killpg(child, _SIGKILL)
    except ProcessLookupError:
        pass


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
