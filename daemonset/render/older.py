"""What an older cluster does not know, taken out or written as it knows it. Pure.

Sources: "Deprecated API Migration Guide" of kubernetes.io for the groups; release notes for fields: hostPath.type,
allowPrivilegeEscalation and allowVolumeExpansion came with 1.8; pods outside kube-system may have the system priority
classes from 1.17 on (kubernetes/kubernetes#76310).
"""

import re
from collections.abc import Collection
from typing import Any

from arrays.errors import ConfigError

Version = tuple[int, int]

NEWEST: Version = (1, 99)
OLDEST: Version = (1, 6)
# Groups in which older servers have these kinds, newest first.
_GROUPS = {
    "DaemonSet": ("apps/v1", "extensions/v1beta1"),
    "Deployment": ("apps/v1", "apps/v1beta1"),
    **{kind: ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1")
       for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")},
}


def parse_version(text: str) -> Version:
    """(1, 34) of "v1.34.4" or "1.27+"."""
    found = re.match(r"v?([0-9]+)\.([0-9]+)", text)
    if not found:
        raise ConfigError(f"{text!r} is no version of Kubernetes: write one like 1.34.4")
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise ConfigError(f"Kubernetes {text} is older than 1.6, where this driver begins")
    return version


def suit(objects: list[dict[str, Any]], version: Version, api_versions: Collection[str] = ()) -> list[dict[str, Any]]:
    """Change objects in place for a server of `version` with these group versions; none given: by the version alone."""
    for one in objects:
        _suit_group(one, version, api_versions)
        if one["kind"] in ("DaemonSet", "Deployment"):
            _suit_pod(one["spec"]["template"]["spec"], version, one["metadata"]["namespace"])
        elif one["kind"] == "StorageClass" and version < (1, 8):
            one.pop("allowVolumeExpansion", None)
    return objects


def _suit_group(one: dict[str, Any], version: Version, known: Collection[str]) -> None:
    newest, *older = _GROUPS.get(one["kind"], (one["apiVersion"],))
    since = (1, 9) if newest == "apps/v1" else (1, 8)
    if older and (newest not in known if known else version < since):
        one["apiVersion"] = older[0]


def _suit_pod(pod: dict[str, Any], version: Version, namespace: str) -> None:
    if version < (1, 17) and namespace != "kube-system":
        pod.pop("priorityClassName", None)
    if version < (1, 8):
        for volume in pod["volumes"]:
            volume.get("hostPath", {}).pop("type", None)
        for container in pod["containers"]:
            container["securityContext"].pop("allowPrivilegeEscalation", None)
