"""No source settles some of what arrays do (array-rest.md section 9): the clients work with either answer.

One story, told to a pretend array with each of its switches the other way round.
"""

from typing import Any

import pytest

from arrays.errors import NotFound, Refused
from arrays.flasharray import Connection, FlashArray
from arrays.flashblade import FlashBlade
from arrays.units import GiB
from simulator.flasharray import FlashArray as PretendArray
from simulator.flashblade import FlashBlade as PretendBlade

IQN = "iqn.2020-01.com.example:node1"
RULES = "*(rw,no_root_squash)"

ARRAYS: list[dict[str, Any]] = [
    {}, {"versions": ("1.7",)}, {"versions": ("1.12", "1.13")}, {"cookie_on_every_reply": False},
    {"session_life_is_idle": False}, {"error_is_list": False}, {"round_up_small": False}, {"safe_mode": True},
    {"pending_name_says_destroyed": True}, {"old_disconnect_text": True}, {"shared_luns_from_10": True},
    {"space_is_list": False}, {"recover_restores_snapshots": False}, {"unknown_name_fails": False},
    {"iqn_ignores_case": True}, {"pods": False}, {"error_is_list": False, "old_disconnect_text": True}]

BLADES: list[dict[str, Any]] = [
    {}, {"versions": ("1.3",)}, {"versions": ("1.5", "1.8")}, {"session_life_is_idle": False}, {"expired_status": 403},
    {"destroy_needs_protocols_off": False}, {"unknown_field_fails": False}, {"pending_name_reserved": False},
    {"page_size": 1}]


def named(switches: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in switches.items()) or "as is"


@pytest.mark.parametrize("switches", ARRAYS, ids=named)
def test_the_life_of_a_volume(pretend: PretendArray, array: FlashArray, switches: dict[str, Any]) -> None:
    for name, value in switches.items():
        setattr(pretend.switches, name, value)

    assert array.space().used == 0 and array.ports() and array.volume_count() == 0
    made = array.create_volume("v", GiB)
    assert array.create_volume("v", GiB) == made and array.find_volume("w") is None
    pretend.expire_sessions()
    assert array.grow_volume("v", 2 * GiB).size == 2 * GiB

    host = array.ensure_host("node1", iqns=[IQN])
    assert array.ensure_host("node1", iqns=[IQN]) == host and array.find_host([IQN.upper()]) == host
    assert array.connect(host.name, "v") == array.connect(host.name, "v") == Connection("node1", "v", 1)
    with pytest.raises(Refused, match="connected to node1"):
        array.destroy_volume("v")
    for _ in range(2):
        array.disconnect(host.name, "v")
    assert array.connections("v") == [] and array.volume_activity("w") is None

    taken = array.snapshot("v", "daily")
    assert array.snapshot("v", "daily") == taken
    assert array.clone_volume("v.daily", "copy").source == array.clone_volume("v.daily", "copy").source == "v"
    for _ in range(2):
        array.destroy_volume("v")
    with pytest.raises(Refused, match="a destroyed volume keeps that name"):
        array.create_volume("v", GiB)
    with pytest.raises(NotFound):
        array.connect(host.name, "v")
    assert array.recover_volume("v").serial == made.serial
    array.destroy_volume("v")
    array.disconnect(host.name, "v")
    if not pretend.switches.safe_mode:
        for _ in range(2):
            array.eradicate_volume("v")
        assert array.create_volume("v", GiB).serial != made.serial


@pytest.mark.parametrize("switches", BLADES, ids=named)
def test_the_life_of_a_file_system(pretend_blade: PretendBlade, blade: FlashBlade, switches: dict[str, Any]) -> None:
    for name, value in switches.items():
        setattr(pretend_blade.switches, name, value)

    assert blade.space().used == 0 and blade.count() == 0
    made = blade.create_file_system("v", GiB, rules=RULES)
    assert blade.create_file_system("v", GiB, rules=RULES) == made
    blade.create_file_system("w", GiB, rules=RULES)
    pretend_blade.expire_sessions()
    assert blade.grow_file_system("v", 2 * GiB).size == 2 * GiB
    for _ in range(2):
        blade.destroy_file_system("v")
    assert [found.name for found in blade.file_systems()] == ["w"] and blade.count() == 2
    assert blade.recover_file_system("v").nfs_enabled
    for _ in range(2):
        blade.destroy_file_system("v")
    for _ in range(2):
        blade.eradicate_file_system("v")
    assert [*pretend_blade.file_systems] == ["w"]
