"""`purestorage` 1.19.0 as it should have been: one pooled connection, a log-in when needed, safe for threads.

The library knows which call is which request; this subclass replaces how requests are sent. As shipped it connects anew
for every call (24 ms of CPU with its default of not verifying, against 0.3 ms here), waits for ever, does I/O in its
constructor, empties its cookie jar when an answer sets no cookie, and may not be shared between threads.

Answers that are no success raise refusals.Declined instead of the library's PureHTTPError, so that whoever words them
need not import the library; no answer raises Unreachable, a token that is not accepted TokenRefused.
"""

import copy
import json
import sys
import threading
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

from requests import Response

from arrays.errors import PureError, Unreachable, Unusable
from arrays.https import Door
from arrays.refusals import Declined


def _import_purestorage() -> Any:
    """Import the library without `distutils`, of which it wants LooseVersion and, replaced as it is here, uses nothing.

    Python 3.12 has no distutils any more, and where setuptools is installed its stand-in takes 100 ms to import.
    """
    names = () if "distutils" in sys.modules else ("distutils", "distutils.version")
    for name in names:
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name])["LooseVersion"] = str
    try:
        from purestorage import purestorage
    finally:
        for name in names:
            sys.modules.pop(name, None)
    return purestorage


_library = _import_purestorage()
_FlashArray: Any = _library.FlashArray

OLDEST = (1, 7)             # every feature used without asking for a version is in REST 1.7
JSON = {"Content-Type": "application/json"}


class _Login(NamedTuple):
    """One log-in; `number` tells it from the one before."""

    number: int
    version: str
    cookie: str


class PurestorageSession(_FlashArray):      # type: ignore[misc]  # the library is not typed
    """The library's FlashArray over a Door."""

    def __init__(self, door: Door, token: str) -> None:
        # Not the library's constructor: it does I/O. These three are what its methods read.
        self._target = door.endpoint
        self._api_token = token
        self._rest_version = ""
        self._door = door
        self._lock = threading.Lock()
        self._login: _Login | None = None
        self._tries = 0                                 # log-ins begun and ended, well or not
        self._failure: PureError | None = None          # how the last of them ended

    def speaks(self, version: str) -> bool:
        """Whether the array's REST is `version` ("1.14") or newer; logs in if nobody did yet."""
        return _number(self._logged_in().version) >= _number(version)

    def close(self) -> None:
        """Close the connections; the array forgets the log-in by itself after half an hour."""
        self._door.close()

    def _request(self, method: str, path: str, data: Any = None, reestablish_session: bool = True) -> Any:
        """Send one of the library's calls; a 401 costs one new log-in, a 450 one new look at the versions."""
        body = json.dumps(data).encode()
        login = self._logged_in()
        answer = self._send(method, path, body, login)
        if answer.status_code in (401, 450):            # neither was carried out: every method may be sent again
            login = self._logged_in(stale=login)
            answer = self._send(method, path, body, login)
        if answer.status_code != 200:
            raise self._declined(answer)
        return self._content(answer)

    def _send(self, method: str, path: str, body: bytes, login: _Login) -> Response:
        answer = self._door.ask(method, f"/api/{login.version}/{path}", body=body,
                                headers={**JSON, "Cookie": login.cookie})
        if answer.status_code == 200 and (cookie := _cookie(answer)):
            self._keep(login, cookie)
        return answer

    def _content(self, answer: Response) -> Any:
        content = _json(answer, self._door.who)
        wrapped = _library.ResponseList(content) if isinstance(content, list) else _library.ResponseDict(content)
        wrapped.headers = answer.headers
        return wrapped

    def _declined(self, answer: Response) -> Declined:
        body = answer.text.replace(self._api_token, "***")      # should an array ever repeat what it was sent
        return Declined(answer.status_code, answer.reason, body)

    # Log-in. One thread does it, the others wait for it and share how it ended.

    def _logged_in(self, stale: _Login | None = None) -> _Login:
        """The log-in to use: a new one when there is none, or when the one there is is `stale`."""
        login = self._login
        if login and not (stale and login.number == stale.number):
            return login
        tries = self._tries
        with self._lock:
            login = self._login
            if login and not (stale and login.number == stale.number):
                return login
            if self._tries != tries and self._failure:
                raise copy.copy(self._failure)
            return self._log_in()

    def _log_in(self) -> _Login:
        self._login, self._failure = None, None
        try:
            version = self._choose_rest_version()
            answer = self._door.ask("POST", f"/api/{version}/auth/session", headers=JSON,
                                    body=json.dumps({"api_token": self._api_token}).encode())
            if answer.status_code != 200:
                raise self._declined(answer).at_login(self._door.who)
            _json(answer, self._door.who)
            self._rest_version = version
            self._login = _Login(self._tries, version, _cookie(answer))
            return self._login
        except PureError as error:
            self._failure = error
            raise
        finally:
            self._tries += 1

    def _keep(self, login: _Login, cookie: str) -> None:
        """Remember a cookie the array refreshed, unless another log-in has taken its place meanwhile."""
        if cookie != login.cookie:
            with self._lock:
                if self._login and self._login.number == login.number:
                    self._login = login._replace(cookie=cookie)

    def _choose_rest_version(self) -> str:
        """The newest version that both the array and the library speak."""
        offered = self._list_available_rest_versions()
        common = [version for version in offered if version in self.supported_rest_versions]
        newest = max(common, key=_number, default="")
        if not newest:
            raise Unusable(self._door.who, f"it offers only REST {_span(offered)}, and this program speaks REST 1.x: use "
                           "a release of Purity that still has REST 1.x, or a driver for REST 2.x")
        if _number(newest) < OLDEST:
            raise Unusable(self._door.who, f"its newest version of REST is {newest}, and 1.7 is needed: upgrade Purity")
        return newest

    def _list_available_rest_versions(self) -> list[str]:
        answer = self._door.ask("GET", "/api/api_version", headers=JSON)
        if answer.status_code != 200:
            raise self._declined(answer).error(self._door.who, "tell", "the versions of REST it offers")
        content = _json(answer, self._door.who)
        if isinstance(content, dict) and isinstance(content.get("version"), list):
            return [str(version) for version in content["version"]]
        if isinstance(content, dict) and "versions" in content:
            raise Unusable(self._door.who, "it is a FlashBlade: list it under FlashBlades in pure.json")
        raise Unreachable(self._door.who, "it does not tell its versions of REST: is this an array's management "
                          "address?")

    def _start_session(self) -> None:
        """Log in anew; the library's callers expect this name."""
        self._logged_in(stale=self._login)


def _json(answer: Response, who: str) -> Any:
    """The content of a success; anything but JSON means that something else than an array answered."""
    kind = answer.headers.get("Content-Type", "")
    if "application/json" in kind:
        try:
            return json.loads(answer.content)
        except ValueError:
            raise Unreachable(who, "it answered with malformed JSON") from None
    raise Unreachable(who, f"it answered with {kind.partition(';')[0] or 'nothing'} instead of JSON: is a proxy or another "
                      "machine at this address?")


def _cookie(answer: Response) -> str:
    """What to send back: "session=abc" after "Set-Cookie: session=abc; Path=/; Secure"; "" when none was set."""
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in answer.cookies)


def _number(version: str) -> tuple[int, ...]:
    """(1, 14) of "1.14", so that versions compare as numbers."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _span(versions: Iterable[str]) -> str:
    found = sorted(versions, key=_number)
    return " to ".join(dict.fromkeys((found[0], found[-1]))) if found else "nothing"
