"""FlashArray: ports, space, monitors, and several arrays together. Points 54-56 of array-rest.md section 8."""

import pytest
from purestorage import FlashArray as Client

from simulator.fabric import LocalFabric
from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from tests.simulator.arrayclient import GiB, IQN, Rest, connect, names, refusal


@pytest.fixture
def mixed(arrays: Simulator) -> FlashArray:
    """An array with portals on two subnets, IPv6, FC and NVMe ports."""
    fresh = arrays.add_flash_array(
        "mixed", portals=["192.0.2.10:3260", "198.51.100.10:3260", "[2001:db8::10]:3260"],
        wwns=["50:01:50:01:50:01:50:80"], nvme_portals=["203.0.113.10:4420"])
    yield fresh
    arrays.remove(fresh)


def test_54_ports(mixed: FlashArray, arrays: Simulator) -> None:
    """Every key on every row; one IQN; FC and NVMe rows have none."""
    rows = connect(mixed, arrays.ca).list_ports()
    assert {(row["portal"], row["wwn"]) for row in rows if row["iqn"] == mixed.iqn} == {
        ("192.0.2.10:3260", None), ("198.51.100.10:3260", None), ("[2001:db8::10]:3260", None)}
    assert [row["wwn"] for row in rows if row["wwn"]] == ["5001500150015080"]
    assert [(row["portal"], row["iqn"]) for row in rows if row["nqn"]] == [("203.0.113.10:4420", None)]
    assert len({row["name"] for row in rows}) == 5 and len({tuple(row) for row in rows}) == 1


def test_54_no_nvme_before_1_16(mixed: FlashArray, arrays: Simulator) -> None:
    rows = connect(mixed, arrays.ca, rest_version="1.15").list_ports()
    assert len(rows) == 4 and "nqn" not in rows[0]


def test_54_ports_go_dark_or_away(mixed: FlashArray, arrays: Simulator) -> None:
    """REST lists a dark or refusing port as ever; an absent one not at all."""
    client = connect(mixed, arrays.ca)
    mixed.set_portal("192.0.2.10:3260", "dark")
    mixed.set_portal("198.51.100.10:3260", "refused")
    mixed.set_portal("5001500150015080", "absent")
    assert len(client.list_ports()) == 4
    mixed.set_portal("192.0.2.10:3260", "absent")
    assert "192.0.2.10:3260" not in [row["portal"] for row in client.list_ports()]
    assert mixed.portal_state("198.51.100.10:3260") == "refused"
    with pytest.raises(ValueError, match="up, dark"):
        mixed.set_portal("192.0.2.10:3260", "sleepy")
    with pytest.raises(KeyError):
        mixed.set_portal("192.0.2.99:3260", "up")


def test_54_interfaces_match_the_ports(mixed: FlashArray, arrays: Simulator) -> None:
    rows = connect(mixed, arrays.ca).list_network_interfaces()
    assert {row["address"] for row in rows if row["services"] == ["iscsi"]} == {
        "192.0.2.10", "198.51.100.10", "2001:db8::10"}
    assert [row["name"] for row in rows if row["services"] == ["management"]] == ["vir0"]


def test_55_identity_and_space(array: FlashArray, client: Client) -> None:
    identity = client.get()
    assert identity["array_name"] == array.name and identity["version"] == "5.3.10" and len(identity["id"]) == 36
    array.capacity, array.used = 10 * GiB, 3 * GiB
    (space,) = client.get(space=True)
    assert space["capacity"] == 10 * GiB and space["total"] == 3 * GiB and space["hostname"] == array.name
    array.switches.space_is_list = False
    assert client.get(space=True) == space


def test_55_a_new_volume_does_not_move_the_space(array: FlashArray, client: Client) -> None:
    client.create_volume("v1", GiB)
    assert client.get(space=True)[0]["total"] == 0


