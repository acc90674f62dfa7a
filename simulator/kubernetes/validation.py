"""What the API server refuses with 400 or 422 before it stores anything, for the kinds a provisioner writes.

After pkg/apis/core/validation and pkg/apis/storage/validation of Kubernetes. Laxer everywhere it does not say otherwise.
"""
import re
from typing import Any

from simulator.kubernetes import quantity
from simulator.kubernetes.resources import Resource
from simulator.kubernetes.status import bad_request, invalid

Causes = list[tuple[str, str, str]]      # field, kind of complaint, sentence

_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ACCESS_MODES = {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"}
_SOURCES = ("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
            "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk",
            "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume")


def check_shape(content: Any) -> None:
    """400 for what the decoder of the real server cannot read: wrong types where storage objects have maps of text."""
    if not isinstance(content, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    metadata = content.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
    spec = content.get("spec") or {}
    flex = (spec.get("flexVolume") or {}) if isinstance(spec, dict) else {}
    for where, texts in (("metadata.labels", metadata.get("labels")), ("parameters", content.get("parameters")),
                         ("metadata.annotations", metadata.get("annotations")),
                         ("spec.flexVolume.options", flex.get("options"))):
        _check_texts(where, texts)


def _check_texts(where: str, texts: Any) -> None:
    if texts is None:
        return
    if not isinstance(texts, dict):
        raise bad_request(f"json: cannot unmarshal {_json_type(texts)} into Go struct field {where} of type map")
    for value in texts.values():
        if not isinstance(value, str):
            raise bad_request(f"json: cannot unmarshal {_json_type(value)} into Go struct field {where} of type string")


def _json_type(value: Any) -> str:
    names: dict[type, str] = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def check_object(resource: Resource, name: str, content: dict[str, Any], old: dict[str, Any] | None) -> None:
    """422 when `content` may not be stored; `old` is the version it replaces, None on create."""
    causes = _metadata_causes(resource, name, content["metadata"], old)
    if causes_of := _CAUSES.get(resource.plural):
        causes += causes_of(content, old)
    if causes:
        raise invalid(resource, name, causes)


def _metadata_causes(resource: Resource, name: str, metadata: dict[str, Any], old: dict[str, Any] | None) -> Causes:
    causes: Causes = []
    if old is None and (not _DNS.fullmatch(name) or len(name) > 253):
        causes.append(("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain '
                       "must consist of lower case alphanumeric characters, '-' or '.'"))
    for key, value in (metadata.get("labels") or {}).items():
        if not _qualified(key):
            causes.append(("metadata.labels", "FieldValueInvalid", f'Invalid value: "{key}": name part must consist of '
                           "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"))
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            causes.append(("metadata.labels", "FieldValueInvalid", f'Invalid value: "{value}": a valid label must be '
                           "63 characters or less, start and end with an alphanumeric"))
    causes += [("metadata.annotations", "FieldValueInvalid", f'Invalid value: "{key}": a qualified name is needed')
               for key in metadata.get("annotations") or {} if not _qualified(key.lower())]
    return causes


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(len(name) <= 63 and _QUALIFIED.fullmatch(name) and (not slash or _DNS.fullmatch(prefix)))


def _required(where: str, value: Any) -> Causes:
    return [] if value else [(where, "FieldValueRequired", "Required value")]


def _one_of(where: str, value: Any, known: set[str]) -> Causes:
    if value is None or value in known:
        return []
    listed = ", ".join(f'"{item}"' for item in sorted(known))
    return [(where, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}')]


def _forbidden(where: str, why: str) -> Causes:
    return [(where, "FieldValueForbidden", f"Forbidden: {why}")]


def _size_causes(where: str, value: Any) -> Causes:
    if value is None:
        return [(where, "FieldValueRequired", "Required value")]
    try:
        size = quantity.parse(value)
    except ValueError as error:
        raise bad_request(f"quantities of {where} must be readable: {error}") from None
    return [] if size > 0 else [(where, "FieldValueInvalid", f'Invalid value: "{value}": must be greater than zero')]


def _volume_causes(pv: dict[str, Any], old: dict[str, Any] | None) -> Causes:
    spec = pv.get("spec") or {}
    causes = _size_causes("spec.capacity[storage]", (spec.get("capacity") or {}).get("storage"))
    causes += _required("spec.accessModes", spec.get("accessModes"))
    for mode in spec.get("accessModes") or []:
        causes += _one_of("spec.accessModes", mode, _ACCESS_MODES)
    causes += _one_of("spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy"),
                      {"Delete", "Retain", "Recycle"})
    causes += _one_of("spec.volumeMode", spec.get("volumeMode"), {"Filesystem", "Block"})
    causes += _source_causes(pv, spec)
    return causes + (_volume_changes(spec, old.get("spec") or {}) if old else [])


def _source_causes(pv: dict[str, Any], spec: dict[str, Any]) -> Causes:
    sources = [key for key in spec if key in _SOURCES]
    if len(sources) != 1:
        return [("spec", "FieldValueRequired", "Required value: must specify a volume type") if not sources else
                ("spec." + sources[1], "FieldValueForbidden", "Forbidden: may not specify more than 1 volume type")]
    flex = spec.get("flexVolume")
    if flex is None:
        return []
    causes = _required("spec.flexVolume.driver", flex.get("driver"))
    for key in flex.get("options") or {}:
        if ("." + key.partition("/")[0].lower()).endswith((".kubernetes.io", ".k8s.io")):
            causes.append((f"spec.flexVolume.options[{key}]", "FieldValueInvalid", f'Invalid value: "{key}": '
                           "kubernetes.io and k8s.io namespaces are reserved"))
    if (pv["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/mount-options"):
        causes += _forbidden("metadata.annotations[volume.beta.kubernetes.io/mount-options]",
                             "may not specify mount options for this volume type")
    return causes


def _volume_changes(spec: dict[str, Any], old: dict[str, Any]) -> Causes:
    causes: Causes = []
    if any(spec.get(source) != old.get(source) for source in _SOURCES):
        causes += _forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    if spec.get("volumeMode", "Filesystem") != old.get("volumeMode", "Filesystem"):
        causes.append(("spec.volumeMode", "FieldValueInvalid", "field is immutable"))
    if old.get("nodeAffinity") is not None and spec.get("nodeAffinity") != old["nodeAffinity"]:
        causes.append(("spec.nodeAffinity", "FieldValueInvalid", "field is immutable, except for updating from beta "
                       "label to GA"))
    return causes


def _claim_causes(claim: dict[str, Any], old: dict[str, Any] | None) -> Causes:
    spec = claim.get("spec") or {}
    requests = (spec.get("resources") or {}).get("requests") or {}
    causes = _required("spec.accessModes", spec.get("accessModes"))
    for mode in spec.get("accessModes") or []:
        causes += _one_of("spec.accessModes", mode, _ACCESS_MODES)
    causes += _size_causes("spec.resources[storage]", requests.get("storage"))
    causes += _one_of("spec.volumeMode", spec.get("volumeMode"), {"Filesystem", "Block"})
    return causes + (_claim_changes(spec, old.get("spec") or {}) if old and not causes else [])


def _claim_changes(spec: dict[str, Any], old: dict[str, Any]) -> Causes:
    free = {"resources"} | ({"volumeName"} if not old.get("volumeName") else set())
    free |= {"storageClassName"} if old.get("storageClassName") is None else set()
    changed = [key for key in {**old, **spec} if key not in free and spec.get(key) != old.get(key)]
    if changed:
        return _forbidden("spec", "spec is immutable after creation except resources.requests and "
                          "volumeAttributesClassName for bound claims")
    wanted, before = (quantity.parse(one["resources"]["requests"]["storage"]) for one in (spec, old))
    if wanted < before:
        return _forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    return []


def _class_causes(content: dict[str, Any], old: dict[str, Any] | None) -> Causes:
    causes = _required("provisioner", content.get("provisioner"))
    causes += _one_of("reclaimPolicy", content.get("reclaimPolicy"), {"Delete", "Retain"})
    causes += _one_of("volumeBindingMode", content.get("volumeBindingMode"), {"Immediate", "WaitForFirstConsumer"})
    for key in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode") if old else ():
        if content.get(key) != (old or {}).get(key):
            causes += _forbidden(key, f"updates to {key} are forbidden.")
    return causes


def _event_causes(event: dict[str, Any], old: dict[str, Any] | None) -> Causes:
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    namespace = event["metadata"].get("namespace")
    if about == namespace or not about and namespace in ("default", "kube-system"):
        return []
    return [("involvedObject.namespace", "FieldValueInvalid", f'Invalid value: "{about}": '
             "does not match event.namespace")]


_CAUSES = {"persistentvolumes": _volume_causes, "persistentvolumeclaims": _claim_causes,
           "storageclasses": _class_causes, "events": _event_causes}
