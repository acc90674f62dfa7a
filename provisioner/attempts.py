"""What this process began for claims and has not brought to a known end: kept even when the claim vanishes.

Nothing of it outlives the process, and nothing has to: names derive from the claim's UID, and after a start every
array is asked for the name first. What is kept here is only what the array and the API may not show yet.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from arrays.errors import Busy
from provisioner.manifest import Made
from provisioner.objects import Raw

_SAVED = 16_384             # PVs remembered; some 3 MB
_STALE = 300.0              # seconds a cache may be behind; what it does not show then was deleted by somebody


@dataclass
class Attempt:
    """One claim's work. `sent` are arrays where a create may have been done whatever was answered, `copied` what a copy
    was begun of, and where: what it needed beside itself may be there even if the copy is not.
    """

    uid: str
    key: str                                    # "namespace/name" of the claim
    pv_name: str
    began: float = field(default_factory=time.monotonic)
    tries: int = 0
    sent: set[str] = field(default_factory=set)
    copied: set[tuple[str, str]] = field(default_factory=set)      # (array, volume or snapshot)
    why: str = ""                               # what placement said of the array chosen
    made: Made | None = None                    # the volume is there; what is left is to save its PV
    pv: Raw = field(default_factory=dict)       # that PV
    told: bool = False                          # the event Provisioning was told
    pv_gone: bool = False                       # a PV of it was seen to go, perhaps the very one being saved


class Attempts:
    """All of them by claim UID, the PVs saved lately, and the names being worked on. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Attempt] = {}
        self._saved: OrderedDict[str, float] = OrderedDict()            # claim -> when its PV was saved
        self._names: set[str] = set()

    def get(self, uid: str) -> Attempt | None:
        return self._open.get(uid)

    def open(self, uid: str, key: str, pv_name: str) -> Attempt:
        """The claim's attempt, begun if there was none."""
        with self._lock:
            found = self._open.get(uid)
            if found is None:
                found = self._open[uid] = Attempt(uid, key, pv_name)
            return found

    def close(self, uid: str, saved: bool = False) -> None:
        """Forget the attempt; `saved` remembers that its PV is made, which a stale cache may not show yet."""
        with self._lock:
            ended = self._open.pop(uid, None)
            if saved and not (ended and ended.pv_gone):
                self._saved[uid] = time.monotonic()
                if len(self._saved) > _SAVED:
                    self._saved.popitem(last=False)

    def unsave(self, uid: str) -> None:
        """The claim's PV is gone again, which may be seen before the answer to its saving."""
        with self._lock:
            self._saved.pop(uid, None)
            if attempt := self._open.get(uid):
                attempt.pv_gone = True

    def saved(self, uid: str) -> bool:
        """Whether this process saved a PV for the claim, so lately that the cache may not show it yet."""
        return time.monotonic() - self._saved.get(uid, float("-inf")) < _STALE

    def unsaved(self) -> int:
        """Volumes that wait for their PV to be saved."""
        with self._lock:
            return sum(attempt.made is not None for attempt in self._open.values())

    def all(self) -> list[Attempt]:
        with self._lock:
            return list(self._open.values())

    @contextmanager
    def alone(self, pv_name: str) -> Iterator[None]:
        """Work on the volume of a PV; Busy while somebody else does. Making and unmaking exclude each other."""
        with self._lock:
            if pv_name in self._names:
                raise Busy(f"volume of {pv_name}")
            self._names.add(pv_name)
        try:
            yield
        finally:
            with self._lock:
                self._names.discard(pv_name)
