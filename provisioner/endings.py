"""How an attempt ends: its PV is saved, or nobody wants it any more and what was begun is destroyed again.

Each step may be cut and repeated. What stands beside a volume goes before its PV is saved, so that nothing has to be
remembered afterwards; what a killed process left beside a volume that was never finished is the sweep's (scraps.py).
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from arrays import names
from arrays.errors import Busy, ConfigError, Refused
from provisioner import volumes
from provisioner.apierrors import Conflict, Malformed, NotThere
from provisioner.attempts import Attempt, Attempts
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.kube import PVS, Kube, named
from provisioner.manifest import Made
from provisioner.objects import ClaimRecord, PvRecord, pv_record
from provisioner.settings import Settings

log = logging.getLogger(__name__)


class Saved(NamedTuple):
    """A claim was served."""

    claim: str                  # "namespace/name"
    pv_name: str
    array: str
    volume: str
    size: int                   # bytes
    seconds: float              # since its work began
    tries: int


class Endings:
    """Ends attempts; safe for threads as long as no two calls are about the same one."""

    def __init__(self, kube: Kube, backends: Backends, attempts: Attempts, settings: Settings,
                 may_act: Callable[[], bool]) -> None:
        self._kube, self._backends, self._attempts, self._settings = kube, backends, attempts, settings
        self._may_act = may_act

    # Well

    def save(self, attempt: Attempt, made: Made) -> Saved:
        """Save the PV that the attempt has for its volume. One that is the claim's already is as good."""
        try:
            self._kube.create(PVS, attempt.pv)
        except Conflict:
            self._check_saved(attempt)
        except Malformed as error:
            if not self._has_pv(attempt):       # whose storing was not answered, and what takes PVs changed since
                self._discard(attempt)
                raise ConfigError(f"the PV for {attempt.key} is not accepted, so its volume was destroyed again: "
                                  f"{error.text}") from None
        self._attempts.close(attempt.uid, saved=True)
        return Saved(attempt.key, attempt.pv_name, made.array, made.volume, made.size,
                     time.monotonic() - attempt.began, attempt.tries)

    def _check_saved(self, attempt: Attempt) -> None:
        """A PV of this name is there: fine if it is this claim's and stays."""
        try:
            found = self._pv(attempt)
        except NotThere:
            raise Busy(f"PV {attempt.pv_name}", "the old one was deleted at this moment") from None
        if found is None or found.claim_uid != attempt.uid:
            raise Refused("the Kubernetes API", f"save PV {attempt.pv_name}",
                          "a PV of that name belongs to somebody else and is left alone")
        if found.deleting or found.phase in ("Released", "Failed"):
            raise Busy(f"PV {attempt.pv_name}", "the old one is still being deleted")

    def _pv(self, attempt: Attempt) -> PvRecord | None:
        return pv_record(self._kube.get(named(PVS, attempt.pv_name)), self._settings.provisioners)

    def tidy(self, backend: Backend, attempt: Attempt) -> None:
        """Destroy on an array what a copy needed beside itself; what the array refuses to destroy is the sweep's."""
        for array, source in [one for one in attempt.copied if one[0] == backend.name]:
            try:
                backend.store.tidy(source, attempt.uid)
            except Refused as error:
                log.warning("claim=%s leaves what its copy needed on array=%s: %s", attempt.key, array, error)
            attempt.copied.discard((array, source))

    # No longer wanted

    def end(self, attempt: Attempt, record: ClaimRecord | None) -> None:
        """The claim is gone, going or bound: destroy what was begun for it unless its PV takes care of that."""
        with self._attempts.alone(attempt.pv_name):
            if (attempt.sent or attempt.copied) and (record is None or record.volume_name != attempt.pv_name):
                if not self._has_pv(attempt):
                    self._discard(attempt)
                    log.info("provision abandoned claim=%s pv=%s: %s", attempt.key, attempt.pv_name,
                             f"bound to {record.volume_name}" if record and record.volume_name else "claim deleted")
            self._attempts.close(attempt.uid)

    def _has_pv(self, attempt: Attempt) -> bool:
        """Whether the PV was saved although no answer said so; the binder releases it, and then it is deleted."""
        try:
            found = self._pv(attempt)
        except NotThere:
            return False
        return found is not None and found.claim_uid == attempt.uid

    def _discard(self, attempt: Attempt) -> None:
        """Destroy what the attempt made, wherever it may be; the attempt is as it was before it began."""
        name = names.volume_name(self._settings.prefix, attempt.pv_name)
        for array in sorted(attempt.sent | {array for array, _ in attempt.copied}):
            backend = self._backends.get(array)
            if backend is None:
                log.warning("array=%s is gone from pure.json; volume=%s may be left on it", array, name)
                continue
            with backend.changing(backend.claim_slots, "destroy", self._may_act):
                found = backend.store.find(name)
                if found is not None:
                    volumes.unmake(backend.store, found, self._settings.eradicate)
                self.tidy(backend, attempt)
            attempt.sent.discard(array)
        self._backends.spread.cancel(attempt.pv_name)
        attempt.made = None
