"""FlashBlade: file systems, snapshots and the small collections. Points 58-63 of array-rest.md section 8."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator.flashblade import FlashBlade
from simulator.fleet import Simulator
from tests.simulator.arrayclient import GiB, Rest, names

OFF = {"nfs": {"v3_enabled": False, "v4_1_enabled": False}, "smb": {"enabled": False}, "http": {"enabled": False}}


@pytest.fixture
def made(blade_rest: Rest) -> Callable[..., dict[str, Any]]:
    """Makes a file system of 10 GiB served by NFSv3."""
    def make(name: str, **fields: Any) -> dict[str, Any]:
        body = {"name": name, "provisioned": 10 * GiB, "nfs": {"v3_enabled": True, "rules": "*(rw)"}, **fields}
        return dict(blade_rest.ok("POST", "file-systems", body)["items"][0])
    return make


def destroy(rest: Rest, name: str) -> None:
    rest.ok("PATCH", f"file-systems?name={name}", {**OFF, "destroyed": True})


def test_58_defaults_are_filled_in(blade_rest: Rest) -> None:
    (made,) = blade_rest.ok("POST", "file-systems", {"name": "f1"})["items"]
    assert made["provisioned"] == 0 and made["hard_limit_enabled"] is False and made["destroyed"] is False
    assert made["nfs"] == {"v3_enabled": False, "v4_1_enabled": False, "enabled": False,
                           "rules": "*(rw,no_root_squash)"}
    assert made["smb"] == {"enabled": False, "acl_mode": "shared"} and made["http"] == {"enabled": False}
    assert made["time_remaining"] is None and made["created"] > 1.5e12 and len(made["id"]) == 36
    assert made["space"] == {"virtual": 0, "unique": 0, "snapshots": 0, "total_physical": 0, "data_reduction": 1.0}
    assert blade_rest.ok("GET", "file-systems?names=f1")["items"] == [made]


def test_58_given_fields_are_kept(made: Callable[..., dict[str, Any]]) -> None:
    system = made("f1", hard_limit_enabled=True, snapshot_directory_enabled=True,
                  nfs={"v3_enabled": True, "v4_1_enabled": True, "rules": "192.0.2.0/24(rw,no_root_squash)"})
    assert system["provisioned"] == 10 * GiB and system["hard_limit_enabled"] and system["snapshot_directory_enabled"]
    assert system["nfs"] == {"v3_enabled": True, "v4_1_enabled": True, "enabled": True,
                             "rules": "192.0.2.0/24(rw,no_root_squash)"}


@pytest.mark.parametrize("version, body", [
    ("1.5", {"nfs": {"v3_enabled": True}}), ("1.3", {"hard_limit_enabled": True}), ("1.12", {"destroyed": False}),
    ("1.10", {"multi_protocol": {"safeguard_acls": True}}), ("1.8", {"source": {"name": "f0.s1"}}),
    ("1.12", {"nonsense": 1}), ("1.12", {"provisioned": -1}), ("1.12", {"provisioned": "10G"}),
    ("1.12", {"nfs": {"enabled": True, "v3_enabled": False}}), ("1.12", {"nfs": {"rules": 7}}),
    ("1.12", {"hard_limit_enabled": "true"})])
def test_58_bodies_that_are_refused(blade: FlashBlade, arrays: Simulator, version: str, body: dict[str, Any]) -> None:
    Rest(blade, arrays.ca, version).refused("POST", "file-systems", {"name": "f1", **body})
    assert blade.file_systems == {}


def test_58_fields_newer_than_the_version_can_be_ignored(blade: FlashBlade, arrays: Simulator) -> None:
    """Unverified which."""
    blade.switches.unknown_field_fails = False
    old = Rest(blade, arrays.ca, "1.3")
    (made,) = old.ok("POST", "file-systems", {"name": "f1", "nfs": {"v3_enabled": True}})["items"]
    assert made["nfs"] == {"enabled": False, "rules": "*(rw,no_root_squash)"}


@pytest.mark.parametrize("version, keys", [
    ("1.0", {"name", "created", "provisioned", "fast_remove_directory_enabled", "snapshot_directory_enabled", "nfs",
             "smb", "http", "space"}), ("1.1", {"destroyed", "time_remaining"}), ("1.4", {"hard_limit_enabled"}),
    ("1.8", {"id"}), ("1.9", {"source", "writable"}), ("1.11", {"multi_protocol"})])
def test_58_fields_come_with_their_version(blade: FlashBlade, arrays: Simulator, version: str, keys: set[str]) -> None:
    blade.add_file_system("f1")
    major, _, minor = version.partition(".")
    shown = [set(Rest(blade, arrays.ca, each).ok("GET", "file-systems")["items"][0])
             for each in ([version] if minor == "0" else [version, f"{major}.{int(minor) - 1}"])]
    assert keys <= shown[0] and not (keys & shown[-1] if len(shown) > 1 else ())


def test_58_below_1_6_nfs_has_one_switch(blade: FlashBlade, arrays: Simulator) -> None:
    old = Rest(blade, arrays.ca, "1.5")
    (made,) = old.ok("POST", "file-systems", {"name": "f1", "nfs": {"enabled": True, "rules": "*(ro)"}})["items"]
    assert made["nfs"] == {"enabled": True, "rules": "*(ro)"}
    assert blade.file_system("f1").v3


@pytest.mark.parametrize("name", ["", "a" * 64, "-a", "a b", "a.b", "ä", None, 7])
def test_58_names(blade: FlashBlade, blade_rest: Rest, name: object) -> None:
    blade_rest.refused("POST", "file-systems", {"name": name})
    assert blade.file_systems == {}


def test_58_an_existing_name(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    assert "already exists" in blade_rest.refused("POST", "file-systems", {"name": "F1"})


def test_58_a_limit_on_file_systems(blade: FlashBlade, made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    blade.switches.file_system_limit = 1
    made("f1")
    assert "limit reached" in blade_rest.refused("POST", "file-systems", {"name": "f2"})


def test_59_one_unknown_name_fails_the_call(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    assert names(blade_rest.ok("GET", "file-systems?names=f1")["items"]) == ["f1"]
    assert "does not exist" in blade_rest.refused("GET", "file-systems?names=f1,nix")


def test_59_destroyed_ones_are_in_the_list(blade: FlashBlade, arrays: Simulator, made: Callable[..., dict[str, Any]],
                                           blade_rest: Rest) -> None:
    """Unless `destroyed` chooses, from 1.9; named ones must then be in that state."""
    made("live")
    made("gone")
    destroy(blade_rest, "gone")
    assert names(blade_rest.ok("GET", "file-systems")["items"]) == ["live", "gone"]
    assert names(blade_rest.ok("GET", "file-systems?destroyed=true")["items"]) == ["gone"]
    assert names(blade_rest.ok("GET", "file-systems?destroyed=false")["items"]) == ["live"]
    blade_rest.refused("GET", "file-systems?destroyed=false&names=gone")
    old = Rest(blade, arrays.ca, "1.8")
    assert names(old.ok("GET", "file-systems?destroyed=true")["items"]) == ["live", "gone"]


@pytest.mark.parametrize("text, found", [
    ("name='pvc-*'", ["pvc-1", "pvc-2"]), ("name='*-1'", ["pvc-1"]), ("name!='pvc-*'", ["other"]),
    ("destroyed='true'", ["pvc-2"]), ("name='pvc-*' and destroyed='false'", ["pvc-1"]), ("nfs.rules='*(rw)'", 3),
    ("source.name=''", 3), ("name='z'", [])])
def test_59_filters(made: Callable[..., dict[str, Any]], blade_rest: Rest, text: str, found: Any) -> None:
    for name in ("pvc-1", "pvc-2", "other"):
        made(name)
    destroy(blade_rest, "pvc-2")
    items = blade_rest.ok("GET", "file-systems", params={"filter": text})["items"]
    assert len(items) == found if isinstance(found, int) else names(items) == found


@pytest.mark.parametrize("query", ["filter=name", "limit=x", "start=-1", "token=!"])
def test_59_bad_questions(blade_rest: Rest, query: str) -> None:
    assert "Invalid" in blade_rest.refused("GET", f"file-systems?{query}")


def test_59_sorting_and_paging(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    for name in ("b", "c", "a"):
        made(name)
    assert names(blade_rest.ok("GET", "file-systems?sort=name")["items"]) == ["a", "b", "c"]
    assert names(blade_rest.ok("GET", "file-systems?sort=name-")["items"]) == ["c", "b", "a"]
    first = blade_rest.ok("GET", "file-systems?limit=2")
    assert names(first["items"]) == ["b", "c"] and first["pagination_info"]["total_item_count"] == 3
    token = first["pagination_info"]["continuation_token"]
    second = blade_rest.ok("GET", f"file-systems?limit=2&token={token}")
    assert names(second["items"]) == ["a"] and second["pagination_info"]["continuation_token"] is None
    assert names(blade_rest.ok("GET", "file-systems?start=2")["items"]) == ["a"]


def test_59_counting_costs_no_items(blade: FlashBlade, made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    for name in ("a", "b"):
        made(name)
    answer = blade_rest.ok("GET", "file-systems?limit=0")
    assert answer["items"] == [] and answer["pagination_info"] == {"total_item_count": 2, "continuation_token": None}
    answer = blade_rest.ok("GET", "file-systems?total_only=true")
    assert answer["items"] == [] and answer["total"][0]["provisioned"] == 20 * GiB
    blade.switches.page_size = 1
    assert len(blade_rest.ok("GET", "file-systems?limit=100")["items"]) == 1


def test_60_changes(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    system = made("f1")
    (after,) = blade_rest.ok("PATCH", "file-systems?name=f1", {"provisioned": 20 * GiB})["items"]
    assert after == {**system, "provisioned": 20 * GiB}
    (after,) = blade_rest.ok("PATCH", f"file-systems?ids={system['id']}",
                             {"nfs": {"rules": "192.0.2.1(ro)", "v4_1_enabled": True}})["items"]
    assert after["nfs"] == {"v3_enabled": True, "v4_1_enabled": True, "enabled": True, "rules": "192.0.2.1(ro)"}
    for query in ("name=nix", "ids=nix"):
        assert "does not exist" in blade_rest.refused("PATCH", f"file-systems?{query}", {"provisioned": 1})


@pytest.mark.parametrize("edit, rules", [
    ({"add_rules": "192.0.2.3(rw)"}, "192.0.2.1(rw) 192.0.2.2(ro) 192.0.2.3(rw)"),
    ({"add_rules": "192.0.2.3(rw)", "after": "192.0.2.1(rw)"}, "192.0.2.1(rw) 192.0.2.3(rw) 192.0.2.2(ro)"),
    ({"remove_rules": "192.0.2.1(rw)"}, "192.0.2.2(ro)")])
def test_60_rules_one_by_one_from_1_11(blade: FlashBlade, blade_rest: Rest, edit: dict[str, str], rules: str) -> None:
    blade.add_file_system("f1", rules="192.0.2.1(rw) 192.0.2.2(ro)")
    blade_rest.ok("PATCH", "file-systems?name=f1", {"nfs": edit})
    assert blade.file_system("f1").rules == rules
    for wrong in ({"remove_rules": "203.0.113.1(rw)"}, {"add_rules": "*(ro)", "after": "203.0.113.1(rw)"}):
        assert "Rule does not exist" in blade_rest.refused("PATCH", "file-systems?name=f1", {"nfs": wrong})


def test_60_before_1_11_rules_are_set_as_a_whole(blade: FlashBlade, arrays: Simulator) -> None:
    blade.add_file_system("f1")
    Rest(blade, arrays.ca, "1.10").refused("PATCH", "file-systems?name=f1", {"nfs": {"add_rules": "*(ro)"}})


def test_60_a_hard_limit_stops_a_shrink_below_usage(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                                    blade_rest: Rest) -> None:
    made("f1", hard_limit_enabled=True)
    made("f2")
    for name in ("f1", "f2"):
        blade.set_used(name, 5 * GiB)
    blade_rest.refused("PATCH", "file-systems?name=f1", {"provisioned": GiB})
    assert blade.file_system("f1").size == 10 * GiB
    blade_rest.ok("PATCH", "file-systems?name=f1&ignore_usage=true", {"provisioned": GiB})
    blade_rest.ok("PATCH", "file-systems?name=f2", {"provisioned": GiB})
    blade_rest.refused("PATCH", "file-systems?name=f2", {"hard_limit_enabled": True})
    blade_rest.ok("PATCH", "file-systems?name=f1", {"provisioned": 0})
    (row,) = blade_rest.ok("GET", "file-systems?names=f1")["items"]
    assert row["space"]["total_physical"] == 5 * GiB


def test_60_a_destroyed_one_takes_recovery_only(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    """And comes back with its protocols off."""
    made("f1")
    destroy(blade_rest, "f1")
    for body in ({"provisioned": GiB}, {"destroyed": True}, {"destroyed": False, "provisioned": GiB}):
        assert "has been destroyed" in blade_rest.refused("PATCH", "file-systems?name=f1", body)
    (after,) = blade_rest.ok("PATCH", "file-systems?name=f1", {"destroyed": False})["items"]
    assert not after["destroyed"] and after["time_remaining"] is None and not after["nfs"]["v3_enabled"]


def test_61_protocols_must_be_off_first(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                        blade_rest: Rest) -> None:
    """In the same PATCH or an earlier one; lenient by switch, since nobody has verified it."""
    made("f1")
    made("f2")
    blade_rest.refused("PATCH", "file-systems?name=f1", {"destroyed": True})
    assert not blade.file_system("f1").destroyed
    blade_rest.ok("PATCH", "file-systems?name=f1", {"nfs": {"v3_enabled": False}})
    blade_rest.ok("PATCH", "file-systems?name=f1", {"destroyed": True})
    blade.switches.destroy_needs_protocols_off = False
    blade_rest.ok("PATCH", "file-systems?name=f2", {"destroyed": True})


def test_61_eradication(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    blade_rest.refused("DELETE", "file-systems?name=f1")
    blade_rest.refused("DELETE", "file-systems")
    destroy(blade_rest, "f1")
    assert "already exists" in blade_rest.refused("POST", "file-systems", {"name": "f1"})
    assert blade_rest.call("DELETE", "file-systems?name=f1") == (200, "")
    blade_rest.refused("GET", "file-systems?names=f1")
    made("f1")


def test_61_a_pending_name_need_not_be_reserved(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                                blade_rest: Rest) -> None:
    """Unverified."""
    first = made("f1")
    destroy(blade_rest, "f1")
    blade.switches.pending_name_reserved = False
    assert made("f1")["id"] != first["id"]


def test_61_time_remaining_counts_down_in_milliseconds(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                                       blade_rest: Rest) -> None:
    made("f1")
    destroy(blade_rest, "f1")
    blade.clock.advance(86000)
    blade_rest.login(blade.token)
    assert 300_000 < blade_rest.ok("GET", "file-systems?names=f1")["items"][0]["time_remaining"] <= 400_000
    blade.clock.advance(401)
    assert blade.file_systems == {}
    blade_rest.refused("GET", "file-systems?names=f1")


def test_62_life_of_snapshots(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    for name in ("f1", "f2"):
        made(name)
    taken = blade_rest.ok("POST", "file-system-snapshots?sources=f1,f2", {"suffix": "s1"})["items"]
    assert [(row["name"], row["source"], row["suffix"]) for row in taken] == [
        ("f1.s1", "f1", "s1"), ("f2.s1", "f2", "s1")]
    assert "already exists" in blade_rest.refused("POST", "file-system-snapshots?sources=f1", {"suffix": "s1"})
    assert "does not exist" in blade_rest.refused("POST", "file-system-snapshots?sources=f1,nix", {"suffix": "s2"})
    blade_rest.refused("POST", "file-system-snapshots?sources=f1", {"suffix": "a.b"})
    blade_rest.refused("POST", "file-system-snapshots")
    (row,) = blade_rest.ok("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": True})["items"]
    assert row["destroyed"] and row["time_remaining"] > 86_000_000
    blade_rest.refused("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": True})
    blade_rest.refused("PATCH", "file-system-snapshots?name=f1.s1", {})
    (row,) = blade_rest.ok("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": False})["items"]
    assert not row["destroyed"]
    blade_rest.refused("DELETE", "file-system-snapshots?name=f1.s1")
    blade_rest.ok("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": True})
    assert blade_rest.call("DELETE", "file-system-snapshots?name=f1.s1")[0] == 200
    assert "does not exist" in blade_rest.refused("DELETE", "file-system-snapshots?name=f1.s1")


def test_62_a_snapshot_names_itself(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    suffixes = {blade_rest.ok("POST", "file-system-snapshots?sources=f1")["items"][0]["suffix"] for _ in range(3)}
    assert len(suffixes) == 3


def test_62_listing_snapshots(blade: FlashBlade, arrays: Simulator, made: Callable[..., dict[str, Any]],
                              blade_rest: Rest) -> None:
    """By name or owner under the parameter's old and new name, or by filter."""
    for name in ("f1", "f2"):
        made(name)
        blade_rest.ok("POST", f"file-system-snapshots?sources={name}", {"suffix": "s1"})
    old = Rest(blade, arrays.ca, "1.8")
    assert names(old.ok("GET", "file-system-snapshots?names_or_sources=f1")["items"]) == ["f1.s1"]
    assert names(blade_rest.ok("GET", "file-system-snapshots?names_or_owner_names=f2.s1")["items"]) == ["f2.s1"]
    assert names(blade_rest.ok("GET", "file-system-snapshots", params={
        "filter": "source='f1' and suffix='s1'"})["items"]) == ["f1.s1"]
    blade_rest.refused("GET", "file-system-snapshots?names_or_owner_names=nix")


