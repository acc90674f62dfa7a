"""The only door to the Kubernetes API: raw JSON over one kept-alive connection per thread, every call with a time-out.

Speaks to Kubernetes 1.6 and later. The `kubernetes` package reads kubeconfig files and nothing else: its typed models
cost three times the time and fourteen times the memory of raw JSON (reference: bench row "list cost").

What is retried here, and only this: a kept connection that the server had closed (every request of ours may be
repeated: objects have fixed names, changes carry a resourceVersion), a 401 with the token read again, and a 429 after
the time the server asked for. Everything else is the caller's, who has a queue.
"""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from arrays.errors import ConfigError, Unreachable
from provisioner.apierrors import WHO, failure
from provisioner.objects import Raw

log = logging.getLogger(__name__)

PVS = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NODES = "/api/v1/nodes"

MERGE_PATCH = "application/merge-patch+json"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_TOKEN_AGE = 60.0           # seconds; bound tokens are renewed long before they end (kubelet: at 80 % of an hour)
_LONGEST_WAIT = 30.0        # seconds that Retry-After may hold a caller
_CHUNK = 1 << 16
_MOST_WARNED = 100          # paths remembered for a warning: a path with a PV's name comes once in a PV's life


def named(collection: str, name: str) -> str:
    """The path of one object: named(PVS, "pvc-1")."""
    return f"{collection}/{quote(name, safe='')}"


def in_namespace(namespace: str, plural: str, name: str = "") -> str:
    """The path of a namespace's core objects, or of one of them: in_namespace("ns", "persistentvolumeclaims", "c")."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{plural}"
    return named(path, name) if name else path


class Access(NamedTuple):
    """Where the API is and how to be let in. `token(True)` reads it again; "" when a client certificate does it."""

    url: str                                # "https://203.0.113.1:443", with a path behind some proxies
    context: ssl.SSLContext | None          # None for http://
    token: Callable[[bool], str]


def in_cluster(host: str, port: str, account: Path = SERVICE_ACCOUNT) -> Access:
    """Access with a pod's service account. ConfigError when its files are not there."""
    ca, token = account / "ca.crt", account / "token"
    if not (ca.is_file() and token.is_file()):
        raise ConfigError(f"{account} has no ca.crt and token: run in a pod with a service account, or set KUBECONFIG")
    return Access(f"https://{f'[{host}]' if ':' in host else host}:{port}", ssl.create_default_context(cafile=ca),
                  token_file(token))


def from_kubeconfig(path: str) -> Access:
    """Access as kubectl would have it, from the current context of a kubeconfig file."""
    from kubernetes import client, config       # 0.2 s and 15 MB that a pod need not pay
    found = client.Configuration()
    try:
        config.load_kube_config(path, client_configuration=found)      # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None

    def token() -> str:
        if found.refresh_api_key_hook is not None:
            found.refresh_api_key_hook(found)
        value = found.api_key.get("BearerToken") or found.api_key.get("authorization") or ""
        return str(value).partition(" ")[2] or str(value)

    return Access(found.host, _context(found), Token(token))


def _context(found: Any) -> ssl.SSLContext | None:
    if not found.host.startswith("https://"):
        return None
    context = ssl.create_default_context(cafile=found.ssl_ca_cert)
    if not found.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if found.cert_file:
        context.load_cert_chain(found.cert_file, found.key_file)
    return context


class Token:
    """A bearer token, read again every minute because whoever issued it renews it: kubelet, or a plugin of kubectl's.

    Not for each request: asking the `kubernetes` package for it costs 0.1 ms. `read` gives "" when it cannot be had.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._read_at = float("-inf")
        self._token = ""

    def __call__(self, fresh: bool) -> str:
        """The token; `fresh` after a 401."""
        now = time.monotonic()
        if fresh or now - self._read_at > _TOKEN_AGE:
            self._token = self._read() or self._token       # the old one may still be good
            self._read_at = now
        return self._token


def token_file(path: Path) -> Token:
    """A service account's token."""
    def read() -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            log.warning("token file %s cannot be read: %s", path, error)
            return ""

    return Token(read)


