"""Our finalizer on PVs: it holds a PV that is deleted too early until its volume is destroyed.

The published chart's role has `update` on PVs and not `patch`: then GET and PUT instead of PATCH. Where neither is allowed
the program works without finalizers and says so once.
"""

import logging
import threading

from arrays.errors import Busy
from provisioner.apierrors import Conflict, Forbidden, NotThere
from provisioner.kube import PVS, Kube, named
from provisioner.objects import Raw
from provisioner.rights import Rights
from provisioner.wellknown import FINALIZER

log = logging.getLogger(__name__)

_TRIES = 5


class Finalizers:
    """Adds and removes the finalizer if it is `wanted`; `allowed` is False while the API refuses both ways."""

    def __init__(self, kube: Kube, wanted: bool = True) -> None:
        self._kube = kube
        self._rights = Rights(kube)
        self._patch: bool | None = None         # not known before the first is written
        self._lock = threading.Lock()
        self.wanted = self.allowed = wanted

    def add(self, pv: Raw) -> None:
        """Put it on a PV (as last read) unless it is there. Conflict when the PV changed since: decide again."""
        found = _finalizers(pv)
        if self.allowed and FINALIZER not in found:
            try:
                self._write(pv, [*found, FINALIZER])
            except Forbidden as error:
                self._do_without(error)

    def remove(self, pv: Raw) -> None:
        """Take it off a PV (as last read), whatever else changes on that PV meanwhile; gone is as good.

        Forbidden where the role allows neither way: it stays on.
        """
        for _ in range(_TRIES):
            found = _finalizers(pv)
            if FINALIZER not in found:
                return
            try:
                try:
                    return self._write(pv, [name for name in found if name != FINALIZER])
                except Conflict:            # KCM takes its own finalizer off at the same moment
                    pv = self._kube.get(named(PVS, pv["metadata"]["name"]))
            except NotThere:
                return
            except Forbidden as error:
                self._do_without(error)
                raise
        raise Busy(f"PV {pv['metadata']['name']}", "it changes all the time")

    def _write(self, pv: Raw, finalizers: list[str]) -> None:
        path = named(PVS, pv["metadata"]["name"])
        if self._may_patch():
            try:
                self._kube.merge(path, {"metadata": {"finalizers": finalizers,
                                                     "resourceVersion": pv["metadata"]["resourceVersion"]}})
                self.allowed = self.wanted
                return
            except Forbidden as error:
                log.info("finalizers are written with PUT: %s", error)
                self._patch = False
        if self._rights.lacking(("update",), "persistentvolumes"):
            raise Forbidden(f"change the finalizers of {pv['metadata']['name']}", 403, "Forbidden",
                            "neither patch nor update of persistentvolumes is allowed")
        self._kube.replace(path, {**pv, "metadata": {**pv["metadata"], "finalizers": finalizers}})
        self.allowed = self.wanted              # also after a refusal: the right is there by now

    def _may_patch(self) -> bool:
        with self._lock:
            if self._patch is None:
                self._patch = not self._rights.lacking(("patch",), "persistentvolumes")
                if not self._patch:
                    log.info("finalizers are written with PUT: the role does not allow patch of persistentvolumes")
            return self._patch

    def _do_without(self, why: Forbidden) -> None:
        with self._lock:
            if self.allowed:
                log.warning("PVs get no finalizer, so a PV deleted before its claim leaves its volume: %s", why)
            self.allowed = False


def _finalizers(pv: Raw) -> list[str]:
    return pv["metadata"].get("finalizers") or []
