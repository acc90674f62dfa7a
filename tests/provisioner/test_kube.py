"""The door to the API: tokens, time-outs, 429, kept connections (checklist 54, 55)."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arrays.errors import ConfigError, PureError, Unreachable
from provisioner import apierrors, kube
from provisioner.kube import NODES, Access, Kube, Token, from_kubeconfig, in_cluster, in_namespace, named, token_file
from provisioner.pace import Pacer
from simulator.kubernetes import KubeApi


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as server:
        yield server


@pytest.fixture
def client(api: KubeApi) -> Kube:
    return Kube(from_kubeconfig(api.kubeconfig()))


def node(name: str = "n1") -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def test_objects_come_and_go(client: Kube) -> None:
    made = client.create(NODES, node())
    assert client.get(named(NODES, "n1"))["metadata"]["uid"] == made["metadata"]["uid"]
    changed = client.merge(named(NODES, "n1"), {"metadata": {"labels": {"a": "b"}}})
    assert client.replace(named(NODES, "n1"), {**changed, "metadata": {**changed["metadata"], "labels": {}}})
    client.delete(named(NODES, "n1"), made["metadata"]["uid"])
    with pytest.raises(apierrors.NotThere):
        client.get(named(NODES, "n1"))


def test_a_namesake_is_not_deleted(client: Kube) -> None:
    """1.7.7: the precondition is the uid."""
    client.create(NODES, node())
    with pytest.raises(apierrors.Conflict):
        client.delete(named(NODES, "n1"), "another-uid")


@pytest.mark.parametrize("status, error, retry", [
    (400, apierrors.Malformed, False), (403, apierrors.Forbidden, True), (404, apierrors.NotThere, False),
    (405, apierrors.ApiRefused, False), (409, apierrors.Conflict, True), (410, apierrors.Gone, True),
    (422, apierrors.Malformed, False), (500, Unreachable, True), (503, Unreachable, True)])
def test_refusals_are_told_apart(api: KubeApi, client: Kube, status: int, error: type[Exception], retry: bool) -> None:
    api.faults.add(resource="nodes", status=status)
    with pytest.raises(PureError) as caught:
        client.get(named(NODES, "n1"))
    assert caught.type is error and caught.value.retry is retry and "nodes/n1" in str(caught.value)


def test_an_answer_that_is_no_status_object_is_shown_as_it_is() -> None:
    """A proxy's page."""
    assert "Bad Gateway" in str(apierrors.failure(502, b"<html>Bad Gateway</html>", "GET x"))
    assert str(apierrors.failure(418, b"[]", "GET x")) == "the Kubernetes API refused to GET x: []"


def test_a_renewed_token_is_read_again_and_no_worker_sees_a_401(api: KubeApi, tmp_path: Path) -> None:
    """Point 54: bound tokens change under a running pod."""
    user = api.add_user("system:serviceaccount:pure:pure")
    account = api.service_account(tmp_path, user, "pure")
    client = Kube(in_cluster(account["KUBERNETES_SERVICE_HOST"], account["KUBERNETES_SERVICE_PORT"], tmp_path))
    client.create(NODES, node())
    renewed = api.accounts.rotate(user)
    (tmp_path / "token").write_text(renewed.token)
    assert client.get(named(NODES, "n1"))["metadata"]["name"] == "n1"
    for lines in client.watch(NODES, {"watch": "1", "timeoutSeconds": 1}, 5):
        assert lines
        break


def test_a_token_is_read_every_minute_and_an_unreadable_one_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(kube.time, "monotonic", lambda: now[0])
    file = tmp_path / "token"
    file.write_text("first\n")
    token = token_file(file)
    assert token(False) == "first"
    file.write_text("second")
    assert token(False) == "first"
    now[0] += 61
    assert token(False) == "second"
    file.unlink()
    assert token(True) == "second"


def test_a_token_costs_nothing_for_most_requests_and_is_new_after_a_401() -> None:
    """Reading it may mean running a plugin of kubectl's."""
    read = iter(("first", "second", ""))
    token = Token(lambda: next(read))
    assert [token(False), token(False), token(False)] == ["first"] * 3
    assert [token(True), token(True)] == ["second"] * 2


