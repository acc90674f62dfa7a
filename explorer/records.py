"""What is kept of API objects for the pages: small, immutable, parsed once at the door. Pure."""

from collections.abc import Mapping
from sys import intern
from typing import NamedTuple

from provisioner import wellknown
from provisioner.migration.volumes import claims_of
from provisioner.objects import Raw, orderer
from provisioner.orphans import held_by

# Reasons of kubelet's and the controllers' events that are about a pod's volumes, across Kubernetes 1.6 to 1.37.
_OF_VOLUMES = ("Mount", "Attach", "Volume", "FileSystemResize", "Preempt")
_ENDED = ("Succeeded", "Failed")


class ClaimSeen(NamedTuple):
    """Any claim of the cluster; `ours` when the binder ordered it from our provisioner."""

    uid: str
    namespace: str
    name: str
    class_name: str
    volume_name: str            # of its PV, "" before it is bound
    phase: str                  # Pending, Bound, Lost
    requested: str              # a quantity, "10Gi"
    capacity: str               # "" before it is bound
    modes: tuple[str, ...]
    created: str                # RFC 3339
    deleting: str               # since when, "" when it is not
    ours: bool

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class PvSeen(NamedTuple):
    """Any PV; `held` are the volumes it may stand for, of whatever driver it is (orphans.held_by)."""

    name: str
    phase: str
    class_name: str
    capacity: str
    policy: str
    claim: str                  # "ns/name", "" when it is bound to none
    claim_uid: str
    created: str
    deleting: str
    ours: bool                  # of driver pure/flex
    backend: str
    volume: str                 # on the array
    array: str                  # where it was made, "" in PVs of the original driver
    placement: str              # why there, "" when it is not known
    held: Mapping[str, str]


class PodSeen(NamedTuple):
    """A pod that mounts claims and has not ended."""

    namespace: str
    name: str
    node: str
    phase: str
    created: str
    started: str                # when kubelet took it up, "" before
    claims: tuple[str, ...]     # names in its namespace

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class EventSeen(NamedTuple):
    """An event about a claim, a PV, or a pod's volumes."""

    kind: str                   # PersistentVolumeClaim, PersistentVolume, Pod
    namespace: str              # of what it is about
    name: str
    warning: bool
    reason: str
    message: str
    times: int
    first: str
    last: str


def claim_seen(provisioners: frozenset[str], raw: Raw) -> ClaimSeen:
    """A claim as watched."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    annotations = metadata.get("annotations") or {}
    class_name = annotations.get(wellknown.CLASS_BETA) or spec.get("storageClassName") or ""
    return ClaimSeen(
        metadata["uid"], intern(metadata["namespace"]), metadata["name"], intern(class_name),
        spec.get("volumeName") or "", intern(status.get("phase") or ""),
        intern(str(((spec.get("resources") or {}).get("requests") or {}).get("storage", ""))),
        intern(str((status.get("capacity") or {}).get("storage", ""))), tuple(map(intern, spec.get("accessModes") or ())),
        metadata.get("creationTimestamp") or "", metadata.get("deletionTimestamp") or "",
        orderer(annotations) in provisioners)


def pv_seen(prefix: str, raw: Raw) -> PvSeen:
    """A PV as watched."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    flex, claim = spec.get("flexVolume") or {}, spec.get("claimRef") or {}
    options, ours = flex.get("options") or {}, flex.get("driver") == wellknown.DRIVER
    return PvSeen(
        metadata["name"], intern((raw.get("status") or {}).get("phase") or ""), intern(spec.get("storageClassName") or ""),
        intern(str((spec.get("capacity") or {}).get("storage", ""))),
        intern(spec.get("persistentVolumeReclaimPolicy") or ""),
        f"{claim['namespace']}/{claim['name']}" if claim else "", claim.get("uid") or "",
        metadata.get("creationTimestamp") or "", metadata.get("deletionTimestamp") or "", ours,
        intern(options.get("backend") or wellknown.BLOCK),
        (options.get("volume") or f"{options.get('namespace') or prefix}-{metadata['name']}") if ours else "",
        intern(options.get("array") or ""), (metadata.get("annotations") or {}).get(wellknown.PLACEMENT, ""),
        held_by(raw, prefix))


def pod_seen(raw: Raw) -> PodSeen | None:
    """A pod as watched; None when it has no claims or has ended."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    claims = tuple(claims_of(spec))
    if not claims or status.get("phase") in _ENDED:
        return None
    return PodSeen(intern(metadata["namespace"]), metadata["name"], intern(spec.get("nodeName") or ""),
                   intern(status.get("phase") or ""), metadata.get("creationTimestamp") or "",
                   status.get("startTime") or "", claims)


def event_seen(raw: Raw) -> EventSeen | None:
    """An event as watched; None when it is about something else."""
    about = raw.get("involvedObject") or {}
    kind, reason = about.get("kind") or "", raw.get("reason") or ""
    if kind not in ("PersistentVolumeClaim", "PersistentVolume") and not (
            kind == "Pod" and any(word in reason for word in _OF_VOLUMES)):
        return None
    series = raw.get("series") or {}
    first = raw.get("firstTimestamp") or raw.get("eventTime") or raw["metadata"].get("creationTimestamp") or ""
    return EventSeen(intern(kind), intern(about.get("namespace") or ""), about.get("name") or "",
                     raw.get("type") == "Warning", intern(reason), " ".join((raw.get("message") or "").split()),
                     int(series.get("count") or raw.get("count") or 1), first,
                     series.get("lastObservedTime") or raw.get("lastTimestamp") or first)
