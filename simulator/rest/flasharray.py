"""FlashArray REST 1.x as one function: a request in, status, headers and body out. No network here.

Order of refusal: REST version (450), session (401), role (403), unknown path or method, then the meaning (400).
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from simulator.refusal import Refusal
from simulator.rest import array, connections, hosts, volumes
from simulator.rest.call import Call, parameters
from simulator.rest.http import Reply, Request, error, version_of
from simulator.state.array import ArrayState

# (method, path) -> function; "*" stands for a name. A path alternates between fixed words and names.
ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("GET", "array"): array.array,
    ("GET", "port"): array.ports,
    ("GET", "network"): array.network,
    ("GET", "pgroup"): array.pgroups,
    ("GET", "pod"): array.pods,
    ("GET", "pod/*"): array.pod,
    ("POST", "pod/*"): array.create_pod,
    ("POST", "pod/*/array/*"): array.stretch_pod,
    ("DELETE", "pod/*"): array.remove_pod,
    ("GET", "volume"): volumes.many,
    ("POST", "volume"): volumes.snap,
    ("GET", "volume/*"): volumes.one,
    ("POST", "volume/*"): volumes.create,
    ("PUT", "volume/*"): volumes.change,
    ("DELETE", "volume/*"): volumes.remove,
    ("POST", "volume/*/tags"): volumes.add_tag,
    ("DELETE", "volume/*/tags/*"): volumes.remove_tag,
    ("GET", "volume/*/host"): connections.private_of_volume,
    ("GET", "volume/*/hgroup"): connections.shared_of_volume,
    ("GET", "host"): hosts.many,
    ("GET", "host/*"): hosts.one,
    ("POST", "host/*"): hosts.create,
    ("PUT", "host/*"): hosts.change,
    ("DELETE", "host/*"): hosts.remove,
    ("GET", "host/*/volume"): connections.of_host,
    ("POST", "host/*/volume/*"): connections.connect_host,
    ("DELETE", "host/*/volume/*"): connections.disconnect_host,
    ("GET", "hgroup"): hosts.groups,
    ("GET", "hgroup/*"): hosts.group,
    ("POST", "hgroup/*"): hosts.create_group,
    ("PUT", "hgroup/*"): hosts.change_group,
    ("DELETE", "hgroup/*"): hosts.remove_group,
    ("GET", "hgroup/*/volume"): connections.of_group,
    ("POST", "hgroup/*/volume/*"): connections.connect_group,
    ("DELETE", "hgroup/*/volume/*"): connections.disconnect_group,
}
_SINCE = {"pod": (1, 13), "tags": (1, 19)}
_COOKIE = "session"


def answer(state: ArrayState, request: Request) -> Reply:
    """Answer one request to the array and keep its state."""
    state.tick()
    try:
        return _answer(state, request)
    except Refusal as refusal:
        return _refused(state, refusal)


def _answer(state: ArrayState, request: Request) -> Reply:
    if request.path == "api_version":
        return Reply.json({"version": list(state.switches.versions)})
    version = version_of(request.version)
    if version is None or request.version not in state.switches.versions:
        return error(450, [{"msg": "REST API version is not supported.", "ctx": request.version}])
    call = Call(version, parameters(request.query, request.body))
    if request.path.startswith("auth/"):
        return _auth(state, request, call)
    key = _cookie(request)
    user = state.sessions.user(key)
    if user is None:
        return _unauthorized()
    if user.role == "readonly" and request.method != "GET":
        raise Refusal("Operation is not permitted for this user.", user.name, status=403)
    body = _route(state, request, call)
    headers = call.headers
    if state.switches.cookie_on_every_reply:
        headers["Set-Cookie"] = _set_cookie(key or "")
    return Reply.json(body, headers)


def _route(state: ArrayState, request: Request, call: Call) -> Any:
    parts = request.path.split("/")
    names = [unquote(part) for part in parts[1::2]]
    pattern = "/".join(part if index % 2 == 0 else "*" for index, part in enumerate(parts))
    function = ROUTES.get((request.method, pattern))
    if call.version < max(_SINCE.get(part, (1, 0)) for part in parts[::2]):
        raise Refusal("Unknown resource.", request.path, status=404)
    if function is None:
        known = any(path == pattern for _, path in ROUTES)
        raise Refusal("Method not allowed." if known else "Unknown resource.", request.path,
                      status=405 if known else 404)
    return function(state, call, *names)


def _auth(state: ArrayState, request: Request, call: Call) -> Reply:
    """`auth/apitoken` and `auth/session`"""
    match request.method, request.path:
        case "POST", "auth/apitoken":
            token = state.sessions.token_of(str(call.get("username")), str(call.get("password")))
            if token is None:
                raise Refusal("Invalid credentials.", str(call.get("username")))
            return Reply.json({"api_token": token})
        case "POST", "auth/session":
            opened = state.sessions.login(call.get("api_token"))
            if opened is None:
                return _unauthorized()
            return Reply.json({"username": opened[1].name}, {"Set-Cookie": _set_cookie(opened[0])})
        case "DELETE", "auth/session":
            key = _cookie(request)
            user = state.sessions.user(key)
            if user is None:
                return _unauthorized()
            state.sessions.logout(key or "")
            return Reply.json({"username": user.name})
    raise Refusal("Unknown resource.", request.path, status=404)


def _unauthorized() -> Reply:
    """401; its body is unverified."""
    return error(401, [{"msg": "Unauthorized.", "ctx": ""}])


def _cookie(request: Request) -> str | None:
    for pair in request.header("Cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == _COOKIE:
            return value
    return None


def _set_cookie(key: str) -> str:
    return f"{_COOKIE}={key}; HttpOnly; Path=/; Secure"


def _refused(state: ArrayState, refusal: Refusal) -> Reply:
    """A refusal in the form the switch asks for; both are seen in the field (array-rest.md section 3)."""
    if state.switches.error_is_list:
        return error(refusal.status, [{"msg": refusal.msg, "ctx": refusal.ctx}])
    return error(refusal.status, {"pure_err_key": "err.friendly", "code": 0, "msg": refusal.msg, "ctx": refusal.ctx,
                                  "pure_err_code": 1})