def test_62_snapshots_go_with_their_owner(made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    blade_rest.ok("POST", "file-system-snapshots?sources=f1", {"suffix": "s1"})
    destroy(blade_rest, "f1")
    assert blade_rest.ok("GET", "file-system-snapshots")["items"][0]["destroyed"]
    blade_rest.refused("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": False})
    blade_rest.ok("PATCH", "file-systems?name=f1", {"destroyed": False})
    assert not blade_rest.ok("GET", "file-system-snapshots")["items"][0]["destroyed"]
    destroy(blade_rest, "f1")
    blade_rest.ok("DELETE", "file-systems?name=f1")
    assert blade_rest.ok("GET", "file-system-snapshots")["items"] == []


def test_62_a_destroyed_snapshot_ends_by_itself(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                                blade_rest: Rest) -> None:
    made("f1")
    blade_rest.ok("POST", "file-system-snapshots?sources=f1", {"suffix": "s1"})
    blade_rest.ok("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": True})
    blade.clock.advance(86401)
    blade_rest.login(blade.token)
    assert blade_rest.ok("GET", "file-system-snapshots")["items"] == []
    destroy(blade_rest, "f1")
    assert "destroyed" in blade_rest.refused("POST", "file-system-snapshots?sources=f1")


def test_62_clones_and_restores_from_1_9(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                         blade_rest: Rest) -> None:
    made("f1")
    blade.set_used("f1", 3 * GiB)
    blade_rest.ok("POST", "file-system-snapshots?sources=f1", {"suffix": "s1"})
    (clone,) = blade_rest.ok("POST", "file-systems", {"name": "f2", "source": {"name": "f1.s1"}})["items"]
    assert clone["provisioned"] == 10 * GiB and clone["source"]["name"] == "f1.s1"
    assert clone["space"]["unique"] == 3 * GiB
    blade.set_used("f1", 4 * GiB)
    blade_rest.refused("POST", "file-systems", {"name": "f1", "source": {"name": "f1.s1"}})
    blade_rest.ok("POST", "file-systems?overwrite=true", {"name": "f1", "source": {"name": "f1.s1"}})
    assert blade.file_system("f1").used == 3 * GiB
    blade.clock.advance(1)
    blade_rest.ok("POST", "file-system-snapshots?sources=f1", {"suffix": "s2"})
    restore = {"name": "f1", "source": {"name": "f1.s1"}}
    assert "discard" in blade_rest.refused("POST", "file-systems?overwrite=true", restore)
    blade_rest.ok("POST", "file-systems?overwrite=true&discard_non_snapshotted_data=true", restore)
    blade_rest.ok("PATCH", "file-system-snapshots?name=f1.s1", {"destroyed": True})
    blade_rest.refused("POST", "file-systems", {"name": "f3", "source": {"name": "f1.s1"}})


