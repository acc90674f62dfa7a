"""From a claim to its saved PV, step by step; each step may have been done by an attempt before, or by a process before.

    the cache says it is ours to serve ► the API says so too ► find what an earlier attempt left, else choose an array ►
    make the volume ► destroy what only its making needed ► save the PV (endings.py)

An attempt that may have left something is kept until its end is known, also when its claim vanishes: then what it left
is destroyed again. Between retries nothing is destroyed.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from arrays import names
from arrays.errors import Busy, NoArrayFits, NotFound, PureError, Unreachable
from provisioner import claims, volumes
from provisioner.apierrors import NotThere
from provisioner.attempts import Attempt, Attempts
from provisioner.backend import Backend
from provisioner.backends import Backends
from provisioner.chosen import Chosen
from provisioner.classes import VolumeClass, parse_class
from provisioner.claims import Claim, ClassMissing
from provisioner.endings import Endings, Saved
from provisioner.kube import Kube, in_namespace
from provisioner.manifest import Made, persistent_volume
from provisioner.nodes import Nodes
from provisioner.objects import ClaimRecord, ClassRecord, PvRecord, claim_record
from provisioner.origins import Origin, Origins
from provisioner.placement import may_hold
from provisioner.settings import Settings
from provisioner.stores import Found, Wishes

log = logging.getLogger(__name__)

_MOST_UNSAVED = 64              # volumes without PV, beyond which no more are made: the API takes none just now
_PATIENCE = 60.0                # seconds a claim from before our start waits for an array that may have its volume


_NEVER_SENT = (ConnectionRefusedError, socket.gaierror)     # the array cannot have heard of it


class Caches(NamedTuple):
    """The informers' caches: claims by UID, PVs and classes by name."""

    claims: Mapping[str, ClaimRecord]
    pvs: Mapping[str, PvRecord]
    classes: Mapping[str, ClassRecord]


class MayHaveIt(PureError):
    """An array where an earlier attempt may have made the volume cannot be asked, and no second one is to be made."""

    retry = True

    def __init__(self, array: str, error: PureError) -> None:
        super().__init__(array, error)
        self.array, self.error = array, error

    def __str__(self) -> str:
        return f"waiting for array {self.array}, which may have the volume from an earlier attempt: {self.error}"


