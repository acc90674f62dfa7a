"""Paths that are not about objects: /version, /api, /apis and below, health."""
import json
from typing import Any

from simulator.kubernetes.resources import ALL
from simulator.kubernetes.status import no_such_path
from simulator.kubernetes.version import Version

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def answer(path: str, version: Version) -> bytes:
    """The body for one path; 404."""
    path = path.rstrip("/")
    if path in ("/healthz", "/livez", "/readyz"):
        return b"ok"
    return json.dumps(_content(path, version)).encode()


def _content(path: str, version: Version) -> dict[str, Any]:
    groups = sorted({(item.group, item.version) for item in ALL if item.since <= version.minor and item.group})
    if path == "/version":
        return {"major": "1", "minor": str(version.minor), "gitVersion": f"v1.{version.minor}.0",
                "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*pair) for pair in groups]}
    for group, group_version in [("", "v1"), *groups]:
        if path == f"/apis/{group}" and group:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, group_version)}
        if path == (f"/apis/{group}/{group_version}" if group else "/api/v1"):
            return _resources(group, group_version, version)
    raise no_such_path()


def _group(group: str, group_version: str) -> dict[str, Any]:
    entry = {"groupVersion": f"{group}/{group_version}", "version": group_version}
    return {"name": group, "versions": [entry], "preferredVersion": entry}


def _resources(group: str, group_version: str, version: Version) -> dict[str, Any]:
    found = []
    for item in ALL:
        if (item.group, item.version) == (group, group_version) and item.since <= version.minor:
            entry = {"name": item.plural, "singularName": item.kind.lower(), "namespaced": item.namespaced,
                     "kind": item.kind, "verbs": _VERBS}
            found.append(entry)
            if item.has_status:
                found.append({**entry, "name": f"{item.plural}/status", "verbs": ["get", "patch", "update"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "resources": found,
            "groupVersion": f"{group}/{group_version}" if group else group_version}
