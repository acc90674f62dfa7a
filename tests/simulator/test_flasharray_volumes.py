"""FlashArray: volumes and their life. Points 14-36 of array-rest.md section 8."""

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


def test_22_lists_and_destroyed_volumes(client: Client) -> None:
    for name in ("live", "gone"):
        client.create_volume(name, "1G")
    client.destroy_volume("gone")
    assert names(client.list_volumes()) == ["live"]
    assert {row["name"]: row["time_remaining"] is None for row in client.list_volumes(pending=True)} == {
        "live": True, "gone": False}
    assert names(client.list_volumes(pending_only=True)) == ["gone"]
    assert "time_remaining" not in client.list_volumes()[0]


@pytest.fixture
def five(client: Client) -> Client:
    """A client whose array has a1, a2, a3, b1, b2."""
    for name in ("a1", "a2", "a3", "b1", "b2"):
        client.create_volume(name, "1G")
    return client


@pytest.mark.parametrize("wanted, found", [
    ("a*", ["a1", "a2", "a3"]), ("*1", ["a1", "b1"]), (["a1", "b*"], ["a1", "b1", "b2"]), ("a1,b2", ["a1", "b2"]),
    ("*", ["a1", "a2", "a3", "b1", "b2"]), ("*a*2*", ["a2"]), ("z*", []), ("A1", ["a1"]), ("", [])])
def test_23_names_choose(five: Client, wanted: object, found: list[str]) -> None:
    assert names(five.list_volumes(names=wanted)) == found


def test_23_an_exact_unknown_name_fails_or_is_skipped(array: FlashArray, five: Client) -> None:
    """Unverified which; a wildcard without a match never fails."""
    with refusal("does not exist"):
        five.list_volumes(names="a1,zz")
    array.switches.unknown_name_fails = False
    assert names(five.list_volumes(names="a1,zz")) == ["a1"]


def test_23_paging_by_token(five: Client) -> None:
    """The last page has a token too, of an empty page without one: that is where the client stops."""
    pages = five.page_through(2, five.list_volumes)
    assert [(names(page), error) for page, error in pages] == [
        (["a1", "a2"], None), (["a3", "b1"], None), (["b2"], None)]


def test_23_paging_by_start_and_counting(rest: Rest, five: Client) -> None:
    assert names(rest.ok("GET", "volume?start=1&limit=2")) == ["a2", "a3"]
    assert rest.headers["x-total-item-count"] == "5"
    rest.ok("GET", "volume?start=0&limit=1&names=b*")
    assert rest.headers["x-total-item-count"] == "2"
    assert rest.ok("GET", "volume?start=9&limit=1") == []
    assert "x-total-item-count" not in (rest.ok("GET", "volume"), rest.headers)[1]


@pytest.mark.parametrize("query", ["limit=x", "start=-1", "token=zz!"])
def test_23_bad_paging_is_refused(five: Client, rest: Rest, query: str) -> None:
    assert "Invalid" in rest.refused("GET", f"volume?{query}")


def test_24_space_rows(array: FlashArray, client: Client) -> None:
    client.create_volume("v1", 4 * GiB)
    array.set_volume_used("v1", GiB)
    row = client.get_volume("v1", space=True)
    assert row == {"name": "v1", "size": 4 * GiB, "total": GiB, "volumes": GiB, "snapshots": 0, "shared_space": None,
                   "system": None, "data_reduction": 1.0, "thin_provisioning": 0.75, "total_reduction": 4.0}
    assert client.list_volumes(space=True) == [row]


def test_24_connect_rows(array: FlashArray, client: Client) -> None:
    """Only connected volumes, private and shared ones apart if asked."""
    for name in ("v1", "v2", "v3"):
        client.create_volume(name, GiB)
    array.add_host("h1")
    array.add_host("h2", group="g1")
    client.connect_host("h1", "v1", lun=7)
    client.connect_hgroup("g1", "v2")
    private = {"name": "v1", "host": "h1", "hgroup": None, "lun": 7, "size": GiB}
    shared = {"name": "v2", "host": "h2", "hgroup": "g1", "lun": 254, "size": GiB}
    assert client.list_volumes(connect=True) == [private, shared]
    assert client.list_volumes(connect=True, private=True) == [private]
    assert client.list_volumes(connect=True, shared=True) == [shared]


