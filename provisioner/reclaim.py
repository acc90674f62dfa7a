"""What a PV of ours needs: its volume destroyed, its finalizer put on or taken off.

A volume is destroyed when its PV is Released, has policy Delete and was made under our name; all that is looked at once
more on the live object directly before. Order: volume, PV, finalizer; another order would leave the volume in a crash.
A destroyed volume is eradicated after all that, if at all.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from arrays.errors import PureError
from provisioner import volumes
from provisioner.apierrors import Forbidden, NotThere
from provisioner.attempts import Attempts
from provisioner.backend import Backend, Slots
from provisioner.finalizers import Finalizers
from provisioner.kube import PVS, Kube, named
from provisioner.objects import PvRecord, Raw, pv_record
from provisioner.search import Search
from provisioner.settings import Settings
from provisioner.stores import Found

log = logging.getLogger(__name__)


class Duty(Enum):
    """What is to be done for a PV."""

    NOTHING = ""
    DELETE = "delete"
    HOLD = "hold"               # put our finalizer on
    LET_GO = "let go"           # take our finalizer off


class Deleted(NamedTuple):
    """A PV's volume was destroyed and the PV deleted."""

    pv_name: str
    array: str                  # "" when no array had the volume
    volume: str
    class_name: str
    seconds: float


class Place(NamedTuple):
    """Where a PV's volume is, if it is anywhere."""

    volume: str                 # base name
    backend: Backend | None
    found: Found | None


def duty(pv: PvRecord, finalizers: bool = True, allowed: bool = True) -> Duty:
    """What a PV of ours needs by itself. Pure; `finalizers` is whether we are to use them, `allowed` whether we may."""
    if pv.phase == "Released" and pv.policy == "Delete" and (pv.finalized or not pv.deleting):
        return Duty.DELETE
    if pv.finalized and (pv.policy != "Delete" or not finalizers or _in_the_way(pv)):
        return Duty.LET_GO
    if finalizers and allowed and pv.phase == "Bound" and pv.policy == "Delete" and not pv.finalized and not pv.deleting:
        return Duty.HOLD
    return Duty.NOTHING


def _in_the_way(pv: PvRecord) -> bool:
    """Deleted before its claim was bound: the binder passes over it, and the claim gets no other while it is there."""
    return pv.deleting and bool(pv.claim_uid) and pv.phase in ("", "Pending", "Available")


class Reclaim:
    """Does what one PV needs a call; safe for threads as long as no two calls have the same name."""

    def __init__(self, kube: Kube, pvs: Mapping[str, PvRecord], search: Search, attempts: Attempts,
                 finalizers: Finalizers, settings: Settings, *, may_act: Callable[[], bool] = lambda: True) -> None:
        self._kube, self._pvs, self._search, self._attempts = kube, pvs, search, attempts
        self._finalizers, self._settings, self._may_act = finalizers, settings, may_act

    def __call__(self, name: str) -> Deleted | None:
        """Do what the PV needs now; Deleted when that was the end of it."""
        pv, began = self._pvs.get(name), time.monotonic()
        if pv is None or (expected := self.duty(pv)) is Duty.NOTHING:
            return None
        with self._attempts.alone(name):
            # arrays may take long to say where the volume is, so the look at the live object comes after it
            place = self._place(pv) if expected is Duty.DELETE else None
            raw = self._live(name)
            live = pv_record(raw, self._settings.provisioners) if raw else None
            if live is None:
                return None
            needed = self.duty(live)
            if needed is Duty.DELETE and place and live.uid == pv.uid:     # else the watch brings what the cache lacks
                return self._delete(live, place, began)
            if needed is Duty.HOLD:
                self._finalizers.add(raw)
            elif needed is Duty.LET_GO:
                with suppress(Forbidden):                   # told once; no volume waits for it
                    self._finalizers.remove(raw)
        return None

    def duty(self, pv: PvRecord) -> Duty:
        """What a PV needs with the finalizers there are."""
        return duty(pv, self._finalizers.wanted, self._finalizers.allowed)

    def _live(self, name: str) -> Raw:
        """The PV as the API has it, {} when it is gone."""
        try:
            return self._kube.get(named(PVS, name))
        except NotThere:
            return {}

    # Deleting

    def _place(self, pv: PvRecord) -> Place:
        volume = volumes.name_of(pv, self._settings.prefix)
        return Place(volume, *self._search.find(pv, volume))

    def _delete(self, pv: PvRecord, place: Place, began: float) -> Deleted:
        volume, backend, found = place
        if backend is not None and found is not None:
            if not found.destroyed and (users := self._search.users_elsewhere(backend, found)):
                raise volumes.InUse(found.name, users)
            with backend.changing(backend.volume_slots, "destroy", self._may_act):
                volumes.unmake(backend.store, found)
        self._delete_pv(pv)
        if backend is not None and found is not None and self._settings.eradicate:
            self._eradicate(backend, found)
        return Deleted(pv.name, backend.name if backend else "", volume, pv.class_name, time.monotonic() - began)

    def _eradicate(self, backend: Backend, found: Found) -> None:
        """Last of all: a repeat that finds the volume nowhere would take another of its name, a copy perhaps, for it."""
        try:
            with backend.changing(Slots(1), "eradicate", self._may_act):        # nobody would come again for want of a slot
                volumes.end(backend.store, found)
        except PureError as error:
            log.warning("volume=%s array=%s is not eradicated: %s", found.name, backend.name, error)

    def _delete_pv(self, pv: PvRecord) -> None:
        try:
            left = self._kube.delete(named(PVS, pv.name), pv.uid)
            if left.get("kind") == "PersistentVolume":          # something holds it; a Status object: it is gone
                self._finalizers.remove(left)
        except NotThere:
            pass
