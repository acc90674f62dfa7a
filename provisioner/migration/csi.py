"""PV and claim of a migrated volume, for the CSI driver to import. Pure.

`volumeHandle` is the volume's name on the array: that is how pure-csi finds it, from release 5.2.0 on. The PV is made
with policy Retain: its owner sets Delete when the pods run again.
"""

from collections.abc import Mapping
from typing import Any

from provisioner import wellknown
from provisioner.objects import Raw

DRIVER = "pure-csi"
OLDEST = "5.2.0"
_DROPPED = ("pv.kubernetes.io/", "volume.beta.kubernetes.io/", "volume.kubernetes.io/", "volume.alpha.kubernetes.io/",
            "kubectl.kubernetes.io/last-applied")

NOTE = f"""# Made by `pure migrate export`. Needs the CSI driver ({DRIVER}) {OLDEST} or later, which imports volumes.
# Apply when the old claims and PVs are gone:  kubectl apply -f THIS_FILE  (then: pure migrate verify)
"""


def manifests(entry: Mapping[str, Any], fs_type: str = "xfs") -> list[Raw]:
    """The PV, and the claim if there was one, for one volume of a record; `fs_type` is that of old PVs that name none."""
    pv, claim = entry["pv"], entry["claim"]
    made = [_pv(pv, claim, entry, fs_type)]
    if claim:
        made.append(_claim(claim, pv["metadata"]["name"]))
    return made


def _pv(pv: Raw, claim: Raw, entry: Mapping[str, Any], fs_type: str) -> Raw:
    old = pv["spec"]
    spec: Raw = {
        "accessModes": old.get("accessModes") or ["ReadWriteOnce"],
        "capacity": old["capacity"],
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": DRIVER, "volumeHandle": entry["volume"], "volumeAttributes": {"backend": entry["backend"]}},
    }
    if entry["backend"] == wellknown.BLOCK:
        spec["csi"]["fsType"] = old["flexVolume"].get("fsType") or fs_type
    if options := (old["flexVolume"].get("options") or {}).get("mountOptions"):
        spec["mountOptions"] = options.split(",")
    if claim:
        spec["claimRef"] = {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                            "namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"]}
    for key in ("storageClassName", "volumeMode"):
        if old.get(key):
            spec[key] = old[key]
    metadata: Raw = {"name": pv["metadata"]["name"], "annotations": {wellknown.PROVISIONED_BY: DRIVER}}
    if labels := pv["metadata"].get("labels"):
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _claim(claim: Raw, pv: str) -> Raw:
    old = claim["spec"]
    metadata: Raw = {"name": claim["metadata"]["name"], "namespace": claim["metadata"]["namespace"]}
    if labels := claim["metadata"].get("labels"):
        metadata["labels"] = labels
    if kept := {key: value for key, value in (claim["metadata"].get("annotations") or {}).items()
                if not key.startswith(_DROPPED)}:
        metadata["annotations"] = kept
    spec = {key: old[key] for key in ("accessModes", "resources", "storageClassName", "volumeMode", "selector")
            if key in old}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {**spec, "volumeName": pv}}
