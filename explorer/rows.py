"""Rows of the pages, joined from what API server and arrays told. Pure: values in, values out.

The joints are those of the commands: a PV stands for the volume it names (provisioner.orphans), a volume is the fleet's
wherever it is found, and the array a PV names is a hint.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from arrays.errors import PureError
from arrays.names import base_name
from explorer.cluster import Seen
from explorer.fleet import ArraySeen, VolumeSeen
from explorer.records import ClaimSeen, EventSeen, PodSeen, PvSeen
from provisioner import orphans as orphanage
from provisioner.orphans import Orphan
from provisioner.quantity import parse_quantity

PENDING, BOUND, LOST, DELETING, FAILING = "Pending", "Bound", "Lost", "Deleting", "Failing"
STATES = (PENDING, FAILING, BOUND, LOST, DELETING)
_WAITING = ("ExternalProvisioning", "WaitForFirstConsumer")     # the binder repeats these for as long as it waits


class ClaimRow(NamedTuple):
    """One claim of ours with all that belongs to it; bytes. None: not known."""

    claim: ClaimSeen
    pv: PvSeen | None
    pods: tuple[PodSeen, ...]
    array: str                          # "" when it is on none, or not known
    volume: str                         # on the array, "" before it is made
    seen: VolumeSeen | None             # as the array shows it
    size: int                           # what it has, or before that what is asked for
    state: str                          # one of STATES
    last: EventSeen | None

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pod.node for pod in self.pods if pod.node))

    @property
    def used(self) -> int | None:
        return self.seen.used if self.seen else None

    @property
    def snapshots(self) -> int | None:
        return len(self.seen.snapshots) if self.seen and self.seen.snapshots is not None else None


class Load(NamedTuple):
    """What our volumes take of one array, bytes; `coming` is asked for by claims that wait for their PV."""

    provisioned: int
    coming: int
    ours: int                           # volumes


def claim_rows(seen: Seen, arrays: Mapping[str, ArraySeen], prefix: str, provisioners: frozenset[str]) -> list[ClaimRow]:
    """All claims that are ours: ordered from our provisioner, bound to a PV of our driver, or of a class of ours."""
    classes = {name for name, one in list(seen.classes.items()) if one.provisioner in provisioners}
    users, told = _users(seen.pods), _last_events(seen.events)
    return [_claim_row(claim, seen.pvs.get(claim.volume_name), users, told, arrays, prefix)
            for claim in list(seen.claims.values()) if _is_ours(claim, seen.pvs, classes)]


def _is_ours(claim: ClaimSeen, pvs: Mapping[str, PvSeen], classes: set[str]) -> bool:
    pv = pvs.get(claim.volume_name)
    if pv is not None:
        return pv.ours
    return claim.ours or claim.class_name in classes


def _claim_row(claim: ClaimSeen, pv: PvSeen | None, users: Mapping[str, list[PodSeen]], told: Mapping[str, EventSeen],
               arrays: Mapping[str, ArraySeen], prefix: str) -> ClaimRow:
    name = pv.volume if pv else f"{prefix}-pvc-{claim.uid}"
    array, found = where(name, pv.array if pv else "", arrays)
    volume = found.found.name if found else name if pv else ""
    last = told.get(claim.key)
    size = found.found.size if found else bytes_of(claim.capacity or claim.requested)
    return ClaimRow(claim, pv, tuple(sorted(users.get(claim.key, ()))), array, volume, found, size, _state(claim, last),
                    last)


def where(volume: str, hint: str, arrays: Mapping[str, ArraySeen]) -> tuple[str, VolumeSeen | None]:
    """The array that has a volume, by its own word or, when none shows it, by the PV's hint."""
    name = base_name(volume)
    for array in [hint, *arrays]:
        if array in arrays and (found := arrays[array].volumes.get(name)):
            return array, found
    return hint, None


def _state(claim: ClaimSeen, last: EventSeen | None) -> str:
    if claim.deleting:
        return DELETING
    if claim.phase == PENDING and last is not None and last.warning:
        return FAILING
    return claim.phase or PENDING


def _users(pods: Mapping[str, PodSeen]) -> dict[str, list[PodSeen]]:
    found = defaultdict(list)
    for pod in list(pods.values()):
        for claim in pod.claims:
            found[f"{pod.namespace}/{claim}"].append(pod)
    return found


def _last_events(events: Mapping[str, EventSeen]) -> dict[str, EventSeen]:
    """Claim "ns/name" -> the newest event about it; that the binder waits is only told when nothing else is."""
    found: dict[str, EventSeen] = {}
    for event in list(events.values()):
        if event.kind == "PersistentVolumeClaim":
            key = f"{event.namespace}/{event.name}"
            if key not in found or _weight(event) >= _weight(found[key]):
                found[key] = event
    return found


def _weight(event: EventSeen) -> tuple[bool, str]:
    return event.reason not in _WAITING, event.last


def bytes_of(quantity: str) -> int:
    """A quantity in bytes; 0 for what cannot be read."""
    try:
        return parse_quantity(quantity) if quantity else 0
    except PureError:
        return 0


def orphans(seen: Seen, arrays: Mapping[str, ArraySeen], prefix: str) -> list[Orphan]:
    """Volumes that nobody stands for, and those that a claim still waits for, exactly as `pure orphans` has them."""
    held = {volume: array for pv in list(seen.pvs.values()) for volume, array in pv.held.items()}
    claims = {uid: claim.key for uid, claim in list(seen.claims.items())}
    holdings = {array.name: [one.found for one in array.volumes.values()] for array in arrays.values()}
    return orphanage.orphans(holdings, held, claims, prefix)


def loads(arrays: Mapping[str, ArraySeen], waiting: Iterable[Orphan]) -> dict[str, Load]:
    """What is provisioned on each array, and of it what requests in flight reserve: made, and without PV yet."""
    coming: dict[str, int] = defaultdict(int)
    for one in waiting:
        if one.waiting:
            coming[one.array] += one.size
    return {name: Load(sum(one.found.size for one in array.volumes.values()), coming[name], len(array.volumes))
            for name, array in arrays.items()}
