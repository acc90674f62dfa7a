"""HTTP as both kinds of pretend array see it: a request taken apart, a reply put together."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")
_JSON = "application/json;charset=UTF-8"


class Request(NamedTuple):
    """One request. `/api/1.19/volume/v?pending=true` has version "1.19", path "volume/v", query "pending=true"."""

    method: str
    version: str                       # "" for paths outside any version: "api_version", "login"
    path: str
    query: str
    headers: Mapping[str, str]         # case-insensitive
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name) or ""


class Reply(NamedTuple):
    """Status, headers and body to send."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def json(cls, body: Any, headers: Mapping[str, str] | None = None, status: int = 200) -> "Reply":
        return cls(status, {"Content-Type": _JSON, **(headers or {})}, json.dumps(body).encode())


def error(status: int, body: Any) -> Reply:
    return Reply.json(body, status=status)


def version_of(text: str) -> tuple[int, int] | None:
    """Read "1.19" as (1, 19)."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def split(target: str) -> tuple[str, str, str]:
    """Take "/api/1.19/volume/v?x=y" apart into version, path, query; the version is "" where there is none."""
    path, _, query = target.partition("?")
    path = path.strip("/").removeprefix("api").lstrip("/")
    first, slash, rest = path.partition("/")
    if first[:1].isdigit():
        return first, rest, query
    return "", path, query
