"""The explorer's pod on the real cluster: a claim's life as the API server tells it, to each caller what he may list."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.cluster import manifests, processes
from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, inside
from tests.cluster.product import IMAGE, NAMESPACE
from tests.cluster.world import Object, World

PORT = 19820
Page = tuple[int, str]
Get = Callable[[str, str], Page]
# In the control plane's network: a browser's request, `Basic` with any name and the token as password.
BROWSER = """
import sys, urllib.request, urllib.error
request = urllib.request.Request(sys.argv[1], headers={"Authorization": sys.argv[2]} if sys.argv[2] else {})
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


def documents() -> list[Object]:
    """The manifest as it is, looking more often."""
    found = list(yaml.safe_load_all((CHECKOUT / "daemonset/optional/pure-explorer.yaml").read_text()))
    container = found[-1]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = IMAGE
    container["readinessProbe"]["periodSeconds"] = 1
    container["env"].append({"name": "PURE_MEASURE_EVERY", "value": "1"})
    return found


@pytest.fixture(scope="module")
def get(world: World) -> Iterator[Get]:
    """get(path, token) through `kubectl port-forward`, as docs/explorer.md says; the pod runs meanwhile."""
    world.apply(*documents())
    kubectl = world.cluster.kubectl
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/pure-explorer", "--timeout=90s", seconds=100)
    processes.start(world.cluster.work, "port-forward", [
        *world.cluster.kubectl_command(), "-n", NAMESPACE, "port-forward", "service/pure-explorer", f"{PORT}:9820"])

    def page(path: str, token: str) -> Page:
        given = "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode() if token else ""
        done = subprocess.run([*inside(CONTROL), sys.executable, "-c", BROWSER, f"http://127.0.0.1:{PORT}{path}", given],
                              capture_output=True, text=True, timeout=30, check=False)
        status, _, text = done.stdout.partition(" ")
        return int(status or 0), text
    processes.wait("an answer", lambda: page("/healthz", "")[0] == 200, 30)
    yield page
    processes.stop(world.cluster.work, "port-forward")
    kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-",
            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents()}))


def account(world: World, name: str, namespace: str, everywhere: bool) -> str:
    """A token of an account that may list claims, pods and events there, or all and PVs everywhere."""
    kind, verbs = ("clusterrole", ["--verb=list"]) if everywhere else ("role", ["-n", namespace, "--verb=list"])
    resources = "persistentvolumeclaims,pods,events" + (",persistentvolumes" if everywhere else "")
    kubectl = world.cluster.kubectl
    kubectl("create", "serviceaccount", name, "-n", namespace)
    kubectl("create", kind, f"{namespace}-{name}", *verbs, f"--resource={resources}")
    binding = ("clusterrolebinding",) if everywhere else ("rolebinding", "-n", namespace)
    kubectl("create", *binding, f"{namespace}-{name}", f"--{kind}={namespace}-{name}",
            f"--serviceaccount={namespace}:{name}")
    return kubectl("create", "token", name, "-n", namespace).strip()


def test_a_claims_life_and_who_may_see_it(world: World, namespace: str, get: Get) -> None:
    """From asked to mounted and grown, by the real API server's objects and kubelet's events; no right goes further."""
    world.apply(manifests.claim("data", namespace), manifests.pod("writer", namespace, ["data"]))
    pv = world.bound("data", namespace)
    world.running("writer", namespace)
    tenant = account(world, "tenant", namespace, False)
    auditor = account(world, "auditor", namespace, True)
    life = f"/claims/{namespace}/data"

    def told(*words: str) -> bool:
        return all(word in get(life, tenant)[1] for word in words)
    steps = (*(f"<h3>{title}" for title in ("Asked", "Placed and made", "Provisioned", "Bound", "Mounted")),
             f"{pv['metadata']['name']} saved", f"by pod {namespace}/writer", "connected to ")
    processes.wait("the whole story", lambda: told(*steps), 30)
    world.patch("pvc", "data", {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, namespace)
    processes.wait("the claim grown", lambda: told("2GiB"), 60)
    assert "left out" not in get("/", auditor)[1]

    assert get(life, "")[0] == 401 and get(life, "fake-token-nobody-has")[0] == 401
    assert get("/", auditor)[0] == get("/orphans", auditor)[0] == get("/what-if", auditor)[0] == 200
    assert get("/orphans", tenant)[0] == 403
    world.apply(manifests.claim("elsewhere", "default"))
    world.bound("elsewhere", "default")
    processes.wait("the other claim", lambda: "elsewhere" in get("/claims", auditor)[1], 30)
    assert "elsewhere" not in get("/claims", tenant)[1] and get("/claims/default/elsewhere", tenant)[0] == 404
    world.delete("pvc", "elsewhere", "default")
