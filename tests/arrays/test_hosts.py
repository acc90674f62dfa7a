"""Hosts are found by initiator, made once, never taken from others; connections are made and undone once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from arrays.errors import Busy, ConfigError, NotFound, Refused, TokenRefused
from arrays.flasharray import Connection, FlashArray, Host
from arrays.units import GiB
from simulator.flasharray import FlashArray as PretendArray

IQN = "iqn.1994-05.com.redhat:327c4ddd9fe"
OTHER = "iqn.1994-05.com.redhat:0123456789a"
WWNS = ("5001500150015080", "5001500150015081")
V = "k8s-pvc-1"


def creations(pretend: PretendArray) -> int:
    return [request.method for request in pretend.requests if request.path.startswith("host/")].count("POST")


# Hosts

def test_a_host_is_made_with_its_initiator_in_one_call(pretend: PretendArray, array: FlashArray) -> None:
    """A second call for the initiators could fail and leave an empty host behind."""
    assert array.ensure_host("node1", iqns=[IQN]) == Host("node1", (IQN,))
    assert array.hosts() == [Host("node1", (IQN,))]
    assert creations(pretend) == 1


def test_a_host_is_made_once(pretend: PretendArray, array: FlashArray) -> None:
    made = array.ensure_host("node1", iqns=[IQN])
    assert array.ensure_host("node1", iqns=[IQN]) == made
    assert creations(pretend) == 1


def test_the_usual_mount_does_not_list_all_hosts(pretend: PretendArray, array: FlashArray) -> None:
    array.ensure_host("node1", iqns=[IQN])
    pretend.clear_requests()
    array.ensure_host("node1", iqns=[IQN])
    assert [(request.method, request.path) for request in pretend.requests] == [("GET", "host/node1")]


@pytest.mark.parametrize("written", [IQN, IQN.replace("c4ddd", "C4DDD")])
def test_the_host_with_our_initiator_is_ours_whatever_its_name(pretend: PretendArray, array: FlashArray,
                                                               written: str) -> None:
    """An administrator made it; IQNs are the same in any case (RFC 3722)."""
    pretend.add_host("made-by-hand", iqns=[written, OTHER])
    assert array.ensure_host("node1", iqns=[IQN]).name == "made-by-hand"
    assert pretend.host("made-by-hand").iqns == (written, OTHER) and list(pretend.hosts) == ["made-by-hand"]


@pytest.mark.parametrize("written", ["50:01:50:01:50:01:50:80", "5001500150015080", "0x5001500150015080"])
def test_wwns_are_the_same_with_and_without_colons(pretend: PretendArray, array: FlashArray, written: str) -> None:
    pretend.add_host("fc", wwns=[WWNS[0]])
    found = array.find_host([written])
    assert found and found.name == "fc"


def test_nobody_has_these_initiators(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_host("node1", iqns=[OTHER])
    assert array.find_host([IQN]) is None and array.find_host([]) is None


def test_an_empty_host_of_our_name_is_given_our_initiators(pretend: PretendArray, array: FlashArray) -> None:
    """What an attempt that was cut short, or a careful administrator, left."""
    pretend.add_host("Node1")
    assert array.ensure_host("node1", iqns=[IQN], wwns=WWNS) == Host("Node1", (IQN,), WWNS)
    assert creations(pretend) == 0


def test_two_nodes_of_one_name_do_not_share_an_empty_host(pretend: PretendArray, array: FlashArray,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clusters saw it empty. In one host each node has the other's volumes, and no volume is ever held by another."""
    pretend.add_host("node1")
    blank = FlashArray._is_blank

    def seen_by_two(self: FlashArray, host: Host) -> bool:
        found = blank(self, host)
        if found:
            self._add(host, [OTHER], ())
        return found

    monkeypatch.setattr(FlashArray, "_is_blank", seen_by_two)
    ours = array.ensure_host("node1", iqns=[IQN])
    assert ours.iqns == (IQN,) and ours.name != "node1"
    assert pretend.host("node1").iqns == (OTHER,)
    assert array.ensure_host("node1", iqns=[IQN]) == ours


def test_another_cluster_s_node_of_the_same_name_is_left_alone(pretend: PretendArray, array: FlashArray) -> None:
    """Its volumes would be shown to this node: a host is taken for ours by its initiators only."""
    pretend.add_host("node1", iqns=[OTHER])
    ours = array.ensure_host("node1", iqns=[IQN])
    assert ours.name.startswith("node1-i") and ours.iqns == (IQN,)
    assert pretend.host("node1").iqns == (OTHER,)
    assert array.ensure_host("node1", iqns=[IQN]) == ours


