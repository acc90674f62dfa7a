"""FlexVolume PVs and who uses them, out of what the API lists. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from provisioner import wellknown
from provisioner.objects import Raw

_ENDED = ("Succeeded", "Failed")


class FlexVolume(NamedTuple):
    """One PV of our driver."""

    pv: str
    claim: str                  # "ns/name", "" when it is bound to none
    storage_class: str
    size: str                   # a quantity, "10Gi"
    policy: str                 # Retain, Delete
    backend: str                # block or file
    array: str                  # the hint of the PV, "" in PVs of the original driver
    volume: str                 # name on the array
    pods: tuple[str, ...]       # "ns/name" of those that have it or will have it


def flex_volumes(pvs: Iterable[Raw], pods: Iterable[Raw], prefix: str, namespace: str = "") -> list[FlexVolume]:
    """The PVs of driver pure/flex, of one namespace's claims if it is given, with the pods that use them."""
    users = _users(pods)
    found = [_flex_volume(pv, users, prefix) for pv in pvs
             if ((pv.get("spec") or {}).get("flexVolume") or {}).get("driver") == wellknown.DRIVER]
    return sorted(one for one in found if not namespace or one.claim.startswith(f"{namespace}/"))


def _flex_volume(pv: Raw, users: dict[str, list[str]], prefix: str) -> FlexVolume:
    spec, name = pv["spec"], pv["metadata"]["name"]
    options, claim = spec["flexVolume"].get("options") or {}, spec.get("claimRef") or {}
    key = f"{claim['namespace']}/{claim['name']}" if claim else ""
    return FlexVolume(name, key, spec.get("storageClassName") or "", (spec.get("capacity") or {}).get("storage", ""),
                      spec.get("persistentVolumeReclaimPolicy") or "", options.get("backend") or wellknown.BLOCK,
                      options.get("array") or "",
                      options.get("volume") or f"{options.get('namespace') or prefix}-{name}", tuple(users.get(key, ())))


def _users(pods: Iterable[Raw]) -> dict[str, list[str]]:
    """Claim "ns/name" -> pods that are not at their end."""
    found: dict[str, list[str]] = {}
    for pod in pods:
        if (pod.get("status") or {}).get("phase") not in _ENDED:
            namespace = pod["metadata"]["namespace"]
            for claim in claims_of(pod.get("spec") or {}):
                found.setdefault(f"{namespace}/{claim}", []).append(f"{namespace}/{pod['metadata']['name']}")
    return found


def claims_of(pod_spec: Raw) -> list[str]:
    """Names of the claims that a pod's spec, or a template's, mounts."""
    return [volume["persistentVolumeClaim"]["claimName"] for volume in pod_spec.get("volumes") or ()
            if volume.get("persistentVolumeClaim")]
