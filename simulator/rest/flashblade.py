"""FlashBlade REST 1.x as one function: a request in, status, headers and body out. No network here."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from simulator.refusal import Refusal
from simulator.rest import blade_lists, file_systems
from simulator.rest.blade_lists import BladeCall
from simulator.rest.http import Reply, Request, error, version_of
from simulator.state.blade import BladeState

# (method, collection) -> (function, REST version it came with)
ROUTES: dict[tuple[str, str], tuple[Callable[[BladeState, BladeCall], Any], tuple[int, int]]] = {
    ("GET", "file-systems"): (file_systems.many, (1, 0)),
    ("POST", "file-systems"): (file_systems.create, (1, 0)),
    ("PATCH", "file-systems"): (file_systems.change, (1, 0)),
    ("DELETE", "file-systems"): (file_systems.remove, (1, 1)),
    ("GET", "file-system-snapshots"): (file_systems.snapshots, (1, 0)),
    ("POST", "file-system-snapshots"): (file_systems.take, (1, 0)),
    ("PATCH", "file-system-snapshots"): (file_systems.change_snapshot, (1, 1)),
    ("DELETE", "file-system-snapshots"): (file_systems.remove_snapshot, (1, 1)),
    ("GET", "arrays"): (blade_lists.arrays, (1, 3)),
    ("GET", "arrays/space"): (blade_lists.space, (1, 2)),
    ("GET", "network-interfaces"): (blade_lists.interfaces, (1, 3)),
    ("GET", "blades"): (blade_lists.blades, (1, 2)),
}
_TOKEN = "x-auth-token"


def answer(state: BladeState, request: Request) -> Reply:
    """Answer one request to the blade and keep its state."""
    state.tick()
    try:
        return _answer(state, request)
    except Refusal as refusal:
        return _error(refusal.status, refusal.msg, refusal.ctx)


def _error(status: int, message: str, context: str = "") -> Reply:
    """The error form of 4.5; the numbers in `code` are unverified, so it is always 0."""
    return error(status, {"errors": [{"code": 0, "message": message, "context": context}]})


def _answer(state: BladeState, request: Request) -> Reply:
    if not request.version:
        return _outside_versions(state, request)
    version = version_of(request.version)
    if version is None or request.version not in state.switches.versions:
        return _error(450, "REST API version is not supported.", request.version)
    if state.sessions.user(request.header(_TOKEN)) is None:
        return _error(state.switches.expired_status, "Unauthorized.")
    route = ROUTES.get((request.method, request.path))
    if route is None or version < route[1]:
        known = any(path == request.path and version >= since for (_, path), (_, since) in ROUTES.items())
        raise Refusal("Method not allowed." if known else "Not found.", request.path, status=405 if known else 404)
    call = BladeCall(version, dict(parse_qsl(request.query, keep_blank_values=True)), _body(request))
    body = route[0](state, call)
    return Reply(200, {"Content-Type": "application/json"}, b"") if body is None else Reply.json(body)


def _outside_versions(state: BladeState, request: Request) -> Reply:
    """`api_version`, `login` and `logout`"""
    match request.method, request.path:
        case "GET", "api_version":
            return Reply.json({"versions": list(state.switches.versions)})
        case "POST", "login":
            opened = state.sessions.login(request.header("api-token"))
            if opened is None:
                return _error(401, "Invalid API token.")
            return Reply.json({"username": opened[1].name}, {_TOKEN: opened[0]})
        case "POST", "logout":
            state.sessions.logout(request.header(_TOKEN))
            return Reply.json({})
    return _error(404, "Not found.", request.path)


def _body(request: Request) -> Mapping[str, Any]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal("Invalid JSON: an object is expected.")
    return body
