"""The control socket and the two fabrics: what pretend nodes in other processes see and may do."""

import http.client
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.fabric import LocalFabric, RemoteFabric, short_path
from simulator.fleet import Simulator
from tests.simulator.arrayclient import GiB, IQN, Rest


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator with one array of each kind and one connected volume, in a directory with a long name."""
    directory = tmp_path / ("long" * 40)
    with Simulator(directory, sampling_interval=0) as running:
        array = running.add_flash_array("fa1", labels={"env": "dev"})
        array.add_volume("v1", GiB)
        array.add_host("h1", iqns=[IQN(1)])
        array.connect("h1", "v1", 7)
        running.add_flash_blade("fb1").add_file_system("f1", GiB)
        yield running


@pytest.fixture
def remote(sim: Simulator) -> RemoteFabric:
    """The fabric over the socket."""
    return RemoteFabric(sim.directory)


def test_both_fabrics_see_the_same(sim: Simulator, remote: RemoteFabric) -> None:
    local = LocalFabric(sim)
    array = sim.flash_arrays[0]
    array.set_chap("h1", host_user="node", host_password="not-a-secret1")
    for ask in (lambda fabric: fabric.luns(IQN(1)), lambda fabric: fabric.luns(IQN(2)),
                lambda fabric: fabric.portals(), lambda fabric: fabric.portals(array.iqn),
                lambda fabric: fabric.portals("iqn.nobody"), lambda fabric: fabric.exports(),
                lambda fabric: fabric.discover(array.portals[0]), lambda fabric: fabric.discover("203.0.113.1:3260"),
                lambda fabric: fabric.chap(IQN(1), array.iqn)):
        assert ask(local) == ask(remote)
    assert local.luns(IQN(1))[0]["lun"] == 7 and len(local.portals()) == 2 and local.exports()


def test_discovery_needs_a_portal_that_answers(sim: Simulator, remote: RemoteFabric) -> None:
    """A dark portal does not; an absent one is not listed by the others."""
    first, second = sim.flash_arrays[0].portals
    assert [row["portal"] for row in remote.discover(first)] == [first, second]
    sim.flash_arrays[0].set_portal(first, "dark")
    assert remote.discover(first) == []
    assert [row["portal"] for row in remote.discover(second)] == [first, second]
    sim.flash_arrays[0].set_portal(first, "absent")
    assert [row["portal"] for row in remote.discover(second)] == [second]


def test_logins_and_io_are_reported_over_the_socket(sim: Simulator, remote: RemoteFabric) -> None:
    array = sim.flash_arrays[0]
    remote.login(IQN(1), array.portals[0])
    remote.count(array.volume("v1").serial, writes=5, written_bytes=4096)
    assert array.counters("v1").writes == 5
    rest = Rest(array, sim.ca)
    assert [row["iqn"] for row in rest.ok("GET", "port?initiators=true")] == [IQN(1)]
    remote.logout(IQN(1), array.portals[0])
    assert rest.ok("GET", "port?initiators=true") == []


def test_the_state_is_told_without_tokens(sim: Simulator, remote: RemoteFabric) -> None:
    state = remote.ask("GET", "/state", {})
    (volume,) = state["flash_arrays"][0]["volumes"]
    assert volume["name"] == "v1" and volume["connections"] == {"h1": 7} and not volume["destroyed"]
    assert state["flash_arrays"][0]["hosts"][0]["iqns"] == [IQN(1)]
    assert state["flash_blades"][0]["file_systems"][0]["name"] == "f1"
    assert not any(array.token in json.dumps(state) for array in sim.arrays)


def test_faults_clocks_switches_over_the_socket(sim: Simulator, remote: RemoteFabric) -> None:
    array = sim.flash_arrays[0]
    rest = Rest(array, sim.ca)
    remote.ask("POST", "/faults", {"array": "fa1", "status": 503, "times": 1})
    assert rest.call("GET", "array")[0] == 503
    remote.ask("POST", "/faults", {"array": "fa1", "latency": 99})
    remote.ask("DELETE", "/faults", {"array": "fa1"})
    rest.ok("GET", "array")
    remote.ask("POST", "/switches", {"array": "fa1", "versions": ["1.7"], "safe_mode": True})
    assert array.switches.versions == ("1.7",) and array.switches.safe_mode
    remote.ask("POST", "/used", {"array": "fa1", "used": 5})
    remote.ask("POST", "/portal", {"array": "fa1", "portal": array.portals[0], "state": "dark"})
    assert array.used == 5 and array.portal_state(array.portals[0]) == "dark"
    before = array.clock.now()
    remote.ask("POST", "/clock", {"seconds": 1000, "speed": 2})
    assert array.clock.now() - before >= 1000 and array.clock.speed == 2 == sim.flash_blades[0].clock.speed
    assert ["GET", "array", 503] in remote.ask("GET", "/requests", {"array": "fa1"})


@pytest.mark.parametrize("method, path, arguments, words", [
    ("GET", "/nonsense", {}, "no such request; there are GET /luns"),
    ("GET", "/luns", {}, "initiator"),
    ("POST", "/faults", {"array": "nix"}, "no array nix"),
    ("POST", "/faults", {"array": "fa1", "colour": "red"}, "colour"),
    ("POST", "/portal", {"array": "fb1", "portal": "x", "state": "up"}, "no FlashArray"),
    ("POST", "/switches", {"array": "fa1", "nonsense": 1}, "no switch nonsense")])
def test_wrong_questions_get_one_sentence(remote: RemoteFabric, method: str, path: str, arguments: dict[str, str],
                                          words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        remote.ask(method, path, arguments)


def test_arguments_may_stand_in_the_query(sim: Simulator) -> None:
    """For curl."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(sim.directory)
    try:
        connection.sock.connect("control.sock")
    finally:
        os.chdir(here)
    connection.request("GET", f"/luns?initiator={IQN(1)}")
    assert json.loads(connection.getresponse().read())[0]["volume"] == "v1"
    connection.close()


