"""Accounts, rights, faults and the request log of the stand-in API server, and the older servers it can play."""
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.kubernetes import KubeApi, access
from tests.simulator.kubeclient import CLAIMS, MERGE, PVS, Client, claim, pv, storage_class

LEASES = "/apis/coordination.k8s.io/v1/namespaces/pure/leases"


@pytest.fixture
def api() -> Iterator[KubeApi]:
    """A server with the provisioner's namespace."""
    with KubeApi() as server:
        server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
        yield server


@pytest.fixture
def client(api: KubeApi) -> Iterator[Client]:
    """The administrator."""
    with Client(api) as connected:
        yield connected


def test_the_certificate_is_the_clusters_own(api: KubeApi) -> None:
    """A client that does not know the CA refuses to talk."""
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(api.url, context=ssl.create_default_context(), timeout=5)


def test_an_unknown_token_is_401(api: KubeApi) -> None:
    """Also for discovery."""
    stranger = access.User("stranger", "fake-token-nobody-gave", ())
    with Client(api, stranger) as client:
        assert client.call("GET", PVS)[0] == 401
        assert client.call("GET", "/version")[1]["reason"] == "Unauthorized"


def test_a_rotated_token_replaces_the_old_one(api: KubeApi) -> None:
    """The old token gets 401 from then on."""
    old = api.add_user("system:serviceaccount:pure:pure", access.published_chart("pure"))
    new = api.accounts.rotate(old)
    with Client(api, old) as outdated, Client(api, new) as current:
        assert (outdated.call("GET", PVS)[0], current.call("GET", PVS)[0]) == (401, 200)


def test_the_published_chart_may_update_but_not_patch(api: KubeApi) -> None:
    """The role of chart 2.5.2: no patch on PVs, no nodes, no leases, endpoints in its own namespace only."""
    api.create(pv("pv-1"))
    user = api.add_user("system:serviceaccount:pure:pure", access.published_chart("pure"))
    lock = {"metadata": {"name": "pure-provisioner"}}
    with Client(api, user) as client:
        status, answer = client.call("PATCH", f"{PVS}/pv-1", {}, MERGE)
        assert status == 403
        assert answer["message"] == ('persistentvolumes "pv-1" is forbidden: User "system:serviceaccount:pure:pure" cannot '
                                     'patch resource "persistentvolumes" in API group "" at the cluster scope')
        assert client.call("PUT", f"{PVS}/pv-1", client.call("GET", f"{PVS}/pv-1")[1])[0] == 200
        assert client.call("GET", "/api/v1/nodes")[0] == 403
        assert client.call("POST", LEASES, lock)[0] == 403
        assert client.call("POST", "/api/v1/namespaces/pure/endpoints", lock)[0] == 201
        assert client.call("POST", "/api/v1/namespaces/default/endpoints", lock)[0] == 403
        assert client.call("PUT", f"{PVS}/pv-1/status", {})[0] == 403


def test_rights_can_change_under_way(api: KubeApi) -> None:
    """A role granted later lights up without a new token."""
    user = api.add_user("provisioner", access.published_chart("pure"))
    with Client(api, user) as client:
        assert client.call("GET", LEASES + "/lock")[0] == 403
        api.accounts.change(user, access.full("pure"))
        assert client.call("GET", LEASES + "/lock")[0] == 404


def test_a_service_account_is_three_files(api: KubeApi, tmp_path: Path) -> None:
    """token, ca.crt and namespace, and the two environment variables."""
    user = api.add_user("system:serviceaccount:pure:pure")
    environment = api.service_account(tmp_path, user, "pure")
    assert {path.name for path in tmp_path.iterdir()} == {"token", "ca.crt", "namespace"}
    assert environment["KUBERNETES_SERVICE_PORT"] == str(api.port)


def test_every_request_is_logged(api: KubeApi, client: Client) -> None:
    """Verb, resource, name, user, status: for counting."""
    client.call("GET", f"{PVS}?limit=5")
    client.call("POST", PVS, pv("pv-1"))
    client.call("GET", f"{PVS}/pv-2")
    assert [(one.verb, one.resource, one.name, one.status) for one in api.requests] == [
        ("list", "persistentvolumes", "", 200), ("create", "persistentvolumes", "", 201),
        ("get", "persistentvolumes", "pv-2", 404)]
    assert len(api.asked(verb="list")) == 1


def test_a_500_can_hide_a_success(api: KubeApi, client: Client) -> None:
    """`after`: the object is stored, the answer lies."""
    api.faults.add(verb="create", resource="persistentvolumes", status=500, after=True)
    assert client.call("POST", PVS, pv("pv-1"))[0] == 500
    assert client.call("POST", PVS, pv("pv-1"))[0] == 409


def test_a_lost_reply_can_hide_a_success(api: KubeApi, client: Client) -> None:
    """The connection drops after the work."""
    api.faults.add(verb="create", drop=True, after=True)
    with pytest.raises(OSError):
        client.call("POST", PVS, pv("pv-1"))
    assert api.get("persistentvolumes", "pv-1")
    assert api.requests[-1].status == 0


def test_a_dropped_request_did_nothing(api: KubeApi, client: Client) -> None:
    """Without `after` the work is not done."""
    api.faults.add(verb="create", drop=True)
    with pytest.raises(OSError):
        client.call("POST", PVS, pv("pv-1"))
    assert api.get("persistentvolumes", "pv-1") is None


