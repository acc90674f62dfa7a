"""HTTP: from a request to a verb on a resource, past accounts and faults, and back to bytes.

No router and no middleware, because benches count on cheap requests: the path is split by hand.
"""
import asyncio
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

from simulator.kubernetes import discovery
from simulator.kubernetes.access import REVIEWS, Accounts, User, review
from simulator.kubernetes.faults import Fault, Faults
from simulator.kubernetes.lists import Lists
from simulator.kubernetes.registry import Registry
from simulator.kubernetes.resources import BY_PATH, Resource
from simulator.kubernetes.status import ApiError, bad_request
from simulator.kubernetes.store import Stored
from simulator.kubernetes.version import Version
from simulator.kubernetes.watches import Watches

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_REASONS = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 429: "TooManyRequests",
            503: "ServiceUnavailable", 504: "Timeout"}
_JSON = {"Content-Type": "application/json"}


class Asked(NamedTuple):
    """One request as the log keeps it."""
    verb: str                            # list, watch, get, create, update, patch, delete, or "" for discovery
    resource: str                        # plural, or the path for discovery
    name: str
    namespace: str
    user: str
    status: int                          # 0: the connection was dropped
    seconds: float
    path: str                            # with the query


class _Target(NamedTuple):
    resource: Resource
    namespace: str
    name: str
    subresource: str


class Server:
    """Handles requests; `log` has them all, oldest first."""

    def __init__(self, registry: Registry, accounts: Accounts, faults: Faults, lists: Lists, watches: Watches,
                 version: Version) -> None:
        self._registry = registry
        self._accounts = accounts
        self._faults = faults
        self._lists = lists
        self._watches = watches
        self._version = version
        self.latency = 0.0               # seconds added to every answer
        self.log: list[Asked] = []
        self.stopping = threading.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, log it, and turn refusals into Status objects."""
        began = time.monotonic()
        target = _target(request.path, self._version)
        query = request.query
        verb = _verb(request.method, target, query)
        user = ""
        response: web.StreamResponse | None = None
        try:
            caller = self._accounts.authenticate(request.headers.get("Authorization", ""))
            user = caller.name
            if request.path == REVIEWS and request.method == "POST":
                response = _answer(201, review(caller, await request.read()))
            elif target is None:
                response = _answer(200, discovery.answer(request.path, self._version))
            else:
                fault = self._faults.hit(verb, target.resource.plural, target.name, user)
                response = await self._served(request, verb, target, query, caller, fault)
        except ApiError as error:
            response = _refusal(error, _warnings(target.resource, self._version) if target and error.code > 403 else None)
        except _Dropped:
            if request.transport is not None:
                request.transport.abort()
            response = web.Response(reason="dropped")
        finally:
            status = 0 if response is None or response.reason == "dropped" else response.status
            plural, name, namespace = (target.resource.plural, target.name, target.namespace) if target else (
                request.path, "", "")
            self.log.append(Asked(verb, plural, name, namespace, user, status, time.monotonic() - began,
                                  request.path_qs))
        return response

    async def _served(self, request: web.BaseRequest, verb: str, target: _Target, query: Mapping[str, str],
                      caller: User, fault: Fault | None) -> web.StreamResponse:
        """The answer, with the fault before or after the work."""
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault and fault.latency:
            await asyncio.sleep(fault.latency)
        body = await request.read() if request.method in ("POST", "PUT", "PATCH", "DELETE") else b""
        if fault and not fault.after:
            await self._suffer(fault)
        if verb == "unsupported":
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        self._accounts.authorize(caller, verb, target.resource, target.namespace, target.name, target.subresource)
        if verb == "watch":
            return await self._watches.answer(request, target.resource, target.namespace, query, fault)
        status, answer = self._work(verb, target, query, body, request.content_type)
        if fault and fault.after:
            await self._suffer(fault)
        return _answer(status, answer, _warnings(target.resource, self._version))

    async def _suffer(self, fault: Fault) -> None:
        while fault.hang and not fault.cleared.is_set() and not self.stopping.is_set():
            await asyncio.sleep(0.01)
        if fault.drop:
            raise _Dropped
        if fault.status:
            reason = fault.reason or _REASONS.get(fault.status, "InternalError")
            raise ApiError(fault.status, reason, f"fault switched on by a test: {reason}",
                           retry_after=fault.retry_after)

    def _work(self, verb: str, target: _Target, query: Mapping[str, str], body: bytes,
              content_type: str) -> tuple[int, bytes]:
        """Status and body."""
        resource, namespace, name, subresource = target
        if verb == "list":
            return 200, self._lists.answer(resource, namespace, query)
        if verb == "get":
            return 200, self._registry.get(resource, namespace, name).full
        content = _decode(body)
        if verb == "create":
            return 201, self._registry.create(resource, namespace, content).full
        if verb == "update":
            return 200, self._registry.replace(resource, namespace, name, content, subresource).full
        if verb == "patch":
            return 200, self._registry.patch(resource, namespace, name, content_type, content, subresource).full
        stored, gone = self._registry.delete(resource, namespace, name, content or query)
        return 200, stored.full if resource.returns_object or not gone else _deleted(stored)


class _Dropped(Exception):
    """The connection is to be closed without an answer."""


def _target(path: str, version: Version) -> _Target | None:
    """Split /api/v1/namespaces/NS/pods/NAME/status and its like; None for anything that is not about objects."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, api_version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, api_version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, api_version, rest[0]))
    if resource is None or resource.since > version.minor or len(rest) > 3 or bool(namespace) > resource.namespaced:
        return None
    if len(rest) == 3 and not (rest[2] == "status" and resource.has_status):
        return None
    return _Target(resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


def _verb(method: str, target: _Target | None, query: Mapping[str, str]) -> str:
    if target is None:
        return ""
    if method == "GET" and not target.name:
        return "watch" if query.get("watch") in ("true", "1") else "list"
    if (method == "POST") == bool(target.name) or method in ("PUT", "PATCH", "DELETE") and not target.name:
        return "unsupported"
    return _VERBS.get(method, "unsupported")


def _decode(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from None


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, headers={**_JSON, **headers} if headers else _JSON)


def _refusal(error: ApiError, warnings: dict[str, str] | None) -> web.Response:
    after = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    return _answer(error.code, error.to_json(), {**after, **(warnings or {})})


def _deleted(stored: Stored) -> bytes:
    details = {"name": stored.key[1], "kind": stored.resource.plural, "uid": stored.object["metadata"]["uid"]}
    return json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                       "details": details}).encode()


def _warnings(resource: Resource, version: Version) -> dict[str, str] | None:
    if resource.plural == "endpoints" and version.minor >= 33:
        return {"Warning": '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'}
    return None
