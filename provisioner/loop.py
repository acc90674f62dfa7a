"""The loop: informers fill queues, workers empty them, failures come back later; nothing foreseen or not ends it.

    claims ──► queue of claim UIDs ──► 16 workers: Provision
    classes ─► the claims that wait for them
    PVs ─────► queue of tasks ───────► 8 workers: Reclaim, Grow
    pure.json changed ───────────────► everything that waits, in both

A claim that cannot be served as it stands waits for a change of it, its class or the fleet, and is looked at now and
then all the same. One that may be served later comes back with a growing delay, for ever.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from arrays.errors import Busy, PureError
from arrays.units import human
from provisioner import growth, reclaim
from provisioner.attempts import Attempts
from provisioner.backends import Backends
from provisioner.claims import LeftAlone
from provisioner.events import About, Recorder
from provisioner.finalizers import Finalizers
from provisioner.freshness import Freshness
from provisioner.informer import Informer, Timing
from provisioner.kube import CLAIMS, CLASSES, PVS, Kube
from provisioner.objects import ClaimRecord, ClassRecord, PvRecord, claim_record, class_record, pv_record
from provisioner.origins import Origins
from provisioner.provision import Caches, Provision, Saved
from provisioner.reclaim import Duty, Reclaim
from provisioner.search import Search
from provisioner.settings import Settings
from provisioner.volumes import InUse
from provisioner.workqueue import Backoff, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K")
Task = tuple[str, str]              # ("pv", name) or ("grow", claim UID)

BUSY_DELAY = 0.25                   # seconds until what somebody else holds is tried again
IN_USE_DELAY = 30.0                 # the longest time between two looks at a volume that is still connected
RESYNC = 900.0                      # seconds between two looks at everything in the caches
SLOW = 1.0                          # an attempt that takes longer is told of while it runs

# Normal events a burst may have: how many at once, and seconds for each further one (see events.py).
EVENT_RATES = {"Provisioning": (20, 1.0), "ProvisioningSucceeded": (25, 0.1)}


class Loop:
    """Everything that runs while this process leads. `start` once; `stop` lets calls in flight finish."""

    def __init__(self, kube: Kube, backends: Backends, settings: Settings, *, component: str = "pure-provisioner",
                 may_act: Callable[[], bool] = lambda: True, timing: Timing = Timing()) -> None:
        ours = settings.provisioners
        self.settings, self.backends = settings, backends
        self.attempts = Attempts()
        self.events = Recorder(kube, component, EVENT_RATES)
        self.claims = Informer(kube, CLAIMS, lambda raw: claim_record(raw, ours), _uid, self._claim_changed, timing)
        self.pvs = Informer(kube, PVS, lambda raw: pv_record(raw, ours), _name, self._pv_changed, timing)
        self.classes = Informer(kube, CLASSES, class_record, _name, self._class_changed, timing)
        self.informers = (self.classes, self.pvs, self.claims)
        backoff = Backoff(settings.retry_first, settings.retry_longest)
        self.claim_queue: WorkQueue[str] = WorkQueue(backoff)
        self.volume_queue: WorkQueue[Task] = WorkQueue(backoff)
        finalizers = Finalizers(kube, settings.finalizers)
        self._finalizers = finalizers
        self._left_alone: set[str] = set()              # claims whose event LeftAlone was told
        search = Search(backends)
        fresh = Freshness(kube, self.claims, lambda: len(self.claim_queue))
        self._provision = Provision(kube, Caches(self.claims.cache, self.pvs.cache, self.classes.cache), backends,
                                    self.attempts, settings, Origins(kube, self.pvs.cache, search, settings),
                                    may_act=may_act, fresh=fresh, finalizers=lambda: finalizers.allowed)
        self._reclaim = Reclaim(kube, self.pvs.cache, search, self.attempts, finalizers, settings, may_act=may_act)
        self._grow = growth.Grow(self.claims.cache, self.pvs.cache, search, settings, may_act=may_act)
        self._threads: list[threading.Thread] = []
        self._workers: list[threading.Thread] = []
        self._first_look: threading.Thread | None = None
        self._stopping = threading.Event()
        self._resynced = time.monotonic()

    # Life

    def start(self) -> None:
        """Read everything there is, then work on it: what is listed now may have been begun by somebody before."""
        self._run("events", self.events.run)
        for informer in self.informers:
            self._run(f"watch {informer.name}", informer.run)
        self._first_look = threading.Thread(target=_surely(self._begin), name="first look", daemon=True)
        self._first_look.start()

    def _begin(self) -> None:
        for informer in self.informers:
            while not informer.synced.wait(0.5):
                if self._stopping.is_set():
                    return
        log.info("synced claims=%d pvs=%d classes=%d", *(len(informer.cache) for informer in (
            self.claims, self.pvs, self.classes)))
        self._provision.inherit({uid for uid, claim in list(self.claims.cache.items()) if not claim.bound})
        if self._stopping.is_set():
            return
        for number in range(self.settings.claim_workers):
            self._work(f"claims {number}", self.claim_queue, self._serve)
        for number in range(self.settings.volume_workers):
            self._work(f"volumes {number}", self.volume_queue, self._care)

    def tick(self) -> None:
        """What is to be done about every second."""
        self._tell_slow()
        if time.monotonic() - self._resynced > RESYNC:
            self._resynced = time.monotonic()
            self.resync()

    def dead(self) -> list[str]:
        """Names of threads that should run and do not; one is enough to end the process and be started anew."""
        if self._stopping.is_set():
            return []
        return [thread.name for thread in [*self._threads, *self._workers] if not thread.is_alive()]

    def synced(self) -> bool:
        return all(informer.synced.is_set() for informer in self.informers)

    def stop(self, drain: float) -> bool:
        """Take nothing up any more and wait for what is in flight; whether all of it ended within `drain` seconds."""
        self._stopping.set()
        for informer in self.informers:
            informer.stop()
        self.claim_queue.close()
        self.volume_queue.close()
        deadline = time.monotonic() + drain
        if self._first_look:
            self._first_look.join(drain)                # it starts the workers
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        self.events.stop()
        return not any(worker.is_alive() for worker in self._workers)

    def hurry(self) -> None:
        """The fleet changed: what waits may have what it waits for."""
        self.claim_queue.hurry()
        self.volume_queue.hurry()

    def resync(self) -> None:
        """Look at everything in the caches again; costs no request for what is as it should be."""
        for claim in list(self.claims.cache.values()):
            self._claim_changed(None, claim)
        for pv in list(self.pvs.cache.values()):
            self._pv_changed(None, pv)

    def _run(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=_surely(body), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, name: str, queue: WorkQueue[K], serve: Callable[[K], None]) -> None:
        def body() -> None:
            while (key := queue.get()) is not None:
                try:
                    serve(key)
                finally:
                    queue.done(key)

        thread = threading.Thread(target=_surely(body), name=name, daemon=True)
        thread.start()
        self._workers.append(thread)

    # What informers tell; on their threads

    def _claim_changed(self, old: ClaimRecord | None, new: ClaimRecord | None) -> None:
        uid = new.uid if new else old.uid if old else ""
        if new is not None and not new.bound:
            self.claim_queue.add(uid)
            return
        if self.attempts.get(uid) is not None:
            self.claim_queue.add(uid)                   # begun and no longer wanted, or bound meanwhile
        else:
            self.claim_queue.forget(uid)
        if new is None:
            self._left_alone.discard(uid)
            self.volume_queue.forget(("grow", uid))
        elif new.capacity != new.requested:
            self.volume_queue.add(("grow", uid))

    def _pv_changed(self, old: PvRecord | None, new: PvRecord | None) -> None:
        if new is None:
            self.volume_queue.forget(("pv", old.name if old else ""))
        elif reclaim.duty(new, self._finalizers.allowed) is not Duty.NOTHING:
            self.volume_queue.add(("pv", new.name))

    def _class_changed(self, old: ClassRecord | None, new: ClassRecord | None) -> None:
        if new is not None and self.claims.synced.is_set():
            for uid, claim in list(self.claims.cache.items()):
                if not claim.bound and claim.class_name == new.name:
                    self.claim_queue.add(uid)

    # What workers do

    def _serve(self, uid: str) -> None:
        """One step for a claim, and what is to be said and done about its outcome."""
        queue, claim = self.claim_queue, self.claims.cache.get(uid)
        try:
            saved = self._provision(uid)
        except Busy:
            queue.add_after(uid, BUSY_DELAY)
        except LeftAlone as error:
            queue.forget(uid)
            if claim and uid not in self._left_alone:
                self._left_alone.add(uid)
                self.events.tell(_about_claim(claim), "Normal", "ProvisioningIgnored", str(error))
        except PureError as error:
            delay = queue.retry(uid, longest=not error.retry)
            attempt = self.attempts.get(uid)
            log.warning("provision failed claim=%s retry_in=%.1f error=%s", claim.key if claim else
                        attempt.key if attempt else uid, delay, _quoted(error))
            if claim:
                self.events.tell(_about_claim(claim), "Warning", "ProvisioningFailed",
                                 f'failed to provision volume with StorageClass "{claim.class_name}": {error}')
        except Exception:
            log.exception("unforeseen failure with claim %s, retry in %.1f s", claim.key if claim else uid,
                          queue.retry(uid))
        else:
            queue.forget(uid)
            if saved:
                self._tell_saved(saved, claim)

    def _tell_saved(self, saved: Saved, claim: ClaimRecord | None) -> None:
        log.info("provision ok claim=%s pv=%s volume=%s array=%s size=%s seconds=%.3f tries=%d", saved.claim,
                 saved.pv_name, saved.volume, saved.array, human(saved.size), saved.seconds, saved.tries)
        if claim:
            self.events.tell(_about_claim(claim), "Normal", "ProvisioningSucceeded",
                             f"Successfully provisioned volume {saved.pv_name}")

    def _tell_slow(self) -> None:
        """Tell the users of claims that take their time that somebody is at it."""
        now = time.monotonic()
        for attempt in self.attempts.all():
            claim = self.claims.cache.get(attempt.uid)
            if not attempt.told and now - attempt.began > SLOW and claim:
                attempt.told = True
                self.events.tell(_about_claim(claim), "Normal", "Provisioning",
                                 f'External provisioner is provisioning volume for claim "{claim.key}"')

    def _care(self, task: Task) -> None:
        """One step for a PV or a growing claim."""
        kind, key = task
        try:
            if kind == "grow":
                self._grow_claim(key)
            else:
                self._reclaim_pv(key)
            self.volume_queue.forget(task)
        except Busy:
            self.volume_queue.add_after(task, BUSY_DELAY)
        except InUse as error:
            delay = min(IN_USE_DELAY, self.settings.retry_first * 2.0 ** min(self.volume_queue.failures(task), 16))
            self.volume_queue.retry(task, after=delay)
            self._tell_pv(key, "Normal", "VolumeDelete", f"waiting to delete: {error}")
            log.info("delete waits pv=%s retry_in=%.1f why=%s", key, delay, _quoted(error))
        except PureError as error:
            delay = self.volume_queue.retry(task, longest=not error.retry)
            log.warning("%s failed %s=%s retry_in=%.1f error=%s", "delete" if kind == "pv" else "grow", kind, key, delay,
                        _quoted(error))
            self._tell_failure(kind, key, error)
        except Exception:
            log.exception("unforeseen failure with %s %s, retry in %.1f s", kind, key, self.volume_queue.retry(task))

    def _reclaim_pv(self, name: str) -> None:
        deleted = self._reclaim(name)
        if deleted:
            log.info("delete ok pv=%s volume=%s array=%s seconds=%.3f", deleted.pv_name, deleted.volume,
                     deleted.array or "none", deleted.seconds)

    def _grow_claim(self, uid: str) -> None:
        grown = self._grow(uid)
        claim = self.claims.cache.get(uid)
        if grown and claim:
            log.info("grow ok claim=%s pv=%s volume=%s array=%s size=%s", grown.claim, grown.pv_name, grown.volume,
                     grown.array, human(grown.size))
            self.events.tell(_about_claim(claim), "Normal", "VolumeResizeSuccessful",
                             f"Volume {grown.volume} on {grown.array} has {human(grown.size)}")

    def _tell_failure(self, kind: str, key: str, error: PureError) -> None:
        claim = self.claims.cache.get(key)
        if kind == "pv":
            self._tell_pv(key, "Warning", "VolumeFailedDelete", str(error))
        elif claim:
            self.events.tell(_about_claim(claim), "Warning", "VolumeResizeFailed", str(error))

    def _tell_pv(self, name: str, kind: str, reason: str, message: str) -> None:
        pv = self.pvs.cache.get(name)
        if pv:
            self.events.tell(About("PersistentVolume", "", name, pv.uid, pv.version), kind, reason, message)


def _surely(body: Callable[[], None]) -> Callable[[], None]:
    """The body of a thread whose end is noticed by Loop.dead; a bug in it is logged with its traceback."""
    def run() -> None:
        try:
            body()
        except Exception:
            log.exception("thread %s ended", threading.current_thread().name)

    return run


def _about_claim(claim: ClaimRecord) -> About:
    return About("PersistentVolumeClaim", claim.namespace, claim.name, claim.uid, claim.version)


def _uid(raw: dict[str, object]) -> str:
    metadata = raw["metadata"]
    return str(metadata["uid"]) if isinstance(metadata, dict) else ""


def _name(raw: dict[str, object]) -> str:
    metadata = raw["metadata"]
    return str(metadata["name"]) if isinstance(metadata, dict) else ""


def _quoted(error: PureError) -> str:
    """One line, in quotes, for key=value logs."""
    return '"' + " ".join(str(error).split()).replace('"', "'") + '"'