def test_55_other_attributes_answer_alone(client: Client) -> None:
    assert client.get(idle_timeout=True) == {"idle_timeout": 30}
    assert [each["status"] for each in client.get(controllers=True)] == ["ready", "ready"]


def test_56_two_arrays_have_nothing_in_common(array: FlashArray, other: FlashArray, arrays: Simulator) -> None:
    one, two = connect(array, arrays.ca), connect(other, arrays.ca)
    first, second = one.create_volume("v1", GiB), two.create_volume("v1", GiB)
    assert one.get()["id"] != two.get()["id"]
    assert array.iqn != other.iqn and first["serial"][:16] != second["serial"][:16]
    assert not set(array.portals) & set(other.portals) and array.token != other.token
    with pytest.raises(Exception, match="401"):
        Client(other.endpoint, api_token=array.token, request_kwargs={"verify": arrays.ca, "timeout": 5})


def test_56_a_stretched_pod(array: FlashArray, other: FlashArray, arrays: Simulator) -> None:
    """The same volume on both arrays, connected on each by itself, destroyed on both."""
    rest, peer = Rest(array, arrays.ca), Rest(other, arrays.ca)
    rest.ok("POST", "pod/pod1")
    serial = rest.ok("POST", "volume/pod1::v1", {"size": "1G"})["serial"]
    rest.ok("POST", f"pod/pod1/array/{other.name}")
    rest.ok("POST", "volume/pod1::v2", {"size": "1G"})
    assert [row["name"] for row in rest.ok("GET", "pod/pod1")["arrays"]] == [array.name, other.name]
    assert peer.ok("GET", "volume/pod1::v1")["serial"] == serial
    assert names(peer.ok("GET", "volume")) == ["pod1::v1", "pod1::v2"]
    array.add_host("h1", iqns=[IQN(1)])
    other.add_host("h1", iqns=[IQN(1)])
    rest.ok("POST", "host/h1/volume/pod1::v1")
    peer.ok("POST", "host/h1/volume/pod1::v1", {"lun": 9})
    assert [row["host"] for row in rest.ok("GET", "volume/pod1::v1/host")] == ["h1"]
    assert [(row["host"], row["lun"]) for row in rest.ok("GET", "volume/pod1::v1/host?remote=true")] == [
        ("h1", 1), (f"{other.name}:h1", 9)]
    assert names(rest.ok("GET", "host?remote=true")) == ["h1", f"{other.name}:h1"]
    rest.ok("DELETE", "host/h1/volume/pod1::v1")
    assert "existing connections" in rest.refused("DELETE", "volume/pod1::v1")
    peer.ok("DELETE", "host/h1/volume/pod1::v1")
    rest.ok("PUT", "volume/pod1::v1", {"name": "pod1::v3"})
    rest.ok("DELETE", "volume/pod1::v3")
    assert names(peer.ok("GET", "volume?pending_only=true")) == ["pod1::v3"]
    other.clock.advance(86401)
    peer.login(other.token)
    assert names(peer.ok("GET", "volume?pending=true")) == ["pod1::v2"]


def test_56_pods_name_volumes(rest: Rest, array: FlashArray) -> None:
    """A pod must exist; it is not counted in the 63; it is left by moving; only an empty one can be deleted."""
    assert "Pod does not exist." in rest.refused("POST", "volume/pod1::v1", {"size": "1G"})
    rest.ok("POST", "pod/pod1")
    assert "already exists" in rest.refused("POST", "pod/POD1")
    assert names(rest.ok("GET", "pod")) == ["pod1"]
    long = "a" * 63
    rest.ok("POST", f"volume/pod1::{long}", {"size": "1G"})
    rest.ok("POST", f"volume/{long}", {"size": "1G"})
    rest.refused("PUT", f"volume/pod1::{long}", {"name": "elsewhere"})
    rest.refused("PUT", f"volume/pod1::{long}", {"container": ""})
    assert rest.ok("PUT", f"volume/pod1::{long}", {"name": "pod1::v1"}) == {"name": "pod1::v1"}
    assert "not empty" in rest.refused("DELETE", "pod/pod1")
    assert rest.ok("PUT", "volume/pod1::v1", {"container": ""}) == {"name": "v1"}
    assert rest.ok("PUT", "volume/v1", {"container": "pod1"}) == {"name": "pod1::v1"}
    assert rest.ok("PUT", "volume/pod1::v1", {"container": None}) == {"name": "v1"}
    assert rest.ok("DELETE", "pod/pod1") == {"name": "pod1"}
    assert "does not exist" in rest.refused("POST", "pod/pod1/array/nix")


