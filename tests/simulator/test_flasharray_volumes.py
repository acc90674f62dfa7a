"""FlashArray: making volumes, names, sizes and limits. Points 14-21, 35 and 36 of array-rest.md section 8."""

import re

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from tests.simulator.arrayclient import GiB, Rest, connect, names, refusal

MiB, PiB = 1 << 20, 1 << 50


def test_14_a_new_volume(client: Client) -> None:
    volume = client.create_volume("v1", 5 * GiB)
    assert volume["name"] == "v1" and volume["size"] == 5 * GiB and volume["source"] is None
    assert re.fullmatch(r"[0-9A-F]{24}", volume["serial"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", volume["created"])
    assert client.get_volume("v1") == volume


def test_14_serials_count_up_and_never_come_back(array: FlashArray, client: Client) -> None:
    """Also over snapshots, and after eradication."""
    serials = [client.create_volume("v1", "1G")["serial"], client.create_snapshot("v1", suffix="s")["serial"]]
    client.destroy_volume("v1")
    client.eradicate_volume("v1")
    serials.append(client.create_volume("v1", "1G")["serial"])
    assert {serial[:16] for serial in serials} == {client.get()["id"].replace("-", "")[:16].upper()}
    numbers = [int(serial[16:], 16) for serial in serials]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("given, size", [
    (MiB, MiB), ("1048576", MiB), ("1024K", MiB), ("5M", 5 * MiB), ("5g", 5 * GiB), ("2T", 2 << 40), ("4P", 4 * PiB),
    (4 * PiB, 4 * PiB), (MiB + 512, MiB + 512)])
def test_15_sizes_the_array_takes(rest: Rest, given: object, size: int) -> None:
    assert rest.ok("POST", "volume/v1", {"size": given})["size"] == size


@pytest.mark.parametrize("given", [MiB + 1, 4 * PiB + 512, "5P", 0, "0", -MiB, "-1G", 1.5, "1.5G", 1.0, "", "G", "1X",
                                   "1_000M", True, None, [], "1 G", "１G"])
def test_15_sizes_it_refuses(array: FlashArray, rest: Rest, given: object) -> None:
    assert "Invalid size" in rest.refused("POST", "volume/v1", {"size": given})
    assert array.volumes == {}


def test_15_below_one_mib_by_switch(array: FlashArray, client: Client) -> None:
    """Unverified: round up, or refuse."""
    assert client.create_volume("v1", 512)["size"] == MiB
    array.switches.round_up_small = False
    with refusal("Invalid size"):
        client.create_volume("v2", 512)


@pytest.mark.parametrize("name", ["v", "a" * 63, "V-1_x", "1a", "0-a-0", "a__b--c"])
def test_16_names_the_array_takes(client: Client, name: str) -> None:
    assert client.create_volume(name, "1M")["name"] == name


@pytest.mark.parametrize("name", ["a" * 64, "a.b", "-a", "a-", "_a", "a_", "123", "1-2", "a b", "ä1", "a:b", "a::"])
def test_16_names_it_refuses(array: FlashArray, client: Client, name: str) -> None:
    with refusal("Invalid volume name.", "Invalid pod name."):
        client.create_volume(name, "1M")
    assert array.volumes == {}


def test_17_case_is_kept_and_ignored(client: Client) -> None:
    client.create_volume("Vol1", "1G")
    assert client.get_volume("vOL1")["name"] == "Vol1"
    assert names(client.list_volumes(names="VOL1")) == ["Vol1"]
    with refusal("already exists"):
        client.create_volume("vol1", "1G")
    assert client.rename_volume("VOL1", "vol1") == {"name": "vol1"}


def test_18_an_existing_name_is_refused(client: Client) -> None:
    client.create_volume("v1", "1G")
    with refusal("Volume already exists."):
        client.create_volume("v1", "1G")


@pytest.mark.parametrize("says_destroyed, text", [(False, "already exists"), (True, "has been destroyed")])
def test_19_a_pending_name_stays_taken(array: FlashArray, client: Client, says_destroyed: bool, text: str) -> None:
    """The text is unverified, hence the switch; after eradication the name is free."""
    array.switches.pending_name_says_destroyed = says_destroyed
    serial = client.create_volume("v1", "1G")["serial"]
    client.destroy_volume("v1")
    with refusal(text):
        client.create_volume("v1", "1G")
    client.eradicate_volume("v1")
    assert client.create_volume("v1", "1G")["serial"] != serial


@pytest.mark.parametrize("body", [{}, {"bandwidth_limit": "10M"}, {"size": "1G", "source": "v0"}])
def test_20_post_needs_size_or_source(rest: Rest, body: object) -> None:
    rest.ok("POST", "volume/v0", {"size": "1G"})
    rest.refused("POST", "volume/v1", body)


def test_21_looking_at_one_volume(client: Client) -> None:
    with refusal("Volume does not exist."):
        client.get_volume("v1")
    client.create_volume("v1", "1G")
    assert client.get_volume("v1", pending=True)["time_remaining"] is None
    client.destroy_volume("v1")
    with refusal("Volume does not exist."):
        client.get_volume("v1")
    assert 86390 < client.get_volume("v1", pending=True)["time_remaining"] <= 86400


def test_35_counts_are_limited_destroyed_objects_count(array: FlashArray, client: Client) -> None:
    array.switches.volume_limit = array.switches.host_limit = array.switches.snapshot_limit = 2
    array.switches.connection_limit = 1
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
        client.create_host(f"h-{name}")
        client.create_snapshot(name, suffix="s")
    client.connect_host("h-v1", "v1")
    client.destroy_volume("v2.s")
    for order in (lambda: client.create_volume("v3", GiB), lambda: client.copy_volume("v1", "v3"),
                  lambda: client.create_host("h-v3"), lambda: client.create_snapshot("v1", suffix="t"),
                  lambda: client.connect_host("h-v1", "v2")):
        with refusal("limit reached"):
            order()
    client.destroy_volume("v2")
    with refusal("limit reached"):
        client.create_volume("v3", GiB)
    client.eradicate_volume("v2")
    client.create_volume("v3", GiB)


def test_35_a_full_array_takes_no_more_volumes(array: FlashArray, client: Client) -> None:
    array.capacity = 10 * GiB
    array.used = 10 * GiB
    with refusal("space"):
        client.create_volume("v1", GiB)
    array.switches.full_refuses = False
    client.create_volume("v1", GiB)


def test_36_limits_are_shown_set_and_cleared(client: Client) -> None:
    client.create_volume("v1", GiB)
    assert client.get_volume("v1", qos=True) == {"name": "v1", "bandwidth_limit": None, "iops_limit": None}
    client.set_volume("v1", bandwidth_limit="100M")
    client.set_volume("v1", iops_limit=5000)
    assert client.list_volumes(qos=True) == [{"name": "v1", "bandwidth_limit": 100 * MiB, "iops_limit": 5000}]
    client.set_volume("v1", bandwidth_limit="", iops_limit="")
    assert client.get_volume("v1", qos=True)["bandwidth_limit"] is None
    client.create_volume("v2", GiB, bandwidth_limit=MiB, iops_limit=100)
    assert client.get_volume("v2", qos=True) == {"name": "v2", "bandwidth_limit": MiB, "iops_limit": 100}


@pytest.mark.parametrize("limit", [{"bandwidth_limit": MiB - 1}, {"bandwidth_limit": 513 * GiB}, {"iops_limit": 99},
                                   {"iops_limit": 100_000_001}, {"iops_limit": "many"}])
def test_36_limits_have_limits(array: FlashArray, client: Client, limit: dict[str, object]) -> None:
    with refusal("Invalid"):
        client.create_volume("v1", GiB, **limit)
    assert array.volumes == {}


@pytest.mark.parametrize("version, limit", [("1.13", "bandwidth_limit"), ("1.16", "iops_limit")])
def test_36_older_versions_do_not_know_them(array: FlashArray, arrays: Simulator, version: str, limit: str) -> None:
    """Unverified how they refuse."""
    with refusal():
        connect(array, arrays.ca, rest_version=version).create_volume("v1", GiB, **{limit: MiB})
    assert array.volumes == {}


@pytest.mark.parametrize("body", [{}, {"nonsense": 1}, {"action": "dance"}, {"name": "x", "size": "2G"}])
def test_put_needs_one_known_change(rest: Rest, body: object) -> None:
    rest.ok("POST", "volume/v1", {"size": "1G"})
    rest.refused("PUT", "volume/v1", body)


def test_rest_1_19_adds_keys_clients_must_ignore(rest: Rest, array: FlashArray, arrays: Simulator) -> None:
    assert rest.ok("POST", "volume/v1", {"size": "1G"})["promotion_status"] == "promoted"
    assert Rest(array, arrays.ca, "1.7").ok("GET", "volume/v1").keys() == {"name", "serial", "size", "source",
                                                                           "created"}


def test_tags_come_with_1_19(rest: Rest, array: FlashArray, arrays: Simulator) -> None:
    rest.ok("POST", "volume/v1", {"size": "1G"})
    rest.ok("POST", "volume/v1/tags", {"key": "claim", "value": "a"})
    assert rest.ok("GET", "volume?tags=true") == [
        {"name": "v1", "key": "claim", "value": "a", "namespace": "default"}]
    rest.ok("DELETE", "volume/v1/tags/claim")
    assert rest.ok("GET", "volume?tags=true") == []
    rest.refused("DELETE", "volume/v1/tags/claim")
    for number in range(5):
        rest.ok("POST", "volume/v1/tags", {"key": f"k{number}", "value": "x"})
    assert "limit reached" in rest.refused("POST", "volume/v1/tags", {"key": "k9", "value": "x"})
    assert Rest(array, arrays.ca, "1.18").call("POST", "volume/v1/tags", {"key": "k", "value": "v"})[0] == 404
