"""The array acts and its answer is lost: the call says so, and its repeat finds the work done, once.

This is what every change of both clients promises, so each is here.
"""

from collections.abc import Callable
from typing import Any

import pytest

from arrays.errors import Unreachable
from arrays.flasharray import Connection, FlashArray, Host
from arrays.flashblade import FlashBlade
from arrays.units import GiB
from simulator.flasharray import FlashArray as PretendArray
from simulator.flashblade import FlashBlade as PretendBlade

IQN = "iqn.2020-01.com.example:node1"
RULES = "*(rw,no_root_squash)"


def _with_snapshot(pretend: PretendArray) -> None:
    pretend.add_volume("v", GiB)
    pretend.snapshot("v", "daily")


def _destroyed(pretend: PretendArray) -> None:
    pretend.add_volume("v", GiB)
    pretend.destroy_volume("v")


def _with_host(pretend: PretendArray) -> None:
    pretend.add_volume("v", GiB)
    pretend.add_host("node1", iqns=[IQN])


def _connected(pretend: PretendArray) -> None:
    _with_host(pretend)
    pretend.connect("node1", "v")


def _with_pod(pretend: PretendArray) -> None:
    pretend.add_volume("v", GiB)
    pretend.state.pods.create("pod1")


# What is there before, the change, what it answers, what is there afterwards.
ARRAY_CHANGES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., bool], Callable[..., bool]]] = {
    "create_volume": (lambda p: None, lambda a: a.create_volume("v", GiB), lambda r: r.size == GiB,
                      lambda p: [*p.volumes] == ["v"] and p.volume("v").size == GiB),
    "create_volume with limits": (lambda p: None, lambda a: a.create_volume("v", GiB, iops_limit=1000),
                                  lambda r: r.size == GiB, lambda p: p.volume("v").iops_limit == 1000),
    "clone_volume": (lambda p: p.add_volume("v", GiB), lambda a: a.clone_volume("v", "w"), lambda r: r.source == "v",
                     lambda p: sorted(p.volumes) == ["v", "w"]),
    "clone of a snapshot": (_with_snapshot, lambda a: a.clone_volume("v.daily", "w"), lambda r: r.source == "v",
                            lambda p: sorted(p.volumes) == ["v", "w"]),
    "grow_volume": (lambda p: p.add_volume("v", GiB), lambda a: a.grow_volume("v", 2 * GiB),
                    lambda r: r.size == 2 * GiB, lambda p: p.volume("v").size == 2 * GiB),
    "set_limits": (lambda p: p.add_volume("v", GiB), lambda a: a.set_limits("v", 1000, None), lambda r: r is None,
                   lambda p: p.volume("v").iops_limit == 1000),
    "move_volume": (_with_pod, lambda a: a.move_volume("v", "pod1"), lambda r: r == "pod1::v",
                    lambda p: [*p.volumes] == ["pod1::v"]),
    "destroy_volume": (lambda p: p.add_volume("v", GiB), lambda a: a.destroy_volume("v"), lambda r: r is None,
                       lambda p: p.volume("v").destroyed),
    "recover_volume": (_destroyed, lambda a: a.recover_volume("v"), lambda r: not r.destroyed,
                       lambda p: not p.volume("v").destroyed),
    "eradicate_volume": (_destroyed, lambda a: a.eradicate_volume("v"), lambda r: r is None, lambda p: p.volumes == {}),
    "snapshot": (lambda p: p.add_volume("v", GiB), lambda a: a.snapshot("v", "daily"), lambda r: r.name == "v.daily",
                 lambda p: p.volume("v").snapshots == ("daily",)),
    "destroy_snapshot": (_with_snapshot, lambda a: a.destroy_snapshot("v.daily"), lambda r: r is None,
                         lambda p: p.volume("v").snapshots == ()),
    "ensure_host": (lambda p: None, lambda a: a.ensure_host("node1", iqns=[IQN]), lambda r: r == Host("node1", (IQN,)),
                    lambda p: [*p.hosts] == ["node1"] and p.host("node1").iqns == (IQN,)),
    "ensure_host that was empty": (lambda p: p.add_host("node1"), lambda a: a.ensure_host("node1", iqns=[IQN]),
                                   lambda r: r == Host("node1", (IQN,)), lambda p: p.host("node1").iqns == (IQN,)),
    "connect": (_with_host, lambda a: a.connect("node1", "v"), lambda r: r == Connection("node1", "v", 1),
                lambda p: p.connections("v") == {"node1": 1}),
    "connect at a lun": (_with_host, lambda a: a.connect("node1", "v", lun=9), lambda r: r.lun == 9,
                         lambda p: p.connections("v") == {"node1": 9}),
    "disconnect": (_connected, lambda a: a.disconnect("node1", "v"), lambda r: isinstance(r, bool),
                   lambda p: p.connections("v") == {}),
}


def _taken(pretend: PretendBlade) -> None:
    pretend.add_file_system("v", GiB)
    pretend.state.take(["v"], "daily")


def _taken_and_destroyed(pretend: PretendBlade) -> None:
    _taken(pretend)
    snapshot, = pretend.state.snapshots()
    pretend.state.set_snapshot_destroyed(snapshot, True)


