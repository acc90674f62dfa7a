"""The JSON object that mount and expandfs get: the PV's options and kubelet's own keys.

After pkg/volume/flexvolume/driver-call.go (flexvolume-protocol.md section 2, real-kubernetes.md section 4).
"""
import base64
import json
from collections.abc import Mapping
from typing import Any


def mount_options(pv: Mapping[str, Any], pod: Mapping[str, Any], *, read_only: bool, minor: int = 34,
                  secrets: Mapping[str, bytes] | None = None) -> str:
    """What `mount` gets, keys sorted; user options win over kubelet's, as in the real one."""
    spec = pod["spec"]
    keys = _every_call(pv, read_only)
    if minor >= 7:
        keys |= {"kubernetes.io/pod.name": pod["metadata"]["name"],
                 "kubernetes.io/pod.namespace": pod["metadata"]["namespace"],
                 "kubernetes.io/pod.uid": pod["metadata"]["uid"],
                 "kubernetes.io/serviceAccount.name": spec.get("serviceAccountName", "")}
    group = (spec.get("securityContext") or {}).get("fsGroup")
    if group is not None:
        keys["kubernetes.io/mounterArgs.FsGroup" if minor >= 15 else "kubernetes.io/fsGroup"] = str(group)
    keys |= {f"kubernetes.io/secret/{name}": base64.b64encode(value).decode() for name, value in (secrets or {}).items()}
    return _encoded(keys, pv)


def expand_options(pv: Mapping[str, Any]) -> str:
    """What `expandfs` gets: no pod, no secrets."""
    return _encoded(_every_call(pv, read_only=False), pv)


def _every_call(pv: Mapping[str, Any], read_only: bool) -> dict[str, str]:
    return {"kubernetes.io/fsType": pv["spec"]["flexVolume"].get("fsType") or "",
            "kubernetes.io/readwrite": "ro" if read_only else "rw",
            "kubernetes.io/pvOrVolumeName": pv["metadata"]["name"]}


def _encoded(keys: dict[str, str], pv: Mapping[str, Any]) -> str:
    text = json.dumps({**keys, **(pv["spec"]["flexVolume"].get("options") or {})}, sort_keys=True, ensure_ascii=False,
                      separators=(",", ":"))
    for character in "<>&\u2028\u2029":     # Go's encoder escapes these
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
