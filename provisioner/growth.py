"""Growing: nobody else in the control plane asks the array when a claim of a FlexVolume grows.

KCM has no flex expander and takes a no-op: the PV's capacity jumps at once, and kubelet later calls only `expandfs` on
the node, which grows the array's volume too when it is smaller (kubernetes/kubernetes#85504). So this is a head start,
and all there is for files. PV and claim are not written: kubelet finishes them.
"""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from arrays.errors import NotFound, Refused
from arrays.units import array_size
from provisioner import volumes
from provisioner.objects import ClaimRecord, PvRecord
from provisioner.quantity import parse_quantity
from provisioner.search import Search
from provisioner.settings import Settings


class Grown(NamedTuple):
    """A volume is as large as its claim asks."""

    claim: str                  # "namespace/name"
    pv_name: str
    array: str
    volume: str
    size: int                   # bytes


def wanted(claim: ClaimRecord) -> int:
    """Bytes that a bound claim asks for beyond what it has, 0 when it is content. Pure."""
    if not claim.resized:
        return 0
    asked = parse_quantity(claim.requested)
    return asked if asked > parse_quantity(claim.capacity) else 0


class Grow:
    """Grows the volume of one claim a call; safe for threads as long as no two calls have the same UID."""

    def __init__(self, claims: Mapping[str, ClaimRecord], pvs: Mapping[str, PvRecord], search: Search,
                 settings: Settings, *, may_act: Callable[[], bool] = lambda: True) -> None:
        self._claims, self._pvs, self._search, self._settings = claims, pvs, search, settings
        self._may_act = may_act
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}                 # claim -> bytes known to be on the array; while kubelet is late

    def forget(self, uid: str) -> None:
        """The claim has what it asked for, or is gone."""
        with self._lock:
            self._done.pop(uid, None)

    def __call__(self, uid: str) -> Grown | None:
        """Grow the claim's volume if it is smaller than asked; None when nothing was to be done."""
        claim = self._claims.get(uid)
        size = wanted(claim) if claim else 0
        if claim is None or not size:
            self.forget(uid)
            return None
        pv = self._pvs.get(claim.volume_name)
        if pv is None or pv.claim_uid != uid or self._done.get(uid, 0) >= size:
            return None
        size = array_size(max(size, parse_quantity(pv.capacity)))
        name = volumes.name_of(pv, self._settings.prefix)
        backend, found = self._search.find(pv, name)
        if backend is None or found is None:
            raise NotFound("the fleet", f"volume {name}")
        if found.destroyed:
            raise Refused(f"array {backend.name}", f"grow {found.name}", "it is destroyed")
        if found.size < size:
            with backend.changing(backend.volume_slots, "grow", self._may_act):
                backend.store.grow(found.name, size)
        with self._lock:
            self._done[uid] = size
        return Grown(claim.key, pv.name, backend.name, found.name, size)
