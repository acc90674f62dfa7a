"""One FlashArray as both programs see it: log-in and its end, versions, what the array says of itself."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.errors import PureError, TokenRefused, Unreachable, Unusable
from arrays.flasharray import FlashArray, Identity, Pod, Port
from arrays.flashblade import FlashBlade
from arrays.units import GiB, TiB
from simulator.fleet import Simulator
from simulator.flasharray import FlashArray as PretendArray
from simulator.flashblade import FlashBlade as PretendBlade
from tests.arrays.conftest import array_entry
from tests.arrays.odd_server import Asked, Odd, serving

FAKE = "a526a4c6-18b0-a8c9-1afa-3499293574bb"


def asked(pretend: PretendArray) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in pretend.requests]


# Log-in

def test_making_a_client_sends_nothing(pretend: PretendArray, array: FlashArray) -> None:
    assert array.name == array.entry.endpoint == pretend.endpoint
    assert array.who == f"FlashArray {pretend.endpoint}" and not array.closed
    assert asked(pretend) == []


def test_the_first_call_logs_in_and_the_next_does_not(pretend: PretendArray, array: FlashArray) -> None:
    array.ports()
    array.ports()
    assert asked(pretend) == [("GET", "api_version"), ("POST", "auth/session"), ("GET", "port"), ("GET", "port")]


def test_an_array_that_sets_its_cookie_only_at_log_in_costs_no_more(pretend: PretendArray, array: FlashArray) -> None:
    """The library as shipped would drop its cookie and make three requests of each call."""
    pretend.switches.cookie_on_every_reply = False
    for _ in range(3):
        array.ports()
    assert len(pretend.requests) == 2 + 3


def test_an_expired_session_costs_one_log_in(pretend: PretendArray, array: FlashArray) -> None:
    array.ports()
    pretend.clock.advance(1801)
    pretend.clear_requests()
    array.create_volume("v", GiB)
    assert asked(pretend) == [("POST", "volume/v"), ("GET", "api_version"), ("POST", "auth/session"),
                              ("POST", "volume/v")]


def test_a_session_that_ends_again_at_once_is_reported(pretend: PretendArray, array: FlashArray) -> None:
    pretend.faults.add(status=401, path="port", body="")
    with pytest.raises(TokenRefused, match="refused the API token to list ports"):
        array.ports()
    assert asked(pretend).count(("GET", "port")) == 2


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_token_the_array_does_not_know(sim: Simulator, pretend: PretendArray, status: int) -> None:
    pretend.faults.add(status=status, path="auth/session", body="")
    array = FlashArray(array_entry(sim, pretend, FAKE))
    with pytest.raises(TokenRefused) as error:
        array.identity()
    assert str(error.value) == (f"FlashArray {pretend.endpoint} refused the API token to log in: check APIToken in "
                                "pure.json")
    assert not error.value.retry


def test_a_revoked_token_stops_working(pretend: PretendArray, array: FlashArray) -> None:
    array.ports()
    pretend.state.sessions.revoke(pretend.token)
    with pytest.raises(TokenRefused, match="to log in"):
        array.ports()


def test_a_user_who_may_only_look(sim: Simulator, pretend: PretendArray) -> None:
    array = FlashArray(array_entry(sim, pretend, pretend.add_user("guest", "x", role="readonly").token))
    assert array.volumes() == []
    with pytest.raises(TokenRefused, match="refused the API token to create volume v: Operation is not permitted"):
        array.create_volume("v", GiB)
    pretend.add_volume("w", GiB)
    pretend.add_host("node1")
    pretend.connect("node1", "w")
    for call in (array.destroy_volume, array.eradicate_volume, lambda name: array.create_volume(name, GiB),
                 lambda name: array.connect("node2", name), lambda name: array.snapshot(name, "a")):
        with pytest.raises(TokenRefused):
            call("w")


def test_a_log_in_with_several_cookies_sends_all_of_them_back() -> None:
    seen: list[str] = []

    def answer(request: Asked) -> Odd:
        seen.append(request.headers.get("Cookie", ""))
        cookies = (("Set-Cookie", "session=s1; Path=/"), ("Set-Cookie", "node=CT0; Path=/; Secure"))
        body = b'{"version": ["1.19"]}' if "api_version" in request.path else b"[]"
        return Odd(headers=(("Content-Type", "application/json"), *cookies), body=body)

    with serving(answer) as endpoint:
        FlashArray(FlashArrayEntry(endpoint, FAKE)).ports()
    assert set(seen[-1].split("; ")) == {"session=s1", "node=CT0"}


def test_a_cookie_that_changes_with_every_answer_is_followed() -> None:
    seen: list[str] = []

    def answer(request: Asked) -> Odd:
        seen.append(request.headers.get("Cookie", ""))
        body = b'{"version": ["1.19"]}' if "api_version" in request.path else b"[]"
        return Odd(headers=(("Content-Type", "application/json"), ("Set-Cookie", f"session=s{len(seen)}")), body=body)

    with serving(answer) as endpoint:
        array = FlashArray(FlashArrayEntry(endpoint, FAKE))
        array.ports()
        array.ports()
    assert seen[2:] == ["session=s2", "session=s3"]


def test_a_closed_client_stays_closed(array: FlashArray) -> None:
    array.ports()
    array.close()
    array.close()
    assert array.closed
    with pytest.raises(Unreachable, match="closed its connection"):
        array.ports()


# Versions

def test_an_upgrade_under_a_live_client_is_followed(pretend: PretendArray, array: FlashArray) -> None:
    """450 says that the version in use was withdrawn."""
    array.ports()
    pretend.switches.versions = ("1.7", "1.15", "1.16")
    assert array.create_volume("v", GiB).size == GiB
    assert pretend.requests[-1].status == 200


def test_an_upgrade_to_an_array_without_rest_1_is_told(pretend: PretendArray, array: FlashArray) -> None:
    array.ports()
    pretend.switches.versions = ("2.0", "2.26")
    with pytest.raises(Unusable) as error:
        array.ports()
    assert str(error.value) == (f"FlashArray {pretend.endpoint} cannot be used: it offers only REST 2.0 to 2.26, and "
                                "this program speaks REST 1.x, which newer Purity no longer has: see README, Limits")
    assert error.value.retry                # half-upgraded arrays come back


def test_a_version_that_is_offered_and_refused(pretend: PretendArray, array: FlashArray) -> None:
    pretend.faults.add(status=450, path="port")
    with pytest.raises(Unusable, match="no longer accepts the version of REST it offers"):
        array.ports()


def test_arrays_that_speak_both_are_spoken_to_in_rest_1(pretend: PretendArray, array: FlashArray) -> None:
    pretend.switches.versions = ("1.7", "1.19", "2.0", "2.26")
    assert array.identity().version == "5.3.10"


def test_a_flashblade_under_flasharrays(sim: Simulator, pretend_blade: PretendBlade) -> None:
    """The library as shipped dies of KeyError: 'version'."""
    array = FlashArray(FlashArrayEntry(pretend_blade.endpoint, FAKE, verify=sim.ca))
    with pytest.raises(Unusable, match="it is a FlashBlade: list it under FlashBlades in pure.json"):
        array.space()


def test_a_flasharray_under_flashblades(sim: Simulator, pretend: PretendArray) -> None:
    blade = FlashBlade(FlashBladeEntry(pretend.endpoint, FAKE, "192.0.2.1", verify=sim.ca))
    with pytest.raises(Unusable, match="it is a FlashArray: list it under FlashArrays in pure.json"):
        blade.space()


@pytest.mark.parametrize("fault, kind, words", [
    ({"html": True}, Unreachable, "it answered with text/html instead of JSON"),
    ({"body": "[]"}, Unreachable, "it does not tell its versions of REST: is this its management address?"),
    ({"body": '{"release": "1.19"}'}, Unreachable, "it does not tell its versions of REST"),
    ({"status": 404, "body": ""}, Unusable, "does not know the call to tell the versions of REST it offers"),
    ({"status": 503, "body": ""}, Unreachable, "it answered 503"),
])
def test_something_else_answers_at_the_address(sim: Simulator, pretend: PretendArray, pretend_blade: PretendBlade,
                                               fault: dict[str, Any], kind: type[PureError], words: str) -> None:
    pretend.faults.add(path="api_version", **fault)
    pretend_blade.faults.add(path="api_version", **fault)
    for client in (FlashArray(FlashArrayEntry(pretend.endpoint, FAKE, verify=sim.ca)),
                   FlashBlade(FlashBladeEntry(pretend_blade.endpoint, FAKE, "192.0.2.1", verify=sim.ca))):
        with pytest.raises(kind, match=words):
            client.identity()


# Trouble on the way

@pytest.mark.parametrize("fault, words", [
    ({"status": 500, "body": ""}, "it answered 500"),
    ({"status": 429, "body": ""}, "it is busy and asks for fewer calls"),
    ({"reset": True}, "the connection broke off"), ({"html": True}, "it answered with text/html"),
    ({"body": "{"}, "it answered with malformed JSON")])
def test_trouble_is_one_sentence_and_worth_a_retry(pretend: PretendArray, array: FlashArray, fault: dict[str, Any],
                                                   words: str) -> None:
    array.identity()
    pretend.faults.add(path="port", **fault)
    with pytest.raises(Unreachable, match=words) as error:
        array.ports()
    assert error.value.retry and str(error.value).startswith(f"FlashArray {pretend.endpoint} cannot be reached: ")


def test_one_lost_answer_is_not_noticed_by_who_looks(pretend: PretendArray, array: FlashArray) -> None:
    array.identity()
    for fault in ({"reset": True}, {"lose_reply": True}, {"status": 500}):
        pretend.faults.add(path="port", times=1, **fault)
        assert array.ports()


def test_an_array_that_hangs_costs_its_time_limit(sim: Simulator, pretend: PretendArray) -> None:
    array = FlashArray(array_entry(sim, pretend), read_timeout=0.2)
    pretend.faults.add(hang=True, path="port")
    with pytest.raises(Unreachable, match="no answer in 0.2 s"):
        array.ports()


def test_a_crowd_at_an_array_that_hangs_waits_once(sim: Simulator, pretend: PretendArray) -> None:
    array = FlashArray(array_entry(sim, pretend), read_timeout=0.5)
    pretend.faults.add(hang=True)
    began = time.monotonic()
    with ThreadPoolExecutor(16) as crowd:
        errors = list(crowd.map(lambda _: _failure(array), range(16)))
    assert {type(error) for error in errors} == {Unreachable}
    assert time.monotonic() - began < 4         # 16 waits one after the other would be 8 s


def _failure(array: FlashArray) -> Exception | None:
    try:
        array.ports()
    except PureError as error:
        return error
    return None


def test_sixteen_threads_share_one_client(pretend: PretendArray, array: FlashArray) -> None:
    """Sessions end under them and versions change, and each call gets its own answer."""
    def work(number: int) -> str:
        name = f"k8s-pvc-{number}"
        if number == 40:
            pretend.expire_sessions()
        if number == 80:
            pretend.switches.versions = ("1.7", "1.17")
        made = array.create_volume(name, (number + 1) * GiB)
        assert array.volume(name) == made and made.size == (number + 1) * GiB
        return made.name

    with ThreadPoolExecutor(16) as crowd:
        assert list(crowd.map(work, range(120))) == [f"k8s-pvc-{number}" for number in range(120)]
    assert len(pretend.volumes) == 120
    assert asked(pretend).count(("POST", "auth/session")) <= 6


# What the array says of itself

def test_identity(pretend: PretendArray, array: FlashArray) -> None:
    assert array.identity() == Identity(pretend.name, pretend.state.id, "5.3.10")


@pytest.mark.parametrize("as_list", [True, False])
def test_space_in_both_forms(pretend: PretendArray, array: FlashArray, as_list: bool) -> None:
    pretend.switches.space_is_list = as_list
    pretend.capacity, pretend.used = 10 * TiB, 4 * TiB
    space = array.space()
    assert (space.capacity, space.used, space.free, space.fullness) == (10 * TiB, 4 * TiB, 6 * TiB, 0.4)
    assert space.data_reduction == space.total_reduction == 1.0


def test_an_array_without_capacity_is_full() -> None:
    from arrays.records import space
    assert space({"capacity": 0}).fullness == 1.0 and space({"capacity": 0}).free == 0


def test_activity_of_the_array_and_of_a_volume(sim: Simulator, pretend: PretendArray, array: FlashArray) -> None:
    array.create_volume("busy", GiB)
    array.create_volume("idle", GiB)
    sim.sample(1.0)
    pretend.count_io("busy", reads=100, writes=50, read_bytes=4096, written_bytes=8192, read_usec=1000)
    sim.sample(1.0)
    busy, idle = array.volume_activity("BUSY"), array.volume_activity("idle")
    assert busy and idle and idle.idle and not busy.idle
    assert (busy.reads_per_sec, busy.writes_per_sec) == (100, 50)
    assert (busy.read_bytes_per_sec, busy.written_bytes_per_sec) == (4096, 8192)
    assert array.activity().read_bytes_per_sec == 4096


@pytest.mark.parametrize("fails", [True, False])
def test_a_volume_that_is_not_there_has_no_activity(pretend: PretendArray, array: FlashArray, fails: bool) -> None:
    pretend.switches.unknown_name_fails = fails
    assert array.volume_activity("nothing") is None


def test_ports_of_all_kinds(sim: Simulator) -> None:
    pretend = sim.add_flash_array("ports", portals=["192.0.2.1:3260", "[2001:db8::1]:3260"], wwns=["5001500150015080"],
                                  nvme_portals=["192.0.2.3:4420"])
    ports = FlashArray(array_entry(sim, pretend)).ports()
    sim.remove(pretend)
    assert {port.portal for port in ports if port.iqn == pretend.iqn} == {"192.0.2.1:3260", "[2001:db8::1]:3260"}
    assert [port.wwn.replace(":", "") for port in ports if port.wwn] == ["5001500150015080"]
    assert any(port == Port(port.name, portal=port.portal) for port in ports)       # NVMe: no IQN, no WWN


def test_pods(pretend: PretendArray, array: FlashArray) -> None:
    assert array.pods() == []
    pretend.state.pods.create("pod1")
    assert array.pods() == [Pod("pod1", (pretend.name,), True)]
    pretend.switches.versions = ("1.7", "1.12")
    assert FlashArray(array.entry).pods() == []         # pods came with REST 1.13


def test_a_pod_whose_array_is_away_is_not_online() -> None:
    from arrays.records import pod
    found = pod({"name": "p", "arrays": [{"name": "a", "status": "online"}, {"name": "b", "status": "offline"}]})
    assert found == Pod("p", ("a", "b"), False)
