"""Labels of arrays, as Kubernetes takes them. Pure."""

import re
from collections.abc import Mapping

Keys = tuple[tuple[str, str], ...]  # labels of arrays that nodes must have too: (array's label, node's label)

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NOT_IN_VALUES = re.compile(r"[^A-Za-z0-9._-]")
_ENDS = "._-"


def valid_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """An array's labels as the API takes them, so that the PV meets its own claim's selector.

    A character no value may have becomes "-"; a key the API would refuse is left out.
    """
    return {key: _value(value) for key, value in labels.items() if is_key(key)}


def is_key(key: str) -> bool:
    """Whether the API takes it for a label's name: "rack", "example.com/rack"."""
    domain, slash, name = key.rpartition("/")
    return bool(_NAME.fullmatch(name)) and (not slash or bool(_DOMAIN.fullmatch(domain)))


def _value(value: str) -> str:
    return _NOT_IN_VALUES.sub("-", value)[:63].strip(_ENDS)
