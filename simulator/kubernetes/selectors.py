"""Label and field selectors as lists and watches carry them in the query, and as claims carry them in their spec."""
import re
from collections.abc import Callable, Mapping
from typing import Any

from simulator.kubernetes.status import bad_request

_SET = re.compile(r"\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*")
_EQUAL = re.compile(r"\s*(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)\s*")
_EXISTS = re.compile(r"\s*(?P<op>!?)\s*(?P<key>[^\s!=,()]+)\s*")
_FIELDS = {
    "pods": {"spec.nodeName", "status.phase", "spec.restartPolicy"},
    "events": {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
               "involvedObject.apiVersion", "reason", "type", "reportingComponent", "source"},
    "nodes": {"spec.unschedulable"}, "namespaces": {"status.phase"}, "secrets": {"type"},
}

Test = Callable[[Mapping[str, Any]], bool]


def labels(text: str) -> Test:
    """A test of objects against "a=b,c in (d,e),!f"; 400 when it cannot be read."""
    tests = [_label_requirement(part) for part in _split(text)]
    return lambda found: all(test(found.get("metadata", {}).get("labels") or {}) for test in tests)


def fields(text: str, plural: str) -> Test:
    """A test of objects against "metadata.name=x,…"; 400 for a field this kind cannot be selected by."""
    wanted = []
    for part in filter(None, text.split(",")):
        found = _EQUAL.fullmatch(part)
        if not found:
            raise bad_request(f"invalid field selector {part!r}")
        if found["key"] not in {"metadata.name", "metadata.namespace"} | _FIELDS.get(plural, set()):
            raise bad_request(f"field label not supported: {found['key']}")
        wanted.append((found["key"].split("."), found["value"], found["op"] != "!="))
    return lambda candidate: all((_at(candidate, path) == value) is equal for path, value, equal in wanted)


def claim_selector(selector: Mapping[str, Any] | None, found: Mapping[str, str]) -> bool:
    """Whether labels `found` satisfy a LabelSelector (matchLabels and matchExpressions)."""
    selector = selector or {}
    equal = all(found.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_OPERATORS[term["operator"]](found, term["key"], term.get("values") or [])
                         for term in selector.get("matchExpressions") or [])


_OPERATORS: dict[str, Callable[[Mapping[str, str], str, list[str]], bool]] = {
    "In": lambda found, key, values: found.get(key) in values,
    "NotIn": lambda found, key, values: found.get(key) not in values,
    "Exists": lambda found, key, values: key in found,
    "DoesNotExist": lambda found, key, values: key not in found,
}


def _split(text: str) -> list[str]:
    return [part for part in re.split(r",(?![^()]*\))", text) if part.strip()]


def _label_requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.fullmatch(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels_: labels_.get(key) in values
        return lambda labels_: labels_.get(key) not in values
    if found := _EQUAL.fullmatch(text):
        key, value, equal = found["key"], found["value"], found["op"] != "!="
        return lambda labels_: (labels_.get(key) == value) is equal
    if found := _EXISTS.fullmatch(text):
        key, there = found["key"], not found["op"]
        return lambda labels_: (key in labels_) is there
    raise bad_request(f"unable to parse requirement: {text!r}")


def _at(candidate: Any, path: list[str]) -> str:
    for key in path:
        candidate = (candidate or {}).get(key)
    return "" if candidate is None else str(candidate)
