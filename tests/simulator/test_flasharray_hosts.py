"""FlashArray: hosts and host groups. Points 41-45, 52 and 53 of array-rest.md section 8."""

import pytest
from purestorage import FlashArray as Client

from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from tests.simulator.arrayclient import GiB, IQN, Rest, connect, names, refusal

WWN = "5001500150015081"


def test_41_a_new_host(client: Client) -> None:
    """The reply has no `hgroup`; a look has, and from REST 1.16 `nqn`."""
    assert client.create_host("h1", iqnlist=[IQN(1)]) == {"name": "h1", "iqn": [IQN(1)], "wwn": [], "nqn": []}
    assert client.get_host("h1") == {"name": "h1", "iqn": [IQN(1)], "wwn": [], "hgroup": None, "nqn": []}


def test_41_no_nqn_before_1_16(array: FlashArray, arrays: Simulator) -> None:
    old = connect(array, arrays.ca, rest_version="1.15")
    assert old.create_host("h1", iqnlist=[IQN(1)]) == {"name": "h1", "iqn": [IQN(1)], "wwn": []}
    with refusal():
        old.create_host("h2", nqnlist=["nqn.2014-08.org.nvmexpress:uuid:1"])


def test_41_hosts_are_listed_and_chosen_by_name(client: Client) -> None:
    for name in ("k8s-n1", "k8s-n2", "esx"):
        client.create_host(name)
    assert names(client.list_hosts()) == ["k8s-n1", "k8s-n2", "esx"]
    assert names(client.list_hosts(names="K8S-*")) == ["k8s-n1", "k8s-n2"]
    assert names(client.list_hosts(limit=2)) == ["k8s-n1", "k8s-n2"]


@pytest.mark.parametrize("taken, asked", [
    ({"iqnlist": [IQN(1)]}, {"iqnlist": [IQN(2), IQN(1)]}),
    ({"wwnlist": [WWN]}, {"wwnlist": [WWN.lower()]}),
    ({"wwnlist": ["50:01:50:01:50:01:50:8a"]}, {"wwnlist": ["500150015001508A"]})])
def test_42_an_initiator_belongs_to_one_host(array: FlashArray, client: Client, taken: dict[str, list[str]],
                                             asked: dict[str, list[str]]) -> None:
    """And nothing is made when it is taken; WWNs without case and colons."""
    client.create_host("h1", **taken)
    with refusal("is already in use."):
        client.create_host("h2", **asked)
    assert list(array.hosts) == ["h1"]
    client.create_host("h2")
    with refusal("is already in use."):
        client.set_host("h2", **{f"add{key}": value for key, value in asked.items()})
    assert array.host("h2").iqns == array.host("h2").wwns == ()


def test_42_case_of_iqns_by_switch(array: FlashArray, client: Client) -> None:
    """Unverified."""
    client.create_host("h1", iqnlist=["iqn.2020-01.com.example:abc"])
    client.create_host("h2", iqnlist=["iqn.2020-01.com.example:ABC"])
    array.switches.iqn_ignores_case = True
    client.delete_host("h2")
    with refusal("The specified IQN is already in use."):
        client.create_host("h2", iqnlist=["iqn.2020-01.com.example:ABC"])


@pytest.mark.parametrize("initiators", [{"iqnlist": ["nonsense"]}, {"iqnlist": ["iqn.1993-08.org debian"]},
                                        {"iqnlist": ["iqn." + "a" * 223]}, {"wwnlist": ["123"]},
                                        {"wwnlist": ["g" * 16]}, {"nqnlist": ["iqn.x"]}])
def test_42_initiators_that_are_none(array: FlashArray, client: Client, initiators: dict[str, list[str]]) -> None:
    with refusal("Invalid"):
        client.create_host("h1", **initiators)
    assert array.hosts == {}


