"""The orphan sweep: what a crash between array and API can leave and nothing else would ever notice (C5, R5).

It reports: a warning in the log, an event, a metric. It destroys nothing, because nothing on an array proves whose a volume
is: two clusters may share a prefix. A volume is reported when it has had neither PV nor claim for `grace` seconds and no
host has it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from arrays.errors import PureError
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.inventory import Inventory
from provisioner.kube import Kube
from provisioner.orphans import Orphan, claim_uid, orphans
from provisioner.objects import PvRecord
from provisioner.settings import Settings
from provisioner.stores import Found

log = logging.getLogger(__name__)


class Sweep:
    """Looks at all arrays every `settings.sweep_every` seconds, on a thread of its own."""

    def __init__(self, kube: Kube, backends: Backends, pvs: Mapping[str, PvRecord], settings: Settings,
                 report: Callable[[list[Orphan]], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._backends, self._pvs, self._settings = kube, backends, pvs, settings
        self._report, self._clock = report, clock
        self._since: dict[tuple[str, str], float] = {}          # (array, volume) -> when it was first seen so
        self._stopping = threading.Event()

    def run(self) -> None:
        """Sweep until stopped; what cannot be asked is asked next time."""
        while not self._stopping.wait(self._settings.sweep_every):
            try:
                self._report(self())
            except PureError as error:
                log.warning("orphan sweep broke off: %s", error)

    def stop(self) -> None:
        self._stopping.set()

    def __call__(self) -> list[Orphan]:
        """One sweep; orphans that have been so for the time of grace."""
        holdings = {backend.name: self._holdings(backend) for backend in self._backends}
        if not any(self._suspect(array, found) for array, volumes in holdings.items() for found in volumes):
            self._since.clear()
            return []
        inventory = Inventory.read(self._kube, self._settings.prefix)
        found = [orphan for orphan in orphans(holdings, inventory.held, inventory.claims, self._settings.prefix)
                 if not orphan.waiting]
        now = self._clock()
        self._since = {(orphan.array, orphan.volume): self._since.get((orphan.array, orphan.volume), now)
                       for orphan in found}
        return [orphan for orphan in found if self._settled(orphan, now) and not self._used(orphan)]

    def _holdings(self, backend: Backend) -> list[Found]:
        try:
            with backend.at_work(backend.volume_slots, "list"):
                return list(backend.store.holdings(self._settings.prefix))
        except PureError as error:
            log.info("orphan sweep leaves out array=%s: %s", backend.name, error)
            return []

    def _suspect(self, array: str, found: Found) -> bool:
        """Whether our own PVs alone do not explain a volume; then everything has to be looked at."""
        uid = claim_uid(found.name, self._settings.prefix)
        pv = self._pvs.get(f"pvc-{uid}")
        return bool(uid) and (pv is None or pv.array not in ("", array))

    def _settled(self, orphan: Orphan, now: float) -> bool:
        return now - self._since[orphan.array, orphan.volume] >= self._settings.sweep_grace

    def _used(self, orphan: Orphan) -> bool:
        backend = self._backends.get(orphan.array)
        if backend is None:
            return True
        with backend.at_work(backend.volume_slots, "list"):
            return bool(backend.store.users(orphan.volume))
