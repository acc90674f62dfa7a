"""`host` and `hgroup` of FlashArray REST 1.x."""

from typing import Any

from simulator.refusal import Refusal
from simulator.rest.call import Call
from simulator.rest.lists import page, wanted
from simulator.state.array import ArrayState
from simulator.state.hosts import CHAP_NAMES, CHAP_SECRETS, KINDS, Hosts
from simulator.state.objects import Host, HostGroup

Row = dict[str, Any]
_MASK = "****"


def host_row(call: Call, host: Host) -> Row:
    row = {"name": host.name, "iqn": host.iqns, "wwn": host.wwns, "hgroup": host.group.name if host.group else None}
    return row | {"nqn": host.nqns} if call.version >= (1, 16) else row


def _chap_row(call: Call, host: Host) -> Row:
    names = {key: host.chap.get(key) for key in CHAP_NAMES}
    secrets = {key: _MASK if host.chap.get(key) else None for key in CHAP_SECRETS}
    return {"name": host.name, **names, **secrets}


def _personality_row(call: Call, host: Host) -> Row:
    return {"name": host.name, "personality": host.personality}


def _row(call: Call, host: Host) -> Row:
    shape = _chap_row if call.flag("chap") else _personality_row if call.flag("personality") else host_row
    return shape(call, host)


def many(array: ArrayState, call: Call) -> list[Row]:
    """GET host"""
    hosts = array.hosts.all()
    names = wanted(call, [host.name for host in hosts], "Host", unknown_fails=array.switches.unknown_name_fails)
    if names is not None:
        hosts = [host for host in hosts if host.name.lower() in names]
    if call.flag("all"):
        return page(call, [row for host in hosts for row in _path_rows(array, call, host)])
    rows = [_row(call, host) for host in page(call, hosts)]
    return rows + _remote_rows(array, call) if call.flag("remote") else rows


def _path_rows(array: ArrayState, call: Call, host: Host) -> list[Row]:
    """`all=true`: a row for each volume and target port; a host without connections has none."""
    ports = [row["name"] for row in array.ports.rows(nqn=False)] or [None]
    return [host_row(call, host) | {"vol": seen.volume.name, "lun": seen.lun, "target_port": port}
            for seen in array.connections.of_host(host) for port in ports]


def _remote_rows(array: ArrayState, call: Call) -> list[Row]:
    """Hosts of arrays that share a pod with this one, as "array:host"."""
    return [host_row(call, host) | {"name": f"{other.name}:{host.name}"}
            for other in array.pods.neighbours() if other is not array for host in other.hosts.all()]


def one(array: ArrayState, call: Call, name: str) -> Row:
    """GET host/h"""
    return _row(call, array.hosts.get(name))


def create(array: ArrayState, call: Call, name: str) -> Row:
    """POST host/h: the reply has no `hgroup`; CHAP and personality are not taken here"""
    call.needs((1, 16), "nqnlist")
    call.needs((1, 15), "preferred_array")
    if call.params.keys() & {"personality", *CHAP_NAMES, *CHAP_SECRETS}:
        raise Refusal("Invalid combination of parameters specified.", name)
    host = array.hosts.create(name, {kind: call.items(f"{kind}list") or [] for kind in KINDS})
    host.preferred_arrays = call.items("preferred_array") or []
    row = host_row(call, host)
    del row["hgroup"]
    return row


def change(array: ArrayState, call: Call, name: str) -> Row:
    """PUT host/h: rename, initiators, personality, CHAP, preferred arrays"""
    host = array.hosts.get(name)
    if "name" in call.params:
        array.hosts.rename(host, str(call.get("name")))
        return {"name": host.name}
    if _change_initiators(array, call, host):
        return host_row(call, host)
    if "personality" in call.params:
        Hosts.set_personality(host, call.get("personality"))
        return _personality_row(call, host)
    if chap := {key: str(call.get(key)) for key in (*CHAP_NAMES, *CHAP_SECRETS) if key in call.params}:
        array.hosts.set_chap(host, chap)
        return _chap_row(call, host)
    if "preferred_array" in call.params:
        call.needs((1, 15), "preferred_array")
        host.preferred_arrays = call.items("preferred_array") or []
        return {"name": host.name, "preferred_array": host.preferred_arrays}
    raise Refusal("Invalid combination of parameters specified.", name)


def _change_initiators(array: ArrayState, call: Call, host: Host) -> bool:
    changed = False
    for kind in KINDS:
        edits = [call.items(f"{edit}{kind}list") for edit in ("", "add", "rem")]
        if any(edit is not None for edit in edits):
            array.hosts.change_initiators(host, kind, replace=edits[0], add=edits[1] or (), remove=edits[2] or ())
            changed = True
    return changed


def remove(array: ArrayState, call: Call, name: str) -> Row:
    """DELETE host/h"""
    return {"name": array.hosts.delete(name).name}


def group_row(group: HostGroup) -> Row:
    return {"name": group.name, "hosts": [host.name for host in group.hosts]}


def groups(array: ArrayState, call: Call) -> list[Row]:
    """GET hgroup"""
    found = array.hgroups.all()
    names = wanted(call, [group.name for group in found], "Host group",
                   unknown_fails=array.switches.unknown_name_fails)
    return page(call, [group_row(group) for group in found if names is None or group.name.lower() in names])


def group(array: ArrayState, call: Call, name: str) -> Row:
    """GET hgroup/g"""
    return group_row(array.hgroups.get(name))


def create_group(array: ArrayState, call: Call, name: str) -> Row:
    """POST hgroup/g"""
    return group_row(array.hgroups.create(name, call.items("hostlist") or ()))


def change_group(array: ArrayState, call: Call, name: str) -> Row:
    """PUT hgroup/g"""
    found = array.hgroups.get(name)
    if "name" in call.params:
        array.hgroups.rename(found, str(call.get("name")))
        return {"name": found.name}
    array.hgroups.change_members(found, replace=call.items("hostlist"), add=call.items("addhostlist") or (),
                                 remove=call.items("remhostlist") or ())
    return group_row(found)


def remove_group(array: ArrayState, call: Call, name: str) -> Row:
    """DELETE hgroup/g"""
    return {"name": array.hgroups.delete(name).name}
