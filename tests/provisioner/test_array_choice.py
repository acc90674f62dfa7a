"""From a claim to its array: labels, room, refusals, a fleet that changes (AT-11, AT-12, AT-30 … AT-34, AT-44, AT-49)."""

import pytest

from simulator.flasharray import FlashArray
from tests.provisioner.cluster import Cluster


def test_a_selector_chooses_arrays_by_label(cluster: Cluster, fa2: FlashArray) -> None:
    """AT-30, AT-31, points 12 and 22: the fuller array, because it has the label; the PV carries it too."""
    with cluster.provisioner():
        cluster.claim("pg-volume", selector={"matchLabels": {"env": "prod"}})
        pv = cluster.bound("pg-volume")
        cluster.claim("numbered", selector={"matchExpressions": [{"key": "rack", "operator": "In", "values": ["22"]}]})
        cluster.bound("numbered")
    assert cluster.live()[cluster.volume("pg-volume")] == "fa2" and pv["metadata"]["labels"] == {"env": "prod"}
    assert cluster.live()[cluster.volume("numbered")] == "fa1"


def test_no_array_with_the_label_is_explained_until_one_has_it(cluster: Cluster) -> None:
    """AT-12, AT-32: pending with the labels wanted in the event; a label in pure.json ends it without a restart."""
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim(selector={"matchLabels": {"env": "test"}})
        event = cluster.event("ProvisioningFailed", "data")
        assert "env=test" in event["message"] and "fa" not in cluster.live()
        cluster.sim.flash_array("fa2").labels["env"] = "test"
        cluster.write_fleet()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_topology_of_the_class_names_labels_of_arrays(cluster: Cluster) -> None:
    """AT-44."""
    cluster.storage_class("racks", allowedTopologies=[{"matchLabelExpressions": [
        {"key": "topology.purestorage.com/env", "values": ["prod", "test"]}]}])
    with cluster.provisioner():
        cluster.claim("data", "racks")
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_a_full_array_is_passed_over(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-33."""
    fa1.capacity = 8 * 2**30
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa2"


def test_an_array_that_refuses_is_passed_over_in_the_same_attempt(cluster: Cluster, fa1: FlashArray) -> None:
    """Its own limits are known to the array alone ("limit reached"); when all refuse, the event has each one's words."""
    fa1.switches.volume_limit = 0
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
        assert cluster.live() == {cluster.volume(): "fa2"} and not cluster.api.events("data", "ProvisioningFailed")
        cluster.claim("tied", selector={"matchLabels": {"env": "dev"}})
        assert "refused to create volume" in cluster.event("ProvisioningFailed", "tied", "no array fits")["message"]
        fa1.switches.volume_limit = None
        cluster.bound("tied")


def test_claims_at_once_spread_over_equal_arrays(cluster: Cluster, fa2: FlashArray) -> None:
    """AT-34: what is in flight counts."""
    fa2.used = 0
    for number in range(10):
        cluster.claim(f"c{number}")
    with cluster.provisioner(measure_every=30.0):       # a measurement in between may count a volume twice for a moment
        for number in range(10):
            cluster.bound(f"c{number}")
    assert sorted(cluster.live().values()).count("fa1") == 5


def test_a_new_array_is_used_without_a_restart(cluster: Cluster) -> None:
    """AT-11: the Secret changed under the running provisioner."""
    with cluster.provisioner(retry_longest=300.0):
        cluster.claim(selector={"matchLabels": {"env": "new"}})
        cluster.event("ProvisioningFailed", "data")
        cluster.sim.add_flash_array("fa3", labels={"env": "new"})
        cluster.write_fleet()
        cluster.bound()
    assert cluster.live()[cluster.volume()] == "fa3"


def test_a_new_token_is_used_without_a_restart(cluster: Cluster, fa1: FlashArray) -> None:
    """AT-49."""
    with cluster.provisioner():
        cluster.claim("before")
        cluster.bound("before")
        old = fa1.token
        fa1.add_user("another", "secret")
        fa1.state.sessions.revoke(old)
        cluster.claim("after", selector={"matchLabels": {"env": "dev"}})
        cluster.event("ProvisioningFailed", "after", "token")
        cluster.write_fleet()
        cluster.bound("after")


def test_arrays_may_come_later_than_the_provisioner(cluster: Cluster) -> None:
    """The chart starts it before the Secret exists: a claim waits, nothing crashes."""
    cluster.pure_json.unlink()
    with cluster.provisioner():
        cluster.claim()
        cluster.event("ProvisioningFailed", "data", "no array fits")
        cluster.write_fleet()
        cluster.bound()


def test_one_bad_entry_does_not_stop_the_others(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    """Point 64."""
    import json
    fleet = cluster.sim.pure_json()
    fleet["FlashArrays"].append({"MgmtEndPoint": "192.0.2.99"})
    cluster.pure_json.write_text(json.dumps(fleet))
    with cluster.provisioner():
        cluster.claim()
        cluster.bound()
    assert "FlashArrays[2]: add APIToken" in caplog.text


def test_the_pv_keeps_why_it_is_where_it_is(cluster: Cluster, fa1: FlashArray) -> None:
    """Events live for an hour, and people ask later."""
    with cluster.provisioner():
        cluster.claim()
        why = cluster.bound()["metadata"]["annotations"]["purestorage.com/placement"]
    assert why.startswith(f"{fa1.endpoint} was the least full of 2 that fit: ")
