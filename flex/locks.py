"""Locks among call-outs: kubelet starts many at once, and each is a process of its own.

flock on files below /run/pure-flex: one a volume (connect to mount, unmount to disconnect, resize), one a target IQN
(node records, login, logout). Take the volume before the target; nothing is global but the turns, of which there are some
for each CPU. The kernel lets go when the process ends, however it ends. Lock files are never unlinked: whoever waits on a
removed file holds a lock that nobody sees.
"""

import fcntl
import os
import time
from binascii import crc32

from arrays.errors import Busy
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from flex.paths import Paths

PAUSE = 0.05            # seconds between two tries
TURNS = 4               # volumes that come onto a node at the same time, for each CPU: udev asks each of their paths …
TURN_PAUSE = 0.5        # … with several programs, and where many starve each other, all run out of time (tests/lab)


class Lock:
    """Holds one of some lock files, mostly the only one, while its block runs; Busy when none can be had in `timeout` s."""

    __slots__ = ("files", "what", "timeout", "pause", "why", "fd")

    def __init__(self, files: "Sequence[str]", what: str, timeout: float, pause: float = PAUSE,
                 why: str = "another call of this node works on it; kubelet will repeat this one") -> None:
        self.files = files
        self.what = what
        self.timeout = timeout
        self.pause = pause
        self.why = why
        self.fd = -1            # close-on-exec; hand it to a child that must keep the lock should it outlive us

    def __enter__(self) -> "Lock":
        os.makedirs(os.path.dirname(self.files[0]), mode=0o700, exist_ok=True)
        deadline = Deadline(self.timeout)
        while not any(self._take(file) for file in self.files):
            if deadline.passed():
                raise Busy(self.what, self.why)
            time.sleep(deadline.within(self.pause))
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _take(self, file: str) -> bool:
        self.fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            self._close()
            return False
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        os.close(self.fd)
        self.fd = -1


def volume_lock(paths: "Paths", key: str, timeout: float) -> Lock:
    """Lock one volume on this node; `key` is its name on the array, alike for all calls about it."""
    return Lock((_file(paths, "volume", key),), f"volume {key}", timeout)


def target_lock(paths: "Paths", iqn: str, timeout: float) -> Lock:
    """Lock one iSCSI target's node records, logins and logouts on this node; take a volume's lock before, not after."""
    return Lock((_file(paths, "target", iqn),), f"iSCSI target {iqn}", timeout)


def device_turn(paths: "Paths", timeout: float) -> Lock:
    """Wait for one's turn to bring a volume onto this node; lock the volume before. Taking one off needs none."""
    turns = [f"{paths.lock_dir}/turn.{number}" for number in range(TURNS * (os.cpu_count() or 1))]
    return Lock(turns, "this node", timeout, TURN_PAUSE,
                f"{len(turns)} other volumes are being attached, which is all its CPUs are good for; kubelet will ask again")


def _file(paths: "Paths", kind: str, key: str) -> str:
    """A readable name that two keys never share."""
    likeness = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in key)[:120]
    return f"{paths.lock_dir}/{kind}.{likeness}.{crc32(key.encode('utf-8', 'surrogatepass')):08x}"
