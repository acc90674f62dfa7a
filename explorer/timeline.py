"""One claim's life, step by step, out of the objects that are left of it and the events that are not yet gone. Pure.

Kubernetes keeps events for about an hour; what objects themselves remember (made, saved, placed and why, mounted) stays.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from arrays.units import human
from explorer.clock import moment
from explorer.records import EventSeen
from explorer.rows import ClaimRow, bytes_of

DONE, NOTE, TROUBLE, NOW = "done", "note", "trouble", "now"

# What an event's reason means to somebody who reads the story; others keep their reason as the title.
_TITLES = {
    "Provisioning": "Being made", "ProvisioningSucceeded": "Provisioned", "ProvisioningFailed": "Not provisioned",
    "ProvisioningIgnored": "Left to somebody else", "ExternalProvisioning": "Ordered from the provisioner",
    "WaitForFirstConsumer": "Waits for its first pod", "VolumeResizeSuccessful": "Grown on the array",
    "VolumeResizeFailed": "Not grown", "FileSystemResizeSuccessful": "File system grown",
    "FailedMount": "Not mounted", "FailedMapVolume": "Not mounted", "FailedUnMount": "Not unmounted",
    "SuccessfulMountVolume": "Mounted", "FailedAttachVolume": "Not attached", "SuccessfulAttachVolume": "Attached",
    "VolumeDelete": "Waits to be deleted", "VolumeFailedDelete": "Not deleted",
}


class Step(NamedTuple):
    """One thing that happened; `at` as RFC 3339, "" for what is so now. `again`: how often, until when."""

    at: str
    title: str
    text: str
    kind: str = DONE
    times: int = 1
    until: str = ""


def steps(row: ClaimRow, events: Mapping[str, EventSeen]) -> list[Step]:
    """The story in order of time; what is so now stands last."""
    told = [_of_event(event) for event in _about(row, list(events.values()))]
    dated = [*_made(row), *told, *_used(row)]         # the order of what happened within one second
    return [*sorted((step for step in dated if step.at), key=lambda step: moment(step.at) or 0.0), *_now(row)]


def _about(row: ClaimRow, events: Iterable[EventSeen]) -> list[EventSeen]:
    """Events about the claim, its PV, or its pods' volumes as far as they can be this one."""
    claim, pods = row.claim, {pod.key for pod in row.pods}
    words = {claim.volume_name, row.volume, claim.name} - {""}
    return [event for event in events if
            (event.kind == "PersistentVolumeClaim" and f"{event.namespace}/{event.name}" == claim.key)
            or (event.kind == "PersistentVolume" and event.name == claim.volume_name != "")
            or (event.kind == "Pod" and f"{event.namespace}/{event.name}" in pods
                and any(word in event.message for word in words))]


def _of_event(event: EventSeen) -> Step:
    title = _TITLES.get(event.reason, event.reason)
    if event.kind == "Pod":
        title = f"{title}: pod {event.name}"
    return Step(event.first, title, event.message, TROUBLE if event.warning else NOTE, event.times,
                event.last if event.times > 1 else "")


def _made(row: ClaimRow) -> list[Step]:
    claim, pv, found = row.claim, row.pv, []
    found.append(Step(claim.created, "Asked", f"{claim.requested} of class {claim.class_name or 'none'}, "
                      f"{', '.join(claim.modes) or 'no access mode'}"))
    if row.seen and row.seen.found.created:
        source = f", a copy of {row.seen.found.source}" if row.seen.found.source else ""
        why = f": {pv.placement}" if pv and pv.placement else ""
        found.append(Step(row.seen.found.created, "Placed and made", f"{row.volume} on {row.array}{source}{why}"))
    if pv:
        why = f": {pv.placement}" if pv.placement and not (row.seen and row.seen.found.created) else ""
        found.append(Step(pv.created, "Bound", f"{pv.name} saved, {pv.capacity}, on {pv.array or 'an array of the fleet'}"
                          f"{why}"))
    return found


def _used(row: ClaimRow) -> list[Step]:
    claim = row.claim
    found = [Step(pod.started or pod.created, "Mounted" if pod.phase == "Running" else "Wanted by a pod",
                  f"by pod {pod.key} on {pod.node or 'no node yet'} ({pod.phase})") for pod in row.pods]
    found += [Step(one.created, "Snapshot", one.name) for one in (row.seen.snapshots or () if row.seen else ())]
    if claim.deleting:
        found.append(Step(claim.deleting, "Deletion asked", "the claim goes when no pod uses it", NOTE))
    return found


def _now(row: ClaimRow) -> list[Step]:
    """What is so at this moment, without a time of its own."""
    found, claim = [], row.claim
    if row.seen and row.seen.hosts is not None:
        hosts = ", ".join(row.seen.hosts)
        found.append(Step("", "On the array", f"connected to {hosts}" if hosts else "connected to no host", NOW))
        if len(row.seen.hosts) > 1 and claim.modes == ("ReadWriteOnce",):
            found.append(Step("", "Moving", f"{len(row.seen.hosts)} hosts have a volume that is for one: it changes nodes",
                              NOTE))
    if claim.capacity and bytes_of(claim.requested) > bytes_of(claim.capacity):
        found.append(Step("", "Growing", f"{claim.requested} asked for, {claim.capacity} so far", NOTE))
    if row.seen is None and row.pv and row.pv.ours:
        found.append(Step("", "Not seen", f"no array of the fleet shows {row.volume} just now", TROUBLE))
    size = f", {human(row.size)}" if row.size else ""
    return [*found, Step("", row.state, f"now{size}", NOW)]