def test_43_adding_removing_and_replacing_initiators(client: Client) -> None:
    client.create_host("h1", iqnlist=[IQN(1)])
    assert client.set_host("h1", addiqnlist=[IQN(2)])["iqn"] == [IQN(1), IQN(2)]
    assert client.set_host("h1", addiqnlist=[IQN(2)])["iqn"] == [IQN(1), IQN(2)]
    assert client.set_host("h1", remiqnlist=[IQN(1)])["iqn"] == [IQN(2)]
    assert client.set_host("h1", iqnlist=[IQN(3), IQN(4)])["iqn"] == [IQN(3), IQN(4)]
    assert client.set_host("h1", addwwnlist=WWN, remiqnlist=IQN(3)) == {
        "name": "h1", "iqn": [IQN(4)], "wwn": [WWN], "hgroup": None, "nqn": []}
    with refusal("does not exist"):
        client.set_host("h1", remiqnlist=[IQN(9)])
    client.create_host("h2", iqnlist=[IQN(1), IQN(3)])


@pytest.mark.parametrize("name", ["h_1", "h.1", "-h", "h-", "1", "a" * 64, "node 1"])
def test_44_host_names(array: FlashArray, client: Client, name: str) -> None:
    """Node names with dots must be mapped."""
    with refusal("Invalid host name."):
        client.create_host(name)
    assert array.hosts == {}


def test_44_duplicates_and_strangers(client: Client) -> None:
    client.create_host("H" * 63)
    with refusal("Host already exists."):
        client.create_host("h" * 63)
    for order in (lambda: client.get_host("nix"), lambda: client.delete_host("nix"),
                  lambda: client.set_host("nix", addiqnlist=[IQN(1)]), lambda: client.connect_host("nix", "v1")):
        with refusal("Host does not exist."):
            order()


def test_44_rename(array: FlashArray, client: Client) -> None:
    client.create_host("h1", iqnlist=[IQN(1)])
    client.create_host("h2")
    assert client.rename_host("h1", "h3") == {"name": "h3"}
    with refusal("Host already exists."):
        client.rename_host("h3", "H2")
    assert array.host("h3").iqns == (IQN(1),)


def test_45_personality_by_put_only(client: Client) -> None:
    with refusal():
        client.create_host("h1", personality="esxi")
    client.create_host("h1")
    assert client.set_host("h1", personality="esxi") == {"name": "h1", "personality": "esxi"}
    with refusal("personality"):
        client.set_host("h1", personality="linux")
    assert client.list_hosts(personality=True) == [{"name": "h1", "personality": "esxi"}]
    client.set_host("h1", personality="")
    assert client.get_host("h1", personality=True)["personality"] is None


def test_45_chap_secrets_are_masked(array: FlashArray, client: Client) -> None:
    client.create_host("h1")
    unset = {"name": "h1", "host_user": None, "host_password": None, "target_user": None, "target_password": None}
    assert client.get_host("h1", chap=True) == unset
    client.set_host("h1", host_user="node", host_password="not-a-secret1")
    row = client.list_hosts(chap=True)[0]
    assert row["host_user"] == "node" and set(row["host_password"]) == {"*"} and row["target_password"] is None
    assert array.chap("h1")["host_password"] == "not-a-secret1"
    for secret in ("short", "with space here", "x" * 256):
        with refusal("CHAP"):
            client.set_host("h1", host_password=secret)
    client.set_host("h1", host_user="")
    assert client.get_host("h1", chap=True) == unset


def test_45_put_needs_a_known_change(client: Client) -> None:
    client.create_host("h1")
    with refusal():
        client.set_host("h1", nonsense=1)
    assert client.set_host("h1", preferred_array=["fa9"])["preferred_array"] == ["fa9"]


def test_52_deleting_hosts(array: FlashArray, client: Client) -> None:
    client.create_volume("v1", GiB)
    client.create_host("h1", iqnlist=[IQN(1)])
    client.connect_host("h1", "v1")
    with refusal("Host cannot be deleted due to existing connections."):
        client.delete_host("h1")
    client.disconnect_host("h1", "v1")
    client.create_hgroup("g1", hostlist=["h1"])
    with refusal("host group"):
        client.delete_host("h1")
    client.set_hgroup("g1", remhostlist=["h1"])
    assert client.delete_host("h1") == {"name": "h1"}
    client.create_host("h2", iqnlist=[IQN(1)])


