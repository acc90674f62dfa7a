"""The two objects a leader can hold: a Lease, and the Endpoints object that older provisioners used. One record in both.

Every write carries the resourceVersion of the read before it, so of two that write at once one gets a Conflict.
Shapes: client-go tools/leaderelection/resourcelock; the Endpoints lock is JSON in an annotation.
"""

import json
from datetime import datetime, timezone
from typing import NamedTuple, Protocol

from provisioner.apierrors import Forbidden, NotThere
from provisioner.kube import Kube, in_namespace, named
from provisioner.objects import Raw
from provisioner.rights import Rights

ANNOTATION = "control-plane.alpha.kubernetes.io/leader"


class Record(NamedTuple):
    """Who leads, as the lock says it. Times inside are for people: clocks of different machines are never compared."""

    holder: str = ""            # "" when it was released
    duration: int = 15          # seconds
    acquired: str = ""          # RFC 3339
    renewed: str = ""
    transitions: int = 0


class Lock(Protocol):
    """One lock object, with what was read of it last."""

    kind: str
    api_version: str
    held: Raw                   # {} before it exists

    def read(self, timeout: float) -> Record | None: ...
    def write(self, record: Record, timeout: float) -> None: ...


class LeaseLock:
    """coordination.k8s.io/v1 Lease, from 1.14 on."""

    kind, api_version = "Lease", "coordination.k8s.io/v1"

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube, self._namespace, self._name = kube, namespace, name
        self._allowed = _Allowed(kube, "leases", "coordination.k8s.io", namespace, name)
        self._collection = f"/apis/{self.api_version}/namespaces/{namespace}/leases"
        self.held: Raw = {}

    def read(self, timeout: float) -> Record | None:
        """The record, None when nobody ever took the lock; Forbidden, without asking for it, when the role lacks a verb."""
        self.held = _read(self._kube, self._allowed, named(self._collection, self._name), timeout)
        if not self.held:
            return None
        spec = self.held.get("spec") or {}
        return Record(spec.get("holderIdentity") or "", int(spec.get("leaseDurationSeconds") or 0),
                      spec.get("acquireTime") or "", spec.get("renewTime") or "",
                      int(spec.get("leaseTransitions") or 0))

    def write(self, record: Record, timeout: float) -> None:
        """Conflict when somebody else wrote since it was read."""
        spec = {"holderIdentity": record.holder, "leaseDurationSeconds": record.duration,
                "acquireTime": record.acquired, "renewTime": record.renewed, "leaseTransitions": record.transitions}
        body = {**(self.held or _new(self.kind, self.api_version, self._namespace, self._name)), "spec": spec}
        self.held = _put(self._kube, self._collection, self._name, body, bool(self.held), timeout)


class EndpointsLock:
    """The lock of provisioners up to 2020: an annotation on an Endpoints object without endpoints."""

    kind, api_version = "Endpoints", "v1"

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube, self._namespace, self._name = kube, namespace, name
        self._allowed = _Allowed(kube, "endpoints", "", namespace, name)
        self._collection = in_namespace(namespace, "endpoints")
        self.held: Raw = {}

    def read(self, timeout: float) -> Record | None:
        """The record, None when nobody ever took the lock; Forbidden, without asking for it, when the role lacks a verb."""
        self.held = _read(self._kube, self._allowed, named(self._collection, self._name), timeout)
        if not self.held:
            return None
        text = (self.held["metadata"].get("annotations") or {}).get(ANNOTATION)
        return _parsed(text) if text else None

    def write(self, record: Record, timeout: float) -> None:
        """Conflict when somebody else wrote since it was read."""
        text = json.dumps({"holderIdentity": record.holder, "leaseDurationSeconds": record.duration,
                           "acquireTime": record.acquired, "renewTime": record.renewed,
                           "leaderTransitions": record.transitions})
        body = self.held or _new(self.kind, self.api_version, self._namespace, self._name)
        annotations = {**(body["metadata"].get("annotations") or {}), ANNOTATION: text}
        body = {**body, "metadata": {**body["metadata"], "annotations": annotations}}
        self.held = _put(self._kube, self._collection, self._name, body, bool(self.held), timeout)

    def deprecated(self) -> bool:
        """Whether the server warned of Endpoints (1.33 and later, KEP-4974)."""
        return named(self._collection, self._name) in self._kube.warned


def now() -> str:
    """The time as a Lease has it: RFC 3339, UTC, six decimals."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Allowed:
    """What the role allows on one lock object; a role may give it by the object's name, but never its creation."""

    def __init__(self, kube: Kube, resource: str, group: str, namespace: str, name: str) -> None:
        self._rights = Rights(kube)
        self._resource, self._group, self._namespace, self._name = resource, group, namespace, name

    def check(self, verb: str, timeout: float) -> None:
        """Forbidden when the role lacks it."""
        name = "" if verb == "create" else self._name
        if self._rights.lacking((verb,), self._resource, group=self._group, namespace=self._namespace, name=name,
                                timeout=timeout):
            raise Forbidden(f"{verb} {self._resource}", 403, "Forbidden",
                            f"the role does not allow it in namespace {self._namespace}")


def _read(kube: Kube, allowed: _Allowed, path: str, timeout: float) -> Raw:
    """The object, {} before it exists; Forbidden when the role has not what reading it, and then writing it, takes."""
    allowed.check("get", timeout)
    try:
        held = kube.get(path, timeout)
    except NotThere:
        held = {}
    for verb in ("update",) if held else ("create", "update"):
        allowed.check(verb, timeout)
    return held


def _put(kube: Kube, collection: str, name: str, body: Raw, exists: bool, timeout: float) -> Raw:
    if exists:
        return kube.replace(named(collection, name), body, timeout)
    return kube.create(collection, body, timeout)


def _new(kind: str, api_version: str, namespace: str, name: str) -> Raw:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _parsed(text: str) -> Record:
    """The record in the annotation; one that cannot be read is nobody's."""
    try:
        found = json.loads(text)
        return Record(str(found.get("holderIdentity") or ""), int(found.get("leaseDurationSeconds") or 0),
                      str(found.get("acquireTime") or ""), str(found.get("renewTime") or ""),
                      int(found.get("leaderTransitions") or 0))
    except (ValueError, TypeError, AttributeError):
        return Record()
