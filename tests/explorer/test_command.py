"""`pure explore` on a person's machine, and what the two ways of serving refuse."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest
from werkzeug.serving import make_server

from arrays.errors import ConfigError
from explorer.serve import Explorer, Way, listening
from provisioner import settings as settings_module
from simulator.kubernetes.access import User, rule
from tests.explorer.conftest import READER, tenant
from tests.provisioner.cluster import Cluster
from tests.provisioner.waiting import until


def mine(cluster: Cluster, user: User, namespace: str = "") -> Explorer:
    """What `pure explore` makes of somebody's KUBECONFIG."""
    return Explorer(settings_module.read({"KUBECONFIG": cluster.api.kubeconfig(user=user),
                                          "PURE_DISCOVERY_CONF": str(cluster.pure_json)}),
                    Way("127.0.0.1", 0, False, namespace))


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    """Where a person's own explorer answers, over a real socket."""
    explorer = mine(cluster, cluster.api.add_user("me", READER))
    explorer.start()
    server = make_server("127.0.0.1", 0, explorer.application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    explorer.stop()


def test_the_person_who_started_it_needs_no_token(address: str) -> None:
    with urllib.request.urlopen(f"{address}/claims", timeout=10) as answer:
        assert answer.status == 200


def test_another_site_cannot_read_it_by_a_name_of_its_own(address: str) -> None:
    """DNS rebinding: evil.example resolves to 127.0.0.1, and the browser says that name."""
    for host, status in (("evil.example", 421), ("localhost:1", 200), ("[::1]:1", 200), ("localhost.evil.example", 421)):
        request = urllib.request.Request(f"{address}/claims", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == status, host
        except HTTPError as error:
            assert error.code == status, host


def test_who_may_list_one_namespace_only_names_it(cluster: Cluster) -> None:
    user = tenant(cluster, "default")
    with pytest.raises(ConfigError, match="name one namespace with -n"):
        mine(cluster, user).start()
    cluster.claim("data")
    explorer = mine(cluster, user, "default")
    explorer.start()
    client = explorer.application.test_client()
    until(lambda: "data" in client.get("/claims").text, "the claim")
    page = client.get("/claims").text
    assert "pvs are left out" in page and "classes are left out" in page
    assert "Orphans" not in page and client.get("/orphans").status_code == 403
    explorer.stop()


def test_without_pure_json_the_claims_are_there_all_the_same(cluster: Cluster) -> None:
    cluster.pure_json.unlink()
    cluster.claim("data")
    explorer = mine(cluster, cluster.api.accounts.admin)
    explorer.start()
    client = explorer.application.test_client()
    until(lambda: "data" in client.get("/claims").text, "the claim")
    assert "pure.json" in client.get("/").text
    explorer.stop()


def test_a_shared_one_never_runs_on_a_kubeconfig(cluster: Cluster) -> None:
    """Its client certificate would answer for every caller, whoever that is."""
    settings = settings_module.read({"KUBECONFIG": cluster.api.kubeconfig()})
    with pytest.raises(ConfigError, match="--shared is for a pod"):
        Explorer(settings, Way("127.0.0.1", 0, True))


def test_a_shared_one_answers_by_either_family() -> None:
    """A cluster may know its pods by IPv6 only; a person's own explorer is on this machine only."""
    with listening(Way("0.0.0.0", 0, True)) as found:
        port = found.getsockname()[1]
        for address in ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]:
            socket.create_connection((address, port), 5).close()
    with listening(Way("127.0.0.1", 0, False)) as found:
        assert found.getsockname()[0] == "127.0.0.1"


def test_the_command_serves_and_ends_with_sigterm(cluster: Cluster) -> None:
    """A container's first process has no default for that signal, so there is a handler."""
    with started(cluster, "0") as process:
        address = process.stderr.readline().strip()         # type: ignore[union-attr]
        until(lambda: _answers(address), "an answer", 30)
        process.terminate()
        assert process.wait(10) == 0


def test_a_port_that_is_taken_is_told_in_a_sentence(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(cluster, str(port)) as process:
            told = process.stderr.read()                    # type: ignore[union-attr]
        assert process.returncode == 2
        assert f"port {port}: Address already in use: choose another with --port" in told and "Traceback" not in told


def started(cluster: Cluster, port: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", "from provisioner.admin import main; main()", "explore", "--port", port]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={
        **os.environ, "KUBECONFIG": cluster.api.kubeconfig(), "PURE_DISCOVERY_CONF": str(cluster.pure_json)})


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_rights_are_asked_anew_after_a_while(cluster: Cluster) -> None:
    """A right taken away ends within half a minute; a wrong token is let in by nobody."""
    from explorer.rights import KEPT, NotLetIn, Reviewer
    from provisioner.kube import from_kubeconfig
    now = 0.0
    user = tenant(cluster, "shop")
    reviewer = Reviewer(from_kubeconfig(cluster.api.kubeconfig()), clock=lambda: now)
    assert reviewer.rights(user.token).namespaces(["shop", "bank"]) == {"shop"}
    cluster.api.accounts.change(user, [rule("pods", "list", "shop")])
    assert reviewer.rights(user.token).namespaces(["shop"]) == {"shop"}
    now = KEPT
    assert reviewer.rights(user.token).namespaces(["shop"]) == set()
    with pytest.raises(NotLetIn):
        reviewer.rights("fake-token-nobody-has")
