"""What all FlashBlade collections share (names, filter, sort, paging), and the small read-only ones."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.refusal import Refusal
from simulator.state.blade import BladeState

Row = dict[str, Any]
_TERM = re.compile(r"\s*([a-z_.0-9]+)\s*(!=|=)\s*'([^']*)'\s*")


@dataclass
class BladeCall:
    """Version, query string and JSON body of one request."""

    version: tuple[int, int]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def names(self, key: str = "names") -> list[str] | None:
        value = self.query.get(key)
        return None if value is None else [name for name in value.split(",") if name]

    def flag(self, key: str) -> bool:
        return self.query.get(key, "").lower() == "true"

    def one_name(self) -> str:
        """The object a PATCH or DELETE is about."""
        name = self.query.get("name") or self.query.get("names")
        if not name:
            raise Refusal("Missing parameter: name.")
        return name


def listing(state: BladeState, call: BladeCall, rows: Sequence[Row],
            total: Callable[[Sequence[Row]], Row] | None = None) -> Row:
    """Filter, sort and page rows; `total` sums those that were found."""
    accepts = _filter(call.query.get("filter", ""))
    found = [row for row in rows if accepts(row)]
    if order := call.query.get("sort"):
        found.sort(key=lambda row: _sort_key(row, order.rstrip("-+")), reverse=order.endswith("-"))
    limit = min(_number(call, "limit", state.switches.page_size), state.switches.page_size)
    start = _number(call, "token", 0, base=36) if call.query.get("token") else _number(call, "start", 0)
    more = limit > 0 and start + limit < len(found)
    body: Row = {"pagination_info": {"total_item_count": len(found),
                                     "continuation_token": _base36(start + limit) if more else None},
                 "items": [] if call.flag("total_only") else found[start:start + limit]}
    if total:
        body["total"] = [total(found)]
    return body


def _number(call: BladeCall, key: str, default: int, base: int = 10) -> int:
    text = call.query.get(key)
    if text is None:
        return default
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise Refusal(f"Invalid {key}.", text)
    return number


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not number:
            return digits


def _sort_key(row: Row, key: str) -> tuple[bool, str | float]:
    value = _value(row, key)
    return value is None, value if isinstance(value, int | float) else str(value)


def _value(row: Row, path: str) -> Any:
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _filter(text: str) -> Callable[[Row], bool]:
    """Read a filter like "name='pvc-*' and destroyed='false'" into a test of rows."""
    terms = [_term(term) for term in re.split(r"\s+and\s+", text)] if text else []
    return lambda row: all(term(row) for term in terms)


def _term(text: str) -> Callable[[Row], bool]:
    match = _TERM.fullmatch(text)
    if not match:
        raise Refusal("Invalid filter.", text)
    path, wanted = match[1], match[2] == "="
    pattern = re.compile(".*".join(map(re.escape, match[3].split("*"))), re.IGNORECASE | re.DOTALL)
    return lambda row: bool(pattern.fullmatch(_shown(_value(row, path)))) == wanted


def _shown(value: Any) -> str:
    """A value as filters write it: 'true', '', 'pvc-1'."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def arrays(state: BladeState, call: BladeCall) -> Row:
    """GET arrays"""
    row: Row = {"name": state.name, "id": state.id, "os": "Purity//FB", "version": state.switches.purity,
                "revision": "2f5a6b1"}
    later: list[tuple[int, str, Any]] = [(5, "time_zone", "UTC"), (7, "_as_of", int(state.clock.now() * 1000)),
                                         (12, "idle_timeout", int(state.switches.session_seconds * 1000))]
    row |= {key: value for minor, key, value in later if call.version >= (1, minor)}
    return listing(state, call, [row])


def space_row(unique: int) -> Row:
    return {"virtual": unique, "unique": unique, "snapshots": 0, "total_physical": unique, "data_reduction": 1.0}


def space(state: BladeState, call: BladeCall) -> Row:
    """GET arrays/space, as a whole or for one type of data"""
    used = {"array": state.total(), "file-system": sum(each.used for each in state.all()), "object-store": 0}
    kind = call.query.get("type", "array")
    if kind not in used:
        raise Refusal("Invalid type.", kind)
    return listing(state, call, [{"name": state.name, "capacity": state.capacity, "parity": 1.0,
                                  "time": int(state.clock.now() * 1000), "space": space_row(used[kind])}])


def interfaces(state: BladeState, call: BladeCall) -> Row:
    """GET network-interfaces: one for data, one for management"""
    addresses = {"data": state.nfs_endpoint.strip("[]"), "management": "127.0.0.1"}
    rows = [{"name": f"vip{number}", "address": addresses[service], "netmask": "255.255.255.0", "gateway": None,
             "mtu": 1500, "vlan": 0, "subnet": {"name": "net1"}, "enabled": True, "services": [service], "type": "vip"}
            for number, service in enumerate(state.switches.services, 1)]
    return listing(state, call, rows)


def blades(state: BladeState, call: BladeCall) -> Row:
    """GET blades"""
    return listing(state, call, [{"name": f"CH1.FB{number}", "status": "healthy", "raw_capacity": state.capacity // 7,
                                  "target": None, "progress": None, "details": None} for number in range(1, 8)])
