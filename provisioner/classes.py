"""StorageClass parameters, checked once per class: what every volume of the class shall be. Pure.

Keys are those of the published chart and of the vendor's CSI driver, in any case. Unknown ones are named and left out,
because old classes must go on working.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arrays import units
from arrays.errors import ConfigError
from provisioner.objects import ClassRecord
from provisioner.selectors import Requirement, parse_topologies
from provisioner.wellknown import BLOCK, FILE

FILE_SYSTEMS = ("xfs", "ext4", "ext3", "ext2", "btrfs")
POLICIES = ("Delete", "Retain")

# The key as users write it, in lower case -> the word we use.
_KEYS = {
    "backend": "backend",
    "fstype": "fs_type", "csi.storage.k8s.io/fstype": "fs_type",
    "createoptions": "create_options",
    "mountoptions": "mount_options",
    "iops_limit": "iops_limit", "bandwidth_limit": "bandwidth_limit",
    "exportrules": "export_rules", "export_rules": "export_rules",
    "snapshotdirectoryenabled": "snapshot_directory", "snapshot_directory_enabled": "snapshot_directory",
}
_ONLY_BLOCK = ("iops_limit", "bandwidth_limit", "fs_type", "create_options")
_ONLY_FILE = ("export_rules", "snapshot_directory")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class VolumeClass:
    """What a StorageClass asks of its volumes; None and "" leave it to the defaults of the settings."""

    name: str
    backend: str                                        # block or file
    policy: str                                         # Delete or Retain
    fs_type: str = ""
    create_options: str = ""
    mount_options: str = ""                             # comma separated
    iops_limit: int | None = None
    bandwidth_limit: int | None = None                  # bytes a second
    export_rules: str | None = None
    snapshot_directory: bool | None = None
    topologies: tuple[tuple[Requirement, ...], ...] = ()
    unknown: tuple[str, ...] = ()                       # parameters that nothing here reads


def parse_class(record: ClassRecord) -> VolumeClass:
    """Check a class; ConfigError names it, the parameter and what may stand there."""
    where = f"StorageClass {record.name}"
    found, unknown = _sorted_out(record.parameters, where)
    backend = found.pop("backend", BLOCK).strip().lower()
    if backend not in (BLOCK, FILE):
        raise ConfigError(f"{where}: backend {backend!r} is neither block (FlashArray) nor file (FlashBlade)")
    idle = [key for key in found if key in (_ONLY_FILE if backend == BLOCK else _ONLY_BLOCK)]
    values = {key: _read(key, value, where) for key, value in found.items() if key not in idle}
    if record.mount_options:
        values["mount_options"] = ",".join(record.mount_options)
    policy = "Delete" if record.reclaim_policy == "Delete" else "Retain"        # Recycle means nothing to an array
    return VolumeClass(record.name, backend, policy, topologies=parse_topologies(record.topologies),
                       unknown=(*unknown, *idle), **values)


def _sorted_out(parameters: Mapping[str, str], where: str) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    unknown = []
    for key, value in parameters.items():
        word = _KEYS.get(key.lower())
        if word is None:
            unknown.append(key)
        elif found.setdefault(word, value) != value:
            raise ConfigError(f"{where}: {key} is written twice in different spellings: keep one of them")
    return found, unknown


def _read(key: str, value: str, where: str) -> Any:
    try:
        return _READERS[key](value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}") from None


def _fs_type(text: str) -> str:
    fs_type = text.strip().lower()
    if fs_type and fs_type not in FILE_SYSTEMS:
        raise ConfigError(f"file system {text!r} is not one of {', '.join(FILE_SYSTEMS)}")
    return fs_type


def _options(text: str) -> str:
    """Options of a command: one line of printable text, because they travel through argv."""
    if not text.isprintable():
        raise ConfigError(f"options {text!r} have unprintable characters")
    return text.strip()


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE + _FALSE:
        raise ConfigError(f"{text!r} is neither true nor false")
    return word in _TRUE


_READERS = {
    "fs_type": _fs_type,
    "create_options": _options,
    "mount_options": _options,
    "iops_limit": units.parse_iops,
    "bandwidth_limit": units.parse_bandwidth,
    "export_rules": _options,
    "snapshot_directory": _switch,
}
