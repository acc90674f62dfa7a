"""Connections in the shapes of FlashArray REST 1.x, seen from hosts, from groups and from volumes."""

from collections.abc import Iterable
from typing import Any

from simulator.refusal import Refusal
from simulator.rest.call import Call
from simulator.state.array import ArrayState
from simulator.state.objects import Volume

Row = dict[str, Any]


def connect_host(array: ArrayState, call: Call, host_name: str, volume_name: str) -> Row:
    """POST host/h/volume/v"""
    host, volume = array.hosts.get(host_name), _connectable(array, volume_name)
    return {"name": host.name, "vol": volume.name, "lun": array.connections.connect(host, volume, call.get("lun"))}


def disconnect_host(array: ArrayState, call: Call, host_name: str, volume_name: str) -> Row:
    """DELETE host/h/volume/v"""
    host, volume = array.hosts.get(host_name), array.volumes.live(volume_name)
    array.connections.disconnect(host, volume)
    return {"name": host.name, "vol": volume.name}


def connect_group(array: ArrayState, call: Call, group_name: str, volume_name: str) -> Row:
    """POST hgroup/g/volume/v"""
    group, volume = array.hgroups.get(group_name), _connectable(array, volume_name)
    lun = array.connections.connect_group(group, volume, call.get("lun"))
    return {"name": group.name, "vol": volume.name, "lun": lun}


def disconnect_group(array: ArrayState, call: Call, group_name: str, volume_name: str) -> Row:
    """DELETE hgroup/g/volume/v"""
    group, volume = array.hgroups.get(group_name), array.volumes.live(volume_name)
    array.connections.disconnect_group(group, volume)
    return {"name": group.name, "vol": volume.name}


def _connectable(array: ArrayState, name: str) -> Volume:
    if "." in name:
        raise Refusal("Snapshots cannot be connected.", name)
    return array.volumes.live(name)


def of_host(array: ArrayState, call: Call, name: str) -> list[Row]:
    """GET host/h/volume, with `private`, `shared` or neither"""
    seen = array.connections.of_host(array.hosts.get(name))
    if call.flag("private"):
        return [{"lun": row.lun, "name": row.host.name, "vol": row.volume.name} for row in seen if not row.group]
    if call.flag("shared"):
        return [{"hgroup": row.group.name, "lun": row.lun, "name": row.host.name, "vol": row.volume.name}
                for row in seen if row.group]
    return [{"name": row.host.name, "vol": row.volume.name, "lun": row.lun,
             "hgroup": row.group.name if row.group else None} for row in seen]


def of_group(array: ArrayState, call: Call, name: str) -> list[Row]:
    """GET hgroup/g/volume"""
    group = array.hgroups.get(name)
    return [{"name": group.name, "vol": volume.name, "lun": lun} for volume, lun in group.luns.items()]


def private_of_volume(array: ArrayState, call: Call, name: str) -> list[Row]:
    """GET volume/v/host: here `name` is the volume; with `remote`, rows of a stretched pod's other arrays too"""
    volume = array.volumes.get(name, pending=True)
    rows = [(row.host.name, row.lun) for row in array.connections.private(volume)]
    if call.flag("remote"):
        rows += [(f"{row.host.array.name}:{row.host.name}", row.lun)
                 for row in array.connections.private(volume, remote=True)]
    return [{"name": volume.name, "host": host, "lun": lun, "size": volume.size} for host, lun in rows]


def shared_of_volume(array: ArrayState, call: Call, name: str) -> list[Row]:
    """GET volume/v/hgroup"""
    volume = array.volumes.get(name, pending=True)
    return [{"name": volume.name, "hgroup": group.name, "host": host.name if host else None, "lun": lun,
             "size": volume.size} for group, host, lun in array.connections.shared(volume)]


def of_volumes(array: ArrayState, call: Call, volumes: Iterable[Volume]) -> list[Row]:
    """GET volume?connect=true: one row a connection, private and shared, of connected volumes only"""
    rows: list[Row] = []
    for volume in volumes:
        if not call.flag("shared"):
            rows += [{"name": volume.name, "host": row.host.name, "hgroup": None, "lun": row.lun, "size": volume.size}
                     for row in array.connections.private(volume)]
        if not call.flag("private"):
            rows += [{"name": volume.name, "host": host.name if host else None, "hgroup": group.name, "lun": lun,
                      "size": volume.size} for group, host, lun in array.connections.shared(volume)]
    return rows
