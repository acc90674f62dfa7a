"""Locks among call-outs: kubelet starts many at once, and each is a process of its own.

flock on files below /run/pure-flex: one a volume (connect to mount, unmount to disconnect, resize), one a target IQN
(node records, login, logout). Take the volume before the target; nothing is global. The kernel lets go when the process
ends, however it ends. Lock files are never unlinked: whoever waits on a removed file holds a lock that nobody sees.
"""

import fcntl
import os
import time
from binascii import crc32

from arrays.errors import Busy
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.paths import Paths

PAUSE = 0.05            # seconds between two tries


class Lock:
    """Holds one lock file while its block runs; Busy when it cannot be had within `timeout` seconds."""

    __slots__ = ("path", "what", "timeout", "fd")

    def __init__(self, path: str, what: str, timeout: float) -> None:
        self.path = path
        self.what = what
        self.timeout = timeout
        self.fd = -1            # close-on-exec; hand it to a child that must keep the lock should it outlive us

    def __enter__(self) -> "Lock":
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _acquire(self) -> None:
        deadline = Deadline(self.timeout)
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if deadline.passed():
                    raise Busy(self.what, "another call of this node works on it; kubelet will repeat this one") from None
            time.sleep(deadline.within(PAUSE))

    def _close(self) -> None:
        os.close(self.fd)
        self.fd = -1


def volume_lock(paths: "Paths", key: str, timeout: float) -> Lock:
    """Lock one volume on this node; `key` is its name on the array, alike for all calls about it."""
    return Lock(_file(paths, "volume", key), f"volume {key}", timeout)


def target_lock(paths: "Paths", iqn: str, timeout: float) -> Lock:
    """Lock one iSCSI target's node records, logins and logouts on this node; take a volume's lock before, not after."""
    return Lock(_file(paths, "target", iqn), f"iSCSI target {iqn}", timeout)


def _file(paths: "Paths", kind: str, key: str) -> str:
    """A readable name that two keys never share."""
    likeness = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in key)[:120]
    return f"{paths.lock_dir}/{kind}.{likeness}.{crc32(key.encode('utf-8', 'surrogatepass')):08x}"