def test_only_the_owner_may_connect(sim: Simulator) -> None:
    assert stat.S_IMODE((sim.directory / "control.sock").stat().st_mode) == 0o600


def test_after_the_end_nothing_is_left(tmp_path: Path) -> None:
    """No socket, no thread; the state can still be looked at; nothing can be added."""
    sim = Simulator(tmp_path)
    threads = threading.active_count()
    sim.start()
    array = sim.add_flash_array("fa1")
    array.add_volume("v1", GiB)
    sim.stop()
    sim.stop()
    assert threading.active_count() == threads
    with pytest.raises(RuntimeError, match="not started"):
        sim.add_flash_array("fa2")
    assert not (tmp_path / "control.sock").exists()
    with pytest.raises(FileNotFoundError):
        RemoteFabric(tmp_path).exports()
    assert list(array.volumes) == ["v1"]


def test_one_directory_one_simulator(sim: Simulator, remote: RemoteFabric) -> None:
    """A second one would take the first one's socket and CA; a socket nobody listens on is a left-over."""
    with pytest.raises(ValueError, match="already"):
        Simulator(sim.directory).start()
    assert remote.exports()
    sim.stop()
    with socket.socket(socket.AF_UNIX) as left_over, short_path(sim.directory) as short:
        left_over.bind(f"{short}/control.sock")
    with Simulator(sim.directory):
        assert remote.exports() == []


def test_pure_json_names_every_array(sim: Simulator, tmp_path: Path) -> None:
    """Readable by its owner only."""
    array, blade = sim.flash_arrays[0], sim.flash_blades[0]
    path = tmp_path / "pure.json"
    sim.write_pure_json(path)
    assert json.loads(path.read_text()) == sim.pure_json() == {
        "FlashArrays": [{"MgmtEndPoint": array.endpoint, "APIToken": array.token, "Labels": {"env": "dev"},
                         "VerifyTLS": sim.ca}],
        "FlashBlades": [{"MgmtEndPoint": blade.endpoint, "APIToken": blade.token, "NfsEndPoint": blade.nfs_endpoint,
                         "Labels": {}, "VerifyTLS": sim.ca}]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sim.pure_json(verify=False)["FlashArrays"][0]["VerifyTLS"] is False


def test_names_of_arrays(sim: Simulator) -> None:
    for name in ("", "a/b", "a" * 57, "-a", "fa1"):
        with pytest.raises(ValueError, match="name|already"):
            sim.add_flash_array(name)
    assert [array.name for array in sim.arrays] == ["fa1", "fb1"]
    with pytest.raises(TypeError, match="nonsense"):
        sim.add_flash_array("fa2", nonsense=True)


def test_arrays_get_portals_of_their_own(sim: Simulator) -> None:
    """Documentation addresses, also when there are many arrays."""
    arrays = [sim.add_flash_array(f"many-{number}") for number in range(100)]
    portals = [portal for array in arrays for portal in array.portals]
    assert len(set(portals)) == 200 and portals[0] == "192.0.2.13:3260" and portals[-1].startswith("198.51.100.")


def test_counters_are_sampled_by_themselves(tmp_path: Path) -> None:
    with Simulator(tmp_path, sampling_interval=0.02) as sim:
        array = sim.add_flash_array("fa1")
        array.add_volume("v1", GiB)
        rest = Rest(array, sim.ca)
        deadline = time.monotonic() + 10
        while not rest.ok("GET", "volume?action=monitor")[0]["writes_per_sec"]:
            array.count_io("v1", writes=10, written_bytes=40960)
            assert time.monotonic() < deadline
        while rest.ok("GET", "volume?action=monitor")[0]["writes_per_sec"]:
            assert time.monotonic() < deadline
