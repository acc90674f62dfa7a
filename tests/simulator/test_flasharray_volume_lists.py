"""FlashArray: which volumes a list shows, page by page, and what its rows say. Points 22-24 of array-rest.md section 8."""

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from tests.simulator.arrayclient import GiB, Rest, names, refusal


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
