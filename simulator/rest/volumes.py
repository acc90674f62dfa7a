"""`volume` of FlashArray REST 1.x: lists in all their shapes, and the life of one volume or snapshot."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from simulator import rules
from simulator.clock import iso
from simulator.refusal import Refusal
from simulator.rest import connections, snapshots
from simulator.rest.call import Call
from simulator.rest.lists import page, wanted
from simulator.state.array import ArrayState
from simulator.state.objects import Volume

_PUT = ("action", "bandwidth_limit", "iops_limit", "container", "name", "size")
Row = dict[str, Any]


def volume_row(array: ArrayState, call: Call, volume: Volume) -> Row:
    """A volume as lists, single gets and creations show it."""
    row = {"name": volume.name, "serial": volume.serial, "size": volume.size, "source": volume.source,
           "created": iso(volume.created)}
    if call.version >= (1, 19):
        row |= {"promotion_status": "promoted", "requested_promotion_state": "promoted"}
    return row


def _pending_row(array: ArrayState, call: Call, volume: Volume) -> Row:
    return volume_row(array, call, volume) | {"time_remaining": array.volumes.time_remaining(volume)}


def _space_row(array: ArrayState, call: Call, volume: Volume) -> Row:
    used = volume.used or array.plane.allocated(volume.serial)
    kept = sum(array.plane.allocated(snapshot.serial) for snapshot in volume.snapshots.values())
    return {"name": volume.name, "size": volume.size, "total": used + kept, "volumes": used, "snapshots": kept,
            "shared_space": None, "system": None, "data_reduction": 1.0,
            "thin_provisioning": round(1 - used / volume.size, 6), "total_reduction": round(volume.size / max(used, 1), 2)
            if used else 1.0}


def _qos_row(array: ArrayState, call: Call, volume: Volume) -> Row:
    row: Row = {"name": volume.name, "bandwidth_limit": volume.bandwidth_limit}
    return row | {"iops_limit": volume.iops_limit} if call.version >= (1, 17) else row


def _monitor_row(array: ArrayState, call: Call, volume: Volume) -> Row:
    return {"name": volume.name, "time": iso(time.time()), **array.monitor.volume(volume.serial)._asdict()}


def _shape(call: Call) -> Callable[[ArrayState, Call, Volume], Row]:
    """The function that writes the rows the call asks for."""
    if call.get("action") == "monitor":
        return _monitor_row
    if call.flag("space"):
        return _space_row
    if call.flag("qos"):
        call.needs((1, 14), "qos")
        return _qos_row
    return _pending_row if call.flag("pending") or call.flag("pending_only") else volume_row


def many(array: ArrayState, call: Call) -> list[Row]:
    """GET volume"""
    if call.flag("snap"):
        return page(call, snapshots.rows(array, call, array.snapshots.all()))
    volumes = array.volumes.all(live=not call.flag("pending_only"),
                                pending=call.flag("pending") or call.flag("pending_only"))
    names = wanted(call, [volume.name for volume in volumes], "Volume",
                   unknown_fails=array.switches.unknown_name_fails)
    if names is not None:
        volumes = [volume for volume in volumes if volume.name.lower() in names]
    if call.flag("connect"):
        return page(call, connections.of_volumes(array, call, volumes))
    if call.flag("tags"):
        return page(call, _tag_rows(call, volumes))
    shape = _shape(call)
    return [shape(array, call, volume) for volume in page(call, volumes)]


def one(array: ArrayState, call: Call, name: str) -> Row | list[Row]:
    """GET volume/v"""
    if call.flag("snap"):
        return snapshots.look(array, call, name)
    pending = call.flag("pending") or call.flag("pending_only")
    volume = array.volumes.get(name, pending=pending)
    row = _shape(call)(array, call, volume)
    return [row] if call.get("action") == "monitor" else row


def create(array: ArrayState, call: Call, name: str) -> Row:
    """POST volume/v"""
    limits = _limits(call, name)
    given = call.params.keys() & {"size", "source", "protocol_endpoint"}
    if "protocol_endpoint" in given or len(given) == 2:
        raise Refusal("Invalid combination of parameters specified.", name)
    if "source" in given:
        source = array.snapshots.source(str(call.get("source")))
        volume = array.volumes.copy(name, source, overwrite=call.flag("overwrite"))
    elif "size" in given:
        volume = array.volumes.create(name, call.get("size"))
    else:
        raise Refusal("Missing parameter: one of size, source is needed.", name)
    array.volumes.set_limits(volume.name, limits)
    return volume_row(array, call, volume)


def snap(array: ArrayState, call: Call) -> list[Row]:
    """POST volume: snapshots of several volumes"""
    if not call.flag("snap"):
        raise Refusal("Missing parameter: snap.", "")
    sources = call.items("source")
    if not sources:
        raise Refusal("Missing parameter: source.", "")
    return [snapshots.row(each) for each in array.snapshots.take(sources, call.get("suffix"))]


def change(array: ArrayState, call: Call, name: str) -> Row:
    """PUT volume/v: exactly one kind of change"""
    given = [key for key in _PUT if key in call.params]
    limits = _limits(call, name)
    if not given or len(given) > 1 and set(given) - limits.keys():
        raise Refusal("Invalid combination of parameters specified.", name)
    if "." in name:
        return snapshots.change(array, call, name)
    if limits:
        volume = array.volumes.set_limits(name, limits)
        return _qos_row(array, call, volume)
    return _CHANGES[given[0]](array, call, name)


def _act(array: ArrayState, call: Call, name: str) -> Row:
    if call.get("action") != "recover":
        raise Refusal("Invalid action.", name)
    return {"name": array.volumes.recover(name).name}


def _move(array: ArrayState, call: Call, name: str) -> Row:
    call.needs((1, 13), "container")
    return {"name": array.volumes.move(name, call.get("container") or "").name}


def _rename(array: ArrayState, call: Call, name: str) -> Row:
    return {"name": array.volumes.rename(name, str(call.get("name"))).name}


def _resize(array: ArrayState, call: Call, name: str) -> Row:
    volume = array.volumes.resize(name, call.get("size"), truncate=call.flag("truncate"))
    return {"name": volume.name, "size": volume.size}


_CHANGES: dict[str, Callable[[ArrayState, Call, str], Row]] = {
    "action": _act, "container": _move, "name": _rename, "size": _resize}


def _limits(call: Call, name: str) -> dict[str, int | None]:
    """The limits a call sets; each came with a REST version of its own."""
    call.needs((1, 14), "bandwidth_limit")
    call.needs((1, 17), "iops_limit")
    found: dict[str, int | None] = {}
    if "bandwidth_limit" in call.params:
        found["bandwidth_limit"] = rules.bandwidth_limit(call.get("bandwidth_limit"), name)
    if "iops_limit" in call.params:
        found["iops_limit"] = rules.iops_limit(call.get("iops_limit"), name)
    return found


def remove(array: ArrayState, call: Call, name: str) -> Row:
    """DELETE volume/v: destroy, or with `eradicate` end it"""
    if "." in name:
        return snapshots.remove(array, call, name)
    if call.flag("eradicate"):
        return {"name": array.volumes.eradicate(name).name}
    return {"name": array.volumes.destroy(name).name}


def add_tag(array: ArrayState, call: Call, name: str) -> Row:
    """POST volume/v/tags (from REST 1.19)"""
    volume = array.volumes.live(name)
    key, namespace = str(call.get("key")), str(call.get("namespace", "default"))
    if len(volume.tags) >= 5 and (namespace, key) not in volume.tags:
        raise Refusal("Maximum number of tags is reached: limit reached.", name)
    volume.tags[namespace, key] = str(call.get("value"))
    return {"name": volume.name, "key": key, "value": volume.tags[namespace, key], "namespace": namespace}


def remove_tag(array: ArrayState, call: Call, name: str, key: str) -> Row:
    """DELETE volume/v/tags/key"""
    volume = array.volumes.live(name)
    if volume.tags.pop((str(call.get("namespace", "default")), key), None) is None:
        raise Refusal("Tag does not exist.", key)
    return {"name": volume.name, "key": key}


def _tag_rows(call: Call, volumes: Sequence[Volume]) -> list[Row]:
    namespace = call.get("namespace", "default")
    return [{"name": volume.name, "key": key, "value": value, "namespace": space}
            for volume in volumes for (space, key), value in volume.tags.items() if space == namespace]
