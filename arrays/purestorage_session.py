"""`purestorage` 1.19.0 as it should have been: one pooled connection, a log-in when needed, safe for threads.

The library knows which call is which request; this subclass replaces how requests are sent. As shipped it connects anew
for every call (24 ms of CPU with its default of not verifying, against 0.15 ms here), waits for ever, does I/O in its
constructor, empties its cookie jar when an answer sets no cookie, and may not be shared between threads.

Answers that are no success raise refusals.Declined instead of the library's PureHTTPError, so that whoever words them
need not import the library; no answer raises Unreachable, a token that is not accepted TokenRefused.
"""

import builtins
import json
import sys
from importlib.machinery import PathFinder
from types import ModuleType

from arrays.errors import Unreachable, Unusable
from arrays.https import Answer, Door, content
from arrays.login import Login, Logins, newest, number
from arrays.refusals import Declined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _load_purestorage() -> "dict[str, Any]":
    """The library's names, loaded without what it imports for sending requests, which is done here in another way.

    It wants `requests`, which takes a call-out of the driver longer than all else together, and LooseVersion of
    `distutils`, which Python 3.12 no longer has and of which setuptools' stand-in takes 100 ms. This copy of it, and
    nobody else, gets empty modules for them: whoever says `import purestorage` has the library as it is.
    """
    empty = {name: ModuleType(name) for name in ("requests", "distutils.version")}
    vars(empty["distutils.version"])["LooseVersion"] = str

    def import_for_it(name: str, *rest: "Any") -> "Any":
        return empty.get(name) or __import__(name, *rest)

    module = PathFinder.find_spec("purestorage.purestorage", [f"{place}/purestorage" for place in sys.path])
    if module is None or module.loader is None:
        raise ImportError("purestorage is not installed", name="purestorage")
    names: "dict[str, Any]" = {"__name__": f"{__name__}.library",
                               "__builtins__": {**vars(builtins), "__import__": import_for_it}}
    exec(module.loader.get_code(module.name), names)        # type: ignore[attr-defined]  # all file loaders have it
    return names


_library = _load_purestorage()
_FlashArray: "Any" = _library["FlashArray"]

OLDEST = "1.7"              # every feature used without asking for a version is in REST 1.7
JSON = {"Content-Type": "application/json"}


class PurestorageSession(_FlashArray):      # type: ignore[misc]  # the library is not typed
    """The library's FlashArray over a Door."""

    def __init__(self, door: Door, token: str) -> None:
        # Not the library's constructor: it does I/O. These two are what its methods read.
        self._target = door.endpoint
        self._api_token = token
        self._door = door
        self._logins = Logins(self._log_in)

    def speaks(self, version: str) -> bool:
        """Whether the array's REST is `version` ("1.14") or newer; logs in if nobody did yet."""
        return number(self.get_rest_version()) >= number(version)

    def get_rest_version(self) -> str:
        """The version of REST in use."""
        return self._logins.current().version

    def close(self) -> None:
        """Close the connections; the array forgets the log-in by itself after half an hour."""
        self._door.close()

    def _request(self, method: str, path: str, data: "Any" = None, reestablish_session: bool = True) -> "Any":
        """Send one of the library's calls; a 401 costs a new log-in, a 450 the same with a look at the versions."""
        body = json.dumps(data).encode()
        login = self._logins.current()
        answer = self._send(method, path, body, login)
        if answer.status in (401, 450):            # neither was carried out: every method may be sent again
            login = self._logins.current(stale=login)
            answer = self._send(method, path, body, login)
        if answer.status != 200:
            raise self._declined(answer)
        found = content(answer, self._door.who)
        wrapped = _library["ResponseList"](found) if isinstance(found, list) else _library["ResponseDict"](found)
        wrapped.headers = answer.headers
        return wrapped

    def _send(self, method: str, path: str, body: bytes, login: Login) -> Answer:
        answer = self._door.ask(method, f"/api/{login.version}/{path}", body=body,
                                headers={**JSON, "Cookie": login.secret})
        if answer.status == 200 and (cookie := answer.cookie):
            self._logins.refresh(login, cookie)
        return answer

    def _log_in(self) -> tuple[str, str]:
        version = newest(self._door.who, self._list_available_rest_versions(), self.supported_rest_versions, OLDEST)
        answer = self._door.ask("POST", f"/api/{version}/auth/session", headers=JSON,
                                body=json.dumps({"api_token": self._api_token}).encode())
        if answer.status != 200:
            raise self._declined(answer).at_login(self._door.who)
        content(answer, self._door.who)
        return version, answer.cookie

    def _list_available_rest_versions(self) -> list[str]:
        answer = self._door.ask("GET", "/api/api_version", headers=JSON)
        if answer.status != 200:
            raise self._declined(answer).error(self._door.who, "tell", "the versions of REST it offers")
        found = content(answer, self._door.who)
        if isinstance(found, dict) and isinstance(found.get("version"), list):
            return [str(version) for version in found["version"]]
        if isinstance(found, dict) and "versions" in found:
            raise Unusable(self._door.who, "it is a FlashBlade: list it under FlashBlades in pure.json")
        raise Unreachable(self._door.who, "it does not tell its versions of REST: is this its management address?")

    def _declined(self, answer: Answer) -> Declined:
        body = answer.text.replace(self._api_token, "***")      # should an array ever repeat what it was sent
        return Declined(answer.status, answer.reason, body)
