"""PV and claim for a volume that is there already: its name, its data and its file system stay. Pure.

The PV carries no provisioner's name and has policy Retain, so nothing of ours ever destroys what somebody else made.
"""

import re
from typing import NamedTuple

from arrays.errors import ConfigError
from arrays.names import base_name
from provisioner import wellknown
from provisioner.objects import Raw
from provisioner.quantity import to_quantity

_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Wanted(NamedTuple):
    """What a person asked for."""

    claim: str
    namespace: str
    storage_class: str
    mode: str                   # ReadWriteOnce, ReadOnlyMany, ReadWriteMany
    fs_type: str                # block only


class Existing(NamedTuple):
    """The volume, as its array has it."""

    array: str
    backend: str
    volume: str
    size: int                   # bytes
    nfs: str = ""               # file only: "1.2.3.7:/name"


def pv_name(volume: str) -> str:
    """The PV of an imported volume: the same volume always gets the same, so that no second one is made."""
    return f"pure-import-{_NOT_IN_NAMES.sub('-', base_name(volume).lower()).strip('-')}"


def manifests(wanted: Wanted, existing: Existing, prefix: str) -> list[Raw]:
    """PV and claim, bound to each other by name. ConfigError for what cannot be."""
    if not _NAME.fullmatch(wanted.claim):
        raise ConfigError(f"{wanted.claim!r} cannot be a claim's name: write lower case letters, digits and '-'")
    if existing.backend == wellknown.BLOCK and wanted.mode == "ReadWriteMany":
        raise ConfigError("a FlashArray volume cannot be ReadWriteMany: a file system on it would be damaged")
    options = {"backend": existing.backend, "namespace": prefix, "volume": existing.volume, "array": existing.array,
               "nfs": existing.nfs, "access": wanted.mode}
    flex: Raw = {"driver": wellknown.DRIVER, "options": {key: value for key, value in options.items() if value}}
    if existing.backend == wellknown.BLOCK:
        flex["fsType"] = wanted.fs_type
    size = to_quantity(existing.size)
    name = pv_name(existing.volume)
    pv = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
        "capacity": {"storage": size}, "accessModes": [wanted.mode], "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": wanted.storage_class, "flexVolume": flex,
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": wanted.namespace,
                     "name": wanted.claim}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
             "metadata": {"name": wanted.claim, "namespace": wanted.namespace},
             "spec": {"accessModes": [wanted.mode], "storageClassName": wanted.storage_class, "volumeName": name,
                      "resources": {"requests": {"storage": size}}}}
    return [pv, claim]
