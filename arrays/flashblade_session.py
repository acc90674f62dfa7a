"""FlashBlade REST 1.x on the wire: log-in, paging, answers turned into items or errors.

Speaks REST 1.3 to 1.12 (Purity//FB 2.x to 3.2) as PureStorage-OpenConnect/swagger, html/models/FB1.N, describes it:
`POST /api/login` with the token answers with the header x-auth-token, which later requests carry; parameters are in the
query, bodies are JSON, lists come as {"items": […], "pagination_info": {"continuation_token": …}}.
"""

import json
from collections.abc import Mapping

from arrays.errors import Unreachable, Unusable
from arrays.https import Answer, Door, content
from arrays.login import Login, Logins, newest, number
from arrays.refusals import Declined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPOKEN = tuple(f"1.{minor}" for minor in range(13))
OLDEST = "1.3"              # the first that tells name and space of the array
JSON = {"Content-Type": "application/json"}


class FlashBladeSession:
    """The calls of REST 1.x on one FlashBlade; safe for threads, and nothing is sent before the first."""

    def __init__(self, door: Door, token: str) -> None:
        self._door = door
        self._token = token
        self._logins = Logins(self._log_in)

    def speaks(self, version: str) -> bool:
        """Whether the array's REST is `version` ("1.6") or newer; logs in if nobody did yet."""
        return number(self._logins.current().version) >= number(version)

    def items(self, path: str, params: Mapping[str, str] | None = None) -> "list[Any]":
        """All items of a list, page by page until none is said to follow; an empty one may stand before others."""
        found: "list[Any]" = []
        page, known = dict(params or {}), set()
        while True:
            answer = self.call("GET", path, page)
            if not (isinstance(answer, dict) and isinstance(answer.get("items"), list)):
                raise Unreachable(self._door.who, f"it answered without the list of {path} that it was asked for")
            found += answer["items"]
            following = (answer.get("pagination_info") or {}).get("continuation_token")
            if not following:
                return found
            if following in known:
                raise Unreachable(self._door.who, f"its list of {path} has no end: it told of the same page again")
            known.add(following)
            page["token"] = following

    def call(self, method: str, path: str, params: Mapping[str, str], body: "Mapping[str, Any] | None" = None) -> "Any":
        """Send one request and return the object it is answered with ({} for none); a refusal raises Declined.

        An expired log-in is a 401 or, on some releases, a 403, a withdrawn version of REST a 450; none of them was
        carried out, so after a new log-in the request is sent once more.
        """
        data = json.dumps(body).encode() if body is not None else b""
        login = self._logins.current()
        answer = self._send(method, path, params, data, login)
        if answer.status in (401, 403, 450):
            login = self._logins.current(stale=login)
            answer = self._send(method, path, params, data, login)
        if answer.status != 200:
            raise self._declined(answer)
        return content(answer, self._door.who) if answer.body.strip() else {}

    def close(self) -> None:
        """Close the connections; the array forgets the log-in by itself after half an hour."""
        self._door.close()

    def _send(self, method: str, path: str, params: Mapping[str, str], data: bytes, login: Login) -> Answer:
        return self._door.ask(method, f"/api/{login.version}/{path}", params=params, body=data,
                              headers={**JSON, "x-auth-token": login.secret})

    def _log_in(self) -> tuple[str, str]:
        version = newest(self._door.who, self._versions(), SPOKEN, OLDEST)
        answer = self._door.ask("POST", "/api/login", headers={"api-token": self._token})
        if answer.status != 200:
            raise self._declined(answer).at_login(self._door.who)
        secret = answer.headers.get("x-auth-token", "")
        if not secret:
            raise Unreachable(self._door.who, "it logs in without giving a session: is this its management address?")
        return version, secret

    def _versions(self) -> list[str]:
        answer = self._door.ask("GET", "/api/api_version")
        if answer.status != 200:
            raise self._declined(answer).error(self._door.who, "tell", "the versions of REST it offers")
        found = content(answer, self._door.who)
        if isinstance(found, dict) and isinstance(found.get("versions"), list):
            return [str(version) for version in found["versions"]]
        if isinstance(found, dict) and "version" in found:
            raise Unusable(self._door.who, "it is a FlashArray: list it under FlashArrays in pure.json")
        raise Unreachable(self._door.who, "it does not tell its versions of REST: is this its management address?")

    def _declined(self, answer: Answer) -> Declined:
        body = answer.text.replace(self._token, "***")      # should an array ever repeat what it was sent
        return Declined(answer.status, answer.reason, body)
