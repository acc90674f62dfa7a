"""Objects as YAML, for kubectl or for eyes: in the second form no token can be read."""

import base64
import copy
import json
from collections.abc import Iterable
from typing import Any

from daemonset.render.yamltext import written

MASK = "********"


def text(objects: Iterable[dict[str, Any]]) -> str:
    """YAML documents."""
    return "".join(f"---\n{written(one)}" for one in objects)


def for_eyes(objects: Iterable[dict[str, Any]]) -> str:
    """YAML documents in which Secrets show their text instead of base64, with tokens masked."""
    return text(_shown(one) for one in objects)


def without_tokens(value: Any) -> Any:
    """A copy of arrays or values in which each APIToken is masked, also one that only says where the token is."""
    if isinstance(value, dict):
        return {key: MASK if str(key).lower() == "apitoken" else without_tokens(item) for key, item in value.items()}
    return [without_tokens(item) for item in value] if isinstance(value, list) else value


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    if one["kind"] != "Secret":
        return one
    shown = copy.deepcopy(one)
    decoded = {key: json.loads(base64.b64decode(value)) for key, value in shown.pop("data").items()}
    shown["stringData"] = {key: json.dumps(without_tokens(value), indent=2) for key, value in decoded.items()}
    return shown
