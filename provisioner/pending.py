"""Claims that wait for a volume of ours, for metrics: how many of each class, and for how long at the most.

The time counts from the first scrape that saw a claim wait: by its age a claim that no pod wanted for days
(WaitForFirstConsumer) would be late at once. Memory: some 150 bytes a waiting claim.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from provisioner.objects import ClaimRecord


class Waiting(NamedTuple):
    """The claims of one class that wait."""

    claims: int
    longest: float                  # seconds


class Pending:
    """Looks at the live cache of claims; safe for threads."""

    def __init__(self, claims: Mapping[str, ClaimRecord], clock: Callable[[], float] = time.monotonic) -> None:
        self._claims, self._clock = claims, clock
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}          # claim UID -> when it was first seen to wait

    def by_class(self) -> dict[str, Waiting]:
        """What waits now; a class whose last claim was served is left out."""
        now, found = self._clock(), dict[str, Waiting]()
        waiting = [claim for claim in list(self._claims.values()) if not claim.bound and not claim.deleting]
        with self._lock:
            self._since = {claim.uid: self._since.get(claim.uid, now) for claim in waiting}
            for claim in waiting:
                before = found.get(claim.class_name or "", Waiting(0, 0.0))
                found[claim.class_name or ""] = Waiting(before.claims + 1,
                                                        max(before.longest, now - self._since[claim.uid]))
        return found