class Provision:
    """Serves one claim a call; safe for threads as long as no two calls have the same UID."""

    def __init__(self, kube: Kube, caches: Caches, backends: Backends, attempts: Attempts, settings: Settings,
                 origins: Origins, *,
                 may_act: Callable[[], bool] = lambda: True, fresh: Callable[[], bool] = lambda: False,
                 finalizers: Callable[[], bool] = lambda: True) -> None:
        self._kube, self._caches, self._backends = kube, caches, backends
        self._attempts, self._settings, self._origins = attempts, settings, origins
        self._endings = Endings(kube, backends, attempts, settings, may_act)
        self._chosen = Chosen(kube, caches.classes, Nodes(kube, settings.node_affinity))
        self._may_act, self._fresh, self._finalizers = may_act, fresh, finalizers
        self._parsed: dict[str, tuple[str, VolumeClass]] = {}       # class -> its UID, and what it asks for
        self._strangers: set[str] = set()               # claims from before our start: somebody may have begun them
        self._since = time.monotonic()

    def inherit(self, uids: set[str]) -> None:
        """These claims may have been begun by a process before this one, or have a volume whose PV went."""
        self._strangers |= uids
        self._since = time.monotonic()

    def forget_class(self, name: str) -> None:
        """The class is gone, or another one has its name."""
        self._parsed.pop(name, None)

    def forget_claim(self, uid: str) -> None:
        """The claim is served or gone, and nothing was begun for it here."""
        self._strangers.discard(uid)

    def __call__(self, uid: str) -> Saved | None:
        """Bring a claim as far as it goes now. None when there is nothing to be done; PureError when it is not done."""
        record, attempt = self._caches.claims.get(uid), self._attempts.get(uid)
        if record is None or record.deleting or record.volume_name:
            self._strangers.discard(uid)
            if attempt is not None:
                self._endings.end(attempt, record)
            return None
        pv_name = names.pv_name(uid)
        if pv_name in self._caches.pvs or self._attempts.saved(uid):
            return None
        if attempt is not None and attempt.made is not None:
            with self._attempts.alone(pv_name):
                return self._endings.save(attempt, attempt.made)
        storage_class = self._caches.classes.get(record.class_name or "")
        if why := claims.why_skip(record, storage_class, self._settings.provisioners):
            log.debug("claim=%s skipped: %s", record.key, why)
            return None
        volume_class = self._volume_class(record, storage_class)
        # what cannot be served needs no request to say so, and who has to wait must not cost one
        self._check_room(claims.parse(record, volume_class))
        with self._attempts.alone(pv_name):
            return self._serve(record, volume_class)

    def _volume_class(self, record: ClaimRecord, storage_class: ClassRecord | None) -> VolumeClass:
        """The claim's class, checked once for each of its UIDs."""
        if storage_class is None:
            raise ClassMissing(f"StorageClass {record.class_name} does not exist")
        uid, found = self._parsed.get(storage_class.name, ("", None))
        if found is None or uid != storage_class.uid:
            found = parse_class(storage_class)
            self._parsed[storage_class.name] = storage_class.uid, found
            if found.unknown:
                log.warning("StorageClass %s: not known for backend %s and left out: %s", found.name, found.backend,
                            ", ".join(found.unknown))
        return found

    def _serve(self, record: ClaimRecord, volume_class: VolumeClass) -> Saved | None:
        live = self._confirmed(record)
        if live is None:
            return None
        claim = claims.parse(live, volume_class)
        attempt = self._attempts.open(claim.uid, claim.key, claim.pv_name)
        attempt.tries += 1
        return self._endings.save(attempt, self._make(claim, attempt))

    def _check_room(self, claim: Claim) -> None:
        """Busy when nothing can be begun now: the API takes no PVs, or every array is at work on as much as it may."""
        if self._attempts.unsaved() >= _MOST_UNSAVED:
            raise Busy("the Kubernetes API", "PVs of volumes already made are still unsaved")
        if self._backends.crowded(claim):
            raise Busy("the fleet", "every array that may have the volume is at work on as many as it may")

    def _confirmed(self, record: ClaimRecord) -> ClaimRecord | None:
        """The claim as the API has it now, None when it is not to be served any more: caches are late.

        A claim whose whole history we saw need not be asked for while the cache is known to be fresh.
        """
        live = self._caches.claims.get(record.uid) if self._is_fresh(record.uid) else self._read(record)
        if live is None or live.uid != record.uid or live.volume_name or live.deleting:
            log.debug("claim=%s changed meanwhile", record.key)
            return None
        return live

    def _is_fresh(self, uid: str) -> bool:
        return uid not in self._strangers and self._fresh()

    def _read(self, record: ClaimRecord) -> ClaimRecord | None:
        try:
            raw = self._kube.get(in_namespace(record.namespace, "persistentvolumeclaims", record.name))
        except NotThere:
            return None
        return claim_record(raw, self._settings.provisioners)

    # The volume

    def _make(self, claim: Claim, attempt: Attempt) -> Made:
        """Find or make the claim's volume, and note the PV to be saved for it."""
        name = names.volume_name(self._settings.prefix, claim.pv_name)
        backend, found = self._left_behind(name, claim, attempt)
        origin = self._origin(claim, backend, found)
        if backend is not None and found is not None:
            found = self._adopt(backend, found, claim, attempt, origin)
        else:
            backend, found = self._create(name, claim, attempt, origin)
        made = volumes.made(backend.store, found, dict(backend.labels))
        attempt.pv = persistent_volume(claim, made, self._settings.prefix, default_fs_type=self._settings.fs_type,
                                       provisioner=self._settings.provisioner, finalizer=self._finalizers(),
                                       why=attempt.why, node_keys=self._settings.node_affinity)
        attempt.made = made
        self._strangers.discard(claim.uid)
        return made

    def _origin(self, claim: Claim, backend: Backend | None, found: Found | None) -> Origin | None:
        """What is to be copied, None for a blank volume. A copy made by an earlier attempt says it when nobody else can."""
        if not claim.source:
            return None
        try:
            return self._origins.find(claim)
        except NotFound:
            if backend is None or found is None or not found.source:
                raise
            return Origin(backend.name, found.source)

    def _left_behind(self, name: str, claim: Claim, attempt: Attempt) -> tuple[Backend | None, Found | None]:
        """The volume that an earlier attempt made, and where. Unreachable while an array that may have it is silent."""
        stranger = claim.uid in self._strangers
        if not stranger and not attempt.sent:
            return None, None
        candidates = {state.name for state in may_hold((backend.state() for backend in self._backends), claim)}
        for array in sorted(attempt.sent | (candidates if stranger else set())):
            backend = self._backends.get(array)
            try:
                found = self._ask(backend, name) if backend else None
            except PureError as error:
                if array in attempt.sent or time.monotonic() - self._since < _PATIENCE:
                    raise MayHaveIt(array, error) from None
                log.warning("claim=%s is served although array=%s, which may have its volume already, cannot be asked: "
                            "%s", claim.key, array, error)
                continue
            if backend and found and self._suits(backend, found, claim):
                return backend, found
            attempt.sent.discard(array)
        return None, None

    def _ask(self, backend: Backend, name: str) -> Found | None:
        with backend.at_work(backend.claim_slots):
            return backend.store.find(name)

    def _suits(self, backend: Backend, found: Found, claim: Claim) -> bool:
        """Whether the volume can be the claim's; one of the wrong kind is destroyed (its class was made anew)."""
        if backend.backend == claim.volume_class.backend:
            return True
        with backend.changing(backend.claim_slots, "destroy", self._may_act):
            volumes.unmake(backend.store, found)
        return False

    def _create(self, name: str, claim: Claim, attempt: Attempt, origin: Origin | None) -> tuple[Backend, Found]:
        """Make the volume on the best array that does not refuse."""
        refused: dict[str, str] = {}
        node = self._chosen.node(claim)
        while True:
            try:
                backend, pod, attempt.why = self._backends.place(claim, name, origin.array if origin else "", refused, node)
            except NoArrayFits:
                if node and node.keys and not attempt.sent:
                    self._chosen.give_back(claim)
                raise
            found: Found | None = None
            try:
                with self._array(backend, attempt, origin):
                    found = volumes.make(backend.store, name, claim, self._wishes(claim, pod, origin))
                return backend, found
            except volumes.NotMade as error:
                attempt.sent.discard(backend.name)
                refused[backend.name] = str(error)
            finally:
                backend.settle(name, found is not None)
                if found is None:
                    self._backends.spread.cancel(claim.pv_name)

    def _adopt(self, backend: Backend, found: Found, claim: Claim, attempt: Attempt, origin: Origin | None) -> Found:
        log.info("claim=%s takes over volume=%s array=%s from an earlier attempt", claim.key, found.name, backend.name)
        with self._array(backend, attempt, origin):
            return volumes.adopt(backend.store, found, claim, self._wishes(claim, "", origin))

    @contextmanager
    def _array(self, backend: Backend, attempt: Attempt, origin: Origin | None) -> Iterator[None]:
        """Write to an array: as the leader, remembering that something may be there from now on, and tidy up."""
        with backend.changing(backend.claim_slots, "create", self._may_act):
            before = backend.name in attempt.sent
            attempt.sent.add(backend.name)
            if origin:
                attempt.copied.add((backend.name, origin.source))
            try:
                yield
                self._endings.tidy(backend, attempt)
            except Unreachable as error:
                # a copy takes several requests, and which of them was not sent is not known
                if not (before or origin) and isinstance(error.__cause__, _NEVER_SENT):
                    attempt.sent.discard(backend.name)
                raise

    def _wishes(self, claim: Claim, pod: str, origin: Origin | None) -> Wishes:
        wanted, settings = claim.volume_class, self._settings
        return Wishes(settings.export_rules if wanted.export_rules is None else wanted.export_rules,
                      settings.snapshot_directory if wanted.snapshot_directory is None else wanted.snapshot_directory,
                      pod, origin.source if origin else "")
