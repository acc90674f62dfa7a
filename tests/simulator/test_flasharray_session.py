"""FlashArray: transport, versions, sessions and the form of answers. Points 1-12 of array-rest.md section 8."""

import ssl
import urllib.request

import purestorage
import pytest
import requests
from purestorage import FlashArray as Client
from purestorage import PureError, PureHTTPError

from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from tests.simulator.arrayclient import Rest, connect


def test_01_versions_need_no_session(array: FlashArray, arrays: Simulator) -> None:
    """`api_version` answers anybody, with the key `version`; the list can be set."""
    url = f"https://{array.endpoint}/api/api_version"
    assert requests.get(url, verify=arrays.ca, timeout=5).json() == {"version": [f"1.{n}" for n in range(20)]}
    array.switches.versions = ("1.6", "1.7", "2.4")
    assert requests.get(url, verify=arrays.ca, timeout=5).json() == {"version": ["1.6", "1.7", "2.4"]}


def test_01_the_client_takes_the_highest_common_version(array: FlashArray, arrays: Simulator) -> None:
    array.switches.versions = ("1.6", "1.7", "2.4")
    assert connect(array, arrays.ca).get_rest_version() == "1.7"


def test_01_an_array_with_2_x_only_is_refused_by_the_client(array: FlashArray, arrays: Simulator) -> None:
    array.switches.versions = ("2.0", "2.4")
    with pytest.raises(PureError, match="incompatible"):
        connect(array, arrays.ca)


def test_02_the_certificate_is_good_for_who_trusts_the_ca(array: FlashArray, arrays: Simulator) -> None:
    port = array.endpoint.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        reply = requests.get(f"https://{host}:{port}/api/api_version", verify=arrays.ca, timeout=5)
        assert reply.status_code == 200


def test_02_the_certificate_is_bad_for_everybody_else(array: FlashArray) -> None:
    with pytest.raises(PureError, match="CERTIFICATE_VERIFY_FAILED"):
        Client(array.endpoint, api_token=array.token, request_kwargs={"verify": True, "timeout": 5})
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{array.endpoint}/api/api_version", context=ssl.create_default_context())


def test_02_plain_http_is_not_served(array: FlashArray) -> None:
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(f"http://{array.endpoint}/api/api_version", timeout=5)


def test_03_a_good_token_opens_a_session(array: FlashArray, arrays: Simulator) -> None:
    url = f"https://{array.endpoint}/api/1.19/auth/session"
    reply = requests.post(url, json={"api_token": array.token}, verify=arrays.ca, timeout=5)
    assert reply.status_code == 200 and reply.json() == {"username": "pureuser"}
    assert reply.headers["Set-Cookie"].startswith("session=")


@pytest.mark.parametrize("token", ["00000000-0000-0000-0000-000000000000", "", None, 7, ["x"]])
def test_03_a_bad_token_is_401(rest: Rest, token: object) -> None:
    assert rest.call("POST", "auth/session", {"api_token": token})[0] == 401


def test_04_user_and_password_give_the_token(array: FlashArray, arrays: Simulator) -> None:
    client = Client(array.endpoint, username="pureuser", password="pureuser",
                    request_kwargs={"verify": arrays.ca, "timeout": 5})
    assert client.get()["array_name"] == array.name


def test_04_a_wrong_password_gives_nothing(rest: Rest) -> None:
    status, answer = rest.call("POST", "auth/apitoken", {"username": "pureuser", "password": "wrong"})
    assert status != 200 and "api_token" not in answer


@pytest.mark.parametrize("path", ["array", "volume", "host/h1", "hgroup", "port", "no/such/thing"])
def test_05_everything_else_needs_a_session(array: FlashArray, arrays: Simulator, path: str) -> None:
    url = f"https://{array.endpoint}/api/1.19/{path}"
    assert requests.get(url, verify=arrays.ca, timeout=5).status_code == 401
    assert requests.get(url, verify=arrays.ca, timeout=5, cookies={"session": "made-up"}).status_code == 401


def test_06_every_reply_carries_the_cookie(array: FlashArray, client: Client) -> None:
    """The client forgets its cookie when a reply has none, so it works only because each has one."""
    array.clear_requests()
    client.get()
    client.get()
    assert [request.status for request in array.requests] == [200, 200]


def test_06_a_cookie_only_at_login_costs_three_requests_a_call(array: FlashArray, client: Client) -> None:
    """401, login, replay: what the client does to an array that sets the cookie once."""
    array.switches.cookie_on_every_reply = False
    client.get()
    array.clear_requests()
    client.get()
    assert [(request.path, request.status) for request in array.requests] == [
        ("array", 401), ("auth/session", 200), ("array", 200)]


def test_07_an_idle_session_ends_and_the_client_logs_in_again(array: FlashArray, client: Client) -> None:
    array.clear_requests()
    array.clock.advance(1801)
    assert client.get()["array_name"] == array.name
    assert [request.status for request in array.requests] == [401, 200, 200]


def test_07_use_keeps_a_session_alive_unless_life_is_absolute(array: FlashArray, client: Client) -> None:
    for _ in range(3):
        array.clock.advance(1700)
        client.get()
    assert 401 not in [request.status for request in array.requests]
    array.switches.session_life_is_idle = False
    array.clock.advance(1700)
    client.get()
    array.clock.advance(1700)
    client.get()
    assert 401 in [request.status for request in array.requests]


def test_07_the_array_can_forget_all_sessions(array: FlashArray, rest: Rest) -> None:
    array.expire_sessions()
    assert rest.call("GET", "array")[0] == 401


