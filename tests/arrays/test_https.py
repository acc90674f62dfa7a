"""The door to one array: every way in which no answer comes has its sentence, and the environment changes nothing."""

import logging
import shutil
import socket
import ssl
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from arrays.errors import Unreachable, Unusable
from arrays.https import CONNECTIONS, Door, content
from simulator.fleet import Simulator
from simulator.flasharray import FlashArray as PretendArray
from tests.arrays.odd_server import Asked, Odd, serving

WHO = "FlashArray 1.2.3.4"


def door(endpoint: str, verify: bool | str = False, connect: float = 2.0, read: float = 5.0) -> Door:
    return Door(WHO, endpoint, verify, connect, read)


def why(error: pytest.ExceptionInfo[Unreachable]) -> str:
    assert str(error.value).startswith("FlashArray 1.2.3.4 cannot be ") and error.value.retry
    return error.value.why


def test_an_answer_comes_whatever_its_status() -> None:
    with serving(lambda asked: Odd(418, body=asked.body)) as endpoint:
        answer = door(endpoint).ask("POST", "/x", body=b"tea")
    assert (answer.status, answer.text) == (418, "tea")


def test_parameters_are_encoded_into_the_query() -> None:
    with serving(lambda asked: Odd(body=asked.path.encode())) as endpoint:
        answer = door(endpoint).ask("GET", "/fs", params={"filter": "name='k8s-*'"})
    assert answer.text == "/fs?filter=name%3D%27k8s-%2A%27"


# No answer

def test_nobody_listens(sim: Simulator, pretend: PretendArray) -> None:
    sim.unplug(pretend)
    with pytest.raises(Unreachable) as error:
        door(pretend.endpoint).ask("GET", "/api/api_version")
    assert why(error) == f"{pretend.endpoint} refuses connections: is that the management address, and is the array up?"


def test_the_name_does_not_resolve() -> None:
    with pytest.raises(Unreachable) as error:
        door("no-such-array.invalid").ask("GET", "/")
    assert why(error).startswith("the name no-such-array.invalid cannot be resolved: check MgmtEndPoint in pure.json")


def test_the_array_hangs(pretend: PretendArray) -> None:
    fault = pretend.faults.add(hang=True)
    with pytest.raises(Unreachable) as error:
        door(pretend.endpoint, read=0.2).ask("GET", "/api/api_version")
    assert why(error) == "no answer in 0.2 s"
    assert fault.hits == 1              # a wait that took its whole time is not begun again


def test_nothing_takes_the_connection() -> None:
    """A listener whose queue is full lets connections wait, as a dead machine behind a firewall does."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(address)
        with pytest.raises(Unreachable) as error:
            door(f"127.0.0.1:{address[1]}", connect=0.2).ask("GET", "/")
        assert why(error) == f"no connection to 127.0.0.1:{address[1]} in 0.2 s: check the management network"
        for one in crowd:
            one.close()


def test_what_listens_speaks_no_tls() -> None:
    with serving(lambda asked: Odd(), tls=False) as endpoint:
        with pytest.raises(Unreachable) as error:
            door(endpoint).ask("GET", "/")
    assert why(error).startswith(f"no TLS with {endpoint}: ")


def test_the_connection_is_broken_off_at_once() -> None:
    """An array that restarts takes connections and drops them; a call that changes nothing comes back once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[object] = []

        def drop() -> None:
            for _ in range(2):
                connection, peer = server.accept()
                taken.append(peer)
                connection.close()

        thread = threading.Thread(target=drop)
        thread.start()
        with pytest.raises(Unreachable) as error:
            door(f"127.0.0.1:{server.getsockname()[1]}").ask("GET", "/")
        thread.join()
    assert why(error).endswith("broke the connection off: is the array restarting?") and len(taken) == 2


def test_a_name_that_is_none() -> None:
    with pytest.raises(Unreachable, match="cannot be resolved"):
        door("x" * 64 + ".example.com").ask("GET", "/")


