"""FlashArray: volumes copied, grown, renamed, destroyed, recovered, eradicated. Points 25-34 of array-rest.md section 8."""

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from tests.simulator.arrayclient import GiB, names, refusal


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
