"""FlashBlade: transport and sessions. Points 57 and 64 of array-rest.md section 8."""

import pytest
import requests
from purestorage import FlashArray as Client

from simulator.flashblade import FlashBlade
from simulator.fleet import Simulator
from tests.simulator.arrayclient import Rest


def test_57_versions_have_a_plural_key(blade: FlashBlade, arrays: Simulator) -> None:
    """So that the FlashArray client dies of it: a usable probe of the kind of array."""
    url = f"https://{blade.endpoint}/api/api_version"
    assert requests.get(url, verify=arrays.ca, timeout=5).json() == {"versions": [f"1.{n}" for n in range(13)]}
    with pytest.raises(KeyError, match="version"):
        Client(blade.endpoint, api_token=blade.token, request_kwargs={"verify": arrays.ca, "timeout": 5})


def test_57_login_gives_a_token_in_a_header(blade: FlashBlade, arrays: Simulator) -> None:
    url = f"https://{blade.endpoint}/api/login"
    reply = requests.post(url, headers={"api-token": blade.token}, verify=arrays.ca, timeout=5)
    assert reply.status_code == 200 and reply.json() == {"username": "pureuser"} and reply.headers["x-auth-token"]
    assert blade.token.startswith("T-")
    assert requests.post(url, verify=arrays.ca, timeout=5).status_code == 401
    assert requests.post(url, headers={"api-token": "T-wrong"}, verify=arrays.ca, timeout=5).status_code == 401


@pytest.mark.parametrize("status", [401, 403])
def test_57_a_session_that_has_run_out(blade: FlashBlade, blade_rest: Rest, status: int) -> None:
    """401, or 403 by switch: clients have seen both."""
    blade.switches.expired_status = status
    blade_rest.ok("GET", "arrays")
    blade.clock.advance(1801)
    assert blade_rest.call("GET", "arrays")[0] == status
    blade_rest.login(blade.token)
    blade_rest.ok("GET", "arrays")
    blade.expire_sessions()
    assert blade_rest.call("GET", "arrays")[0] == status


def test_57_no_token_no_answer(blade: FlashBlade, arrays: Simulator) -> None:
    url = f"https://{blade.endpoint}/api/1.12/arrays"
    assert requests.get(url, verify=arrays.ca, timeout=5).status_code == 401
    assert requests.get(url, headers={"x-auth-token": "made-up"}, verify=arrays.ca, timeout=5).status_code == 401


def test_57_logout(blade_rest: Rest) -> None:
    assert blade_rest.raw("POST", "logout")[0] == 200
    assert blade_rest.call("GET", "arrays")[0] == 401


def test_57_a_withdrawn_version_is_450(blade: FlashBlade, blade_rest: Rest) -> None:
    blade.switches.versions = ("1.8",)
    assert blade_rest.call("GET", "arrays")[0] == 450
    assert blade_rest.raw("GET", "1.8/arrays")[0] == 200


@pytest.mark.parametrize("version, path", [("1.2", "arrays"), ("1.1", "arrays/space"), ("1.2", "network-interfaces"),
                                           ("1.1", "blades"), ("1.12", "nonsense")])
def test_57_collections_come_with_their_version(blade: FlashBlade, arrays: Simulator, version: str,
                                                path: str) -> None:
    assert Rest(blade, arrays.ca, version).call("GET", path)[0] == 404


def test_64_errors_have_code_message_context(blade_rest: Rest) -> None:
    status, answer = blade_rest.call("GET", "file-systems?names=nix")
    assert status == 400
    assert answer == {"errors": [{"code": 0, "message": "File system does not exist.", "context": "nix"}]}
    assert blade_rest.call("PUT", "file-systems")[0] == 405


@pytest.mark.parametrize("body", [b"{", b"[]", b"7"])
def test_64_a_body_must_be_an_object(blade_rest: Rest, body: bytes) -> None:
    assert "JSON" in blade_rest.refused("POST", "file-systems", body)
