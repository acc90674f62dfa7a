"""One array's HTTPS door: a pooled requests.Session, the entry's choice of certificates, a limit on every wait.

requests as it comes would load all public authorities for each connection even when told not to look at certificates
(17 ms), warn about that on stderr, which belongs to kubelet, take proxies and CA files from the environment, and spend
0.54 ms of CPU on a call. The transport adapter here hands a bare request to one urllib3 pool instead: 0.25 ms, one TLS
context per array, no warning.

Management addresses are spoken to directly: HTTPS_PROXY, ALL_PROXY, REQUESTS_CA_BUNDLE, .netrc and the like are not
looked at, as if NO_PROXY named every array. What the entry in pure.json says is what happens.

Speaks HTTP/1.1 through requests 2.31 or later and urllib3 1.26 or later.
"""

import errno
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, ReadTimeoutError,
                                SSLError)

from arrays.errors import Unreachable, Unusable

CONNECTIONS = 32            # at one time to one array; a further thread waits for a free one
PAUSE = 0.25                # seconds before the one repeat of a safe call
USER_AGENT = "pure-flex"


class Door:
    """The way to one array; safe for threads. Nothing is opened before the first `ask`.

    `who` ("FlashArray 1.2.3.4") begins every error. Times are in seconds: to connect, and for each piece of an answer.
    """

    def __init__(self, who: str, endpoint: str, verify: bool | str, connect_timeout: float,
                 read_timeout: float) -> None:
        self.who = who
        self.endpoint = endpoint
        self._verify = verify
        self._timeouts = (connect_timeout, read_timeout)
        self._lock = threading.Lock()
        self._session: requests.Session | None = None

    def ask(self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None,
            params: Mapping[str, str] | None = None) -> requests.Response:
        """Send one request and return the answer, whatever its status; Unreachable when there is none.

        GET changes nothing, so one that got a 5xx or lost its connection is sent once more; after a wait that used up
        its time, and for every other method, the caller decides.
        """
        try:
            answer = self._send(method, path, body, headers, params)
            if answer.status_code < 500 or method != "GET":
                return answer
        except Unreachable as error:
            if method != "GET" or not _is_lost(error.__cause__):
                raise
        time.sleep(PAUSE)
        return self._send(method, path, body, headers, params)

    def close(self) -> None:
        """Close all connections; a later `ask` opens new ones."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None,
              params: Mapping[str, str] | None) -> requests.Response:
        request = _bare_request(method, f"https://{self.endpoint}{path}", body, headers, params)
        try:
            return self._opened().send(request, timeout=self._timeouts, allow_redirects=False)
        except HTTPError as error:
            if isinstance(error, SSLError):
                self.close()            # the CA file may be put right meanwhile: read it anew next time
            raise Unreachable(self.who, _why(error, self.endpoint, *self._timeouts)) from error

    def _opened(self) -> requests.Session:
        session = self._session
        if session is None:
            with self._lock:
                session = self._session = self._session or self._new_session()
        return session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _Adapter(self.endpoint, self._context()))
        return session

    def _context(self) -> ssl.SSLContext:
        if not self._verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        authorities = self._verify if isinstance(self._verify, str) else DEFAULT_CA_BUNDLE_PATH
        try:
            return ssl.create_default_context(cafile=authorities)
        except (OSError, ValueError) as error:      # ssl.SSLError is an OSError: a file without a certificate
            reason = getattr(error, "strerror", None) or error
            raise Unusable(self.who, f"VerifyTLS in pure.json names {authorities}, which cannot be read as a file of "
                           f"certificates: {reason}") from None


def content(answer: requests.Response, who: str) -> Any:
    """What a success says; Unreachable unless that is JSON, for then something else than an array answered."""
    kind = answer.headers.get("Content-Type", "")
    if "application/json" not in kind:
        raise Unreachable(who, f"it answered with {kind.partition(';')[0] or 'nothing'} instead of JSON: is a proxy or "
                          "another machine at this address?")
    try:
        return json.loads(answer.content)
    except ValueError:
        raise Unreachable(who, "it answered with malformed JSON") from None


class _Connection(HTTPSConnection):
    """Not looking at certificates is what the entry says, so urllib3 need not warn of it at every connection."""

    def connect(self) -> None:
        super().connect()
        self.is_verified = True


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(BaseAdapter):
    """Carries requests of one session through one urllib3 pool; its errors are urllib3's."""

    def __init__(self, endpoint: str, context: ssl.SSLContext) -> None:
        super().__init__()
        parts = urllib3.util.parse_url(f"https://{endpoint}")
        self._pool = _Pool(parts.host or "", parts.port or 443, maxsize=CONNECTIONS, block=True, ssl_context=context)

    def send(self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None,
             verify: Any = None, cert: Any = None, proxies: Any = None) -> requests.Response:
        connect, read = timeout
        reply = self._pool.urlopen(request.method or "", request.path_url, body=request.body, headers=request.headers,
                                   retries=False, redirect=False, assert_same_host=False,
                                   timeout=urllib3.Timeout(connect=connect, read=read))
        return _response(request, reply)

    def close(self) -> None:
        self._pool.close()