@pytest.mark.parametrize("source", ["v1", "v1.s1"])
def test_25_clones_have_the_sources_size_and_origin(client: Client, source: str) -> None:
    origin = client.create_volume("v1", 3 * GiB)
    client.create_snapshot("v1", suffix="s1")
    clone = client.copy_volume(source, "v2")
    assert clone["size"] == 3 * GiB and clone["source"] == "v1" and clone["serial"] != origin["serial"]


def test_25_clone_of_nothing(client: Client) -> None:
    for source in ("nix", "nix.s1"):
        with refusal("No such volume or snapshot", "does not exist"):
            client.copy_volume(source, "v2")


def test_25_clone_of_something_destroyed(client: Client) -> None:
    client.create_volume("v1", "1G")
    client.destroy_volume("v1")
    with refusal("has been destroyed"):
        client.copy_volume("v1", "v2")


def test_26_clone_onto_an_existing_name(array: FlashArray, client: Client) -> None:
    """Refused without overwrite; with it serial and connections stay, and an undo snapshot is there to recover."""
    client.create_volume("v1", 2 * GiB)
    serial = client.create_volume("v2", GiB)["serial"]
    array.add_host("h1")
    client.connect_host("h1", "v2", lun=3)
    with refusal("already exists"):
        client.copy_volume("v1", "v2")
    after = client.copy_volume("v1", "v2", overwrite=True)
    assert after["serial"] == serial and after["size"] == 2 * GiB and after["source"] == "v1"
    assert array.connections("v2") == {"h1": 3}
    (undo,) = client.list_volumes(snap=True, pending_only=True)
    assert undo["source"] == "v2" and undo["size"] == GiB
    client.recover_volume(undo["name"])
    client.copy_volume(undo["name"], "v2", overwrite=True)
    assert client.get_volume("v2")["size"] == GiB


def test_26_overwrite_creates_what_is_not_there(client: Client) -> None:
    client.create_volume("v1", GiB)
    assert client.copy_volume("v1", "v2", overwrite=True)["name"] == "v2"


def test_27_growing_and_shrinking(client: Client) -> None:
    client.create_volume("v1", 2 * GiB)
    assert client.extend_volume("v1", 3 * GiB) == {"name": "v1", "size": 3 * GiB}
    assert client.extend_volume("v1", 3 * GiB) == {"name": "v1", "size": 3 * GiB}
    with refusal("truncate"):
        client.extend_volume("v1", GiB)
    assert client.truncate_volume("v1", GiB) == {"name": "v1", "size": GiB}
    assert client.list_volumes(snap=True, pending_only=True)[0]["size"] == 3 * GiB


def test_28_rename_takes_everything_along(array: FlashArray, client: Client) -> None:
    serial = client.create_volume("v1", GiB)["serial"]
    client.create_snapshot("v1", suffix="s1")
    array.add_host("h1")
    client.connect_host("h1", "v1", lun=5)
    assert client.rename_volume("v1", "v2") == {"name": "v2"}
    assert client.get_volume("v2")["serial"] == serial
    assert array.connections("v2") == {"h1": 5} and array.connections("v1") == {}
    assert names(client.list_volumes(snap=True)) == ["v2.s1"]
    with refusal("does not exist"):
        client.get_volume("v1")


def test_28_rename_onto_a_taken_name(client: Client) -> None:
    for name in ("v1", "v2", "v3"):
        client.create_volume(name, GiB)
    client.destroy_volume("v3")
    for taken in ("v2", "v3", "V2"):
        with refusal("already exists"):
            client.rename_volume("v1", taken)
    with refusal("Invalid volume name."):
        client.rename_volume("v1", "v.1")


