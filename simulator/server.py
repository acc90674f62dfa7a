"""The HTTPS front of one pretend array: connections, faults, the request log. What it answers is `rest/`'s.

aiohttp's low-level server (no router, no access log) in the simulator's one loop thread. Answers are made under the
simulator's lock, in one go: between two requests the state is always whole.
"""

import asyncio
import logging
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import NamedTuple

from aiohttp import web

from simulator.faults import Fault, Faults
from simulator.rest.http import Reply, Request, split

log = logging.getLogger(__name__)

LOGGED = 200_000                       # requests remembered by each array, about 20 MB when full
_POLL = 0.02                           # how often a hanging request looks whether its fault is gone


class Logged(NamedTuple):
    """One request as the log keeps it; status 0 when no reply was sent."""

    method: str
    path: str
    status: int


class Server:
    """Serves `answer` on one port of 127.0.0.1 (or `host`); the port stays the same when it is closed and opened."""

    def __init__(self, answer: Callable[[Request], Reply], lock: RLock, tls: ssl.SSLContext,
                 host: str = "127.0.0.1", port: int = 0) -> None:
        self._answer, self._lock, self._tls = answer, lock, tls
        self.host, self.port = host, port
        self.faults = Faults()
        self.log: deque[Logged] = deque(maxlen=LOGGED)
        self._runner: web.ServerRunner | None = None

    @property
    def endpoint(self) -> str:
        """ "127.0.0.1:PORT", as clients write it; IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def open(self) -> None:
        """Start to listen; the first time this finds a free port."""
        if self._runner is not None:
            return
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None, keepalive_timeout=600),
                                        shutdown_timeout=0.05)      # 0 would be without limit
        await self._runner.setup()
        listening = _listen(self.host, self.port)
        self.port = listening.getsockname()[1]
        await web.SockSite(self._runner, listening, ssl_context=self._tls, backlog=256).start()

    async def close(self) -> None:
        """Stop to listen and cut all connections: clients are refused."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        version, path, query = split(request.raw_path)
        body = await request.read()
        fault = None
        if self.faults:
            latency, fault = self.faults.of(request.method, path)
            if latency:
                await asyncio.sleep(latency)
            if fault and not fault.lose_reply and not fault.hang_after:
                return await self._fail(request, path, fault)
        reply = self._reply(Request(request.method, version, path, query, request.headers, body))
        self.log.append(Logged(request.method, path, 0 if fault else reply.status))
        if fault:
            await self._silence(request, fault, hang=fault.hang_after)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    def _reply(self, request: Request) -> Reply:
        try:
            with self._lock:
                return self._answer(request)
        except Exception:              # the edge: a bug of the simulator must look like one, and not like a refusal
            log.exception("the simulator failed at %s %s", request.method, request.path)
            return Reply.json({"msg": "The simulator has a bug; its log has the traceback."}, status=500)

    async def _fail(self, request: web.BaseRequest, path: str, fault: Fault) -> web.StreamResponse:
        """Answer in the array's place, or not at all."""
        if fault.answers:
            status = fault.status or 200
            self.log.append(Logged(request.method, path, status))
            text = fault.body if fault.body is not None else f'[{{"msg": "HTTP {status}", "ctx": ""}}]'
            kind = "text/html" if text.lstrip().startswith("<") else "application/json"
            return web.Response(status=status, text=text, content_type=kind)
        self.log.append(Logged(request.method, path, 0))
        await self._silence(request, fault, hang=fault.hang)
        return web.Response(status=500)

    @staticmethod
    async def _silence(request: web.BaseRequest, fault: Fault, *, hang: bool) -> None:
        """Reset the connection, if `hang` only after the fault was removed or the client has given up."""
        while hang and not fault.removed.is_set() and request.transport is not None:
            await asyncio.sleep(_POLL)
        _reset(request)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


def _reset(request: web.BaseRequest) -> None:
    """Break the connection off so that the other side sees a reset (RST), not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
