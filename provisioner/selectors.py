"""Label selectors: which arrays a claim asks for (the flex dialect of `spec.selector`), and how a class's topology says it.

Pure. Values compare as text, so `rack: 22` in pure.json meets "22" in a claim. Requirements are ANDed.
Shape and meaning: LabelSelector of k8s.io/apimachinery pkg/apis/meta/v1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from arrays.errors import ConfigError

TOPOLOGY_PREFIX = "topology.purestorage.com/"       # allowedTopologies name an array's label behind it


class Requirement(NamedTuple):
    """One demand on an array's labels; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it. As in Kubernetes, NotIn holds where the key is absent."""
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")

    def __str__(self) -> str:
        if self.operator == "In" and len(self.values) == 1:
            return f"{self.key}={self.values[0]}"
        if self.operator in ("In", "NotIn"):
            return f"{self.key} {self.operator.replace('NotIn', 'not in').lower()} ({', '.join(self.values)})"
        return self.key if self.operator == "Exists" else f"no {self.key}"


def parse_selector(selector: Mapping[str, Any] | None, where: str = "selector") -> tuple[Requirement, ...]:
    """The demands of a LabelSelector; none for None or {}. ConfigError names the place of what cannot be read."""
    if not selector:
        return ()
    equal = [Requirement(key, "In", (_text(value),)) for key, value in (selector.get("matchLabels") or {}).items()]
    expressions = selector.get("matchExpressions") or []
    return (*equal, *(_expression(found, f"{where}: matchExpressions[{index}]")
                      for index, found in enumerate(expressions)))


def _expression(found: Mapping[str, Any], where: str) -> Requirement:
    key, operator = found.get("key"), found.get("operator")
    values = tuple(map(_text, found.get("values") or ()))
    if not key:
        raise ConfigError(f"{where}: add the key")
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        raise ConfigError(f"{where}: operator {operator!r} is not In, NotIn, Exists or DoesNotExist")
    if bool(values) != (operator in ("In", "NotIn")):
        raise ConfigError(f"{where}: operator {operator} goes {'with' if not values else 'without'} values")
    return Requirement(str(key), operator, values)


def parse_topologies(terms: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[Requirement, ...], ...]:
    """A class's allowedTopologies as alternatives, each a list of demands on an array's labels; none when all go.

    The key after "topology.purestorage.com/" is the label's name (the CSI driver's manifests are written so).
    """
    return tuple(
        tuple(Requirement(str(part.get("key", "")).removeprefix(TOPOLOGY_PREFIX), "In",
                          tuple(map(_text, part.get("values") or ())))
              for part in term.get("matchLabelExpressions") or ())
        for term in terms or ())


def unmet(labels: Mapping[str, str], requirements: Sequence[Requirement]) -> str:
    """The demands that labels do not meet, worded; "" when they meet all."""
    return ", ".join(str(wanted) for wanted in requirements if not wanted.holds(labels))


def unmet_topology(labels: Mapping[str, str], terms: Sequence[Sequence[Requirement]]) -> str:
    """"" when one of the alternatives is met, or when there are none; else all of them, worded."""
    if not terms or any(not unmet(labels, term) for term in terms):
        return ""
    return " or ".join(" and ".join(map(str, term)) for term in terms)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
