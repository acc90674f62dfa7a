"""What became of a claim or PV, told to everyone it concerns at once: a log line, an event, a metric. One line each.

Events say what their readers grep for: the words are those of sig-storage-lib-external-provisioner.
"""

import logging
import time
from collections.abc import Container, Mapping

from arrays.errors import PureError
from arrays.units import human
from provisioner.attempts import Attempt
from provisioner.endings import Saved
from provisioner.events import About, Recorder
from provisioner.growth import Grown
from provisioner.metrics import Metrics
from provisioner.objects import ClaimRecord, PvRecord
from provisioner.orphans import Orphan
from provisioner.reclaim import Deleted

log = logging.getLogger(__name__)

SLOW = 1.0                  # seconds; an attempt that takes longer is told of while it runs
_SOURCES = ("PersistentVolumeClaim", "VolumeSnapshot")
PATIENT = 8                 # times in a row, some 6 seconds, after which a claim that waits for others is told of


class Outcomes:
    """Tells; decides nothing. `lock` is the object that events about the process itself are about."""

    def __init__(self, claims: Mapping[str, ClaimRecord], pvs: Mapping[str, PvRecord], classes: Container[str],
                 events: Recorder, metrics: Metrics, lock: About) -> None:
        self._claims, self._pvs, self._classes, self._events, self._metrics = claims, pvs, classes, events, metrics
        self._ignored: set[str] = set()             # claims whose event ProvisioningIgnored was told
        self.lock = lock

    # Claims

    def saved(self, uid: str, saved: Saved) -> None:
        """A claim has its PV."""
        claim = self._claims.get(uid)
        log.info("provision ok claim=%s pv=%s volume=%s array=%s size=%s seconds=%.3f tries=%d", saved.claim,
                 saved.pv_name, saved.volume, saved.array, human(saved.size), saved.seconds, saved.tries)
        self._metrics.provisioned(*self._labels(claim), saved.seconds)
        self._about(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {saved.pv_name}")

    def not_provisioned(self, uid: str, attempt: Attempt | None, error: PureError, retry_in: float) -> None:
        """An attempt failed."""
        claim = self._claims.get(uid)
        name = claim.key if claim else attempt.key if attempt else uid
        log.warning("provision %s claim=%s retry_in=%.1f error=%s", "failed" if error.retry else "refused", name, retry_in,
                    quoted(error))
        self._metrics.provision_failed(*self._labels(claim))
        if claim:
            self._about(claim, "Warning", "ProvisioningFailed",
                        f'failed to provision volume with StorageClass "{claim.class_name}": {error}')

    def ignored(self, uid: str, error: PureError) -> None:
        """A claim is somebody else's to serve; told once."""
        if uid not in self._ignored:
            self._ignored.add(uid)
            claim = self._claims.get(uid)
            log.info("provision ignored claim=%s why=%s", claim.key if claim else uid, quoted(error))
            self._about(claim, "Normal", "ProvisioningIgnored", str(error))

    def waits(self, uid: str, error: PureError, times: int) -> None:
        """What a claim needs is in use by others; told when it has been so for a while."""
        if times == PATIENT:
            claim = self._claims.get(uid)
            log.info("provision waits claim=%s why=%s", claim.key if claim else uid, quoted(error))
            self._about(claim, "Normal", "Provisioning", f"waiting: {error}")

    def claim_gone(self, uid: str) -> None:
        self._ignored.discard(uid)

    def slow(self, attempts: list[Attempt]) -> None:
        """Tell the users of claims that take their time that somebody is at it."""
        now = time.monotonic()
        for attempt in attempts:
            if not attempt.told and now - attempt.began > SLOW and attempt.uid in self._claims:
                attempt.told = True
                self._about(self._claims.get(attempt.uid), "Normal", "Provisioning",
                            f'External provisioner is provisioning volume for claim "{attempt.key}"')

    def grown(self, uid: str, grown: Grown) -> None:
        """A volume is as large as its claim asks."""
        log.info("grow ok claim=%s pv=%s volume=%s array=%s size=%s", grown.claim, grown.pv_name, grown.volume,
                 grown.array, human(grown.size))
        self._about(self._claims.get(uid), "Normal", "VolumeResizeSuccessful",
                    f"Volume {grown.volume} on {grown.array} has {human(grown.size)}")

    def not_grown(self, uid: str, error: PureError, retry_in: float) -> None:
        """It is not, yet."""
        claim = self._claims.get(uid)
        log.warning("grow failed claim=%s retry_in=%.1f error=%s", claim.key if claim else uid, retry_in, quoted(error))
        self._about(claim, "Warning", "VolumeResizeFailed", str(error))

    # PVs

    def deleted(self, deleted: Deleted) -> None:
        """Volume and PV are gone."""
        log.info("delete ok pv=%s volume=%s array=%s seconds=%.3f", deleted.pv_name, deleted.volume,
                 deleted.array or "none", deleted.seconds)
        self._metrics.deleted(self._known(deleted.class_name), deleted.seconds)

    def delete_waits(self, name: str, error: PureError, retry_in: float) -> None:
        """A host still has the volume: no failure."""
        log.info("delete waits pv=%s retry_in=%.1f why=%s", name, retry_in, quoted(error))
        self._about_pv(name, "Normal", "VolumeDelete", f"waiting to delete: {error}")

    def not_deleted(self, name: str, error: PureError, retry_in: float) -> None:
        """The PV stays for now."""
        pv = self._pvs.get(name)
        log.warning("delete failed pv=%s retry_in=%.1f error=%s", name, retry_in, quoted(error))
        self._metrics.delete_failed(self._known(pv.class_name if pv else ""))
        self._about_pv(name, "Warning", "VolumeFailedDelete", str(error))

    # The process

    def orphans(self, found: list[Orphan], arrays: list[str]) -> None:
        """What a sweep over `arrays` found."""
        counts = dict.fromkeys(arrays, 0)
        for orphan in found:
            counts[orphan.array] = counts.get(orphan.array, 0) + 1
            log.warning('orphan volume=%s array=%s size=%s why="%s"', orphan.volume, orphan.array, human(orphan.size),
                        orphan.why)
        self._metrics.orphans(counts)
        if found:
            named = ", ".join(f"{orphan.volume} on {orphan.array}" for orphan in found[:5])
            self._events.tell(self.lock, "Warning", "OrphanVolumes", f"{len(found)} volumes nobody stands for, "
                              f"`pure orphans` lists them: {named}")

    def lead(self, what: str) -> None:
        """The lead was taken or lost."""
        self._events.tell(self.lock, "Normal", "LeaderElection", what)

    def class_gone(self, name: str) -> None:
        self._metrics.forget_class(name)

    def _labels(self, claim: ClaimRecord | None) -> tuple[str, str]:
        """Class and kind of data source, as metrics are labelled; nothing that anybody can make up in a claim."""
        if claim is None:
            return "", ""
        kind = claim.source[1] if claim.source else ""
        return self._known(claim.class_name or ""), kind if kind in _SOURCES else ""

    def _known(self, storage_class: str) -> str:
        """The name of a class there is; "" for others, so that a deleted one does not come back as a label."""
        return storage_class if storage_class in self._classes else ""

    def _about(self, claim: ClaimRecord | None, kind: str, reason: str, message: str) -> None:
        if claim:
            about = About("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid, claim.version)
            self._events.tell(about, kind, reason, message)

    def _about_pv(self, name: str, kind: str, reason: str, message: str) -> None:
        pv = self._pvs.get(name)
        if pv:
            self._events.tell(About("PersistentVolume", "", name, pv.uid, pv.version), kind, reason, message)


def quoted(error: PureError) -> str:
    """One line, in quotes, for key=value logs."""
    return '"' + " ".join(str(error).split()).replace('"', "'") + '"'