def test_62_a_clone_that_is_refused_leaves_nothing(blade: FlashBlade, made: Callable[..., dict[str, Any]],
                                                   blade_rest: Rest) -> None:
    made("f1")
    blade.set_used("f1", 3 * GiB)
    blade_rest.ok("POST", "file-system-snapshots?sources=f1", {"suffix": "s1"})
    blade_rest.refused("POST", "file-systems", {"name": "f2", "source": {"name": "f1.s1"}, "provisioned": GiB,
                                                "hard_limit_enabled": True})
    assert list(blade.file_systems) == ["f1"]


def test_63_the_blade_itself(blade: FlashBlade, arrays: Simulator, blade_rest: Rest) -> None:
    (row,) = blade_rest.ok("GET", "arrays")["items"]
    assert row["name"] == blade.name and row["os"] == "Purity//FB" and row["idle_timeout"] == 1_800_000
    old = Rest(blade, arrays.ca, "1.3").ok("GET", "arrays")["items"][0]
    assert "idle_timeout" not in old and "_as_of" not in old and "time_zone" not in old


def test_63_space(blade: FlashBlade, made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    blade.capacity, blade.used = 100 * GiB, 10 * GiB
    blade.set_used("f1", 5 * GiB)
    (row,) = blade_rest.ok("GET", "arrays/space")["items"]
    assert row["capacity"] == 100 * GiB and row["space"]["total_physical"] == 15 * GiB
    (row,) = blade_rest.ok("GET", "arrays/space?type=file-system")["items"]
    assert row["space"]["total_physical"] == 5 * GiB
    blade_rest.refused("GET", "arrays/space?type=nonsense")


def test_63_interfaces_and_blades(blade: FlashBlade, blade_rest: Rest) -> None:
    rows = blade_rest.ok("GET", "network-interfaces")["items"]
    assert {row["services"][0]: row["address"] for row in rows} == {
        "data": blade.nfs_endpoint, "management": "127.0.0.1"}
    assert {row["status"] for row in blade_rest.ok("GET", "blades")["items"]} == {"healthy"}


def test_exports_are_what_nfs_serves(blade: FlashBlade, made: Callable[..., dict[str, Any]], blade_rest: Rest) -> None:
    made("f1")
    made("f2", nfs={"v3_enabled": False})
    assert [each.name for each in blade.exports()] == ["f1"]
    blade.destroy_file_system("f1")
    assert blade.exports() == []
    with pytest.raises(KeyError):
        blade.file_system("nix")
