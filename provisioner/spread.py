"""Which arrays have volumes of the same StatefulSet, so that the next one goes elsewhere.

A StatefulSet names its claims `<template>-<name>-<ordinal>`; nothing else tells which claims belong together. Kept is one
count for each set and array, whatever the number of volumes: some 0.4 kB a set.
"""

import re
import threading
from collections.abc import Mapping

from provisioner.objects import PvRecord

_ORDINAL = re.compile(r"(.+)-[0-9]{1,6}")
_OVER = ("Released", "Failed")


def set_of(namespace: str, claim: str) -> str:
    """The set a claim is of, "shop/data-db" for data-db-2 in shop; "" when its name has no ordinal."""
    found = _ORDINAL.fullmatch(claim)
    return f"{namespace}/{found[1]}" if found else ""


class Spread:
    """Counts volumes by set and array: those of PVs, and those being made. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}            # set -> array -> volumes
        self._making: dict[str, tuple[str, str]] = {}           # PV's name -> set and array, until the PV is seen

    def siblings(self, of: str) -> Mapping[str, int]:
        """Array -> volumes of a set."""
        with self._lock:
            return dict(self._counts.get(of, ()))

    def reserve(self, pv_name: str, of: str, array: str) -> None:
        """A volume of a set is about to be made."""
        if not of:
            return
        with self._lock:
            self._cancel(pv_name)
            self._making[pv_name] = of, array
            self._add(of, array, 1)

    def cancel(self, pv_name: str) -> None:
        """It was not made, or is no more."""
        with self._lock:
            self._cancel(pv_name)

    def changed(self, old: PvRecord | None, new: PvRecord | None) -> None:
        """A PV came, changed or went."""
        before, after = _home(old), _home(new)
        with self._lock:
            if new is not None:
                self._cancel(new.name)
            if before == after:
                return
            if before:
                self._add(*before, -1)
            if after:
                self._add(*after, 1)

    def _cancel(self, pv_name: str) -> None:
        if found := self._making.pop(pv_name, None):
            self._add(*found, -1)

    def _add(self, of: str, array: str, step: int) -> None:
        counts = self._counts.setdefault(of, {})
        counts[array] = counts.get(array, 0) + step
        if counts[array] <= 0:
            del counts[array]
        if not counts:
            del self._counts[of]


def _home(pv: PvRecord | None) -> tuple[str, str] | None:
    """Set and array of a PV's volume, None when it is of no set or does not count any more."""
    if pv is None or pv.phase in _OVER or not pv.array:
        return None
    of = set_of(pv.claim_namespace, pv.claim_name)
    return (of, pv.array) if of else None
