"""One array's HTTPS door: pooled connections, the entry's choice of certificates, a limit on every wait.

http.client and not requests, for what requests costs: the time of 12 bare interpreter starts to import where this
takes 5, which each call-out of the driver would pay, and 0.54 ms of CPU for a call where this takes 0.13. As it comes
it would also load all public authorities for each connection even when told not to look at certificates (17 ms), warn
of that on stderr, which belongs to kubelet, and take proxies and CA files from the environment.

Management addresses are spoken to directly: HTTPS_PROXY, ALL_PROXY, REQUESTS_CA_BUNDLE, .netrc and the like are not
looked at, as if NO_PROXY named every array. What the entry in pure.json says is what happens.
"""

import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urlencode

from arrays.errors import Unreachable, Unusable
from arrays.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECTIONS = 32            # at one time to one array; a further thread waits for a free one
PAUSE = 0.25                # seconds before the one repeat of a safe call
USER_AGENT = "pure-flex"

_OTHER_NAME = (62, 64)      # X509_V_ERR_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h


class Answer(NamedTuple):
    """What came back, whatever its status; `headers` are found in any case."""

    status: int
    reason: str
    headers: HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def cookie(self) -> str:
        """What to send back: "session=abc" after "Set-Cookie: session=abc; Path=/; Secure"; "" when none was set."""
        lines = self.headers.get_all("Set-Cookie") or ()
        return "; ".join(line.partition(";")[0].strip() for line in lines)


class Door:
    """The way to one array; safe for threads. Nothing is opened before the first `ask`.

    `who` ("FlashArray 1.2.3.4") begins every error. Times are in seconds: to connect, and for each piece of an answer.
    """

    def __init__(self, who: str, endpoint: str, verify: bool | str, connect_timeout: float,
                 read_timeout: float) -> None:
        self.who = who
        self.endpoint = endpoint
        self._verify = verify
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._lock = threading.Lock()
        self._idle: list[HTTPSConnection] = []      # the one used last is taken first
        self._tls: ssl.SSLContext | None = None

    def ask(self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None,
            params: Mapping[str, str] | None = None) -> Answer:
        """Send one request and return the answer, whatever its status; Unreachable when there is none.

        GET changes nothing, so one that got a 5xx or lost its connection is sent once more; after a wait that used up
        its time, and for every other method, the caller decides.
        """
        target = f"{path}?{urlencode(params, quote_via=quote)}" if params else path
        try:
            answer = self._send(method, target, body, headers or {})
            if answer.status < 500 or method != "GET":
                return answer
        except Unreachable as error:
            if method != "GET" or not _is_lost(error.__cause__):
                raise
        time.sleep(PAUSE)
        return self._send(method, target, body, headers or {})

    def close(self) -> None:
        """Close all connections not in use and forget what was read of the CA file; a later `ask` begins anew."""
        with self._lock:
            idle, self._idle, self._tls = self._idle, [], None
        for connection in idle:
            connection.close()

    def _send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        with self._slots:
            connection = self._connection()
            try:
                connection.request(method, target, body, {"User-Agent": USER_AGENT, **headers})
                reply = connection.getresponse()
                answer = Answer(reply.status, reply.reason, reply.headers, reply.read())
            except (OSError, HTTPException) as error:
                connection.close()
                raise Unreachable(self.who, self._why_no_answer(error)) from error
            self._keep(connection, reply)
            return answer

    def _keep(self, connection: HTTPSConnection, reply: HTTPResponse) -> None:
        if reply.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)

    def _connection(self) -> HTTPSConnection:
        """An open connection: the one used last, unless the array has closed it meanwhile, else a new one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connected()
            if _is_quiet(connection.sock):
                return connection
            connection.close()

    def _connected(self) -> HTTPSConnection:
        context = self._context()
        connection = HTTPSConnection(self.endpoint, timeout=self._connect_timeout, context=context)
        try:
            _open(connection, context)
        except (OSError, UnicodeError) as error:
            connection.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                self.close()            # the CA file may be put right meanwhile: read it anew next time
            raise Unreachable(self.who, self._why_not_connected(error)) from error
        connection.sock.settimeout(self._read_timeout)
        return connection

    def _context(self) -> ssl.SSLContext:
        """One for all connections: reading the public authorities takes 17 ms."""
        with self._lock:
            if self._tls is None:
                self._tls = self._new_context()
            return self._tls

    def _new_context(self) -> ssl.SSLContext:
        if not self._verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        authorities = self._verify if isinstance(self._verify, str) else _public_authorities()
        try:
            return ssl.create_default_context(cafile=authorities)
        except OSError as error:                        # ssl.SSLError is one too: a file without a certificate
            raise Unusable(self.who, f"VerifyTLS in pure.json names {authorities}, which cannot be read as a file of "
                           f"certificates: {error.strerror or error}") from None

    # What an operator should know about a request that got no answer

    def _why_not_connected(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OTHER_NAME:
            return (f"the certificate of {self.endpoint} is for another name: let MgmtEndPoint in pure.json be one that "
                    "is in the certificate, or give the array a certificate for this one")
        if isinstance(error, ssl.SSLCertVerificationError):
            return (f"the certificate of {self.endpoint} is not accepted ({error.verify_message}): let VerifyTLS in "
                    "pure.json name the CA file it was signed with")
        if _is_lost(error) and not isinstance(error, ConnectionRefusedError):
            return f"{self.endpoint} broke the connection off: is the array restarting?"
        if isinstance(error, ssl.SSLError):
            return f"no TLS with {self.endpoint}: {error.reason or error}"
        if isinstance(error, (socket.gaierror, UnicodeError)):
            return (f"the name {self.endpoint} cannot be resolved: check MgmtEndPoint in pure.json and this machine's "
                    "DNS")
        if isinstance(error, TimeoutError):
            return f"no connection to {self.endpoint} in {self._connect_timeout:g} s: check the management network"
        if isinstance(error, ConnectionRefusedError):
            return f"{self.endpoint} refuses connections: is that the management address, and is the array up?"
        return f"no connection to {self.endpoint}: {getattr(error, 'strerror', None) or error}"

    def _why_no_answer(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer in {self._read_timeout:g} s"
        return "the connection broke off before the whole answer was there"


def _open(connection: HTTPSConnection, context: ssl.SSLContext) -> None:
    """connection.connect() for names in ASCII, which endpoints are: with a str it imports 1.5 ms of codec for the others."""
    host: "Any" = connection.host.encode("ascii")
    connection.sock = socket.create_connection((host, connection.port), connection.timeout)
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=host)


def content(answer: Answer, who: str) -> "Any":
    """What a success says; Unreachable unless that is JSON, for then something else than an array answered."""
    kind = answer.headers.get("Content-Type", "")
    if "application/json" not in kind:
        raise Unreachable(who, f"it answered with {kind.partition(';')[0] or 'nothing'} instead of JSON: is a proxy or "
                          "another machine at this address?")
    try:
        return json.loads(answer.body)
    except ValueError:
        raise Unreachable(who, "it answered with malformed JSON") from None


def _public_authorities() -> str:
    import certifi      # what requests uses, and what the bundle for nodes carries
    return certifi.where()


def _is_quiet(sock: socket.socket) -> bool:
    """Whether an idle connection has nothing to read: its end is what there would be to read."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _is_lost(error: object) -> bool:
    """Whether the connection could not be made or broke off, so that a new one may do better."""
    return isinstance(error, (ConnectionError, HTTPException, ssl.SSLEOFError, ssl.SSLZeroReturnError))
