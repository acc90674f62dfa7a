"""PATCH bodies: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and strategic merge as far as storage needs it.

Strategic merge knows two lists that merge (metadata.finalizers as a set, status.conditions by type) and the directive
`$deleteFromPrimitiveList/finalizers`; every other list is replaced. Server-side apply is not there: 415.
"""
import json
from typing import Any

from simulator.kubernetes.status import ApiError, bad_request

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def apply(content_type: str, current: Any, patch: Any) -> Any:
    """A new object: `current` with `patch` laid over it; `current` itself is not touched."""
    if content_type == JSON_PATCH:
        return json_patch(json.loads(json.dumps(current)), patch)
    if content_type not in (MERGE, STRATEGIC):
        raise ApiError(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media "
                       f"types include: {JSON_PATCH}, {MERGE}, {STRATEGIC}")
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal into a map")
    return merge(current, patch, strategic=content_type == STRATEGIC)


def merge(current: Any, patch: Any, *, strategic: bool = False) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if strategic and key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            merged[name] = [item for item in merged.get(name) or [] if item not in value]
        elif value is None:
            merged.pop(key, None)
        elif strategic and key == "finalizers":
            merged[key] = list(dict.fromkeys([*(merged.get(key) or []), *value]))
        elif strategic and key == "conditions":
            merged[key] = list({item["type"]: item for item in [*(merged.get(key) or []), *value]}.values())
        else:
            merged[key] = merge(merged.get(key), value, strategic=strategic)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902 in place: add, remove, replace, test, copy and move; 422 when one of them cannot be done."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    for operation in operations:
        try:
            target = _one(target, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request "
                           f"({operation.get('op')} {operation.get('path')}: {error})") from None
    return target


def _one(target: Any, operation: dict[str, Any]) -> Any:
    op, path = operation["op"], _pointer(operation["path"])
    if op == "test":
        if _get(target, path) != operation.get("value"):
            raise ValueError("testing value failed")
        return target
    if op == "remove":
        return _remove(target, path)
    if op in ("copy", "move"):
        source = _pointer(operation["from"])
        value = _get(target, source)
        target = _remove(target, source) if op == "move" else target
        return _put(target, path, value, insert=True)
    if op not in ("add", "replace"):
        raise ValueError(f"unexpected kind: {op}")
    if op == "replace":
        _get(target, path)
    return _put(target, path, operation["value"], insert=op == "add")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _get(target: Any, path: list[str]) -> Any:
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target[part]
    return target


def _remove(target: Any, path: list[str]) -> Any:
    parent = _get(target, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return target


def _put(target: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _get(target, path[:-1]), path[-1]
    if not isinstance(parent, list):
        parent[last] = value
    elif insert:
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        parent[int(last)] = value
    return target