def test_07_a_revoked_token_ends_its_sessions_and_opens_no_more(array: FlashArray, arrays: Simulator) -> None:
    user = array.add_user("operator", "operator")
    client = Client(array.endpoint, api_token=user.token, request_kwargs={"verify": arrays.ca, "timeout": 5})
    array.revoke(user.token)
    with pytest.raises(PureHTTPError) as caught:
        client.get()
    assert caught.value.code == 401
    connect(array, arrays.ca).get()


def test_08_logout_kills_the_cookie(rest: Rest) -> None:
    cookie = rest.headers["Set-Cookie"].partition(";")[0]
    assert rest.ok("DELETE", "auth/session") == {"username": "pureuser"}
    assert rest.call("GET", "array", headers={"Cookie": cookie})[0] == 401
    assert rest.call("DELETE", "auth/session")[0] == 401


def test_08_the_clients_own_logout_works(client: Client) -> None:
    client.invalidate_cookie()
    assert client.get()["array_name"]


def test_09_a_version_that_is_not_offered_is_450(array: FlashArray, rest: Rest) -> None:
    assert rest.raw("GET", "1.20/array")[0] == 450
    assert rest.raw("GET", "2.4/volumes")[0] == 450
    array.switches.versions = ("1.18",)
    assert rest.raw("GET", "1.19/array")[0] == 450


def test_09_the_client_renegotiates_when_its_version_is_withdrawn(array: FlashArray, client: Client) -> None:
    array.switches.versions = ("1.17", "1.18")
    assert client.get()["array_name"] == array.name
    assert client.get_rest_version() == "1.18"


def test_09_a_pinned_client_does_not(array: FlashArray, arrays: Simulator) -> None:
    pinned = connect(array, arrays.ca, rest_version="1.10")
    array.switches.versions = ("1.17",)
    with pytest.raises(PureHTTPError) as caught:
        pinned.get()
    assert caught.value.code == 450


@pytest.mark.parametrize("body", [None, b"", b"null", b"{}", b'""', b" "])
def test_10_an_empty_body_has_many_forms(rest: Rest, body: bytes | None) -> None:
    assert "array_name" in rest.ok("GET", "array", body)


@pytest.mark.parametrize("body", [b"{", b"[1]", b"7"])
def test_10_a_body_that_is_no_object_is_refused(rest: Rest, body: bytes) -> None:
    assert "JSON" in rest.refused("GET", "array", body)


def test_10_parameters_come_in_body_or_query(rest: Rest) -> None:
    """On every method; booleans as words or as JSON; both sources at once."""
    rest.ok("POST", "volume/v1", {"size": "1G"})
    rest.ok("POST", "volume/v2?size=1G")
    assert rest.ok("GET", "volume/v1", {"space": True}) == rest.ok("GET", "volume/v1?space=true")
    assert rest.ok("GET", "volume/v1", {"space": "true"}) == rest.ok("GET", "volume/v1?space=True")
    assert "serial" in rest.ok("GET", "volume/v1?space=false")
    rest.ok("DELETE", "volume/v1")
    assert rest.ok("GET", "volume?names=v1", {"pending": True})[0]["time_remaining"]
    rest.ok("DELETE", "volume/v1?eradicate=true")
    rest.ok("DELETE", "volume/v2")
    rest.ok("DELETE", "volume/v2", {"eradicate": "true"})
    assert rest.ok("GET", "volume?pending=true") == []


def test_11_success_is_exactly_200_with_json(rest: Rest) -> None:
    for method, path, body in (("POST", "volume/v1", {"size": "1G"}), ("GET", "volume", None),
                               ("PUT", "volume/v1", {"size": "2G"}), ("DELETE", "volume/v1", None)):
        rest.ok(method, path, body)
        assert rest.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("method, path", [
    ("GET", "volume/nix"), ("PUT", "volume/nix?size=1G"), ("DELETE", "volume/nix"), ("GET", "host/nix"),
    ("DELETE", "host/nix"), ("POST", "host/nix/volume/nix"), ("GET", "hgroup/nix"), ("GET", "volume/nix/host"),
    ("GET", "volume/nix.1?snap=true"), ("GET", "host/nix/volume"), ("GET", "pod/nix")])
def test_11_a_missing_object_is_400_never_404(rest: Rest, method: str, path: str) -> None:
    status, answer = rest.call(method, path)
    assert status == 400
    assert answer == [{"msg": answer[0]["msg"], "ctx": "nix" if ".1" not in path else "nix.1"}]
    assert "does not exist" in answer[0]["msg"] or "No such volume or snapshot" in answer[0]["msg"]


def test_11_an_unknown_path_is_404_and_a_wrong_method_405(rest: Rest) -> None:
    assert rest.call("GET", "nonsense")[0] == 404
    assert rest.call("PATCH", "volume/v1")[0] == 405


def test_12_errors_can_be_bare_objects(array: FlashArray, rest: Rest) -> None:
    array.switches.error_is_list = False
    status, answer = rest.call("GET", "volume/nix")
    assert status == 400
    assert answer["msg"] == "Volume does not exist." and answer["ctx"] == "nix" and answer["pure_err_key"]


def test_a_readonly_user_may_look_only(array: FlashArray, arrays: Simulator) -> None:
    """Insufficient role is 403."""
    user = array.add_user("watcher", "watcher", role="readonly")
    client = purestorage.FlashArray(array.endpoint, api_token=user.token,
                                    request_kwargs={"verify": arrays.ca, "timeout": 5})
    assert client.list_volumes() == []
    with pytest.raises(PureHTTPError) as caught:
        client.create_volume("v1", "1G")
    assert caught.value.code == 403
    assert array.volumes == {}


def test_pods_are_unknown_before_1_13(array: FlashArray, arrays: Simulator) -> None:
    assert Rest(array, arrays.ca, "1.12").call("GET", "pod")[0] == 404
    assert Rest(array, arrays.ca, "1.13").ok("GET", "pod") == []
