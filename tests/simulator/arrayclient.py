"""A plain HTTP client for pretend arrays, where `purestorage` cannot say what a test needs to say."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from purestorage import FlashArray, PureHTTPError, purestorage

from simulator import flasharray, flashblade

GiB = 1 << 30
IQN = "iqn.1993-08.org.debian:01:{}".format


class Rest:
    """One HTTP session with one array, logged in when it is made. Answers are (status, JSON or text)."""

    def __init__(self, array: "flasharray.FlashArray | flashblade.FlashBlade", ca: str, version: str = "") -> None:
        self._http = requests.Session()
        self._http.trust_env = False           # or REQUESTS_CA_BUNDLE wins over `verify`
        self._http.verify = ca
        self._base = f"https://{array.endpoint}/api/"
        self.blade = isinstance(array, flashblade.FlashBlade)
        self.version = version or ("1.12" if self.blade else "1.19")
        self.headers: Mapping[str, str] = {}   # of the last answer
        self.login(array.token)

    def login(self, token: str) -> int:
        """Log in with a token; returns the status."""
        if self.blade:
            status, _ = self.raw("POST", "login", headers={"api-token": token})
            if key := self.headers.get("x-auth-token"):
                self._http.headers["x-auth-token"] = key
            return status
        return self.raw("POST", f"{self.version}/auth/session", {"api_token": token})[0]

    def raw(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """A request under /api/; `body` is sent as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        reply = self._http.request(method, self._base + path, data=data, timeout=10, **more)
        self.headers = reply.headers
        is_json = "json" in reply.headers.get("Content-Type", "") and reply.content
        return reply.status_code, reply.json() if is_json else reply.text

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        return self.raw(method, f"{self.version}/{path}", body, **more)

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """A request that must succeed; returns its JSON."""
        status, answer = self.call(method, path, body, **more)
        assert status == 200, f"{method} {path}: {status} {answer}"
        return answer

    def refused(self, method: str, path: str, body: Any = None, **more: Any) -> str:
        """A request that must be refused with 400; returns the text of the refusal."""
        status, answer = self.call(method, path, body, **more)
        assert status == 400, f"{method} {path}: {status} {answer}"
        return str(answer["errors"][0]["message"] if self.blade else answer[0]["msg"])


class _Kept:
    """`requests` as `purestorage` uses it, except that a connection serves more than one call.

    It opens one for each, and reads the CA file for it; that took most of the time of these tests.
    """

    exceptions = requests.exceptions

    def __init__(self) -> None:
        self._http = requests.Session()
        self._http.trust_env = False

    def request(self, method: str, url: str, **more: Any) -> requests.Response:
        self._http.cookies.clear()              # each call brings its own
        return self._http.request(method, url, **more)


purestorage.requests = _Kept()


def connect(array: "flasharray.FlashArray", ca: str, **more: Any) -> FlashArray:
    """`purestorage` 1.19.0 itself, verifying the certificate, with timeouts."""
    return FlashArray(array.endpoint, api_token=array.token, request_kwargs={"verify": ca, "timeout": (5, 10)}, **more)


@contextmanager
def refusal(*parts: str) -> Iterator[None]:
    """The block's `purestorage` call must be refused with 400 and a text that contains one of `parts`."""
    with pytest.raises(PureHTTPError) as caught:
        yield
    assert caught.value.code == 400
    (problem,) = json.loads(caught.value.text)
    assert problem.keys() == {"msg", "ctx"}
    assert not parts or any(part in problem["msg"] for part in parts), problem


def names(rows: Any) -> list[str]:
    return [row["name"] for row in rows]
