"""The fleet at work: all arrays by name, and where a new volume goes. pure.json is read again when it changed.

Whoever works with an array takes one of its slots or goes away at once; with several arrays, some workers always stay
free for the others.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from arrays.entries import Entry, FlashArrayEntry, FlashBladeEntry
from arrays.errors import NoArrayFits, PureError
from arrays.fleet import Fleet
from provisioner.backend import Backend, Pace, Slots, Timed, untimed
from provisioner.block import BlockStore
from provisioner.claims import Claim
from provisioner.file import FileStore
from provisioner.nodes import Node
from provisioner.placement import ArrayState, choose_array, choose_pod, reason, refusal, suits
from provisioner.spread import Spread, set_of
from provisioner.stores import Store

log = logging.getLogger(__name__)


class Known(NamedTuple):
    """What one reading of pure.json gave: the arrays by name, and its complaints about entries that name none."""

    arrays: Mapping[str, Backend]
    complaints: tuple[str, ...]


class Backends:
    """All arrays by name. `load` gives the fleet as pure.json has it now; it is called by `reload`."""

    def __init__(self, load: Callable[[], Fleet], claim_workers: int, volume_workers: int, pace: Pace = Pace(),
                 timed: Timed = untimed) -> None:
        self._load, self._pace, self._timed = load, pace, timed
        self._workers = (claim_workers, volume_workers)
        self._placing = threading.Lock()
        self.known = Known({}, ())      # replaced as one: a volume that is on none of the arrays is gone, or left out
        self.spread = Spread()
        self.problem = ""                               # why pure.json as a whole cannot be used

    def __iter__(self) -> Iterator[Backend]:
        return iter(list(self.known.arrays.values()))

    def __len__(self) -> int:
        return len(self.known.arrays)

    def get(self, name: str) -> Backend | None:
        return self.known.arrays.get(name)

    def of(self, backend: str) -> list[Backend]:
        """The arrays of one kind, or all of them for ""."""
        return [found for found in self if backend in ("", found.backend)]

    def reload(self) -> bool:
        """Read pure.json; keep what did not change, with its sessions. A file that cannot be used changes nothing.

        Returns whether the fleet is another one.
        """
        try:
            fleet = self._load()
        except PureError as error:
            if str(error) != self.problem:
                log.error("%s", error)
            self.problem = str(error)
            return False
        self.problem = ""
        for complaint in fleet.complaints:
            if complaint not in self.known.complaints:
                log.warning("%s", complaint)
        return self._take_over([*fleet.flash_arrays, *fleet.flash_blades], fleet.complaints)

    def _take_over(self, entries: list[FlashArrayEntry | FlashBladeEntry], complaints: tuple[str, ...]) -> bool:
        old, new = self.known.arrays, {}
        changed = {entry.name for entry in entries} != set(old)
        for entry in entries:
            kept = old.get(entry.name)
            if kept is not None and _same_door(kept.store.entry, entry):
                changed |= dict(kept.labels) != dict(entry.labels)
                kept.relabel(entry.labels)
            else:
                changed = True
                store = new_store(entry, self._pace.connect_timeout, self._pace.read_timeout)
                kept = Backend(store, self._pace, timed=self._timed)
                kept.start()
            new[entry.name] = kept
        self._share_slots(new)
        self.known = Known(new, complaints)
        for name, backend in old.items():
            if new.get(name) is not backend:
                backend.stop()
        if changed:
            log.info("fleet arrays=%s", ",".join(sorted(new)) or "none")
        return changed

    def _share_slots(self, backends: Mapping[str, Backend]) -> None:
        """With several arrays, one of them leaves a quarter of the workers to the others."""
        claims, volumes = (workers if len(backends) < 2 else max(1, workers - max(1, workers // 4))
                           for workers in self._workers)
        for backend in backends.values():
            if backend.claim_slots.limit != claims:
                backend.claim_slots = Slots(claims)
            if backend.volume_slots.limit != volumes:
                backend.volume_slots = Slots(volumes)

    def crowded(self, claim: Claim) -> bool:
        """Whether nobody could take up a claim now: every array for it that answers has all its slots in use."""
        candidates = [found for found in self.of(claim.volume_class.backend)
                      if not found.problem and suits(found.labels, claim)]
        return bool(candidates) and all(found.claim_slots.full for found in candidates)

    def place(self, claim: Claim, volume: str, only: str = "", refused: Mapping[str, str] = {},
              node: Node | None = None) -> tuple[Backend, str, str]:
        """Choose the array (and the replication pod on it, or "") for a volume and reserve its bytes there; and say why.

        `only` is the one array that will do, for a copy; `refused` are arrays that said no a moment ago, and their
        words; `node` is the one that the scheduler chose. NoArrayFits with every refusal.
        """
        candidates = [backend for backend in self.of(claim.volume_class.backend) if only in ("", backend.name)]
        deadline = time.monotonic() + self._pace.first_measurement
        for backend in candidates:
            if not backend.measured.is_set():
                backend.measured.wait(max(0.0, deadline - time.monotonic()))
            backend.refresh()
        if not candidates and self.problem:
            raise NoArrayFits(claim.key, {"configuration": self.problem})
        of = set_of(claim.namespace, claim.name)
        with self._placing:                             # so that claims placed at once see each other
            siblings = self.spread.siblings(of) if of else {}
            states = [_with(backend.state(), refused, siblings, node) for backend in candidates]
            chosen = choose_array(states, claim)
            backend = next(backend for backend in candidates if backend.name == chosen.name)
            pod = choose_pod(chosen.pods)
            backend.reserve(volume, claim.size, pod)
            self.spread.reserve(claim.pv_name, of, backend.name)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("placed claim=%s array=%s among=%s", claim.key, chosen.name, ",".join(
                f"{state.name}:{state.used_percent:.1f}%" for state in states if not refusal(state, claim)))
        return backend, pod, reason(states, claim, chosen)

    def stop(self) -> None:
        for backend in self:
            backend.stop()


def _with(state: ArrayState, refused: Mapping[str, str], siblings: Mapping[str, int], node: Node | None) -> ArrayState:
    """An array's state with what concerns one claim only."""
    if not (refused or siblings or node):
        return state
    problem = refused.get(state.name) or state.problem or (node.refusal(state.labels) if node else "")
    return replace(state, problem=problem, siblings=siblings.get(state.name, 0),
                   away=node.away(state.labels) if node else "")


def _same_door(old: Entry, new: Entry) -> bool:
    """Whether only labels differ, so that the sessions stay good."""
    return type(old) is type(new) and _without_labels(old) == _without_labels(new)


def _without_labels(entry: Entry) -> tuple[object, ...]:
    return (entry.endpoint, entry.token, entry.verify, getattr(entry, "replication_pods", ()),
            getattr(entry, "nfs_endpoint", ""))


def new_store(entry: FlashArrayEntry | FlashBladeEntry, connect_timeout: float, read_timeout: float) -> Store:
    """The client of one array; no I/O before it is asked something."""
    if isinstance(entry, FlashArrayEntry):
        return BlockStore(entry, connect_timeout, read_timeout)
    return FileStore(entry, connect_timeout, read_timeout)
