"""The driver's log file: its streams belong to kubelet. Without `logging`, whose import costs more than the driver's start.

One closing line a call-out: `mount ok pv=… array=… lun=1 seconds=3.2`. Debug adds every command, secrets masked. A log
that cannot be written is no reason to fail: what happened is in the answer too.
"""

import os
import time

LARGEST = 8 << 20           # bytes; then the file becomes .1, and what was .1 becomes .2
KEPT = 2

_fd = -1                    # nothing is written before open()
_debug = False


def open_file(path: str, debug_too: bool = False) -> None:
    """Write to `path` from now on, or nowhere when that is not possible."""
    global _fd, _debug
    close_file()
    _debug = debug_too
    try:
        _fd = _opened(path)
        if os.fstat(_fd).st_size >= LARGEST:
            _rotate(path)
    except OSError:
        pass


def close_file() -> None:
    global _fd
    if _fd >= 0:
        os.close(_fd)
        _fd = -1


def info(text: str) -> None:
    """One line for whoever looks after the node."""
    if _fd >= 0:
        seconds = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        line = f"{stamp}.{int(seconds * 1000) % 1000:03d}Z [{os.getpid()}] " + text.replace("\n", "\n    ") + "\n"
        try:
            os.write(_fd, line.encode("utf-8", "replace"))      # one write: lines of parallel call-outs do not mix
        except OSError:
            pass


def debug(text: str) -> None:
    """One line that is written only when debugging was asked for."""
    if _debug:
        info(text)


def take_streams() -> None:
    """Bring what this process prints on stdout and stderr (warnings, libraries' last words) into the file."""
    if _fd >= 0:
        os.dup2(_fd, 1)
        os.dup2(_fd, 2)


def _opened(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o600)


def _rotate(path: str) -> None:
    """Put the full file aside. Of several call-outs that see it full, the first to lock it does that."""
    global _fd
    import fcntl
    fcntl.flock(_fd, fcntl.LOCK_EX)
    if os.fstat(_fd).st_ino == os.stat(path).st_ino:
        for number in range(KEPT, 0, -1):
            older = f"{path}.{number - 1}" if number > 1 else path
            if os.path.exists(older):
                os.rename(older, f"{path}.{number}")
    os.close(_fd)
    _fd = -1
    _fd = _opened(path)
