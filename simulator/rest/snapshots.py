"""Snapshots as FlashArray REST 1.x shows them: volumes named "volume.suffix", always asked for with `snap=true`."""

from collections.abc import Iterable
from typing import Any

from simulator.clock import iso
from simulator.refusal import Refusal
from simulator.rest.call import Call
from simulator.rest.lists import wanted
from simulator.state.array import ArrayState
from simulator.state.objects import Snapshot

Row = dict[str, Any]


def row(snapshot: Snapshot) -> Row:
    return {"name": snapshot.name, "source": snapshot.volume.name, "serial": snapshot.serial, "size": snapshot.size,
            "created": iso(snapshot.created)}


def rows(array: ArrayState, call: Call, found: Iterable[Snapshot]) -> list[Row]:
    """Those of `found` the call asks for, by name and by `pending`, `pending_only`."""
    pending, only = call.flag("pending"), call.flag("pending_only")
    chosen = [each for each in found if ((pending or only) if each.destroyed else not only)]
    names = wanted(call, [name for each in chosen for name in (each.name, each.volume.name)], "Snapshot",
                   unknown_fails=array.switches.unknown_name_fails)
    if names is not None:
        chosen = [each for each in chosen if {each.name.lower(), each.volume.name.lower()} & names]
    if pending or only:
        return [row(each) | {"time_remaining": array.volumes.time_remaining(each)} for each in chosen]
    return [row(each) for each in chosen]


def look(array: ArrayState, call: Call, name: str) -> list[Row]:
    """GET volume/v?snap=true and GET volume/v.suffix?snap=true: a list in both cases"""
    pending = call.flag("pending") or call.flag("pending_only")
    if "." in name:
        return rows(array, call, [array.snapshots.get(name, pending=pending)])
    return rows(array, call, array.volumes.get(name, pending=pending).snapshots.values())


def change(array: ArrayState, call: Call, name: str) -> Row:
    """PUT volume/v.suffix: rename or recover"""
    if "name" in call.params:
        return {"name": array.snapshots.rename(name, str(call.get("name"))).name}
    if call.get("action") == "recover":
        return {"name": array.snapshots.recover(name).name}
    raise Refusal("Invalid combination of parameters specified.", name)


def remove(array: ArrayState, call: Call, name: str) -> Row:
    """DELETE volume/v.suffix"""
    if call.flag("eradicate"):
        snapshot = array.snapshots.find(name)
        array.snapshots.eradicate(name)
        return {"name": snapshot.name if snapshot else name}
    return {"name": array.snapshots.destroy(name).name}
