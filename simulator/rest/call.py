"""One request as the array's parts see it: REST version and parameters, wherever they stood."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from simulator.refusal import Refusal

_WORDS = {"true": True, "false": False}


@dataclass
class Call:
    """Parameters of a FlashArray request, from JSON body and query string alike (array-rest.md 1.4)."""

    version: tuple[int, int]
    params: Mapping[str, Any]
    headers: dict[str, str] = field(default_factory=dict)      # to send with the reply

    def get(self, key: str, default: Any = None) -> Any:
        return self.params.get(key, default)

    def flag(self, key: str) -> bool:
        """A boolean; the string "true" is as good as true."""
        value = self.params.get(key)
        return _WORDS.get(value.lower(), False) if isinstance(value, str) else bool(value)

    def items(self, key: str) -> list[str] | None:
        """A list given as JSON list or comma separated; None when not given."""
        value = self.params.get(key)
        if value is None:
            return None
        if isinstance(value, str):
            return [item.strip() for item in value.split(",") if item.strip()]
        return [str(item) for item in value]

    def needs(self, version: tuple[int, int], key: str) -> None:
        """Refuse a parameter that came with a later REST version (the reaction is unverified)."""
        if key in self.params and self.version < version:
            raise Refusal(f"Unexpected argument: {key}.", key)


def parameters(query: str, body: bytes) -> dict[str, Any]:
    """Merge query string and JSON body; no body, `null`, `{}` and `""` all mean nothing."""
    params: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
    if body and body not in (b"null", b"{}", b'""') and not body.isspace():
        try:
            given = json.loads(body)
        except ValueError:
            raise Refusal("Invalid JSON.", "") from None
        if isinstance(given, dict):
            params.update(given)
        elif given not in (None, ""):
            raise Refusal("Invalid JSON: an object is expected.", "")
    return params
