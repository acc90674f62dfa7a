"""The pages over a real claim on pretend arrays: what they show, to whom, and what they never do."""

import json
import re

import pytest
from werkzeug.test import TestResponse

from explorer.serve import Explorer
from simulator.flasharray import FlashArray
from tests.explorer.conftest import Look, tenant
from tests.provisioner.cluster import CLAIMS, Cluster
from tests.provisioner.waiting import until


def text(answer: TestResponse) -> str:
    """What a reader sees, tags and runs of blanks left out."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)).split())


def page_with(look: Look, path: str, *words: str) -> str:
    """Wait until a page says all of this; what it then says."""
    said = ""

    def there() -> bool:
        nonlocal said
        said = text(look(path))
        return all(word in said for word in words)
    until(there, f"{' and '.join(words)} on {path}")
    return said


def pod(name: str, claim: str, node: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeName": node, "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}}


@pytest.fixture
def fa1(cluster: Cluster) -> FlashArray:
    return cluster.sim.flash_array("fa1")


def test_a_served_claim_with_all_that_belongs_to_it(cluster: Cluster, explorer: Explorer, look: Look,
                                                    fa1: FlashArray) -> None:
    """From the claim over its pod and node to the volume, its snapshots and its host; then its life in order."""
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound("data")
        cluster.event("ProvisioningSucceeded")
    cluster.api.create(pod("web-0", "data", "node1"))
    cluster.api.patch("pods", "web-0", {"status": {"phase": "Running"}}, status=True)
    fa1.add_host("node1", iqns=["iqn.1993-08.org.debian:01:a"])
    fa1.connect("node1", cluster.volume("data"))
    shown = page_with(look, "/claims/default/data", "connected to node1", "(Running)")
    for words in ("Bound", "10GiB", fa1.endpoint, cluster.volume("data"), "default/web-0 on node1"):
        assert words in shown, words
    story = shown[shown.index("Its life"):]
    order = [story.index(step) for step in ("Asked", "Placed and made", "Provisioned", "Mounted", "On the array")]
    assert order == sorted(order)
    assert f"{fa1.endpoint} was the least full of 2 that fit" in story

    row = text(look("/claims?q=web-0"))
    assert "1 of 1 claims" in row and "node1" in row and "Successfully provisioned" in row
    assert "0 of 1 claims" in text(look("/claims?q=nothing-like-it"))


def test_a_refused_claim_says_why(cluster: Cluster, look: Look) -> None:
    with cluster.provisioner():
        cluster.claim("big", size="4000Ti")
        cluster.event("ProvisioningFailed")
        page_with(look, "/claims?state=Failing&q=big", "1 of 1 claims", "Failing")
        assert "no array fits" in text(look("/claims/default/big"))


def test_the_fleet_tells_each_array_and_what_is_wrong_with_it(cluster: Cluster, look: Look, fa1: FlashArray) -> None:
    page = text(look("/"))
    assert "50.0 % of 100TiB used" in page and "env=prod" in page and f"https://{fa1.endpoint}/" in look("/").text
    fa1.faults.add(reset=True)
    until(lambda: "complaint" in look("/").text, "the complaint")
    assert re.search(r"Figures of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text(look("/")))
    fa1.faults.clear()
    until(lambda: "complaint" not in look("/").text, "the array's return")


def test_an_answer_that_nobody_foresaw_is_told_on_the_arrays_card(look: Look, fa1: FlashArray) -> None:
    """An array without a name. Raised in a thread that nobody listens to, it would have left the last answer as if new."""
    fault = fa1.faults.add(method="GET", path="array", body='{"id": "1"}')
    page_with(look, "/", "nobody foresaw")
    fa1.faults.remove(fault)
    until(lambda: "complaint" not in look("/").text, "the array's return")


def test_orphans_have_their_proof_and_claims_that_wait_are_none(cluster: Cluster, look: Look, fa1: FlashArray) -> None:
    waiting = cluster.claim("waits")["metadata"]["uid"]
    fa1.add_volume("k8s-pvc-11111111-2222-3333-4444-555555555555", 2**30)
    fa1.add_volume(f"k8s-pvc-{waiting}", 2 * 2**30)
    fa1.add_volume("somebody-elses", 2**30)
    page = page_with(look, "/orphans", f"k8s-pvc-{waiting}")
    assert "1 volume that nobody stands for" in page and "no PV, and its claim is gone" in page
    assert "claim default/waits waits" in page and "somebody-elses" not in page
    assert "2GiB" in text(look("/"))         # in flight


def test_a_volume_is_an_orphan_when_an_array_shows_it_after_its_pv_went(cluster: Cluster, explorer: Explorer,
                                                                        look: Look) -> None:
    """An answer from before says nothing: every deleted claim would have an orphan until the array is asked again."""
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    pv, volume, home = cluster.pv_name(), cluster.volume(), cluster.sim.flash_array("fa1")
    until(lambda: volume in explorer.view.arrays[home.endpoint].volumes, "the volume in the array's answer")
    fault = home.faults.add(reset=True)
    until(lambda: explorer.view.arrays[home.endpoint].problem, "an array that tells nothing any more")
    cluster.delete_claim()
    cluster.api.patch("persistentvolumes", pv, {"metadata": {"finalizers": None}})
    cluster.api.delete("persistentvolumes", pv)
    until(lambda: pv not in explorer.view.seen.pvs and not explorer.view.seen.claims, "the end of PV and claim")
    assert volume not in text(look("/orphans"))
    home.faults.remove(fault)
    assert "no PV, and its claim is gone" in page_with(look, "/orphans", volume)


def test_a_stretched_volume_that_two_arrays_show_is_no_orphan(cluster: Cluster, explorer: Explorer, look: Look,
                                                              fa1: FlashArray) -> None:
    """As `pure orphans` has it: both are one, for they have one serial."""
    fa2 = cluster.sim.flash_array("fa2")
    fa1.state.pods.create("pod1")
    fa1.state.pods.stretch("pod1", fa2.state)
    fleet = cluster.sim.pure_json()
    for entry in fleet["FlashArrays"]:
        entry["ReplicationPods"] = ["pod1"]
    cluster.pure_json.write_text(json.dumps(fleet))
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    name = cluster.volume().rpartition("::")[2]
    until(lambda: all(name in explorer.view.arrays[one.endpoint].volumes for one in (fa1, fa2)), "the volume on both")
    assert name not in text(look("/orphans"))


def test_what_if_is_the_placement_of_the_provisioner(cluster: Cluster, look: Look, fa1: FlashArray) -> None:
    fa2 = cluster.sim.flash_array("fa2")
    assert f"It would go to fa1 {fa1.endpoint} ." in text(look("/what-if?class=pure&size=10Gi"))
    page = text(look("/what-if?class=pure&size=10Gi&labels=env%3Dprod"))
    assert f"It would go to fa2 {fa2.endpoint} ." in page and "has not the labels asked for: env=prod" in page
    assert "No array fits" in text(look("/what-if?class=pure&size=4000Ti"))
    assert "is not key=value" in text(look("/what-if?class=pure&labels=nonsense"))
    assert "there is no class" in text(look("/what-if?class=other"))
    assert fa1.endpoint not in text(look("/what-if?class=pure-file"))


# Rights

def test_without_a_token_nothing_is_told(look: Look) -> None:
    for path in ("/", "/claims", "/claims/default/data", "/orphans", "/what-if"):
        answer = look(path, None)
        assert answer.status_code == 401 and "Basic" in answer.headers["WWW-Authenticate"], path
    assert look("/claims", None, Authorization="Bearer fake-token-nobody-has").status_code == 401
    assert look("/claims", None, Authorization="Bearer a b").status_code == 401
    assert look("/claims", None, Authorization="Basic !!!").status_code == 401
    assert look("/healthz", None).text == "ok\n" == look("/readyz", None).text


def test_a_browser_may_send_the_token_as_a_password(cluster: Cluster, explorer: Explorer) -> None:
    """So that kubectl port-forward and any browser are enough."""
    answer = explorer.application.test_client().get("/claims", auth=("me", cluster.api.token))
    assert answer.status_code == 200


def test_a_tenant_sees_the_claims_of_his_namespace_only(cluster: Cluster, look: Look) -> None:
    for namespace in ("shop", "bank"):
        cluster.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        cluster.api.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {
            "name": f"data-of-{namespace}"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                                                      "resources": {"requests": {"storage": "1Gi"}}}}, namespace)
    user = tenant(cluster, "shop")
    until(lambda: "data-of-bank" in look("/claims").text and "data-of-shop" in look("/claims").text, "both claims")
    for path in ("/", "/claims", "/claims?namespace=bank", "/claims?q=bank"):
        assert "data-of-bank" not in look(path, user).text, path
    assert "1 of 1 claims" in text(look("/claims", user))
    assert look("/claims/shop/data-of-shop", user).status_code == 200
    assert look("/claims/bank/data-of-bank", user).status_code == 404
    assert look("/orphans", user).status_code == 403 == look("/what-if", user).status_code
    assert "Orphans" not in text(look("/claims", user))


def test_who_may_list_claims_but_not_pods_and_events_sees_none_of_these(cluster: Cluster, look: Look) -> None:
    with cluster.provisioner():
        cluster.claim("data")
        cluster.bound("data")
        cluster.event("ProvisioningSucceeded")
    cluster.api.create(pod("web-0", "data", "node1"))
    until(lambda: "web-0" in look("/claims").text and "Successfully" in look("/claims").text, "pod and event")
    user = tenant(cluster, "default", "persistentvolumeclaims")
    for path in ("/claims", "/claims/default/data"):
        shown = look(path, user).text
        assert "data" in shown and "web-0" not in shown and "Successfully" not in shown, path


def test_the_api_server_is_asked_once_for_many_looks(cluster: Cluster, look: Look) -> None:
    look("/claims")
    before = len(cluster.api.requests)
    for _ in range(20):
        look("/claims")
    assert not [one for one in cluster.api.requests[before:] if "review" in one.path or one.verb == "list"]


# What no page does

def test_no_page_has_a_token_or_speaks_of_another_host(cluster: Cluster, look: Look) -> None:
    """Own files only, a policy that lets nothing else through, and only links for a person to follow lead out."""
    tokens = [array.token for array in cluster.sim.arrays] + [cluster.api.token]
    for path in ("/", "/claims", "/orphans", "/what-if", "/static/explorer.css", "/static/live.js", "/static/icon.svg"):
        answer = look(path)
        assert answer.status_code == 200 and not any(token in answer.text for token in tokens), path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert not re.search(r'(?:src|action|href)="(?:https?:)?//(?!127\.0\.0\.1)', answer.text), path
        assert not re.search(r"<[^>]+\s(?:style|on\w+)=", answer.text), path
        assert "Set-Cookie" not in answer.headers


def test_pages_are_read_only(cluster: Cluster, explorer: Explorer) -> None:
    client = explorer.application.test_client()
    for method in ("post", "put", "delete", "patch"):
        answer = getattr(client, method)("/claims", headers={"Authorization": f"Bearer {cluster.api.token}"})
        assert answer.status_code == 405, method


def test_an_unchanged_page_is_not_sent_again(look: Look) -> None:
    first = look("/what-if")
    assert look("/what-if", **{"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_what_people_write_is_shown_as_text(cluster: Cluster, look: Look) -> None:
    assert "<script>alert" not in look("/claims?q=<script>alert(1)</script>&namespace=<script>alert(2)</script>").text
    assert "<script>alert" not in look("/what-if?class=pure&labels=<script>alert(1)</script>=1").text


def test_a_claim_that_is_gone_is_gone_from_the_page(cluster: Cluster, look: Look) -> None:
    cluster.claim("short")
    until(lambda: look("/claims/default/short").status_code == 200, "the claim")
    cluster.api.delete(CLAIMS, "short")
    until(lambda: look("/claims/default/short").status_code == 404, "its end")
