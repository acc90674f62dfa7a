"""Who asks: the bearer token of a request, or the person at this machine. Holds no token.

A browser that was given none asks for it by itself (HTTP Basic: any name, the token as password) and keeps it in its
memory only; no page, cookie or address ever has it.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Protocol

from explorer.rights import Reviewer, Rights


class Headers(Protocol):
    """Of a request; names in any case."""

    def get(self, name: str, default: str) -> str: ...


Caller = Callable[[Headers], Rights | None]         # None: no token was sent

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
CHALLENGE = 'Basic realm="pure-explorer: any name, your Kubernetes token as password", charset="UTF-8"'


def token_of(header: str) -> str:
    """The token of an Authorization header, Bearer or Basic; "" when there is none that can be read."""
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        token = value.strip()
    elif kind.lower() == "basic":
        try:
            token = base64.b64decode(value, validate=True).decode("ascii").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    else:
        return ""
    return token if token.isascii() and token.isprintable() and " " not in token else ""


def by_token(reviewer: Reviewer) -> Caller:
    """Callers of a server for many: each by his own token."""
    def who(headers: Headers) -> Rights | None:
        token = token_of(headers.get("Authorization", ""))
        return reviewer.rights(token) if token else None
    return who


def at_this_machine(rights: Rights) -> Caller:
    """The one caller of `pure explore`."""
    return lambda headers: rights