def _bare_request(method: str, url: str, body: bytes, headers: Mapping[str, str] | None,
                  params: Mapping[str, str] | None) -> requests.PreparedRequest:
    """A request with nothing in it but what is given: preparing one in the usual way costs more than sending it."""
    request = requests.PreparedRequest()
    if params:
        request.prepare_url(url, params)
    else:
        request.url = url
    request.method = method
    request.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT, **(headers or {})})
    request.body = body
    return request


def _response(request: requests.PreparedRequest, reply: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = reply.status
    response.reason = reply.reason or ""
    response.headers = CaseInsensitiveDict(reply.headers)
    response.encoding = "utf-8"
    response.url = request.url or ""
    for line in reply.headers.getlist("Set-Cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        response.cookies.set(name.strip(), value.strip())
    response.request = request
    response._content = reply.data      # read already, so that the connection is free again
    return response


def _is_lost(error: object) -> bool:
    """Whether the connection could not be made or broke off, so that a new one may do better."""
    return isinstance(error, (NewConnectionError, ProtocolError))


def _why(error: HTTPError, endpoint: str, connect_timeout: float, read_timeout: float) -> str:
    """What an operator should know about a request that got no answer."""
    if isinstance(error, NewConnectionError):       # in urllib3 1.26 also a ConnectTimeoutError: so it comes first
        return _why_not_connected(error, endpoint)
    if isinstance(error, ConnectTimeoutError):
        return f"no connection to {endpoint} in {connect_timeout:g} s: check the management network"
    if isinstance(error, ReadTimeoutError):
        return f"no answer in {read_timeout:g} s"
    if isinstance(error, SSLError):
        return _why_no_tls(error, endpoint)
    if isinstance(error, ProtocolError):
        return "the connection broke off before the whole answer was there"
    return f"{type(error).__name__}: {error}"


def _why_not_connected(error: HTTPError, endpoint: str) -> str:
    cause = error.__cause__ or error.__context__
    number = getattr(cause, "errno", None)
    if number == errno.ECONNREFUSED:
        return f"{endpoint} refuses connections: is that the management address, and is the array up?"
    if type(cause).__name__ == "gaierror":
        return f"the name {endpoint} cannot be resolved: check MgmtEndPoint in pure.json and this machine's DNS"
    return f"no connection to {endpoint}: {getattr(cause, 'strerror', None) or error}"


def _why_no_tls(error: HTTPError, endpoint: str) -> str:
    cause = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (f"the certificate of {endpoint} is not accepted ({cause.verify_message}): let VerifyTLS in pure.json "
                "name the CA file it was signed with")
    return f"no TLS with {endpoint}: {getattr(cause, 'reason', None) or cause}"