def test_53_members_of_groups(client: Client) -> None:
    for name in ("h1", "h2", "h3"):
        client.create_host(name)
    assert client.create_hgroup("g1", hostlist=["h1"]) == {"name": "g1", "hosts": ["h1"]}
    assert client.set_hgroup("g1", addhostlist=["h2"])["hosts"] == ["h1", "h2"]
    assert client.set_hgroup("g1", hostlist=["h2", "h3"])["hosts"] == ["h2", "h3"]
    assert client.get_host("h2")["hgroup"] == "g1" and client.get_host("h1")["hgroup"] is None
    with refusal("already belongs to"):
        client.create_hgroup("g2", hostlist=["h2"])
    with refusal("could not be found"):
        client.set_hgroup("g1", remhostlist=["h1"])
    with refusal("already exists"):
        client.create_hgroup("G1")
    assert client.list_hgroups() == [{"name": "g1", "hosts": ["h2", "h3"]}]
    assert client.rename_hgroup("g1", "g3") == {"name": "g3"}
    with refusal("has hosts"):
        client.delete_hgroup("g3")
    client.set_hgroup("g3", hostlist=[])
    assert client.delete_hgroup("g3") == {"name": "g3"}


def test_53_shared_connections_reach_members_now_and_later(array: FlashArray, client: Client) -> None:
    """LUN 254 and down."""
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
    for name in ("h1", "h2"):
        client.create_host(name)
    client.create_hgroup("g1", hostlist=["h1"])
    assert client.connect_hgroup("g1", "v1") == {"name": "g1", "vol": "v1", "lun": 254}
    assert client.connect_hgroup("g1", "v2")["lun"] == 253
    client.set_hgroup("g1", addhostlist=["h2"])
    assert array.connections("v1") == {"h1": 254, "h2": 254}
    assert client.list_hgroup_connections("g1") == [{"name": "g1", "vol": "v1", "lun": 254},
                                                    {"name": "g1", "vol": "v2", "lun": 253}]
    with refusal("Connection already exists"):
        client.connect_hgroup("g1", "v1")
    with refusal("existing connections"):
        client.delete_hgroup("g1")
    assert client.disconnect_hgroup("g1", "v1") == {"name": "g1", "vol": "v1"}
    with refusal("Connection does not exist."):
        client.disconnect_hgroup("g1", "v1")
    assert array.connections("v1") == {}
    assert client.connect_hgroup("g1", "v1")["lun"] == 254


def test_53_old_arrays_share_from_lun_10_up(array: FlashArray, client: Client) -> None:
    array.switches.shared_luns_from_10 = True
    client.create_hgroup("g1")
    luns = []
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
        luns.append(client.connect_hgroup("g1", name)["lun"])
    assert luns == [10, 11]


def test_53_a_host_with_conflicting_connections_cannot_join(array: FlashArray, client: Client) -> None:
    for name in ("v1", "v2"):
        client.create_volume(name, GiB)
    for name in ("same-volume", "same-lun"):
        client.create_host(name)
    client.create_hgroup("g1")
    client.connect_hgroup("g1", "v1", lun=7)
    client.connect_host("same-volume", "v1")
    client.connect_host("same-lun", "v2", lun=7)
    for name in ("same-volume", "same-lun"):
        with refusal("conflict"):
            client.set_hgroup("g1", addhostlist=[name])


def test_shared_luns_go_on_above_254(array: FlashArray, client: Client, rest: Rest) -> None:
    """And keep clear of the members' private LUNs."""
    client.create_volume("private", GiB)
    array.add_host("h1", group="g1")
    array.connect("h1", "private", 254)
    for number in range(255):
        array.add_volume(f"v{number}", GiB)
        array.connect_group("g1", f"v{number}")
    luns = [row["lun"] for row in rest.ok("GET", "hgroup/g1/volume")]
    assert luns == [*range(253, 0, -1), 255, 256]