def test_429_says_when_to_come_back(api: KubeApi, client: Client) -> None:
    """Retry-After is a header; other users are not met."""
    api.faults.add(user="system:admin", status=429, retry_after=2, times=2)
    status, answer = client.call("GET", PVS)
    assert (status, answer["reason"], client.headers["retry-after"]) == (429, "TooManyRequests", "2")
    assert client.call("GET", PVS)[0] == 429
    assert client.call("GET", PVS)[0] == 200


def test_a_hanging_request_goes_on_when_the_fault_is_cleared(api: KubeApi, client: Client) -> None:
    """No answer until then."""
    fault = api.faults.add(verb="get", hang=True)
    threading.Timer(0.1, fault.clear).start()
    began = time.monotonic()
    assert client.call("GET", f"{PVS}/x")[0] == 404
    assert time.monotonic() - began >= 0.09


def test_latency_delays_every_answer(api: KubeApi, client: Client) -> None:
    """For benches: the server's share of a claim."""
    api.latency = 0.05
    began = time.monotonic()
    client.call("GET", PVS)
    assert time.monotonic() - began >= 0.05


def test_a_hanging_server_still_stops() -> None:
    """Leaving the context ends hanging requests."""
    with KubeApi() as api:
        api.faults.add(hang=True, times=None)
        caller = threading.Thread(target=lambda: Client(api).call("GET", PVS), daemon=True)
        caller.start()
        api.wait_for(lambda: api.faults._faults[0].hits, "the request", 5)
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_discovery_tells_what_is_there(client: Client) -> None:
    """/version, /api, /apis, groups, resources, health."""
    assert client.call("GET", "/version")[1]["minor"] == "34"
    assert client.call("GET", "/api")[1]["versions"] == ["v1"]
    groups = [group["name"] for group in client.call("GET", "/apis")[1]["groups"]]
    assert groups == ["apps", "coordination.k8s.io", "storage.k8s.io"]
    resources = client.call("GET", "/api/v1")[1]["resources"]
    assert {"persistentvolumes", "persistentvolumeclaims/status", "events"} <= {one["name"] for one in resources}
    assert client.call("GET", "/readyz") == (200, "ok")
    assert client.call("GET", "/apis/snapshot.storage.k8s.io")[0] == 404


def test_kubernetes_1_6_has_no_leases_pages_or_bookmarks() -> None:
    """Unknown parameters are ignored, unknown paths are 404, new fields vanish, selfLink is there."""
    with KubeApi(version="1.6", bookmark_interval=0.05) as api, Client(api) as client:
        for number in range(3):
            api.create(pv(f"pv-{number}", nodeAffinity={"required": {"nodeSelectorTerms": []}}))
        _, answer = client.call("GET", f"{PVS}?limit=1")
        assert len(answer["items"]) == 3 and "continue" not in answer["metadata"]
        assert client.call("GET", LEASES)[0] == 404
        assert client.call("GET", "/apis/coordination.k8s.io")[0] == 404
        first = answer["items"][0]
        assert first["metadata"]["selfLink"] == f"{PVS}/pv-0" and "finalizers" not in first["metadata"]
        assert not {"volumeMode", "nodeAffinity"} & set(first["spec"])
        version = answer["metadata"]["resourceVersion"]
        path = f"{PVS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion={version}"
        assert list(client.events(path)) == []


@pytest.mark.parametrize(("version", "known"), [("1.6", {"provisioner", "parameters"}),
                                                ("1.8", {"provisioner", "parameters", "reclaimPolicy"}),
                                                ("1.34", {"provisioner", "parameters", "reclaimPolicy",
                                                          "volumeBindingMode"})])
def test_class_fields_by_version(version: str, known: set[str]) -> None:
    """reclaimPolicy came with 1.8, volumeBindingMode with 1.9."""
    with KubeApi(version=version) as api:
        made = api.create(storage_class(reclaimPolicy="Retain", volumeBindingMode="Immediate"))
        assert set(made) - {"metadata", "kind", "apiVersion"} == known


def test_endpoints_are_deprecated_from_1_33_on() -> None:
    """A Warning header tells so."""
    with KubeApi(version="1.33") as api, Client(api) as client:
        client.call("POST", "/api/v1/namespaces/default/endpoints", {"metadata": {"name": "x"}})
        assert "deprecated" in client.headers["warning"]


def test_managed_fields_make_lists_heavy() -> None:
    """On request, for honest sizes."""
    with KubeApi(managed_fields=True) as api, Client(api) as client:
        api.create(claim("c"))
        assert len(str(client.call("GET", CLAIMS)[1]["items"][0]["metadata"]["managedFields"])) > 700


def test_anybody_may_ask_what_he_may_do(api: KubeApi) -> None:
    """SelfSubjectAccessReview answers for the caller, whatever his role."""
    user = api.add_user("shop", (access.rule("pods", "list", "shop"),))
    with Client(api, user) as client:
        def may(resource: str, namespace: str) -> bool:
            wanted = {"verb": "list", "resource": resource, "namespace": namespace}
            _, answer = client.call("POST", access.REVIEWS, {"spec": {"resourceAttributes": wanted}})
            return bool(answer["status"]["allowed"])
        assert [may("pods", "shop"), may("pods", ""), may("secrets", "shop")] == [True, False, False]
