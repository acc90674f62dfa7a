"""The orphan sweep: what a crash between array and API can leave and nothing else would ever notice (C5, R5).

It reports: a warning in the log, an event, a metric. A volume is reported when it has had neither PV nor claim for `grace`
seconds and no host has it. Nothing on an array proves whose a volume is, for two clusters may share a prefix. So it is
destroyed only if PURE_ORPHAN_DESTROY says so and this process saw the claim in this cluster, with the UID in the volume's
name, and saw it go without ever being bound; all others are a person's (`pure orphans --delete`). What stands beside
volumes is looked after in the same turn (scraps.py).
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from arrays.errors import Busy, PureError
from arrays.names import pv_name
from provisioner import volumes
from provisioner.attempts import Attempts
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.inventory import Inventory
from provisioner.kube import Kube
from provisioner.orphans import GONE, Orphan, claim_uid, orphans
from provisioner.objects import PvRecord
from provisioner.settings import Settings
from provisioner.stores import Found

log = logging.getLogger(__name__)

_PROVEN = 4096              # claims remembered that went unbound; some 0.6 MB


class Sweep:
    """Looks at all arrays every `settings.sweep_every` seconds, on a thread of its own."""

    def __init__(self, kube: Kube, backends: Backends, pvs: Mapping[str, PvRecord], attempts: Attempts, settings: Settings,
                 report: Callable[[list[Orphan]], None], *, scraps: Callable[[], None] = lambda: None,
                 may_act: Callable[[], bool] = lambda: True, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._backends, self._pvs, self._attempts, self._settings = kube, backends, pvs, attempts, settings
        self._report, self._scraps, self._may_act, self._clock = report, scraps, may_act, clock
        self._proven: OrderedDict[str, None] = OrderedDict()    # UIDs of claims that went unbound
        self._since: dict[tuple[str, str], float] = {}          # (array, volume) -> when it was first seen so
        self._stopping = threading.Event()

    def run(self) -> None:
        """Sweep until stopped; what cannot be asked is asked next time."""
        while not self._stopping.wait(self._settings.sweep_every):
            self._scraps()
            try:
                found = self()
                self._report(found)
                if self._settings.sweep_destroy:
                    self._destroy(found)
            except PureError as error:
                log.warning("orphan sweep broke off: %s", error)

    def stop(self) -> None:
        self._stopping.set()

    def went_unbound(self, uid: str) -> None:
        """A claim of this cluster is gone and had no PV: a volume of its name is nobody's but ours."""
        if not self._attempts.saved(uid):
            self._proven[uid] = None
            if len(self._proven) > _PROVEN:
                self._proven.popitem(last=False)

    def _destroy(self, found: list[Orphan]) -> None:
        """Destroy those that are provably ours; one that cannot be is left for the next sweep."""
        for orphan in found:
            uid = claim_uid(orphan.volume, self._settings.prefix)
            if uid in self._proven and orphan.why == GONE:
                try:
                    self._unmake(orphan, pv_name(uid))
                except PureError as error:
                    log.warning("orphan stays volume=%s array=%s: %s", orphan.volume, orphan.array, error)

    def _unmake(self, orphan: Orphan, name: str) -> None:
        backend = self._backends.get(orphan.array)
        if backend is None:
            raise Busy(f"array {orphan.array}", "it left pure.json at this moment")
        with self._attempts.alone(name), backend.changing(backend.volume_slots, "destroy", self._may_act):
            volume = backend.store.find(orphan.volume)
            if volume is not None and volume.name == orphan.volume:
                volumes.unmake(backend.store, volume, self._settings.eradicate)
                log.warning("orphan destroyed volume=%s array=%s", orphan.volume, orphan.array)

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