def test_no_way_there() -> None:
    """Nobody can connect to the broadcast address."""
    with pytest.raises(Unreachable, match="no connection to 255.255.255.255"):
        door("255.255.255.255", connect=0.2).ask("GET", "/")


def test_the_answer_breaks_off() -> None:
    with serving(lambda asked: Odd(body=b"half", length=8)) as endpoint:
        with pytest.raises(Unreachable) as error:
            door(endpoint).ask("POST", "/")
    assert why(error) == "the connection broke off before the whole answer was there"


# Once more, or not

def test_a_lost_connection_is_made_anew_for_a_call_that_changes_nothing(pretend: PretendArray) -> None:
    pretend.faults.add(reset=True, times=1)
    assert door(pretend.endpoint).ask("GET", "/api/api_version").status == 200


def test_a_5xx_is_asked_again_once(pretend: PretendArray) -> None:
    pretend.faults.add(status=503, times=1)
    assert door(pretend.endpoint).ask("GET", "/api/api_version").status == 200
    pretend.faults.add(status=503)
    assert door(pretend.endpoint).ask("GET", "/api/api_version").status == 503
    assert [asked.status for asked in pretend.requests] == [503, 200, 503, 503]


@pytest.mark.parametrize("fault", [{"reset": True}, {"lose_reply": True}])
def test_a_change_is_never_sent_twice(pretend: PretendArray, fault: dict[str, bool]) -> None:
    """Whoever asked for it knows how to look whether it was done."""
    pretend.faults.add(**fault)
    with pytest.raises(Unreachable, match="broke off"):
        door(pretend.endpoint).ask("POST", "/api/1.19/auth/session")
    assert len(pretend.requests) == 1


def test_a_5xx_to_a_change_is_the_answer(pretend: PretendArray) -> None:
    pretend.faults.add(status=500, times=1)
    assert door(pretend.endpoint).ask("POST", "/api/1.19/auth/session").status == 500


# Certificates

def test_a_certificate_is_checked_against_the_file_that_the_entry_names(sim: Simulator, pretend: PretendArray) -> None:
    assert door(pretend.endpoint, sim.ca).ask("GET", "/api/api_version").status == 200


def test_a_certificate_of_somebody_else_is_not_accepted(sim: Simulator) -> None:
    with serving(lambda asked: Odd()) as endpoint:
        with pytest.raises(Unreachable) as error:
            door(endpoint, sim.ca).ask("GET", "/")
        assert "is not accepted (unable to get local issuer certificate): let VerifyTLS in pure.json name" in why(error)
        with pytest.raises(Unreachable, match="is not accepted"):
            door(endpoint, True).ask("GET", "/")


