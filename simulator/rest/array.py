"""`array`, `port`, `network`, `pod` and `pgroup` of FlashArray REST 1.x."""

import time
from typing import Any

from simulator.clock import iso
from simulator.monitor import Rates
from simulator.refusal import Refusal
from simulator.rest.call import Call
from simulator.rest.lists import page
from simulator.state.array import ArrayState
from simulator.state.objects import Pod

Row = dict[str, Any]


def array(state: ArrayState, call: Call) -> Row | list[Row]:
    """GET array: identity, or the one thing asked for"""
    if call.flag("space"):
        row = _space(state)
        return [row] if state.switches.space_is_list else row
    if call.get("action") == "monitor":
        return _monitor(state, call)
    if call.flag("controllers"):
        return [{"name": name, "mode": mode, "model": "FA-X20R3", "status": "ready", "version": state.switches.purity}
                for name, mode in (("CT0", "primary"), ("CT1", "secondary"))]
    for attribute, value in (("idle_timeout", 30), ("ntpserver", []), ("phonehome", "disabled"), ("proxy", ""),
                             ("syslogserver", []), ("banner", "")):
        if call.flag(attribute):
            return {attribute: value}
    return {"array_name": state.name, "id": state.id, "revision": "201605052007+15e6056",
            "version": state.switches.purity}


def _space(state: ArrayState) -> Row:
    total = state.total()
    return {"hostname": state.name, "capacity": state.capacity, "total": total, "volumes": total, "snapshots": 0,
            "shared_space": 0, "system": 0, "data_reduction": 1.0, "thin_provisioning": 1.0, "total_reduction": 1.0,
            "parity": 1.0}


def _monitor(state: ArrayState, call: Call) -> list[Row]:
    serials = {volume.serial for volume in state.volumes.all()}
    if call.get("historical"):
        return [_monitor_row(when, rates) for when, rates in state.monitor.past(serials)]
    return [_monitor_row(time.time(), state.monitor.array(serials))]


def _monitor_row(when: float, rates: Rates) -> Row:
    return {"time": iso(when), **rates._asdict(), "queue_depth": 0}


def ports(state: ArrayState, call: Call) -> list[Row]:
    """GET port"""
    return state.ports.initiator_rows() if call.flag("initiators") else state.ports.rows(nqn=call.version >= (1, 16))


def network(state: ArrayState, call: Call) -> list[Row]:
    """GET network"""
    return state.ports.network_rows()


def _pod_row(pod: Pod) -> Row:
    arrays = [{"name": each.name, "array_id": each.id, "status": "online", "mediator_status": "online"}
              for each in pod.arrays]
    return {"name": pod.name, "source": None, "arrays": arrays}


def pods(state: ArrayState, call: Call) -> list[Row]:
    """GET pod (from REST 1.13)"""
    return page(call, [_pod_row(pod) for pod in state.pods.all()])


def pod(state: ArrayState, call: Call, name: str) -> Row:
    """GET pod/p"""
    return _pod_row(state.pods.get(name))


def create_pod(state: ArrayState, call: Call, name: str) -> Row:
    """POST pod/p"""
    return _pod_row(state.pods.create(name))


def stretch_pod(state: ArrayState, call: Call, name: str, other: str) -> Row:
    """POST pod/p/array/B"""
    if other not in state.peers:
        raise Refusal("Array does not exist.", other)
    return _pod_row(state.pods.stretch(name, state.peers[other]))


def remove_pod(state: ArrayState, call: Call, name: str) -> Row:
    """DELETE pod/p"""
    return {"name": state.pods.delete(name).name}


def pgroups(state: ArrayState, call: Call) -> list[Row]:
    """GET pgroup: this array has none"""
    return []
