"""Merged values, checked, as one record: what a person may write in five ways is one thing from here on. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arrays import fleet
from arrays.errors import ConfigError
from arrays.names import check_prefix
from daemonset.render import files, schema

# Of the 6.x values file: known, and not for a FlexVolume driver.
CSI_ONLY = frozenset(("storagetopology", "csi", "ephemeralVolume"))


@dataclass(frozen=True)
class Placement:
    """Where the pods of one workload run; each empty when nothing was said."""

    node_selector: Mapping[str, str]
    tolerations: list[dict[str, Any]]
    affinity: Mapping[str, Any]


@dataclass(frozen=True)
class Values:
    """One installation."""

    image: str
    pull_policy: str
    debug: bool
    default_class: bool
    backend: str                            # of class `pure`
    service_account: str
    orchestrator: str                       # k8s or openshift
    prefix: str                             # of volume names
    flex_path: str                          # without slash at its end
    arrays: Mapping[str, Any] = field(repr=False)       # pure.json
    daemon: Placement
    provisioner: Placement
    explorer: Placement | None              # None: it is not wanted
    daemon_settings: Mapping[str, str]      # environment variables beside PURE_DISCOVERY_CONF
    provisioner_settings: Mapping[str, str]

    @property
    def pure_json(self) -> str:
        """The content of the Secret; keys in order, as helm writes them."""
        return json.dumps(self.arrays, sort_keys=True, separators=(",", ":"))


def checked(merged: Mapping[str, Any]) -> tuple[Values, list[str]]:
    """Values and warnings; ConfigError with every complaint, a line each, when they cannot be used."""
    wrong = [f"values: {complaint}" for complaint in schema.complaints(merged)]
    if wrong:
        raise ConfigError("\n".join(wrong))
    known = schema.schema()["properties"]
    warnings = [f"values: {key} is {'for CSI only' if key in CSI_ONLY else 'not known here'} and was left out"
                for key in merged if key not in known]
    return _values(merged), warnings + _look_at(merged["arrays"])


def _values(merged: Mapping[str, Any]) -> Values:
    array, blade = merged["flasharray"], merged["flashblade"]
    prefix = _prefix(merged)
    common = {"PURE_K8S_NAMESPACE": prefix, "PURE_DEFAULT_BLOCK_FS_TYPE": array["defaultFSType"]}
    return Values(
        image=_image(merged["image"]),
        pull_policy=merged["image"]["pullPolicy"],
        debug=_switch(merged["app"]["debug"]),
        default_class=_switch(merged["storageclass"]["isPureDefault"]),
        backend=merged["storageclass"]["pureBackend"],
        service_account=merged["clusterrolebinding"]["serviceAccount"]["name"],
        orchestrator=merged["orchestrator"]["name"],
        prefix=prefix,
        flex_path=_flex_path(merged),
        arrays=merged["arrays"],
        daemon=_placement(merged, "flexDaemon"),
        provisioner=_placement(merged, "provisioner"),
        explorer=_placement(merged, "explorer") if _switch(merged["explorer"]["enabled"]) else None,
        daemon_settings={
            "PURE_FLASHARRAY_SAN_TYPE": array["sanType"].upper(),
            **common,
            "PURE_DEFAULT_BLOCK_FS_OPT": array.get("defaultFSOpt") or "",
            "PURE_DEFAULT_BLOCK_MNT_OPT": _options(array.get("defaultMountOpt")),
            "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": _word(array["preemptAttachments"]),
            "PURE_PREEMPT_RWO_GRACE": _seconds(array["preemptGraceSeconds"]),
            "PURE_UNMOUNT_NO_PATH_GRACE": _seconds(array["unmountNoPathGraceSeconds"]),
            "PURE_ISCSI_ALLOWED_CIDRS": (array.get("iSCSIAllowedCIDR") or "").replace(" ", ""),
            "PURE_ISCSI_LOGIN_TIMEOUT": _seconds(array["iSCSILoginTimeout"]),
            "PURE_FLEX_ATTACH": _word(merged["flexDaemon"]["attach"]),
        },
        provisioner_settings={
            **common,
            "PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT": _word(blade["snapshotDirectoryEnabled"]),
            "PURE_FLASHBLADE_EXPORT_RULES": blade["exportRules"],
            "PURE_ERADICATE_ON_DELETE": _word(merged["provisioner"]["eradicateOnDelete"]),
        },
    )


def _look_at(arrays: Mapping[str, Any]) -> list[str]:
    """Complaints about entries; ConfigError if one could not be used, for a person is there to mend it."""
    found = fleet.check(arrays, "values: arrays")
    written = sum(len(arrays.get(key) or ()) for key in ("FlashArrays", "FlashBlades"))
    if len(found.flash_arrays) + len(found.flash_blades) < written:
        raise ConfigError("\n".join(found.complaints))
    return list(found.complaints)


def _prefix(merged: Mapping[str, Any]) -> str:
    written, later = merged["namespace"]["pure"], merged.get("clusterID") or ""
    if later and written not in (later, files.defaults()["namespace"]["pure"]):
        raise ConfigError(f"values: clusterID is {later} and namespace.pure is {written}: they are the same thing, keep one")
    return check_prefix(later or written)


def _flex_path(merged: Mapping[str, Any]) -> str:
    path, platform = merged["flexPath"], merged.get("platform") or ""
    if platform and path.rstrip("/") == files.defaults()["flexPath"]:
        path = files.platforms()[platform]
    return path.rstrip("/") or "/"


def _placement(merged: Mapping[str, Any], workload: str) -> Placement:
    """The workload's own, else the deprecated one of the top level."""
    own = merged[workload]
    selector = own.get("nodeSelector") or merged.get("nodeSelector") or {}
    return Placement({key: _text(value) for key, value in selector.items()},
                     own.get("tolerations") or merged.get("tolerations") or [],
                     own.get("affinity") or merged.get("affinity") or {})


def _image(image: Mapping[str, Any]) -> str:
    tag = image.get("tag")
    return f"{image['name']}:{tag}" if tag not in (None, "") else image["name"]


def _options(written: Any) -> str:
    return ",".join(written) if isinstance(written, list) else written or ""


def _seconds(written: int | str) -> str:
    found = re.match(r"[0-9]+", str(written))
    assert found, "the schema lets nothing else through"
    return str(int(found[0]))


def _switch(written: bool | str) -> bool:
    return str(written).lower() == "true"


def _word(written: bool | str) -> str:
    return str(written).lower()


def _text(value: Any) -> str:
    return _word(value) if isinstance(value, bool) else str(value)
