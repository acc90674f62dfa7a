"""What an update would take away from volumes that are in use: looked for before anything is applied. Pure.

Two things a person should decide: another prefix (the volumes made so far would no longer be ours to delete, grow or
list) and arrays left out that still hold volumes (nodes could not connect or disconnect them).
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from daemonset.render.values import Values

DRIVER = "pure/flex"
PREFIX = "PURE_K8S_NAMESPACE"


def concerns(values: Values, live: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences to confirm before `values` replace what runs. `live` has "deployment", "secret" and "pvs" as the API
    gives them, each {} when there is none."""
    return [*_prefix(values, live["deployment"]), *_arrays(values, live["secret"], live["pvs"])]


def _prefix(values: Values, deployment: Mapping[str, Any]) -> Iterable[str]:
    containers = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    before = next((entry.get("value", "") for one in containers for entry in one.get("env") or ()
                   if entry.get("name") == PREFIX), "")
    if before and before != values.prefix:
        yield (f"the prefix of volume names (namespace.pure) is {before} now and would become {values.prefix}: volumes made "
               f"so far would no longer be deleted, grown or listed as ours. To keep it, set namespace.pure to {before}")


def _arrays(values: Values, secret: Mapping[str, Any], pvs: Mapping[str, Any]) -> Iterable[str]:
    dropped = endpoints(_stored(secret)) - endpoints(values.arrays)
    if not dropped:
        return
    used: Counter[str] = Counter()
    for pv in pvs.get("items") or ():
        flex = pv.get("spec", {}).get("flexVolume") or {}
        if flex.get("driver") == DRIVER:
            used[_folded((flex.get("options") or {}).get("array", ""))] += 1
    for array in sorted(dropped):
        if used[array]:
            yield (f"array {array} is left out and holds {used[array]} volumes with a PersistentVolume: what is mounted "
                   "stays mounted, but nodes could no longer connect, disconnect or delete them")
    if used[""]:
        yield (f"{used['']} PersistentVolumes of the original driver do not name their array; some may be on the arrays "
               f"left out: {', '.join(sorted(dropped))}")


def endpoints(arrays: Mapping[str, Any]) -> set[str]:
    """Management endpoints in a pure.json, in lower case; entries without one are passed over."""
    entries = [entry for key in ("FlashArrays", "FlashBlades") for entry in arrays.get(key) or ()]
    return {_folded(str(entry["MgmtEndPoint"])) for entry in entries
            if isinstance(entry, Mapping) and entry.get("MgmtEndPoint")}


def _folded(endpoint: str) -> str:
    return endpoint.removeprefix("https://").rstrip("/").lower()


def _stored(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arrays of the Secret that is there; {} when it cannot be read, for then it holds nothing we could lose."""
    try:
        found = json.loads(base64.b64decode((secret.get("data") or {}).get("pure.json", "")))
    except (ValueError, binascii.Error):
        return {}
    found = found.get("arrays", found) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