def test_an_empty_host_with_volumes_is_left_alone(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_host("node1")
    pretend.add_volume("boot", GiB)
    pretend.connect("node1", "boot")
    assert array.ensure_host("node1", iqns=[IQN]).name != "node1"
    assert pretend.host("node1").iqns == ()


def test_a_host_for_nvme_is_not_empty(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_host("node1", nqns=["nqn.2014-08.org.nvmexpress:uuid:1"])
    assert array.ensure_host("node1", iqns=[IQN]).name != "node1"


def test_our_host_is_completed_and_a_foreign_one_is_not(pretend: PretendArray, array: FlashArray) -> None:
    """A second FC port came into the node."""
    pretend.add_host("node1", wwns=WWNS[:1])
    assert array.ensure_host("node1", wwns=WWNS).wwns == WWNS
    pretend.add_host("by-hand", iqns=[IQN])
    assert array.ensure_host("node2", iqns=[IQN, OTHER]) == Host("by-hand", (IQN,))
    assert pretend.host("by-hand").iqns == (IQN,)


def test_a_host_keeps_its_group(pretend: PretendArray, array: FlashArray) -> None:
    pretend.add_host("node1", wwns=WWNS[:1], group="all")
    assert array.ensure_host("node1", wwns=WWNS) == Host("node1", (), WWNS, group="all")


def test_a_long_name_that_is_taken_still_gets_its_mark(pretend: PretendArray, array: FlashArray) -> None:
    name = "n" * 63
    pretend.add_host(name, iqns=[OTHER])
    made = array.ensure_host(name, iqns=[IQN])
    assert len(made.name) == 63 and made.iqns == (IQN,)


@pytest.mark.parametrize("text", ["Host already exists.", "The specified IQN is already in use.",
                                  "Host does not exist."])
def test_a_race_that_was_lost_is_looked_at_again(pretend: PretendArray, array: FlashArray, text: str) -> None:
    pretend.faults.add(method="POST", path="host/*", status=400, body=f'[{{"msg": "{text}", "ctx": "x"}}]', times=2)
    assert array.ensure_host("node1", iqns=[IQN]).name == "node1"


def test_a_race_without_end_ends(pretend: PretendArray, array: FlashArray) -> None:
    pretend.faults.add(method="POST", path="host/*", status=400, body='[{"msg": "Host already exists.", "ctx": "x"}]')
    with pytest.raises(Busy, match=f"host node1 on FlashArray {pretend.endpoint} is busy"):
        array.ensure_host("node1", iqns=[IQN])


def test_a_crowd_makes_one_host(pretend: PretendArray, array: FlashArray) -> None:
    with ThreadPoolExecutor(8) as crowd:
        found = set(crowd.map(lambda _: array.ensure_host("node1", iqns=[IQN]), range(8)))
    assert found == {Host("node1", (IQN,))} and list(pretend.hosts) == ["node1"]


def test_a_host_an_array_refuses(pretend: PretendArray, array: FlashArray) -> None:
    pretend.switches.host_limit = 0
    with pytest.raises(Refused, match="refused to create host node1: .*limit"):
        array.ensure_host("node1", iqns=[IQN])


def test_a_node_without_initiators_gets_no_host(pretend: PretendArray, array: FlashArray) -> None:
    with pytest.raises(ConfigError, match="this node has no initiator"):
        array.ensure_host("node1")
    with pytest.raises(ConfigError, match="cannot be a host's name"):
        array.ensure_host("node.1", iqns=[IQN])
    assert pretend.requests == []


# Connections

@pytest.fixture
def connected(pretend: PretendArray) -> PretendArray:
    """The array with volume V and the host node1, not connected to each other yet."""
    pretend.add_volume(V, GiB)
    pretend.add_host("node1", iqns=[IQN])
    return pretend


def test_connecting_gives_the_first_free_lun(connected: PretendArray, array: FlashArray) -> None:
    assert array.connect("node1", V) == Connection("node1", V, 1)
    assert array.connect("node1", V) == Connection("node1", V, 1)
    assert connected.connections(V) == {"node1": 1}


def test_connecting_at_a_lun(connected: PretendArray, array: FlashArray) -> None:
    assert array.connect("node1", V, lun=300).lun == 300
    assert array.connect("node1", V, lun=7).lun == 300          # the caller sees that it is another


def test_a_lun_in_use_is_refused(connected: PretendArray, array: FlashArray) -> None:
    connected.add_volume("w", GiB)
    connected.connect("node1", "w", 7)
    with pytest.raises(Refused, match=f"refused to connect volume {V} and host node1: "):
        array.connect("node1", V, lun=7)


def test_a_connection_through_a_group_is_one(connected: PretendArray, array: FlashArray) -> None:
    connected.add_host("node2", group="all")
    connected.connect_group("all", V)
    expected = Connection("node2", V, 254, shared=True)
    assert array.connect("node2", V) == expected
    assert array.connections(V) == array.host_connections("node2") == [expected]


def test_what_is_missing_is_named(connected: PretendArray, array: FlashArray) -> None:
    with pytest.raises(NotFound, match="has no host nobody: Host does not exist."):
        array.connect("nobody", V)
    with pytest.raises(NotFound, match="has no volume nothing: Volume does not exist."):
        array.connect("node1", "nothing")
    with pytest.raises(NotFound, match="has no volume nothing"):
        array.connections("nothing")
    with pytest.raises(NotFound, match="has no host nobody"):
        array.host_connections("nobody")


def test_a_connection_that_just_went_is_made_again(connected: PretendArray, array: FlashArray) -> None:
    connected.faults.add(method="POST", path="host/*", status=400,
                         body='[{"msg": "Connection already exists.", "ctx": ""}]', times=1)
    assert array.connect("node1", V).lun == 1


def test_a_connection_that_comes_and_goes_without_end_ends(connected: PretendArray, array: FlashArray) -> None:
    connected.faults.add(method="POST", path="host/*", status=400,
                         body='[{"msg": "Connection already exists.", "ctx": ""}]')
    with pytest.raises(Busy, match="others make and remove it"):
        array.connect("node1", V)


def test_a_crowd_makes_one_connection(connected: PretendArray, array: FlashArray) -> None:
    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(lambda _: array.connect("node1", V), range(8))) == {Connection("node1", V, 1)}


def test_all_who_see_a_volume(connected: PretendArray, array: FlashArray) -> None:
    connected.add_host("node2", iqns=[OTHER])
    for name in ("node3", "node4"):
        connected.add_host(name, group="all")
    for host in ("node1", "node2"):
        connected.connect(host, V)
    connected.connect_group("all", V)
    assert set(array.connections(V)) == {
        Connection("node1", V, 1), Connection("node2", V, 1), Connection("node3", V, 254, True),
        Connection("node4", V, 254, True)}


def test_a_group_row_without_its_member_is_looked_up(connected: PretendArray, array: FlashArray) -> None:
    """`host` is null there on some releases."""
    connected.add_host("node2", group="all")
    connected.connect_group("all", V)
    connected.faults.add(path="volume/*/hgroup", body=f'[{{"name": "{V}", "hgroup": "all", "host": null, "lun": 254}}]')
    assert array.connections(V) == [Connection("node2", V, 254, shared=True)]


def test_all_that_a_host_sees(connected: PretendArray, array: FlashArray) -> None:
    connected.add_volume("w", GiB)
    connected.connect("node1", V)
    connected.connect("node1", "w", 9)
    assert array.host_connections("node1") == [Connection("node1", V, 1), Connection("node1", "w", 9)]


@pytest.mark.parametrize("old_text", [True, False])
def test_disconnecting_can_be_repeated(connected: PretendArray, array: FlashArray, old_text: bool) -> None:
    connected.switches.old_disconnect_text = old_text
    array.connect("node1", V)
    array.disconnect("node1", V)
    array.disconnect("node1", V)
    assert connected.connections(V) == {}


def test_what_is_gone_counts_as_disconnected(connected: PretendArray, array: FlashArray) -> None:
    array.disconnect("nobody", V)
    array.disconnect("node1", "nothing")
    connected.destroy_volume(V)
    array.disconnect("node1", V)
    connected.eradicate_volume(V)
    array.disconnect("node1", V)


def test_a_disconnection_an_array_refuses(connected: PretendArray, array: FlashArray) -> None:
    connected.faults.add(method="DELETE", status=400, body='[{"msg": "Operation is locked.", "ctx": ""}]')
    with pytest.raises(Refused, match=f"refused to disconnect volume {V} and host node1: Operation is locked."):
        array.disconnect("node1", V)


@pytest.mark.parametrize("host", ["", "a/b", "../x", "a b", "a?x", "a%2f", "ä"])
def test_host_names_that_would_reach_another_object_are_not_sent(pretend: PretendArray, array: FlashArray,
                                                                 host: str) -> None:
    for call in (lambda: array.connect(host, V), lambda: array.disconnect(host, V),
                 lambda: array.host_connections(host)):
        with pytest.raises(ConfigError):
            call()
    assert pretend.requests == []


def test_names_an_older_release_gave_are_taken(connected: PretendArray, array: FlashArray) -> None:
    """Peer arrays' hosts are "array:host", and older releases allowed more letters than newer ones."""
    array.disconnect("other_array:node.1", V)


@pytest.mark.parametrize("status, words", [(403, "User does not exist."), (401, "Session not found.")])
def test_a_token_that_lost_its_rights_disconnects_nothing(pretend: PretendArray, array: FlashArray, status: int,
                                                          words: str) -> None:
    """What such an answer says is missing is a user or a session: host and volume are connected as before."""
    pretend.add_host("h", iqns=[IQN])
    pretend.add_volume(V, GiB)
    array.connect("h", V)
    pretend.faults.add(method="DELETE", status=status, body=f'[{{"msg": "{words}", "ctx": ""}}]')
    with pytest.raises(TokenRefused, match=words):
        array.disconnect("h", V)
    assert pretend.connections(V) == {"h": 1}
