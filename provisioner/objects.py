"""What is kept of the API's objects: the few fields we decide by, as immutable records. JSON ends here.

Memory is bounded by this: some 0.6 kB for a claim of ours, 0.9 kB for a PV of ours, nothing for all others (10,000 of
each: tests/bench/provisioner.py). `managedFields`, labels and foreign annotations are dropped with the parsed JSON.
"""

from collections.abc import Mapping
from sys import intern
from typing import Any, NamedTuple

from provisioner import wellknown

Raw = dict[str, Any]        # an API object as json.loads gives it


class ClaimRecord(NamedTuple):
    """A PersistentVolumeClaim that the binder told us to serve. What only matters before it is bound is empty after."""

    uid: str
    namespace: str
    name: str
    version: str                            # metadata.resourceVersion
    class_name: str | None                  # None: no class; "": static binding only
    volume_name: str                        # the PV it is bound to, or ""
    deleting: bool
    requested: str                          # spec.resources.requests.storage, a quantity
    capacity: str                           # status.capacity.storage, "" before it is bound
    access_modes: tuple[str, ...] = ()
    volume_mode: str = ""                   # "" on servers before 1.9
    selector: Raw | None = None
    source: tuple[str, ...] | None = None   # apiGroup, kind and name of a data source, and its namespace if one is said
    node: str = ""                          # chosen by the scheduler, for WaitForFirstConsumer
    snapshot: str = ""                      # annotation snapshot.beta.purestorage.com/name

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def bound(self) -> bool:
        return bool(self.volume_name)

    @property
    def resized(self) -> bool:
        """Whether it asks for another capacity than it has; right after its binding it has none yet."""
        return bool(self.volume_name and self.capacity) and self.capacity != self.requested


class PvRecord(NamedTuple):
    """A PersistentVolume that was made under our name."""

    name: str
    uid: str
    version: str
    phase: str                              # Pending, Available, Bound, Released, Failed
    policy: str                             # Delete, Retain, Recycle
    class_name: str
    deleting: bool
    finalizers: tuple[str, ...]
    capacity: str
    claim_uid: str
    claim_namespace: str
    claim_name: str
    backend: str                            # options of flexVolume; "" in PVs of the original driver
    prefix: str
    volume: str
    array: str

    @property
    def finalized(self) -> bool:
        """Whether our finalizer holds it."""
        return wellknown.FINALIZER in self.finalizers


class ClassRecord(NamedTuple):
    """A StorageClass, anybody's."""

    name: str
    uid: str
    provisioner: str
    parameters: Mapping[str, str]
    reclaim_policy: str
    waits: bool                             # volumeBindingMode is WaitForFirstConsumer
    mount_options: tuple[str, ...]
    topologies: tuple[Raw, ...]             # allowedTopologies


def orderer(annotations: Mapping[str, str]) -> str:
    """The provisioner the binder chose for a claim, "" before it did; the GA name wins."""
    return annotations.get(wellknown.STORAGE_PROVISIONER) or annotations.get(wellknown.STORAGE_PROVISIONER_BETA) or ""


def claim_record(raw: Raw, provisioners: frozenset[str]) -> ClaimRecord | None:
    """A claim as watched or fetched; None when it is not for one of `provisioners`."""
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    if orderer(annotations) not in provisioners:
        return None
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    requests = (spec.get("resources") or {}).get("requests") or {}
    common = (metadata["uid"], intern(metadata["namespace"]), metadata["name"], metadata.get("resourceVersion", ""),
              _class_name(annotations, spec), spec.get("volumeName") or "", "deletionTimestamp" in metadata,
              intern(str(requests.get("storage", ""))), intern((status.get("capacity") or {}).get("storage", "")))
    if common[5]:
        return ClaimRecord(*common)
    return ClaimRecord(
        *common,
        access_modes=tuple(map(intern, spec.get("accessModes") or ())),
        volume_mode=spec.get("volumeMode") or "",
        selector=spec.get("selector"),
        source=_source(spec, annotations),
        node=annotations.get(wellknown.SELECTED_NODE) or annotations.get(wellknown.SELECTED_NODE_ALPHA) or "",
        snapshot=annotations.get(wellknown.SNAPSHOT, ""))


def _source(spec: Raw, annotations: Mapping[str, str]) -> tuple[str, ...] | None:
    source = spec.get("dataSourceRef") or spec.get("dataSource")
    if not source:
        original = annotations.get(wellknown.CLONE_OF)
        return ("", "PersistentVolumeClaim", original) if original else None
    words = (source.get("apiGroup") or "", source.get("kind") or "", source.get("name") or "")
    return (*words, source["namespace"]) if source.get("namespace") else words


def _class_name(annotations: Mapping[str, str], spec: Raw) -> str | None:
    name = annotations.get(wellknown.CLASS_BETA)
    if name is None:
        name = spec.get("storageClassName")
    return name if name is None else intern(name)


def pv_record(raw: Raw, provisioners: frozenset[str]) -> PvRecord | None:
    """A PV as watched or fetched; None when no provisioner of ours made it, or when it is not for our driver."""
    metadata = raw["metadata"]
    if (metadata.get("annotations") or {}).get(wellknown.PROVISIONED_BY) not in provisioners:
        return None
    spec = raw.get("spec") or {}
    flex = spec.get("flexVolume")
    if not flex or flex.get("driver") != wellknown.DRIVER:
        return None
    options, claim = flex.get("options") or {}, spec.get("claimRef") or {}
    return PvRecord(
        metadata["name"], metadata.get("uid", ""), metadata.get("resourceVersion", ""),
        intern((raw.get("status") or {}).get("phase", "")), intern(spec.get("persistentVolumeReclaimPolicy", "")),
        intern(spec.get("storageClassName") or ""), "deletionTimestamp" in metadata,
        tuple(map(intern, metadata.get("finalizers") or ())), intern((spec.get("capacity") or {}).get("storage", "")),
        claim.get("uid", ""), intern(claim.get("namespace", "")), claim.get("name", ""),
        intern(options.get("backend", "")), intern(options.get("namespace", "")),
        options.get("volume", ""), intern(options.get("array", "")))


def class_record(raw: Raw) -> ClassRecord:
    """A class as watched."""
    metadata = raw["metadata"]
    return ClassRecord(metadata["name"], metadata.get("uid", ""), raw.get("provisioner", ""),
                       raw.get("parameters") or {}, raw.get("reclaimPolicy") or "Delete",
                       raw.get("volumeBindingMode") == "WaitForFirstConsumer",
                       tuple(raw.get("mountOptions") or ()), tuple(raw.get("allowedTopologies") or ()))
