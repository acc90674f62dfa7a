"""The node that the scheduler chose for a claim's pod, as far as it says which arrays are near it, or reachable at all.

A node's label `topology.purestorage.com/rack` stands beside an array's label `rack`: where both are there and differ, the
array is farther away than one that agrees (preferred). The labels that PURE_PV_NODE_AFFINITY names are more: an array is
taken for reachable only from nodes with the same value, PVs say so in nodeAffinity, and a node that has another value, or
is gone, is given back to the scheduler. The published chart's role may not read nodes; without it only PVs say so.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from arrays.errors import PureError
from provisioner.apierrors import Forbidden, NotThere
from provisioner.kube import NODES, Kube, named
from provisioner.labels import Keys, valid_labels
from provisioner.selectors import TOPOLOGY_PREFIX

log = logging.getLogger(__name__)

_REMEMBERED, _AGE = 1024, 60.0      # nodes; seconds: labels of nodes hardly change
_FORBIDDEN = 600.0                  # seconds until it is tried again: an API server that starts refuses everybody


class NodeGone(PureError):
    """The chosen node is not there any more; the scheduler has to choose anew."""

    retry = True

    def __str__(self) -> str:
        return f"node {self.args[0]}, which the scheduler chose, is gone: it is given back to the scheduler"


class Node(NamedTuple):
    """The chosen node, and which labels of arrays bind (`keys`)."""

    name: str
    labels: Mapping[str, str]
    keys: Keys

    def refusal(self, array: Mapping[str, str]) -> str:
        """Why volumes of an array with these labels cannot be used on the node, "" when they can."""
        unmet = [f"{key}={value} is needed, and the node has {_told(key, self.labels)}"
                 for key, value in _binding(array, self.keys).items() if self.labels.get(key) != value]
        return f"cannot be reached from node {self.name}: {', '.join(unmet)}" if unmet else ""

    def away(self, array: Mapping[str, str]) -> str:
        """By which labels an array is farther from the node than others, "" when by none."""
        return ", ".join(f"{label} {value}, node {self.name} {near}" for label, value in array.items()
                         if (near := self.labels.get(TOPOLOGY_PREFIX + label, value)) != value)


def _told(key: str, labels: Mapping[str, str]) -> str:
    return labels[key] if key in labels else "none"


def _binding(array: Mapping[str, str], keys: Keys) -> dict[str, str]:
    """The labels that a node must have for an array with these."""
    return valid_labels({key: array[label] for label, key in keys if label in array})


def affinity(array: Mapping[str, str], keys: Keys) -> dict[str, Any] | None:
    """nodeAffinity of a PV on an array with these labels; None when none of them binds."""
    found = _binding(array, keys)
    if not found:
        return None
    terms = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(found.items())]
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": terms}]}}


class Nodes:
    """Looks nodes up, one request for each a minute at the most. Safe for threads."""

    def __init__(self, kube: Kube, keys: Keys = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self.keys, self._clock = kube, keys, clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Mapping[str, str]]] = OrderedDict()
        self._forbidden_at = float("-inf")

    def look(self, name: str) -> Node | None:
        """The node; None when nothing is known of it. NodeGone when it is not there and its labels bind."""
        labels = self._labels(name)
        return None if labels is None else Node(name, labels, self.keys)

    def _labels(self, name: str) -> Mapping[str, str] | None:
        with self._lock:
            read_at, labels = self._known.get(name, (float("-inf"), {}))
        if self._clock() - read_at < _AGE:
            return labels
        if self._clock() - self._forbidden_at < _FORBIDDEN:
            return None
        try:
            labels = self._kube.get(named(NODES, name))["metadata"].get("labels") or {}
        except NotThere:
            if self.keys:
                raise NodeGone(name) from None
            return None
        except Forbidden as error:
            self._forbidden_at = self._clock()
            log.info("nodes are not looked at: %s", error)
            return None
        with self._lock:
            self._known[name] = self._clock(), labels
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return labels
