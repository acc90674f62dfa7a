"""The PersistentVolume of a volume that was made: what the nodes' driver will read. Pure; no secret gets in here.

Options are the contract between this program and the driver; all values are text. Mount options travel in them because
kubelet refuses `spec.mountOptions` for FlexVolume ("Mount options are not supported for this volume type").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioner import wellknown
from provisioner.claims import Claim
from provisioner.labels import Keys, valid_labels
from provisioner.nodes import affinity
from provisioner.objects import Raw
from provisioner.quantity import to_quantity
from provisioner.wellknown import BLOCK


@dataclass(frozen=True)
class Made:
    """A volume that exists on an array, as far as its PV has to know."""

    array: str                                          # management endpoint
    volume: str                                         # name on the array, with its pod if it is in one
    size: int                                           # bytes
    labels: Mapping[str, str] = field(default_factory=dict)     # the array's
    nfs: str = ""                                       # file only: "1.2.3.7:/k8s-pvc-…"


def persistent_volume(claim: Claim, made: Made, prefix: str, *, default_fs_type: str = "xfs",
                      provisioner: str = wellknown.PROVISIONER, finalizer: bool = True, why: str = "",
                      node_keys: Keys = ()) -> Raw:
    """The PV to POST for `claim` and the volume `made` for it; `prefix` is namespace.pure, `why` what placement said.

    `node_keys`: labels of arrays that nodes must have to reach them.
    """
    metadata: Raw = {
        "name": claim.pv_name,
        # On the first version already: without it the binder sets the PV to Failed when it is released.
        "annotations": {wellknown.PROVISIONED_BY: provisioner},
        "labels": valid_labels(made.labels),
    }
    if why:
        metadata["annotations"][wellknown.PLACEMENT] = why
    if finalizer and claim.volume_class.policy == "Delete":
        metadata["finalizers"] = [wellknown.FINALIZER]
    spec: Raw = {
        "capacity": {"storage": to_quantity(made.size)},
        "accessModes": list(claim.access_modes),
        "persistentVolumeReclaimPolicy": claim.volume_class.policy,
        "storageClassName": claim.volume_class.name,
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace,
                     "name": claim.name, "uid": claim.uid, "resourceVersion": claim.version},
        "flexVolume": {"driver": wellknown.DRIVER, "options": _options(claim, made, prefix)},
    }
    if claim.volume_class.backend == BLOCK:
        fs_type = spec["flexVolume"]["fsType"] = claim.volume_class.fs_type or default_fs_type
        if claim.source and fs_type == "xfs":
            options = spec["flexVolume"]["options"]
            options["mountOptions"] = _of_a_copy(options.get("mountOptions", ""))
    if claim.volume_mode:                   # the server knows the field (1.9)
        spec["volumeMode"] = claim.volume_mode
    if near := affinity(made.labels, node_keys):
        spec["nodeAffinity"] = near         # unknown to servers before 1.10, which drop it
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _options(claim: Claim, made: Made, prefix: str) -> dict[str, str]:
    options = {
        "backend": claim.volume_class.backend,
        "namespace": prefix,
        "volume": made.volume,
        "array": made.array,
        "nfs": made.nfs,
        "mountOptions": claim.volume_class.mount_options,
        "createOptions": claim.volume_class.create_options,
        "access": claim.access_modes[0] if len(claim.access_modes) == 1 else _widest(claim.access_modes),
    }
    return {key: value for key, value in options.items() if value}


def _of_a_copy(options: str) -> str:
    """Mount options for a copy of an xfs: it has its original's UUID, and a node that has mounted one refuses the other."""
    return options if "nouuid" in options.split(",") else f"{options},nouuid".lstrip(",")


def _widest(modes: tuple[str, ...]) -> str:
    """The mode that decides about preemption: ReadWriteOnce only when nothing wider was asked for."""
    for mode in ("ReadWriteMany", "ReadWriteOnce", "ReadOnlyMany"):
        if mode in modes:
            return mode
    return ""
