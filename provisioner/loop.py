"""The loop: informers fill queues, workers empty them, failures come back later; nothing foreseen or not ends it.

    claims ──► queue of claim UIDs ──► 16 workers: Provision
    classes ─► the claims that wait for them
    PVs ─────► queue of tasks ───────► 8 workers: Reclaim, Grow
    pure.json changed ───────────────► everything that waits, in both

A claim that cannot be served as it stands waits for a change of it, its class or the fleet, and is looked at now and
then all the same. One that may be served later comes back with a growing delay, for ever.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from arrays.errors import Busy, PureError
from provisioner import growth
from provisioner.attempts import Attempts
from provisioner.backends import Backends
from provisioner.claims import LeftAlone
from provisioner.events import About, Recorder
from provisioner.finalizers import Finalizers
from provisioner.freshness import Freshness
from provisioner.informer import Informer, Timing
from provisioner.kube import CLAIMS, CLASSES, PVS, Kube
from provisioner.metrics import Metrics
from provisioner.objects import ClaimRecord, ClassRecord, PvRecord, claim_record, class_record, pv_record
from provisioner.origins import Origins
from provisioner.orphans import Orphan
from provisioner.outcomes import Outcomes
from provisioner.provision import Caches, Provision
from provisioner.reclaim import Duty, Reclaim
from provisioner.scraps import Scraps
from provisioner.search import Search
from provisioner.settings import Settings
from provisioner.sweep import Sweep
from provisioner.volumes import InUse
from provisioner.workqueue import Backoff, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K")
Task = tuple[str, str]              # ("pv", name) or ("grow", claim UID)

IN_USE_DELAY = 30.0                 # the longest time between two looks at a volume that is still connected
RESYNC = 900.0                      # seconds between two looks at everything in the caches

# Normal events a burst may have: how many at once, and seconds for each further one (see events.py).
EVENT_RATES = {"Provisioning": (20, 1.0), "ProvisioningSucceeded": (25, 0.1)}


class Loop:
    """Everything that runs while this process leads. `start` once; `stop` lets calls in flight finish."""

    def __init__(self, kube: Kube, backends: Backends, settings: Settings, *, component: str = "pure-provisioner",
                 may_act: Callable[[], bool] = lambda: True, timing: Timing = Timing(),
                 metrics: Metrics | None = None) -> None:
        ours = settings.provisioners
        self.settings, self.backends, self.metrics = settings, backends, metrics or Metrics()
        self.attempts = Attempts()
        self.events = Recorder(kube, component, EVENT_RATES)
        self.claims = Informer(kube, CLAIMS, lambda raw: claim_record(raw, ours), _uid, self._claim_changed, timing)
        self.pvs = Informer(kube, PVS, lambda raw: pv_record(raw, ours), _name, self._pv_changed, timing)
        self.classes = Informer(kube, CLASSES, class_record, _name, self._class_changed, timing)
        self.informers = (self.classes, self.pvs, self.claims)
        self.started = False
        backoff = Backoff(settings.retry_first, settings.retry_longest)
        waited, worked = self.metrics.queue("claims")
        self.claim_queue: WorkQueue[str] = WorkQueue(backoff, waited=waited, worked=worked)
        waited, worked = self.metrics.queue("volumes")
        self.volume_queue: WorkQueue[Task] = WorkQueue(backoff, waited=waited, worked=worked)
        finalizers = Finalizers(kube, settings.finalizers)
        lock = About("Lease", settings.namespace, settings.provisioner, "", api_version="coordination.k8s.io/v1")
        self.outcomes = Outcomes(self.claims.cache, self.pvs.cache, self.classes.cache, self.events, self.metrics, lock)
        search = Search(backends)
        fresh = Freshness(kube, self.claims, self.claim_queue.unfinished)
        self._provision = Provision(kube, Caches(self.claims.cache, self.pvs.cache, self.classes.cache), backends,
                                    self.attempts, settings, Origins(kube, self.pvs.cache, search, settings),
                                    may_act=may_act, fresh=fresh, finalizers=lambda: finalizers.allowed)
        self._reclaim = Reclaim(kube, self.pvs.cache, search, self.attempts, finalizers, settings, may_act=may_act)
        self._grow = growth.Grow(self.claims.cache, self.pvs.cache, search, settings, may_act=may_act)
        scraps = Scraps(backends, self.claims.cache, self.pvs.cache, self.attempts, settings, may_act=may_act)
        self._sweep = Sweep(kube, backends, self.pvs.cache, self.attempts, settings, self._orphans, scraps=scraps,
                            may_act=may_act)
        self._threads: list[threading.Thread] = []
        self._workers: list[threading.Thread] = []
        self._first_look: threading.Thread | None = None
        self._stopping = threading.Event()
        self._resynced = time.monotonic()

    # Life

    def start(self) -> None:
        """Read everything there is, then work on it: what is listed now may have been begun by somebody before."""
        self.started = True
        self._run("events", self.events.run)
        for informer in self.informers:
            self._run(f"watch {informer.name}", informer.run)
        self._first_look = _thread("first look", self._begin)

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
        if self.settings.sweep_every:
            self._run("orphan sweep", self._sweep.run)
        for number in range(self.settings.claim_workers):
            self._work(f"claims {number}", self.claim_queue, self._serve)
        for number in range(self.settings.volume_workers):
            self._work(f"volumes {number}", self.volume_queue, self._care)

    def tick(self) -> None:
        """What is to be done about every second."""
        self.outcomes.slow(self.attempts.all())
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
        self._sweep.stop()
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
            self._look_at_pv(None, pv)

    def _run(self, name: str, body: Callable[[], None]) -> None:
        self._threads.append(_thread(name, body))

    def _work(self, name: str, queue: WorkQueue[K], serve: Callable[[K], None]) -> None:
        def body() -> None:
            while (key := queue.get()) is not None:
                _edge(functools.partial(serve, key), functools.partial(again, key))
                queue.done(key)

        def again(key: K) -> str:
            return f"{key}, retry in {queue.retry(key):.1f} s"

        self._workers.append(_thread(name, body))

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
            self._provision.forget_claim(uid)
        if new is None:
            self.outcomes.claim_gone(uid)
            if old is not None and not old.bound:
                self._sweep.went_unbound(uid)
        if new is not None and new.resized:
            self.volume_queue.add(("grow", uid))
        else:
            self.volume_queue.forget(("grow", uid))
            self._grow.forget(uid)

    def _pv_changed(self, old: PvRecord | None, new: PvRecord | None) -> None:
        self.backends.spread.changed(old, new)
        self._look_at_pv(old, new)

    def _look_at_pv(self, old: PvRecord | None, new: PvRecord | None) -> None:
        if new is None and old is not None:
            self.volume_queue.forget(("pv", old.name))
            self.attempts.unsave(old.claim_uid)
            if (claim := self.claims.cache.get(old.claim_uid)) and not claim.bound:
                self._provision.inherit({claim.uid})    # somebody deleted it before it was bound; its volume is there
                self.claim_queue.add(claim.uid)
        elif new is not None and self._reclaim.duty(new) is not Duty.NOTHING:
            self.volume_queue.add(("pv", new.name))
        elif new is not None and old is None:
            self._look_at_growth(new)

    def _look_at_growth(self, pv: PvRecord) -> None:
        """A claim that asked for more before its PV was known here: the watches are not ordered among themselves."""
        claim = self.claims.cache.get(pv.claim_uid)
        if claim is not None and claim.resized:
            self.volume_queue.add(("grow", claim.uid))

    def _class_changed(self, old: ClassRecord | None, new: ClassRecord | None) -> None:
        if old is not None:
            self._provision.forget_class(old.name)
            if new is None:
                self.outcomes.class_gone(old.name)
        if new is not None and self.claims.synced.is_set():
            for uid, claim in list(self.claims.cache.items()):
                if not claim.bound and claim.class_name == new.name:
                    self.claim_queue.add(uid)

    # What workers do

    def _serve(self, uid: str) -> None:
        """One step for a claim, and what is to be done about its outcome."""
        queue = self.claim_queue
        try:
            saved = self._provision(uid)
        except Busy as error:
            self.outcomes.waits(uid, error, queue.postpone(uid))
        except LeftAlone as error:
            queue.forget(uid)
            self.outcomes.ignored(uid, error)
        except PureError as error:
            self.outcomes.not_provisioned(uid, self.attempts.get(uid), error, queue.retry(uid, longest=not error.retry))
        else:
            queue.forget(uid)
            if saved:
                self.outcomes.saved(uid, saved)

    def _care(self, task: Task) -> None:
        """One step for a PV or a growing claim, and what is to be done about its outcome."""
        kind, key = task
        queue = self.volume_queue
        try:
            self._grow_claim(key) if kind == "grow" else self._reclaim_pv(key)
        except Busy:
            queue.postpone(task)
        except InUse as error:
            delay = min(IN_USE_DELAY, self.settings.retry_first * 2.0 ** min(queue.failures(task), 16))
            self.outcomes.delete_waits(key, error, queue.retry(task, after=delay))
        except PureError as error:
            told = self.outcomes.not_grown if kind == "grow" else self.outcomes.not_deleted
            told(key, error, queue.retry(task, longest=not error.retry))
        else:
            queue.forget(task)

    def _grow_claim(self, uid: str) -> None:
        if grown := self._grow(uid):
            self.outcomes.grown(uid, grown)

    def _reclaim_pv(self, name: str) -> None:
        if deleted := self._reclaim(name):
            self.outcomes.deleted(deleted)

    def _orphans(self, found: list[Orphan]) -> None:
        self.outcomes.orphans(found, [backend.name for backend in self.backends])


def _thread(name: str, body: Callable[[], None]) -> threading.Thread:
    """A running thread; Loop.dead notices its end."""
    thread = threading.Thread(target=_edge, args=(body, lambda: f"thread {name}, which ended"), name=name, daemon=True)
    thread.start()
    return thread


def _edge(step: Callable[[], None], then: Callable[[], str]) -> None:
    """The one edge where bugs end: with their traceback in the log and a word on what comes now, and others go on.

    Without it one claim that nobody foresaw would end a worker, and with 16 of them the process, again and again.
    """
    try:
        step()
    except Exception:
        log.exception("unforeseen failure with %s", then())


def _uid(raw: dict[str, object]) -> str:
    metadata = raw["metadata"]
    return str(metadata["uid"]) if isinstance(metadata, dict) else ""


def _name(raw: dict[str, object]) -> str:
    metadata = raw["metadata"]
    return str(metadata["name"]) if isinstance(metadata, dict) else ""
