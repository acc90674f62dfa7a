"""Objects and values the tests of pure modules begin with."""

from typing import Any

from provisioner.claims import Claim, parse
from provisioner.classes import VolumeClass
from provisioner.objects import ClaimRecord, ClassRecord, PvRecord
from provisioner.placement import ArrayState

UID = "bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"
GiB, TiB = 2**30, 2**40
OURS = frozenset(("pure-provisioner",))


def claim_record(**changes: Any) -> ClaimRecord:
    """A claim of 10Gi that waits to be served."""
    return ClaimRecord(UID, "shop", "data", "7", "pure", "", False, "10Gi", "", ("ReadWriteOnce",),
                       "Filesystem")._replace(**changes)


def volume_class(**changes: Any) -> VolumeClass:
    return VolumeClass(**{"name": "pure", "backend": "block", "policy": "Delete", **changes})


def claim(of: VolumeClass | None = None, **changes: Any) -> Claim:
    """A claim ready to be served."""
    return parse(claim_record(**changes), of or volume_class())


def class_record(parameters: dict[str, str] | None = None, **changes: Any) -> ClassRecord:
    return ClassRecord("pure", "uid-1", "pure-provisioner", parameters or {}, "Delete", False, (), ())._replace(**changes)


def pv_record(**changes: Any) -> PvRecord:
    """A Released PV of ours with policy Delete and our finalizer."""
    return PvRecord(f"pvc-{UID}", "uid-2", "9", "Released", "Delete", "pure", False,
                    ("external-provisioner.volume.kubernetes.io/finalizer",), "10Gi", UID, "shop", "data", "block",
                    "k8s", f"k8s-pvc-{UID}", "1.2.3.4")._replace(**changes)


def array(name: str, **changes: Any) -> ArrayState:
    """A FlashArray of 10 TiB, a tenth of it used."""
    return ArrayState(**{"name": name, "backend": "block", "capacity": 10 * TiB, "used": TiB, **changes})
