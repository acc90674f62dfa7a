"""What the API server adds or takes away on the way in: defaults, default class, protection finalizers, resize rights.

After the admission plugins DefaultStorageClass, StorageObjectInUseProtection, PersistentVolumeClaimResize and
NamespaceLifecycle, and the defaulting of core/v1. Fields that a version does not know are dropped without a word.
"""
from typing import Any

from simulator.kubernetes import quantity
from simulator.kubernetes.resources import BY_PLURAL, Resource
from simulator.kubernetes.status import bad_request, forbidden, not_found
from simulator.kubernetes.store import Store
from simulator.kubernetes.version import Version

BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CLAIMS, _CLASSES, _NAMESPACES = (BY_PLURAL[plural] for plural in ("persistentvolumeclaims", "storageclasses",
                                                                   "namespaces"))
_PROTECTION = {"persistentvolumes": "kubernetes.io/pv-protection",
               "persistentvolumeclaims": "kubernetes.io/pvc-protection"}


def admit(resource: Resource, content: dict[str, Any], old: dict[str, Any] | None, store: Store,
          version: Version) -> None:
    """Change `content` the way the server does before validation; ApiError when it may not come in at all."""
    if old is None:
        _check_namespace(resource, content["metadata"], store)
        _DEFAULTS.get(resource.plural, _nothing)(content)
        if resource.plural == "persistentvolumeclaims":
            _default_class(content, store)
        if version.protection and resource.plural in _PROTECTION:
            finalizers = content["metadata"].get("finalizers") or []
            content["metadata"]["finalizers"] = list(dict.fromkeys([*finalizers, _PROTECTION[resource.plural]]))
    elif resource.plural == "persistentvolumeclaims":
        _check_growth(content, old, store, version)
    _drop_unknown(resource, content, version)


def default_class(store: Store) -> str | None:
    """The class claims without one get: marked as default, the newest when there are several (as since 1.26)."""
    marked = [stored.object["metadata"] for stored in store.list(_CLASSES)
              if "true" in [(stored.object["metadata"].get("annotations") or {}).get(key) for key in IS_DEFAULT]]
    newest = max(marked, key=lambda metadata: (metadata["creationTimestamp"], metadata["name"]), default=None)
    return newest["name"] if newest else None


def class_name(claim: dict[str, Any]) -> str | None:
    """The class of a claim; the old annotation beats the field."""
    named: str | None = (claim["metadata"].get("annotations") or {}).get(BETA_CLASS)
    return named if named is not None else claim["spec"].get("storageClassName")


def _nothing(content: dict[str, Any]) -> None:
    return None


def _default_volume(pv: dict[str, Any]) -> None:
    spec = pv.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    pv["status"] = {"phase": "Pending"}


def _default_claim(claim: dict[str, Any]) -> None:
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    claim["status"] = {"phase": "Pending"}


def _default_storage_class(content: dict[str, Any]) -> None:
    content.setdefault("reclaimPolicy", "Delete")
    content.setdefault("volumeBindingMode", "Immediate")


def _default_pod(pod: dict[str, Any]) -> None:
    spec = pod.setdefault("spec", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("serviceAccountName", "default")
    pod["status"] = {"phase": "Pending"}


def _default_namespace(namespace: dict[str, Any]) -> None:
    namespace["status"] = {"phase": "Active"}


_DEFAULTS = {"persistentvolumes": _default_volume, "persistentvolumeclaims": _default_claim, "pods": _default_pod,
             "storageclasses": _default_storage_class, "namespaces": _default_namespace}


def _check_namespace(resource: Resource, metadata: dict[str, Any], store: Store) -> None:
    if not resource.namespaced:
        return
    found = store.get(_NAMESPACES, ("", metadata["namespace"]))
    if found is None:
        raise not_found(_NAMESPACES, metadata["namespace"])
    if found.object["metadata"].get("deletionTimestamp"):
        raise forbidden(resource, metadata.get("name", ""), f"unable to create new content in namespace "
                        f"{metadata['namespace']} because it is being terminated")


def _default_class(claim: dict[str, Any], store: Store) -> None:
    if class_name(claim) is None and (name := default_class(store)):
        claim["spec"]["storageClassName"] = name


def _check_growth(claim: dict[str, Any], old: dict[str, Any], store: Store, version: Version) -> None:
    wanted, before = _request(claim), _request(old)
    if wanted is None or before is None or wanted <= before:
        return
    name = claim["metadata"]["name"]
    if (old.get("status") or {}).get("phase") != "Bound":
        raise forbidden(_CLAIMS, name, "Only bound persistent volume claims can be expanded")
    found = store.get(_CLASSES, ("", class_name(old) or ""))
    if not version.resize or found is None or not found.object.get("allowVolumeExpansion"):
        raise forbidden(_CLAIMS, name, "only dynamically provisioned pvc can be resized and the storageclass that "
                        "provisions the pvc must support resize")


def _request(claim: dict[str, Any]) -> Any:
    text = ((claim.get("spec") or {}).get("resources") or {}).get("requests", {}).get("storage")
    try:
        return None if text is None else quantity.parse(text)
    except ValueError as error:
        raise bad_request(str(error)) from None


def _drop_unknown(resource: Resource, content: dict[str, Any], version: Version) -> None:
    for prefix, fields in ((resource.kind, content), (f"{resource.kind}.spec", content.get("spec"))):
        if isinstance(fields, dict):
            for name in [name for name in fields if not version.knows(f"{prefix}.{name}")]:
                del fields[name]
