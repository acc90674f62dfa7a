"""values.schema.json applied: the part of JSON Schema (draft 7) that this file uses, with complaints for a person.

helm applies the same file with a complete library, so both ways of installing refuse the same values. Of the words used
here each is known; another one would be passed over in silence, which a test forbids.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from daemonset.render import CHART

KNOWN = frozenset(("$schema", "$ref", "type", "enum", "pattern", "description", "required", "properties", "definitions",
                   "additionalProperties", "items", "minItems", "minimum", "anyOf"))
_TYPES: Mapping[str, tuple[type, ...]] = {"object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
                                          "integer": (int,), "number": (int, float), "null": (type(None),)}
_SHOWN = 40                 # characters of a value in a complaint


def schema() -> dict[str, Any]:
    """The chart's values.schema.json."""
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def complaints(values: Any) -> list[str]:
    """What is wrong with merged values, each beginning with its place; values below `arrays` are never shown."""
    root = schema()
    return list(_check(values, root, "", root))


def _check(value: Any, rule: Mapping[str, Any], place: str, root: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in rule:
        rule = root["definitions"][rule["$ref"].removeprefix("#/definitions/")]
    if not _fits(value, rule, root):
        yield f"{place}: {_shown(value, place)} {_wanted(rule)}"
    elif isinstance(value, dict):
        yield from _check_object(value, rule, place, root)
    elif isinstance(value, list) and "items" in rule:
        for index, item in enumerate(value):
            yield from _check(item, rule["items"], f"{place}[{index}]", root)


def _check_object(value: dict[str, Any], rule: Mapping[str, Any], place: str, root: Mapping[str, Any]) -> Iterator[str]:
    for key in rule.get("required", ()):
        if value.get(key) is None:
            yield f"{_below(place, key)}: is missing: {_below(place, key)} must be set"
    for key, item in value.items():
        inside = rule.get("properties", {}).get(key, rule.get("additionalProperties"))
        if inside and (item is not None or key not in rule.get("required", ())):
            yield from _check(item, inside, _below(place, key), root)


def _fits(value: Any, rule: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether the value itself is right; what is in it is looked at one by one."""
    if "anyOf" in rule and not any(not list(_check(value, choice, "", root)) for choice in rule["anyOf"]):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "type" in rule and not _is(value, rule["type"]):
        return False
    if isinstance(value, str) and "pattern" in rule and not re.search(rule["pattern"], value):
        return False
    if isinstance(value, list) and len(value) < rule.get("minItems", 0):
        return False
    return not (_is(value, "number") and value < rule.get("minimum", value))


def _is(value: Any, wanted: str | list[str]) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(isinstance(value, _TYPES[name]) and not (isinstance(value, bool) and name != "boolean") for name in names)


def _wanted(rule: Mapping[str, Any]) -> str:
    if "description" in rule:
        return f"is not {rule['description']}"
    if "enum" in rule:
        return f"is not one of {', '.join(str(word) for word in rule['enum'] if word)}"
    names = rule.get("type", "something else")
    return f"is not of type {names if isinstance(names, str) else ' or '.join(names)}"


def _shown(value: Any, place: str) -> str:
    """The value, if it is short and cannot be a token."""
    if place.startswith("arrays") or isinstance(value, (dict, list)):
        return "what is written there"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
