"""What killed processes left beside volumes: snapshots that were taken for copies and are needed no more.

One is destroyed, recoverably, when nobody can want it and it is provably this cluster's:
  * its name is of our form, on a file system with our prefix: "<prefix>-pvc-….copy-<claim UID>";
  * the claim it was taken for is gone, going or bound, and nobody here works on it;
  * the PV of its file system, or that of the copy, is a PV of ours in this cluster (two clusters may share a prefix);
  * it was so at the look before, too: a process that led until a moment ago may have been about to use it.
Caches answer all of that, so a look costs one request to each FlashBlade and none to the API.
"""

import logging
from collections.abc import Callable, Mapping

from arrays import names
from arrays.errors import PureError
from provisioner.attempts import Attempts
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.objects import ClaimRecord, PvRecord
from provisioner.settings import Settings
from provisioner.stores import Scrap

log = logging.getLogger(__name__)


class Scraps:
    """Call it now and then; `claims` by UID, `pvs` by name."""

    def __init__(self, backends: Backends, claims: Mapping[str, ClaimRecord], pvs: Mapping[str, PvRecord],
                 attempts: Attempts, settings: Settings, *, may_act: Callable[[], bool] = lambda: True) -> None:
        self._backends, self._claims, self._pvs, self._attempts = backends, claims, pvs, attempts
        self._prefix, self._may_act = settings.prefix, may_act
        self._before: set[tuple[str, Scrap]] = set()        # what the look before found, by array

    def __call__(self) -> None:
        """Destroy what is needed no more; what cannot be looked at now is looked at next time."""
        found = {(backend.name, scrap): backend for backend in self._backends for scrap in self._left(backend)}
        for (array, scrap), backend in found.items():
            if (array, scrap) in self._before:
                self._destroy(backend, scrap)
        self._before = set(found)

    def _left(self, backend: Backend) -> list[Scrap]:
        try:
            with backend.at_work(backend.volume_slots, "list"):
                return [scrap for scrap in backend.store.scraps(self._prefix) if self._done_with(scrap)]
        except PureError as error:
            log.info("no look at what copies left on array=%s: %s", backend.name, error)
            return []

    def _done_with(self, scrap: Scrap) -> bool:
        """Whether nobody wants it any more, and it is of this cluster."""
        claim = self._claims.get(scrap.uid)
        wanted = claim is not None and not claim.bound and not claim.deleting
        source = names.base_name(scrap.source).removeprefix(f"{self._prefix}-")
        ours = source in self._pvs or names.pv_name(scrap.uid) in self._pvs
        return ours and not wanted and self._attempts.get(scrap.uid) is None

    def _destroy(self, backend: Backend, scrap: Scrap) -> None:
        try:
            with (self._attempts.alone(names.pv_name(scrap.uid)),
                  backend.changing(backend.volume_slots, "destroy", self._may_act)):
                backend.store.tidy(scrap.source, scrap.uid)
                log.info("snapshot of %s that a copy needed is destroyed array=%s claim=%s", scrap.source, backend.name,
                         scrap.uid)
        except PureError as error:
            log.warning("snapshot of %s that a copy needed stays array=%s: %s", scrap.source, backend.name, error)