BLADE_CHANGES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., bool], Callable[..., bool]]] = {
    "create_file_system": (lambda p: None, lambda b: b.create_file_system("v", GiB, rules=RULES),
                           lambda r: r.size == GiB and r.rules == RULES, lambda p: [*p.file_systems] == ["v"]),
    "grow_file_system": (lambda p: p.add_file_system("v", GiB), lambda b: b.grow_file_system("v", 2 * GiB),
                         lambda r: r.size == 2 * GiB, lambda p: p.file_system("v").size == 2 * GiB),
    "destroy_file_system": (lambda p: p.add_file_system("v"), lambda b: b.destroy_file_system("v"), lambda r: r is None,
                            lambda p: p.file_system("v").destroyed),
    "recover_file_system": (lambda p: (p.add_file_system("v"), p.destroy_file_system("v")),
                            lambda b: b.recover_file_system("v"), lambda r: r.nfs_enabled and not r.destroyed,
                            lambda p: p.file_system("v").v3 and not p.file_system("v").destroyed),
    "eradicate_file_system": (lambda p: (p.add_file_system("v"), p.destroy_file_system("v")),
                              lambda b: b.eradicate_file_system("v"), lambda r: r is None,
                              lambda p: p.file_systems == {}),
    "snapshot": (lambda p: p.add_file_system("v", GiB), lambda b: b.snapshot("v", "daily"), lambda r: r.name == "v.daily",
                 lambda p: [found.name for found in p.state.snapshots()] == ["v.daily"]),
    "destroy_snapshot": (_taken, lambda b: b.destroy_snapshot("v.daily"), lambda r: r is None,
                         lambda p: [found.destroyed for found in p.state.snapshots()] == [True]),
    "recover_snapshot": (_taken_and_destroyed, lambda b: b.recover_snapshot("v.daily"), lambda r: r is None,
                         lambda p: [found.destroyed for found in p.state.snapshots()] == [False]),
    "copy_snapshot": (_taken, lambda b: b.copy_snapshot("v.daily", "w", 2 * GiB, rules=RULES),
                      lambda r: (r.source, r.size, r.rules, r.nfs_enabled) == ("v", 2 * GiB, RULES, True),
                      lambda p: sorted(p.file_systems) == ["v", "w"]),
}
CHANGING = ("POST", "PUT", "PATCH", "DELETE")


def changes_left(client: FlashArray | FlashBlade, pretend: PretendArray | PretendBlade, change: Callable[..., Any],
                 lost: int) -> bool:
    """Make the change with the answer to its changing request number `lost` lost; False when it has none so high."""
    client.identity()
    faults = [pretend.faults.add(method=method, lose_reply=True, skip=lost, times=1) for method in CHANGING]
    try:
        change(client)
    except Unreachable as error:
        assert error.retry and "the connection broke off" in str(error)
        return True
    else:
        return False
    finally:
        for fault in faults:
            pretend.faults.remove(fault)


@pytest.mark.parametrize("name", ARRAY_CHANGES)
def test_a_change_on_a_flasharray_is_done_once(pretend: PretendArray, array: FlashArray, name: str) -> None:
    before, change, answers, after = ARRAY_CHANGES[name]
    before(pretend)
    assert changes_left(array, pretend, change, 0)
    assert answers(change(array)) and after(pretend)
    assert answers(change(array)) and after(pretend)


@pytest.mark.parametrize("name", BLADE_CHANGES)
def test_a_change_on_a_flashblade_is_done_once(pretend_blade: PretendBlade, blade: FlashBlade, name: str) -> None:
    before, change, answers, after = BLADE_CHANGES[name]
    before(pretend_blade)
    assert changes_left(blade, pretend_blade, change, 0)
    assert answers(change(blade)) and after(pretend_blade)
    assert answers(change(blade)) and after(pretend_blade)


def test_the_second_step_of_a_recovery_may_be_lost_too(pretend_blade: PretendBlade, blade: FlashBlade) -> None:
    """A file system comes back without its exports; switching them on is a request of its own."""
    pretend_blade.add_file_system("v")
    pretend_blade.destroy_file_system("v")
    assert changes_left(blade, pretend_blade, lambda b: b.recover_file_system("v"), 1)
    assert blade.recover_file_system("v").nfs_enabled


def test_no_change_was_forgotten() -> None:
    """A new method that changes something belongs into the tables above."""
    looking = {"activity", "all_snapshots", "close", "connections", "count", "export", "file_system", "file_systems",
               "find_file_system", "find_host", "find_volume", "host_connections", "hosts", "identity", "pods", "ports",
               "snapshots", "space", "space_of", "volume", "volume_activity", "volume_count", "volume_hosts",
               "volume_snapshots", "volume_space", "volumes", "volumes_activity", "name", "who", "KIND"}
    for client, changes in ((FlashArray, ARRAY_CHANGES), (FlashBlade, BLADE_CHANGES)):
        methods = {name for name in dir(client) if not name.startswith("_")} - looking
        assert methods == {name for name in methods if any(name in change for change in changes)}