def test_pgroups_are_listed_as_none(client: Client) -> None:
    assert client.list_pgroups() == []


def test_monitor_of_a_volume(arrays: Simulator, array: FlashArray, client: Client) -> None:
    """Means over the last interval of what was counted; nothing when nothing happened since."""
    for name in ("busy", "idle"):
        client.create_volume(name, GiB)
    arrays.sample(1.0)
    array.count_io("busy", reads=100, writes=40, read_bytes=409600, written_bytes=163840, read_usec=50_000,
                   write_usec=8_000)
    arrays.sample(2.0)
    busy, idle = client.list_volumes(action="monitor")
    assert {key: busy[key] for key in busy if key != "time"} == {
        "name": "busy", "reads_per_sec": 50, "writes_per_sec": 20, "output_per_sec": 204800, "input_per_sec": 81920,
        "usec_per_read_op": 500, "usec_per_write_op": 200}
    assert idle["writes_per_sec"] == idle["input_per_sec"] == 0
    assert names(client.list_volumes(action="monitor", names="busy")) == ["busy"]
    assert client.get_volume("busy", action="monitor")[0]["writes_per_sec"] == 20
    arrays.sample(2.0)
    assert client.list_volumes(action="monitor")[0]["writes_per_sec"] == 0


def test_a_trickle_is_not_rounded_away(arrays: Simulator, array: FlashArray, client: Client) -> None:
    """One small write in ten seconds is a writer who lives."""
    client.create_volume("v1", GiB)
    arrays.sample(1.0)
    array.count_io("v1", writes=1, written_bytes=4096)
    arrays.sample(10.0)
    assert client.list_volumes(action="monitor")[0]["writes_per_sec"] == 1


def test_monitor_of_the_array(arrays: Simulator, array: FlashArray, other: FlashArray, client: Client) -> None:
    """The sum of its own volumes; `historical` has one row an interval."""
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
    other.add_volume("v1", GiB)
    arrays.sample(1.0)
    array.count_io("v1", writes=10, written_bytes=1000)
    array.count_io("v2", writes=30, written_bytes=3000)
    other.count_io("v1", writes=500)
    arrays.sample(1.0)
    (now,) = client.get(action="monitor")
    assert now["writes_per_sec"] == 40 and now["input_per_sec"] == 4000 and "queue_depth" in now
    history = client.get(action="monitor", historical="1h")
    assert [row["writes_per_sec"] for row in history][-2:] == [0, 40]


def test_initiators_are_rows_of_port(arrays: Simulator, array: FlashArray, client: Client) -> None:
    """Whoever a pretend node says is logged in."""
    fabric = LocalFabric(arrays)
    fabric.login(IQN(1), array.portals[0])
    fabric.login(IQN(1), array.portals[1])
    fabric.logout(IQN(1), array.portals[0])
    (row,) = client.list_ports(initiators=True)
    assert row["iqn"] == IQN(1) and row["target_portal"] == array.portals[1] and row["target_iqn"] == array.iqn


def test_unknown_volume_options_do_no_harm(client: Client) -> None:
    client.create_volume("v1", GiB)
    assert client.get_volume("v1", something_new=True)["name"] == "v1"
    with refusal("does not exist"):
        client.list_volume_private_connections("nix")
