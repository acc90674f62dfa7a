"""Which PV fits which claim: the binder's rules, values in, values out.

After FindMatchingVolume and checkVolumeSatisfyClaim in Kubernetes' pkg/volume and pkg/controller/volume.
"""
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from simulator.kubernetes import quantity, selectors
from simulator.kubernetes.admission import BETA_CLASS, class_name

Object = dict[str, Any]


def size(holder: Object) -> Fraction:
    """Bytes a PV has or a claim asks for."""
    spec = holder["spec"]
    text = spec["capacity"]["storage"] if "capacity" in spec else spec["resources"]["requests"]["storage"]
    return quantity.parse(text)


def refers_to(pv: Object, claim: Object) -> bool:
    """Whether the PV is reserved for this very claim (a missing uid reserves it for the name)."""
    ref, metadata = pv["spec"].get("claimRef"), claim["metadata"]
    return bool(ref and ref["name"] == metadata["name"] and ref["namespace"] == metadata["namespace"]
                and ref.get("uid", "") in ("", metadata["uid"]))


def best(claim: Object, pvs: Iterable[Object], *, delayed: bool) -> Object | None:
    """The PV reserved for the claim, else the smallest free one that fits; `delayed`: only a reserved one."""
    smallest: Object | None = None
    for pv in pvs:
        if not _possible(claim, pv):
            continue
        if refers_to(pv, claim):
            return pv
        if not delayed and _free_and_fitting(claim, pv) and (smallest is None or size(pv) < size(smallest)):
            smallest = pv
    return smallest


def mismatch(claim: Object, pv: Object) -> str:
    """Why a PV named by the claim, or naming it, cannot serve it; "" when it can."""
    if size(pv) < size(claim):
        return "requested PV is too small"
    if _class_of(pv) != (class_name(claim) or ""):
        return "storageClassName does not match"
    if _mode(pv) != _mode(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"]["accessModes"]) <= set(pv["spec"]["accessModes"]):
        return "incompatible accessMode"
    return ""


def _possible(claim: Object, pv: Object) -> bool:
    return (not pv["metadata"].get("deletionTimestamp") and _mode(pv) == _mode(claim) and size(pv) >= size(claim)
            and set(claim["spec"]["accessModes"]) <= set(pv["spec"]["accessModes"]))


def _free_and_fitting(claim: Object, pv: Object) -> bool:
    return (pv["spec"].get("claimRef") is None and pv["status"]["phase"] == "Available"
            and _class_of(pv) == (class_name(claim) or "")
            and selectors.claim_selector(claim["spec"].get("selector"), pv["metadata"].get("labels") or {}))


def _class_of(pv: Object) -> str:
    annotated = (pv["metadata"].get("annotations") or {}).get(BETA_CLASS)
    return annotated if annotated is not None else pv["spec"].get("storageClassName") or ""


def _mode(holder: Object) -> str:
    return holder["spec"].get("volumeMode") or "Filesystem"
