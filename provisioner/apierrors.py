"""What the Kubernetes API says instead of doing: HTTP status and Status object -> errors of our tree. Pure.

    Refused
    └─ ApiRefused           any other 4xx                                                        retry = False
       ├─ Malformed           400, 422: the same body will never be taken                        retry = False
       ├─ NotThere            404
       ├─ Conflict            409: it exists already, or it changed meanwhile                    retry = True
       ├─ Gone                410: that part of the history is no longer kept                    retry = True
       └─ Forbidden           403: the role lacks a verb; somebody may add it                    retry = True
    Unreachable             no answer, 401, 429 and 5xx: the same request may succeed later      retry = True
"""

import json
from collections.abc import Mapping
from typing import Any

from arrays.errors import PureError, Refused, Unreachable

WHO = "the Kubernetes API"


class ApiRefused(Refused):
    """The API said no; `status` is HTTP's, `reason` the machine's word ("AlreadyExists")."""

    def __init__(self, what: str, status: int, reason: str = "", text: str = "") -> None:
        super().__init__(WHO, what, text)
        self.status = status
        self.reason = reason


class Malformed(ApiRefused):
    """What was sent is not valid, and will not become so."""


class NotThere(ApiRefused):
    """The object does not exist."""


class Conflict(ApiRefused):
    """The object exists already, or is not the version that was to be changed."""

    retry = True


class Gone(ApiRefused):
    """The resourceVersion asked for is too old: list again."""

    retry = True


class Forbidden(ApiRefused):
    """Our role does not allow it."""

    retry = True


_BY_STATUS: Mapping[int, type[ApiRefused]] = {400: Malformed, 403: Forbidden, 404: NotThere, 409: Conflict,
                                              410: Gone, 422: Malformed}


def failure(status: int, body: bytes, what: str) -> PureError:
    """The error that an answer with `status` stands for; `what` is what was to be done: "create persistentvolumes"."""
    said = _status_object(body)
    text = str(said.get("message") or body[:200].decode("utf-8", "replace")).strip()
    if status in (401, 429) or status >= 500:
        return Unreachable(WHO, f"{what}: HTTP {status}: {text}")
    return _BY_STATUS.get(status, ApiRefused)(what, status, str(said.get("reason") or ""), text)


def failure_in_watch(status: Mapping[str, Any], what: str) -> PureError:
    """The error of an ERROR event; its object is a Status with the code that HTTP would have had."""
    return failure(int(status.get("code") or 500), json.dumps(dict(status)).encode(), what)


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