def test_29_a_destroyed_volume_takes_no_orders(array: FlashArray, client: Client) -> None:
    client.create_volume("v1", GiB)
    array.add_host("h1")
    assert client.destroy_volume("v1") == {"name": "v1"}
    for order in (lambda: client.extend_volume("v1", 2 * GiB), lambda: client.connect_host("h1", "v1"),
                  lambda: client.rename_volume("v1", "v2"), lambda: client.create_snapshot("v1", suffix="s"),
                  lambda: client.destroy_volume("v1"), lambda: client.disconnect_host("h1", "v1")):
        with refusal("has been destroyed"):
            order()


def test_30_a_connected_volume_cannot_be_destroyed(array: FlashArray, client: Client) -> None:
    """Privately or through a group."""
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
    array.add_host("h1", group="g1")
    client.connect_host("h1", "v1")
    client.connect_hgroup("g1", "v2")
    for name in ("v1", "v2"):
        with refusal("existing connections"):
            client.destroy_volume(name)
    assert names(client.list_volumes()) == ["v1", "v2"] and array.connections("v1") and array.connections("v2")


@pytest.mark.parametrize("restores", [True, False])
def test_31_snapshots_go_and_come_with_their_volume(array: FlashArray, client: Client, restores: bool) -> None:
    """Whether they come back is unverified; one destroyed by itself before stays destroyed."""
    array.switches.recover_restores_snapshots = restores
    serial = client.create_volume("v1", GiB)["serial"]
    client.create_snapshot("v1", suffix="before")
    client.create_snapshot("v1", suffix="with")
    client.destroy_volume("v1.before")
    client.destroy_volume("v1")
    assert client.list_volumes(snap=True) == []
    assert names(client.list_volumes(snap=True, pending_only=True)) == ["v1.before", "v1.with"]
    with refusal("has been destroyed"):
        client.recover_volume("v1.with")
    assert client.recover_volume("v1") == {"name": "v1"}
    assert client.get_volume("v1")["serial"] == serial
    assert names(client.list_volumes(snap=True)) == (["v1.with"] if restores else [])
    assert array.connections("v1") == {}


def test_31_recover_of_a_live_volume(client: Client) -> None:
    client.create_volume("v1", GiB)
    with refusal():
        client.recover_volume("v1")


def test_32_eradication(client: Client) -> None:
    client.create_volume("v1", GiB)
    client.create_snapshot("v1", suffix="s1")
    with refusal():
        client.eradicate_volume("v1")
    client.destroy_volume("v1")
    assert client.eradicate_volume("v1") == {"name": "v1"}
    for order in (lambda: client.get_volume("v1", pending=True), lambda: client.recover_volume("v1"),
                  lambda: client.destroy_volume("v1"), lambda: client.eradicate_volume("v1"),
                  lambda: client.recover_volume("v1.s1")):
        with refusal("does not exist"):
            order()
    assert client.list_volumes(snap=True, pending=True) == []


def test_33_a_destroyed_volume_ends_by_itself(array: FlashArray, client: Client) -> None:
    client.create_volume("v1", GiB)
    client.create_volume("v2", GiB)
    client.create_snapshot("v2", suffix="s1")
    client.destroy_volume("v1")
    client.destroy_volume("v2.s1")
    array.clock.advance(86000)
    assert 0 < client.get_volume("v1", pending=True)["time_remaining"] <= 400
    client.destroy_volume("v2")
    array.clock.advance(500)
    assert names(client.list_volumes(pending=True)) == ["v2"]
    assert client.list_volumes(snap=True, pending=True) == []
    array.clock.advance(86400)
    assert array.volumes == {}


def test_33_the_pending_time_can_be_set_and_the_clock_sped_up(array: FlashArray, client: Client) -> None:
    array.switches.pending_seconds = 30 * 86400.0
    client.create_volume("v1", GiB)
    client.destroy_volume("v1")
    assert client.get_volume("v1", pending=True)["time_remaining"] > 29 * 86400
    before = array.clock.now()
    array.clock.speed = 1e9
    assert array.clock.now() > before
    while array.volumes:
        pass
    array.clock.speed = 1


def test_34_safe_mode(array: FlashArray, client: Client) -> None:
    array.switches.safe_mode = True
    client.create_volume("v1", GiB)
    client.destroy_volume("v1")
    with refusal("Eradication is disabled."):
        client.eradicate_volume("v1")
    client.recover_volume("v1")


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
