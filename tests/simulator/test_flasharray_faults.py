"""Fault injection: point 13 of array-rest.md section 8, for both kinds of array (and so point 64's half of it)."""

import threading
import time

import pytest
import requests
from purestorage import FlashArray as Client
from purestorage import PureError, PureHTTPError

from simulator.faults import Faults
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.fleet import Simulator
from tests.simulator.arrayclient import Rest, connect


def test_13_latency_is_added(array: FlashArray, rest: Rest) -> None:
    array.faults.add(latency=0.15, path="array")
    begun = time.monotonic()
    rest.ok("GET", "array")
    assert time.monotonic() - begun >= 0.15


def test_13_latency_of_one_array_does_not_slow_another(array: FlashArray, other: FlashArray, arrays: Simulator) -> None:
    slow, quick = Rest(array, arrays.ca), Rest(other, arrays.ca)
    array.faults.add(latency=0.4)
    thread = threading.Thread(target=slow.call, args=("GET", "array"))
    thread.start()
    begun = time.monotonic()
    quick.ok("GET", "array")
    assert time.monotonic() - begun < 0.3
    thread.join()


def test_13_a_hang_gives_no_reply(array: FlashArray, rest: Rest) -> None:
    """The client's own time-out ends it; nothing was done; a removed fault sets hanging clients free."""
    array.faults.add(hang=True, method="POST")
    with pytest.raises(requests.exceptions.ReadTimeout):
        rest._http.post(f"https://{array.endpoint}/api/1.19/volume/v1", json={"size": "1G"}, timeout=0.2)
    assert array.volumes == {}
    array.faults.clear()
    rest.ok("POST", "volume/v1", {"size": "1G"})


def test_13_clearing_a_hang_resets_who_waits(array: FlashArray, rest: Rest) -> None:
    array.faults.add(hang=True)
    threading.Timer(0.1, array.faults.clear).start()
    with pytest.raises(requests.exceptions.ConnectionError):
        rest.call("GET", "array")


def test_13_a_reset_does_nothing(array: FlashArray, client: Client) -> None:
    array.faults.add(reset=True, method="POST", times=1)
    with pytest.raises(PureError) as caught:
        client.create_volume("v1", "1G")
    assert isinstance(caught.value.reason, requests.exceptions.ConnectionError)
    assert array.volumes == {}
    client.create_volume("v1", "1G")


@pytest.mark.parametrize("status", [400, 403, 429, 500, 502, 503])
def test_13_any_status(array: FlashArray, client: Client, status: int) -> None:
    array.faults.add(status=status, method="POST", times=1)
    with pytest.raises(PureHTTPError) as caught:
        client.create_volume("v1", "1G")
    assert caught.value.code == status
    assert array.volumes == {}
    assert array.requests[-1] == ("POST", "volume/v1", status)


def test_13_html_with_200(array: FlashArray, client: Client) -> None:
    array.faults.add(html=True, path="array")
    with pytest.raises(PureError, match="not in JSON"):
        client.get()


def test_13_a_body_of_ones_own(array: FlashArray, rest: Rest) -> None:
    array.faults.add(status=400, body='[{"msg": "Something new.", "ctx": "x"}]', path="volume*")
    assert rest.refused("GET", "volume") == "Something new."
    array.faults.clear()
    array.faults.add(body="{broken")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        rest.call("GET", "volume")


@pytest.mark.parametrize("how", ["lose_reply", "hang_after"])
def test_13_done_and_not_told(array: FlashArray, rest: Rest, how: str) -> None:
    """The state has changed, the reply is lost: a repeat finds the volume there."""
    array.faults.add(**{how: True}, method="POST", times=1)
    with pytest.raises(requests.exceptions.RequestException):
        rest._http.post(f"https://{array.endpoint}/api/1.19/volume/v1", json={"size": "1G"}, timeout=0.3)
    assert array.volume("v1").size == 1 << 30
    assert array.requests[-1] == ("POST", "volume/v1", 0)
    assert "already exists" in rest.refused("POST", "volume/v1", {"size": "1G"})


def test_13_faults_choose_method_path_and_times(array: FlashArray, rest: Rest) -> None:
    fault = array.faults.add(status=500, method="GET", path="volume/k8s-*", times=2, skip=1)
    rest.ok("POST", "volume/k8s-1", {"size": "1G"})
    seen = [rest.call("GET", path)[0] for path in ("volume", "volume/k8s-1", "volume/k8s-1", "host", "volume/k8s-1",
                                                   "volume/k8s-1")]
    assert seen == [200, 200, 500, 200, 500, 200]
    assert fault.hits == 2


def test_13_latency_adds_to_the_fault_behind_it() -> None:
    faults = Faults()
    faults.add(latency=0.5)
    strikes = faults.add(latency=0.25, reset=True)
    faults.add(status=500)
    assert faults.of("GET", "array") == (0.75, strikes)


def test_an_unplugged_array_refuses_connections_and_comes_back(array: FlashArray, arrays: Simulator) -> None:
    """Same endpoint, same state, sessions still good."""
    client = connect(array, arrays.ca)
    client.create_volume("v1", "1G")
    endpoint = array.endpoint
    arrays.unplug(array)
    with pytest.raises(PureError, match="refused"):
        client.get()
    arrays.plug(array)
    assert array.endpoint == endpoint
    assert client.get_volume("v1")["name"] == "v1"


def test_64_a_flash_blade_has_the_same_faults(blade: FlashBlade, blade_rest: Rest) -> None:
    blade.faults.add(status=503, path="file-systems", times=1)
    blade.faults.add(lose_reply=True, method="POST", path="file-systems", times=1)
    assert blade_rest.call("GET", "file-systems")[0] == 503
    with pytest.raises(requests.exceptions.ConnectionError):
        blade_rest.call("POST", "file-systems", {"name": "f1"})
    assert list(blade.file_systems) == ["f1"]
