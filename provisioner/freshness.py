"""Whether the cache of claims is known to be fresh, so that a claim need not be read from the API once more before work.

Reading a claim live costs a request each, and in a burst every request of a claim counts. There one short list for all
of them says the same: its resourceVersion is that of the whole collection at that moment, and once the watch has
brought an event with that version or a later one, the cache was up to date then. Versions of one resource can be
compared as numbers (Kubernetes 1.35 says so, etcd has always made them so); where they are no numbers, nothing is
fresh.
"""

import threading
import time
from collections.abc import Callable

from arrays.errors import PureError
from provisioner.informer import Informer
from provisioner.kube import Kube
from provisioner.objects import ClaimRecord

MANY = 8                # claims waiting or at work from which on asking once is cheaper than asking for each
PROBE_EVERY = 0.5       # seconds
GOOD_FOR = 2.0          # seconds by which the cache may be behind


class Freshness:
    """Call it: True when the cache had everything that happened up to GOOD_FOR seconds ago. Safe for threads."""

    def __init__(self, kube: Kube, claims: Informer[ClaimRecord], unfinished: Callable[[], int],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._claims, self._unfinished, self._clock = kube, claims, unfinished, clock
        self._probing = threading.Lock()
        self._asked = float("-inf")                     # when the last probe began
        self._open: list[tuple[float, int]] = []        # probes the watch has not reached yet
        self._proved = float("-inf")                    # up to then the cache is known to be complete

    def __call__(self) -> bool:
        if self._unfinished() >= MANY:
            self._probe()
        self._settle()
        return self._clock() - self._proved < GOOD_FOR

    def _probe(self) -> None:
        """Ask for the collection's version, one thread at a time and not too often."""
        now = self._clock()
        if now - self._asked < PROBE_EVERY or not self._probing.acquire(blocking=False):
            return
        try:
            self._asked = now
            version = self._kube.list_page(self._claims.path, limit=1).get("metadata", {}).get("resourceVersion")
            self._open = [*self._open[-3:], (now, _number(version))]
        except PureError:
            return                                      # then each claim is read live
        finally:
            self._probing.release()

    def _settle(self) -> None:
        seen = _number(self._claims.version)
        for when, version in self._open:
            if 0 < version <= seen and when > self._proved:
                self._proved = when


def _number(version: object) -> int:
    """A resourceVersion as a number, 0 when it is none."""
    return int(version) if isinstance(version, str) and version.isascii() and version.isdecimal() else 0