def test_a_wrong_token_is_said(api: KubeApi) -> None:
    access = from_kubeconfig(api.kubeconfig())
    client = Kube(access._replace(token=lambda fresh: "fake-token-wrong"))
    with pytest.raises(Unreachable, match="401"):
        client.get(NODES)
    with pytest.raises(Unreachable, match="401"):
        list(client.watch(NODES, {"watch": "1"}, 5))


def test_429_is_obeyed(api: KubeApi, client: Kube) -> None:
    """Point 55."""
    api.faults.add(resource="nodes", status=429, retry_after=1, times=1)
    began = time.monotonic()
    client.create(NODES, node())
    assert time.monotonic() - began >= 0.99 and len(api.asked("create", "nodes")) == 2


def test_a_429_of_hours_is_an_error(api: KubeApi, client: Kube) -> None:
    api.faults.add(resource="nodes", status=429, retry_after=3600)
    with pytest.raises(Unreachable, match="429"):
        client.get(NODES)


def test_an_api_that_does_not_answer(api: KubeApi) -> None:
    api.faults.add(resource="nodes", hang=True)
    client = Kube(from_kubeconfig(api.kubeconfig()), read_timeout=0.2)
    with pytest.raises(Unreachable, match="no answer in time"):
        client.get(NODES)
    client.create(NODES, node())


def test_an_api_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Kube(Access(f"http://127.0.0.1:{port}", None, lambda fresh: ""))
    with pytest.raises(Unreachable, match="refused"):
        client.get(NODES)


def test_a_certificate_that_is_not_trusted_is_said(api: KubeApi) -> None:
    access = from_kubeconfig(api.kubeconfig())._replace(context=ssl.create_default_context())
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        Kube(access).get(NODES)


def test_a_kept_connection_that_the_server_closed_is_opened_again() -> None:
    """Idle connections are closed by servers and load balancers; nobody is to notice. Also without TLS."""
    answers = [b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'] * 2

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        client = Kube(Access(f"http://127.0.0.1:{listener.getsockname()[1]}/prefix/", None, lambda fresh: ""))
        assert client.get(NODES) == {} and client.get(NODES) == {}
        server.join(5)


def test_garbage_is_no_answer() -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops')
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        with pytest.raises(Unreachable, match="no JSON"):
            Kube(Access(f"http://127.0.0.1:{listener.getsockname()[1]}", None, lambda fresh: "")).get(NODES)
        server.join(5)


def test_each_thread_keeps_one_connection(api: KubeApi, client: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point 60, for the API."""
    opened = []
    real = kube.Kube._connect
    monkeypatch.setattr(client, "_connect", lambda: opened.append(1) or real(client))
    for number in range(5):
        client.create(NODES, node(f"n{number}"))
    assert len(opened) == 1


def test_kubeconfig_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        from_kubeconfig(str(tmp_path / "missing"))
    broken = tmp_path / "broken"
    broken.write_text("{}")
    with pytest.raises(ConfigError):
        from_kubeconfig(str(broken))
    with pytest.raises(ConfigError, match="no ca.crt and token"):
        in_cluster("198.51.100.1", "443", tmp_path)


def test_kubeconfig_without_verification(api: KubeApi) -> None:
    import json
    config = json.loads(Path(api.kubeconfig()).read_text())
    config["clusters"][0]["cluster"] = {"server": api.url, "insecure-skip-tls-verify": True}
    path = Path(api.kubeconfig()).with_name("insecure")
    path.write_text(json.dumps(config))
    assert Kube(from_kubeconfig(str(path))).get(NODES)["items"] == []


def test_names_cannot_leave_their_path() -> None:
    assert in_namespace("a/b", "pods", "../c") == "/api/v1/namespaces/a%2Fb/pods/..%2Fc"


def test_a_rate_is_kept() -> None:
    """PURE_API_RATE: two seconds' worth at once, then one each interval; nothing is dropped (point 57)."""
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pacer = Pacer(10.0, lambda: now[0], sleep)
    for _ in range(40):
        pacer()
    assert sum(second > 0.01 for second in slept) == 20 and now[0] == pytest.approx(2.0)
