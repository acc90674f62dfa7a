"""The verbs that write: create, replace, patch, delete, with the preconditions and the bookkeeping of the real server.

What it keeps: uid, resourceVersion, timestamps, generateName, finalizers before removal, the status subresource, no
write when nothing changes. What it leaves out: server-side apply, garbage collection by owner, quotas, webhooks.
"""
import json
import secrets
import time
import uuid
from typing import Any

from simulator.kubernetes import patching
from simulator.kubernetes.admission import admit
from simulator.kubernetes.resources import BY_KIND, Resource
from simulator.kubernetes.status import already_exists, bad_request, conflict, invalid, not_found
from simulator.kubernetes.store import Store, Stored
from simulator.kubernetes.validation import check_object, check_shape
from simulator.kubernetes.version import Version

_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
                 "selfLink", "name", "namespace", "managedFields")
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_CREATE_ON_UPDATE = {"events", "endpoints", "leases"}
_UNCONDITIONAL = {"leases": False}       # AllowUnconditionalUpdate; everything else here says yes


def now() -> str:
    """The time as objects carry it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Registry:
    """Writes to the store by the rules."""

    def __init__(self, store: Store, version: Version, *, managed_fields: bool = False) -> None:
        self.store = store
        self.version = version
        self._managed_fields = managed_fields

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        """The current version; 404."""
        found = self.store.get(resource, (namespace, name))
        if found is None:
            raise not_found(resource, name)
        return found

    def create(self, resource: Resource, namespace: str, body: Any) -> Stored:
        """POST; 409 AlreadyExists, 422 Invalid, 404 for a missing namespace."""
        content = self._content(resource, body)
        metadata = content["metadata"]
        if resource.namespaced:
            _same("namespace", metadata, namespace)
        if metadata.pop("resourceVersion", None):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + "".join(secrets.choice(_ALPHABET) for _ in range(5))
        name = metadata.get("name") or ""
        if not name:
            raise invalid(resource, "", [("metadata.name", "FieldValueRequired", "Required value: name or generateName "
                                          "is required")])
        with self.store.lock:
            if self.store.get(resource, (namespace, name)):
                raise already_exists(resource, name)
            for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
                metadata.pop(key, None)
            admit(resource, content, None, self.store, self.version)
            check_object(resource, name, content, None)
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = now()
            self._decorate(resource, namespace, name, metadata)
            return self.store.put(resource, (namespace, name), content)

    def replace(self, resource: Resource, namespace: str, name: str, body: Any, subresource: str = "") -> Stored:
        """PUT; 409 Conflict when resourceVersion or uid differs, 422 for immutable fields."""
        content = self._content(resource, body)
        metadata = content["metadata"]
        _same("name", metadata, name)
        if resource.namespaced:
            _same("namespace", metadata, namespace)
        with self.store.lock:
            current = self.store.get(resource, (namespace, name))
            if current is None and resource.plural in _CREATE_ON_UPDATE and not metadata.get("resourceVersion"):
                return self.create(resource, namespace, content)
            if current is None:
                raise not_found(resource, name)
            if not metadata.get("resourceVersion") and not _UNCONDITIONAL.get(resource.plural, True):
                raise invalid(resource, name, [("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0x0: "
                                                "must be specified for an update")])
            return self._update(current, content, subresource)

    def patch(self, resource: Resource, namespace: str, name: str, content_type: str, patch: Any,
              subresource: str = "") -> Stored:
        """PATCH; a resourceVersion in the patch is a precondition (409)."""
        with self.store.lock:
            current = self.get(resource, namespace, name)
            patched = patching.apply(content_type, current.object, patch)
            content = self._content(resource, patched)
            for key, value in (("name", name), ("namespace", namespace)):
                if value and content["metadata"].get(key) != value:
                    raise invalid(resource, name, [(f"metadata.{key}", "FieldValueInvalid", "field is immutable")])
            return self._update(current, content, subresource)

    def delete(self, resource: Resource, namespace: str, name: str, options: Any = None) -> tuple[Stored, bool]:
        """DELETE; the object and whether it is really gone (finalizers and a pod's grace period keep it)."""
        options = options if isinstance(options, dict) else {}
        with self.store.lock:
            current = self.get(resource, namespace, name)
            self._check_preconditions(current, options.get("preconditions") or {})
            metadata = current.object["metadata"]
            grace = _grace(current, options)
            if not metadata.get("finalizers") and not grace:
                return self.store.remove(resource, current.key), True
            if metadata.get("deletionTimestamp") and metadata.get("deletionGracePeriodSeconds") == grace:
                return current, False
            marked = {**metadata, "deletionTimestamp": metadata.get("deletionTimestamp") or now(),
                      "deletionGracePeriodSeconds": grace}
            return self.store.put(resource, current.key, {**current.object, "metadata": marked}), False

    def _content(self, resource: Resource, body: Any) -> dict[str, Any]:
        check_shape(body)
        named = (body.get("apiVersion", resource.api_version), body.get("kind", resource.kind))
        if BY_KIND.get(named) is not resource:
            raise bad_request(f"the object provided is unrecognized or not of the expected kind: {named[0]}, "
                              f"Kind={named[1]} does not match {resource.kind}")
        content = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
        content["metadata"] = dict(content.get("metadata") or {})
        if isinstance(content.get("spec"), dict):
            content["spec"] = dict(content["spec"])
        return content

    def _update(self, current: Stored, content: dict[str, Any], subresource: str) -> Stored:
        resource, name, old = current.resource, current.key[1], current.object
        metadata = content["metadata"]
        self._check_preconditions(current, {"uid": metadata.get("uid")})
        if metadata.get("resourceVersion") and metadata["resourceVersion"] != str(current.revision):
            raise conflict(resource, name)
        kept = {key: old["metadata"][key] for key in _SERVER_OWNED if key in old["metadata"]}
        metadata = {**{k: v for k, v in metadata.items() if k not in _SERVER_OWNED}, **kept,
                    "resourceVersion": str(current.revision)}
        content = self._parts(resource, {**content, "metadata": metadata}, old, subresource)
        self._check_finalizers(resource, name, metadata, old["metadata"])
        admit(resource, content, old, self.store, self.version)
        check_object(resource, name, content, old)
        if content == old:
            return current
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not metadata.get(
                "deletionGracePeriodSeconds"):
            self.store.put(resource, current.key, content)
            return self.store.remove(resource, current.key)
        return self.store.put(resource, current.key, content)

    @staticmethod
    def _parts(resource: Resource, content: dict[str, Any], old: dict[str, Any], subresource: str) -> dict[str, Any]:
        """A status update takes only the status, any other update everything but the status."""
        if subresource == "status":
            return {**old, "metadata": content["metadata"], "status": content.get("status") or {}}
        if resource.has_status and "status" in old:
            return {**content, "status": old["status"]}
        return content

    @staticmethod
    def _check_finalizers(resource: Resource, name: str, metadata: dict[str, Any], old: dict[str, Any]) -> None:
        added = set(metadata.get("finalizers") or []) - set(old.get("finalizers") or [])
        if added and old.get("deletionTimestamp"):
            raise invalid(resource, name, [("metadata.finalizers", "FieldValueForbidden", "Forbidden: no new "
                                            "finalizers can be added if the object is being deleted, found new "
                                            f"finalizers {sorted(added)}")])

    @staticmethod
    def _check_preconditions(current: Stored, wanted: dict[str, Any]) -> None:
        metadata = current.object["metadata"]
        for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if wanted.get(key) and wanted[key] != metadata[key]:
                raise conflict(current.resource, current.key[1], f"Precondition failed: {label} in precondition: "
                               f"{wanted[key]}, {label} in object meta: {metadata[key]}")

    def _decorate(self, resource: Resource, namespace: str, name: str, metadata: dict[str, Any]) -> None:
        if self.version.self_links:
            metadata["selfLink"] = resource.path(namespace, name)
        if self._managed_fields and self.version.minor >= 18:
            metadata["managedFields"] = json.loads(_MANAGED_FIELDS)


def _same(key: str, metadata: dict[str, Any], value: str) -> None:
    if not metadata.get(key):
        metadata[key] = value
    elif metadata[key] != value:
        raise bad_request(f"the {key} of the object ({metadata[key]}) does not match the {key} on the URL ({value})")


def _grace(current: Stored, options: dict[str, Any]) -> int:
    """Seconds a pod on a node keeps after DELETE; nothing else has any."""
    if current.resource.plural != "pods" or not current.object["spec"].get("nodeName"):
        return 0
    asked = options.get("gracePeriodSeconds")
    return int(current.object["spec"]["terminationGracePeriodSeconds"] if asked is None else asked)


_MANAGED_FIELDS = json.dumps([{   # as long as a real entry of a claim, for honest sizes of big lists
    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2024-01-01T00:00:00Z",
    "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": {
        ".": {}, "f:pv.kubernetes.io/bind-completed": {}, "f:pv.kubernetes.io/bound-by-controller": {},
        "f:volume.beta.kubernetes.io/storage-provisioner": {}, "f:volume.kubernetes.io/storage-provisioner": {}}},
        "f:spec": {"f:accessModes": {}, "f:resources": {"f:requests": {".": {}, "f:storage": {}}},
                   "f:storageClassName": {}, "f:volumeMode": {}, "f:volumeName": {}}}}, {
    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2024-01-01T00:00:00Z",
    "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:accessModes": {}, "f:capacity": {".": {}, "f:storage": {}},
                                                        "f:phase": {}}}, "subresource": "status"}])