@pytest.mark.parametrize("name", ["array.example.com", "192.0.2.1"])
def test_a_certificate_for_another_name_is_said_to_be_one(tmp_path: Path, name: str) -> None:
    """Arrays come with certificates that do not name their address."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(f"{tmp_path}/ca.pem")
    with serving(lambda asked: Odd(), ca=ca, name=name) as endpoint:
        with pytest.raises(Unreachable) as error:
            door(endpoint, f"{tmp_path}/ca.pem").ask("GET", "/")
    assert why(error).startswith(f"the certificate of {endpoint} is for another name: let MgmtEndPoint in pure.json be")


def test_a_ca_file_put_right_is_read_without_a_restart(sim: Simulator, pretend: PretendArray, tmp_path: Path) -> None:
    path = f"{tmp_path}/ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    way = door(pretend.endpoint, path)
    with pytest.raises(Unreachable, match="is not accepted"):
        way.ask("GET", "/api/api_version")
    shutil.copyfile(sim.ca, path)
    assert way.ask("GET", "/api/api_version").status == 200


@pytest.mark.parametrize("path", ["/nowhere/ca.pem", "/etc/passwd", "/"])
def test_a_ca_file_that_is_none_is_named(path: str) -> None:
    with pytest.raises(Unusable, match=f"VerifyTLS in pure.json names {path}, which cannot be read"):
        door("127.0.0.1:1", path).ask("GET", "/")


def test_not_verifying_warns_nobody(pretend: PretendArray, capfd: pytest.CaptureFixture[str],
                                    caplog: pytest.LogCaptureFixture) -> None:
    """Both streams of the driver belong to kubelet: one warning turns a good mount into a failure."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        way = door(pretend.endpoint)
        assert way.ask("GET", "/api/api_version").status == 200
        way.close()
    mine = [warning for warning in caught if warning.category is not ResourceWarning]       # doors of other tests
    assert mine == [] and capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_not_verifying_loads_no_authorities(pretend: PretendArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 loads them for every connection unless told how to: 17 ms of CPU each time."""
    def load(*_: object, **__: object) -> None:
        raise AssertionError("authorities are loaded")
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", load)
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    assert door(pretend.endpoint).ask("GET", "/api/api_version").status == 200


def test_the_environment_of_requests_changes_nothing(sim: Simulator, pretend: PretendArray,
                                                     monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies, CA files and .netrc of whoever started the program are not for management addresses."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with open(f"{tmp_path}/.netrc", "w") as file:
        file.write("machine 127.0.0.1 login me password secret\n")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/nowhere/ca.pem")
    for verify in (sim.ca, False):
        assert door(pretend.endpoint, verify).ask("GET", "/api/api_version").status == 200
    seen: list[Asked] = []
    with serving(lambda asked: seen.append(asked) or Odd()) as endpoint:        # type: ignore[func-returns-value]
        door(endpoint).ask("GET", "/")
    assert "Authorization" not in seen[0].headers and seen[0].headers["User-Agent"] == "pure-flex"


# Many at once

def test_threads_share_connections_and_never_have_too_many(pretend: PretendArray) -> None:
    pretend.faults.add(latency=0.02)
    way = door(pretend.endpoint)
    with ThreadPoolExecutor(2 * CONNECTIONS) as crowd:
        answers = list(crowd.map(lambda _: way.ask("GET", "/api/api_version").status, range(4 * CONNECTIONS)))
    assert answers == [200] * len(answers)


def test_one_connection_serves_many_calls() -> None:
    with serving(lambda asked: Odd(body=str(asked.port).encode())) as endpoint:
        way = door(endpoint)
        first = {way.ask("POST", "/").text for _ in range(5)}
        way.close()
        second = way.ask("POST", "/").text
    assert len(first) == 1 and second not in first


def test_an_array_that_closes_after_each_answer_is_served_too() -> None:
    headers = (("Content-Type", "text/plain"), ("Connection", "close"))
    with serving(lambda asked: Odd(headers=headers, body=str(asked.port).encode())) as endpoint:
        way = door(endpoint)
        assert len({way.ask("POST", "/").text for _ in range(3)}) == 3


def test_a_connection_the_array_closed_meanwhile_is_made_anew(sim: Simulator, pretend: PretendArray) -> None:
    way = door(pretend.endpoint)
    way.ask("GET", "/api/api_version")
    sim.unplug(pretend)
    sim.plug(pretend)
    time.sleep(0.05)
    assert way.ask("POST", "/api/1.19/auth/session").status == 401


# What a success says

@pytest.mark.parametrize("odd, words", [
    (Odd(headers=(("Content-Type", "text/html; charset=utf-8"),), body=b"<html>"),
     "it answered with text/html instead"),
    (Odd(headers=()), "it answered with nothing instead of JSON: is a proxy or another machine at this address?"),
    (Odd(body=b"{"), "it answered with malformed JSON"),
    (Odd(body=b"\xff\xfe\xfd"), "it answered with malformed JSON"),
])
def test_a_success_that_is_no_json_came_from_something_else(odd: Odd, words: str) -> None:
    with serving(lambda asked: odd) as endpoint:
        with pytest.raises(Unreachable) as error:
            content(door(endpoint).ask("GET", "/"), WHO)
    assert words in why(error)