class Kube:
    """A client for any number of threads; each keeps one connection."""

    def __init__(self, access: Access, *, agent: str = "pure-provisioner", connect_timeout: float = 5.0,
                 read_timeout: float = 30.0, pace: Callable[[], None] | None = None) -> None:
        parts = urlsplit(access.url)
        self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._access = access
        self._agent = agent
        self._connect_timeout, self._read_timeout = connect_timeout, read_timeout
        self._pace = pace                               # called before each request; may wait
        self._mine = threading.local()
        self._not_before = 0.0                          # monotonic; set by a 429
        self.warned: set[str] = set()                   # paths whose use the server warned of ("deprecated in …")

    # Verbs

    def get(self, path: str, timeout: float | None = None) -> Raw:
        return self._call("GET", path, timeout=timeout)

    def list_page(self, path: str, limit: int = 0, token: str = "") -> Raw:
        """One page of a list; servers before 1.9 ignore `limit` and give all."""
        wanted = {"limit": limit, "continue": token}
        return self._call("GET", with_query(path, {key: value for key, value in wanted.items() if value}))

    def create(self, path: str, body: Raw, timeout: float | None = None) -> Raw:
        return self._call("POST", path, body, timeout=timeout)

    def replace(self, path: str, body: Raw, timeout: float | None = None) -> Raw:
        return self._call("PUT", path, body, timeout=timeout)

    def merge(self, path: str, body: Raw) -> Raw:
        """PATCH as RFC 7386: null removes, lists are replaced; put metadata.resourceVersion in to make it a test."""
        return self._call("PATCH", path, body, MERGE_PATCH)

    def delete(self, path: str, uid: str) -> Raw:
        """DELETE, only if it still is the object with this uid."""
        return self._call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}})

    def watch(self, path: str, query: Mapping[str, Any], read_timeout: float) -> Iterator[list[bytes]]:
        """Lines of a watch as they come, several at a time; Unreachable after `read_timeout` seconds of silence.

        Ends when the server ends it. Uses a connection of its own.
        """
        path = with_query(path, query)
        connection = self._connect()
        try:
            response = self._exchange(connection, "GET", path, None, "", read_timeout, False)
            if response.status == 401:
                response.read()
                response = self._exchange(connection, "GET", path, None, "", read_timeout, True)
            if response.status != 200:
                raise failure(response.status, response.read(), f"GET {path}")
            yield from _lines(response)
        except (OSError, HTTPException) as error:
            raise Unreachable(WHO, f"watch {path.partition('?')[0]}: {_worded(error)}") from None
        finally:
            connection.close()

    # One request

    def _call(self, method: str, path: str, body: Raw | None = None, content_type: str = "application/json",
              timeout: float | None = None) -> Raw:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        fresh_token, waited = False, 0.0
        while True:
            status, answer, retry_after = self._send(method, path, data, content_type, timeout, fresh_token)
            if status < 300:
                return _parsed(answer, method, path)
            if status == 401 and not fresh_token:
                fresh_token = True
            elif status == 429 and waited + retry_after <= _LONGEST_WAIT:
                waited += retry_after
                self._not_before = max(self._not_before, time.monotonic() + retry_after)
            else:
                raise failure(status, answer, f"{method} {path.partition('?')[0]}")

    def _send(self, method: str, path: str, data: bytes | None, content_type: str, timeout: float | None,
              fresh_token: bool) -> tuple[int, bytes, float]:
        """Status, body and Retry-After of one request; a kept connection found closed is opened again once."""
        self._wait_for_turn()
        while True:
            connection, kept = self._connection()
            try:
                response = self._exchange(connection, method, path, data, content_type,
                                          timeout or self._read_timeout, fresh_token)
                answer = response.read()
                if response.getheader("Warning") and len(self.warned) < _MOST_WARNED:
                    self.warned.add(path)
                return response.status, answer, _seconds(response.getheader("Retry-After"))
            except (OSError, HTTPException) as error:
                connection.close()
                self._mine.connection = None
                if not kept or isinstance(error, TimeoutError):
                    raise Unreachable(WHO, f"{method} {path.partition('?')[0]}: {_worded(error)}") from None

    def _exchange(self, connection: HTTPConnection, method: str, path: str, data: bytes | None, content_type: str,
                  timeout: float, fresh_token: bool) -> HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if token := self._access.token(fresh_token):
            headers["Authorization"] = f"Bearer {token}"
        if data is not None:
            headers["Content-Type"] = content_type
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout)
        connection.request(method, self._base + path, data, headers)
        return connection.getresponse()

    def _connection(self) -> tuple[HTTPConnection, bool]:
        """This thread's connection, and whether it was used before."""
        found: HTTPConnection | None = getattr(self._mine, "connection", None)
        if found is not None and found.sock is not None:
            return found, True
        self._mine.connection = self._connect()
        return self._mine.connection, False

    def _connect(self) -> HTTPConnection:
        if self._access.context is None:
            return HTTPConnection(self._host, self._port, timeout=self._connect_timeout)
        return HTTPSConnection(self._host, self._port, timeout=self._connect_timeout, context=self._access.context)

    def _wait_for_turn(self) -> None:
        if self._pace is not None:
            self._pace()
        while (wait := self._not_before - time.monotonic()) > 0:
            time.sleep(wait)


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """The path with its query, if there is any."""
    return f"{path}?{urlencode(query)}" if query else path


def _parsed(answer: bytes, method: str, path: str) -> Raw:
    try:
        found = json.loads(answer.decode())     # given bytes, json guesses at their encoding in Python
    except ValueError:
        raise Unreachable(WHO, f"{method} {path.partition('?')[0]}: the answer is no JSON") from None
    return found if isinstance(found, dict) else {}


def _lines(response: HTTPResponse) -> Iterator[list[bytes]]:
    rest = b""
    while data := response.read1(_CHUNK):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield lines


def _seconds(text: str | None) -> float:
    """Retry-After in seconds; 1 when it is absent or a date."""
    return float(text) if text and text.isascii() and text.isdecimal() else 1.0


def _worded(error: Exception) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return str(error) or type(error).__name__
