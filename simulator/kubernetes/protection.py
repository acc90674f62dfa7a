"""The protection controllers: take the finalizers off claims that no pod uses and off PVs that are not bound."""
from typing import Any

from simulator.kubernetes.controller import CLAIMS, PODS, PVS, Controller

PVC_PROTECTION, PV_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def release_claim(controller: Controller, claim: dict[str, Any]) -> bool:
    """Let a deleted claim go that no pod uses; False when there is nothing to do."""
    if not _held(claim, PVC_PROTECTION) or _used(controller, claim):
        return False
    _take_off(controller, CLAIMS, claim, PVC_PROTECTION)
    return True


def release_volume(controller: Controller, pv: dict[str, Any]) -> bool:
    """Let a deleted PV go that is not Bound; False when there is nothing to do."""
    if not _held(pv, PV_PROTECTION) or pv["status"]["phase"] == "Bound":
        return False
    _take_off(controller, PVS, pv, PV_PROTECTION)
    return True


def claims_of(pod: dict[str, Any]) -> list[str]:
    """Names of the claims a pod uses."""
    volumes = pod["spec"].get("volumes") or []
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]


def _held(found: dict[str, Any], finalizer: str) -> bool:
    metadata = found["metadata"]
    return bool(metadata.get("deletionTimestamp")) and finalizer in (metadata.get("finalizers") or [])


def _used(controller: Controller, claim: dict[str, Any]) -> bool:
    metadata = claim["metadata"]
    return any(metadata["name"] in claims_of(pod) and pod["spec"].get("nodeName")
               and pod["status"].get("phase") not in ("Succeeded", "Failed")
               for pod in controller.api.objects(PODS, metadata["namespace"]))


def _take_off(controller: Controller, plural: str, found: dict[str, Any], finalizer: str) -> None:
    left = [one for one in found["metadata"]["finalizers"] if one != finalizer]
    controller.put(plural, {**found, "metadata": {**found["metadata"], "finalizers": left}})
