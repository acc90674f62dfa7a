"""What all lists of a FlashArray share: filtering by `names` with wildcards, and paging."""

import re
from collections.abc import Sequence
from typing import Any

from simulator.refusal import Refusal
from simulator.rest.call import Call


def wanted(call: Call, names: Sequence[str], what: str, *, unknown_fails: bool) -> set[str] | None:
    """The lower-cased members of `names` that the call asks for; None when it asks for all.

    A wildcard without a match is no error; an exact unknown name is one if `unknown_fails`.
    """
    patterns = call.items("names")
    if patterns is None:
        return None
    have = {name.lower() for name in names}
    found: set[str] = set()
    for pattern in patterns:
        matching = _matching(pattern.lower(), have)
        if not matching and "*" not in pattern and unknown_fails:
            raise Refusal(f"{what} does not exist.", pattern)
        found |= matching
    return found


def _matching(pattern: str, have: set[str]) -> set[str]:
    if "*" not in pattern:
        return {pattern} & have
    match = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch
    return {name for name in have if match(name)}


def page(call: Call, rows: list[Any]) -> list[Any]:
    """Cut `rows` to the page asked for with `start`, `limit` and `token` (from REST 1.7); sets the headers.

    The token is the position of the next page, good as long as the list does not change.
    """
    if not call.params.keys() & {"start", "limit", "token"}:
        return rows
    call.headers["x-total-item-count"] = str(len(rows))
    token = call.get("token")
    start = _number(call, "start", 0) if not token else _token(token)
    limit = _number(call, "limit", len(rows))
    found = rows[start:start + limit]
    if found and "limit" in call.params:
        # Also on the last page: `page_through` of purestorage 1.19.0 ends at an empty page and at nothing else.
        call.headers["x-next-token"] = f"{start + len(found):08x}"
    return found


def _number(call: Call, key: str, default: int) -> int:
    value = call.get(key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise Refusal(f"Invalid {key}.", key)
    return number


def _token(token: object) -> int:
    try:
        return int(str(token), 16)
    except ValueError:
        raise Refusal("Invalid token.", "token") from None
