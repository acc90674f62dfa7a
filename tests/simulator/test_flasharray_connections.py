"""FlashArray: connections and LUNs. Points 46-51 of array-rest.md section 8."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from simulator.state.objects import Volume
from tests.simulator.arrayclient import GiB, Rest, refusal


@pytest.fixture
def ready(array: FlashArray, client: Client) -> Client:
    """A client whose array has hosts h1 and h2 and volumes v1 to v5."""
    for name in ("h1", "h2"):
        array.add_host(name)
    for number in range(1, 6):
        array.add_volume(f"v{number}", number * GiB)
    return client


def test_46_the_lowest_free_lun_is_given(ready: Client) -> None:
    assert ready.connect_host("h1", "v1") == {"name": "h1", "vol": "v1", "lun": 1}
    assert ready.connect_host("h1", "v2", lun=3)["lun"] == 3
    assert [ready.connect_host("h1", name)["lun"] for name in ("v3", "v4")] == [2, 4]
    assert ready.connect_host("h2", "v3")["lun"] == 1


def test_46_a_used_lun_is_refused(array: FlashArray, ready: Client) -> None:
    ready.connect_host("h1", "v1", lun=7)
    with refusal("LUN"):
        ready.connect_host("h1", "v2", lun=7)
    assert array.connections("v2") == {}
    assert ready.connect_host("h1", "v2", lun="4095")["lun"] == 4095


@pytest.mark.parametrize("lun", [0, -1, 4096, "x", 1.5, True])
def test_46_luns_go_from_1_to_4095(rest: Rest, ready: Client, lun: object) -> None:
    assert "LUN" in rest.refused("POST", "host/h1/volume/v1", {"lun": lun})


def test_47_a_pair_is_connected_once(array: FlashArray, ready: Client) -> None:
    """Whatever LUN is asked, and also when the connection is the group's."""
    ready.connect_host("h1", "v1")
    for lun in (None, 1, 9):
        with refusal("Connection already exists"):
            ready.connect_host("h1", "v1", **({"lun": lun} if lun else {}))
    ready.create_hgroup("g1", hostlist=["h2"])
    ready.connect_hgroup("g1", "v2")
    with refusal("Connection already exists"):
        ready.connect_host("h2", "v2")
    ready.connect_host("h2", "v3")
    with refusal("Connection already exists"):
        ready.connect_hgroup("g1", "v3")


def test_48_of_many_connecting_one_pair_one_wins(array: FlashArray, arrays: Simulator) -> None:
    array.add_volume("v1", GiB)
    array.add_host("h1")
    sessions = [Rest(array, arrays.ca) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda rest: rest.call("POST", "host/h1/volume/v1"), sessions))
    assert sorted(status for status, _ in answers) == [200] + [400] * 5
    assert {answer[0]["msg"] for status, answer in answers if status == 400} == {"Connection already exists."}


def test_48_different_volumes_get_different_luns(array: FlashArray, arrays: Simulator) -> None:
    array.add_host("h1")
    for number in range(24):
        array.add_volume(f"v{number}", GiB)
    sessions = [Rest(array, arrays.ca) for _ in range(6)]
    work = [(sessions[number % 6], number) for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        luns = list(pool.map(lambda job: job[0].ok("POST", f"host/h1/volume/v{job[1]}")["lun"], work))
    assert sorted(luns) == list(range(1, 25))


@pytest.mark.parametrize("old, text", [(False, "Connection does not exist."), (True, "is not connected")])
def test_49_disconnecting(array: FlashArray, ready: Client, old: bool, text: str) -> None:
    array.switches.old_disconnect_text = old
    ready.connect_host("h1", "v1")
    assert ready.disconnect_host("h1", "v1") == {"name": "h1", "vol": "v1"}
    with refusal(text):
        ready.disconnect_host("h1", "v1")
    with refusal("Host does not exist."):
        ready.disconnect_host("nix", "v1")
    with refusal("Volume does not exist."):
        ready.disconnect_host("h1", "nix")


def test_50_a_freed_lun_is_given_again_at_once(ready: Client) -> None:
    for name in ("v1", "v2", "v3"):
        ready.connect_host("h1", name)
    ready.disconnect_host("h1", "v2")
    assert ready.connect_host("h1", "v4")["lun"] == 2


def test_51_rows_of_hosts_and_volumes(array: FlashArray, ready: Client) -> None:
    ready.create_hgroup("g1", hostlist=["h1"])
    ready.connect_host("h1", "v3", lun=7)
    ready.connect_hgroup("g1", "v2")
    assert ready.list_host_connections("h1") == [
        {"name": "h1", "vol": "v3", "lun": 7, "hgroup": None}, {"name": "h1", "vol": "v2", "lun": 254, "hgroup": "g1"}]
    assert ready.list_host_connections("h1", private=True) == [{"lun": 7, "name": "h1", "vol": "v3"}]
    assert ready.list_host_connections("h1", shared=True) == [
        {"hgroup": "g1", "lun": 254, "name": "h1", "vol": "v2"}]
    assert ready.list_volume_private_connections("v3") == [{"name": "v3", "host": "h1", "lun": 7, "size": 3 * GiB}]
    assert ready.list_volume_shared_connections("v2") == [
        {"name": "v2", "hgroup": "g1", "host": "h1", "lun": 254, "size": 2 * GiB}]
    assert ready.list_volume_private_connections("v2") == []
    ready.create_hgroup("g2")
    ready.connect_hgroup("g2", "v5")
    assert ready.list_volume_shared_connections("v5")[0]["host"] is None


def test_51_all_true_gives_a_row_a_path(array: FlashArray, ready: Client) -> None:
    """A host without connections has none."""
    ready.connect_host("h1", "v1")
    rows = ready.list_hosts(all=True)
    assert {(row["name"], row["vol"], row["lun"]) for row in rows} == {("h1", "v1", 1)}
    assert [row["target_port"] for row in rows] == ["CT0.ETH8", "CT1.ETH8"]


def test_46_a_host_that_is_full(array: FlashArray, ready: Client) -> None:
    """4095 LUNs; the text is unverified."""
    host = array.state.hosts.get("h1")
    host.luns |= {Volume(f"x{lun}", f"{lun:024X}", GiB, None, 0.0): lun for lun in range(1, 4096)}
    with refusal("LUN"):
        ready.connect_host("h1", "v2")
