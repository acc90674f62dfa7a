"""How claims, PVs, pods, events and volumes are joined, searched, sorted, paged; a claim's story; placement asked."""

import pytest

from explorer import rows, table, timeline, whatif
from explorer.clock import age, moment, span
from explorer.records import claim_seen, event_seen, pod_seen, pv_seen
from explorer.rows import ClaimRow
from provisioner.objects import ClassRecord
from tests.explorer.given import AT, GiB, OURS, TiB, array, claim, event, many, pod, pv, seen, uid, volume


def joined(*parts: object) -> list[ClaimRow]:
    return rows.claim_rows(*parts, "k8s", OURS)         # type: ignore[arg-type]


# Joining

def test_a_volume_that_was_moved_is_found_where_it_is() -> None:
    """The array of the PV is a hint; the fleet has the last word."""
    one = claim(1)
    found = joined(seen([one], [pv(one, "fa1")]), {"fa1": array("fa1"), "fa2": array("fa2", volume(one))})[0]
    assert (found.array, found.size, found.used, found.snapshots) == ("fa2", 10 * GiB, GiB, 0)


def test_a_volume_nobody_shows_keeps_the_hint() -> None:
    one = claim(1)
    found = joined(seen([one], [pv(one, "fa9")]), {"fa1": array("fa1")})[0]
    assert (found.array, found.used) == ("fa9", None) and "Not seen" in {step.title for step in timeline.steps(found, {})}


def test_claims_of_others_are_left_out() -> None:
    ours, theirs, imported = claim(1), claim(2, ours=False, class_name="ceph"), claim(3, ours=False, class_name="")
    found = joined(seen([ours, theirs, imported], [pv(ours), pv(theirs, ours=False), pv(imported)]), {})
    assert {row.claim for row in found} == {ours, imported}


@pytest.mark.parametrize("changes, told, state", [
    ({}, [], "Bound"), ({"phase": "Pending", "volume_name": ""}, [], "Pending"),
    ({"phase": "Pending", "volume_name": ""}, [event(claim(1), warning=True)], "Failing"),
    ({"deleting": AT}, [], "Deleting"), ({"phase": "Lost"}, [], "Lost")])
def test_states(changes: dict[str, str], told: list[object], state: str) -> None:
    one = claim(1, **changes)
    assert joined(seen([one], [], [], told), {})[0].state == state         # type: ignore[arg-type]


def test_what_is_in_flight_counts_until_its_pv_is_saved() -> None:
    waiting, gone = claim(1, phase="Pending", volume_name=""), claim(2)
    made = volume(claim(1, volume_name=f"pvc-{uid(1)}"))
    arrays = {"fa1": array("fa1", made, volume(gone))}
    found = rows.orphans(seen([waiting]), arrays, "k8s")
    assert [one.waiting for one in found] == [True, False]
    assert rows.loads(arrays, found)["fa1"] == (20 * GiB, 10 * GiB, 2)


# The table

@pytest.mark.parametrize("query, first, found", [
    ({}, "data-00000", 100), ({"q": "team-3 data"}, "data-00003", 10), ({"q": "WEB-DATA-00042"}, "data-00042", 1),
    ({"sort": "-name"}, "data-00099", 100), ({"sort": "age"}, "data-00000", 100), ({"array": "fa2"}, "data-00001", 50),
    ({"node": "node3"}, "data-00010", 14), ({"namespace": "team-7", "sort": "-name"}, "data-00097", 10),
    ({"state": "Lost"}, "", 0), ({"sort": "nonsense", "page": "-3", "rows": "7"}, "data-00000", 100),
    ({"page": "99"}, "data-00005", 100)])
def test_search_sort_and_filter(query: dict[str, str], first: str, found: int) -> None:
    shown = table.table(joined(*many(100)), table.parse(query))
    assert shown.found == found and (shown.rows[0].claim.name if shown.rows else "") == first


def test_pages_have_every_claim_once() -> None:
    everything = joined(*many(101))
    wanted = table.parse({"rows": "25"})
    pages = [table.table(everything, wanted._replace(page=number)) for number in range(1, 6)]
    names = [row.claim.name for page in pages for row in page.rows]
    assert len(names) == 101 == len(set(names)) and pages[0].pages == 5


def test_addresses_say_only_what_differs() -> None:
    wanted = table.parse({"q": "web", "sort": "size", "page": "3"})
    assert wanted.query() == "q=web&sort=size&page=3" and wanted.query(page=1) == "q=web&sort=size"
    assert wanted.sorted_by("size") == "q=web&sort=-size" and table.parse({}).query() == ""


# The story

def test_a_life_in_order() -> None:
    one = claim(1, created="2026-01-31T08:00:00Z", requested="20Gi")
    told = [event(one, "ProvisioningFailed", "no array fits", warning=True, first="2026-01-31T08:00:01Z", times=3,
                  last="2026-01-31T08:00:09Z"),
            event(one, "VolumeResizeSuccessful", "has 20GiB", first="2026-01-31T09:00:00Z"),
            event(claim(2), "ProvisioningFailed", "of another claim", first="2026-01-31T08:30:00Z"),
            event(one, "FailedMount", f"volume k8s-{one.volume_name} is still connected to host node1", kind="Pod",
                  name=f"web-{one.name}", warning=True, first="2026-01-31T08:20:00Z"),
            event(one, "FailedMount", "secret is missing", kind="Pod", name=f"web-{one.name}", first="2026-01-31T08:21:00Z")]
    made = volume(one, snapshots=1, hosts=("node1", "node2"))
    row = joined(seen([one], [pv(one, placement="fa1 was the only one that fits", created="2026-01-31T08:00:11Z")],
                      [pod(one, "node2", started="2026-01-31T08:19:00Z")], told),
                 {"fa1": array("fa1", made)})[0]
    story = timeline.steps(row, {str(number): one for number, one in enumerate(told)})
    assert [step.title for step in story] == [
        "Asked", "Placed and made", "Not provisioned", "Bound", "Snapshot", "Mounted",
        f"Not mounted: pod web-{one.name}", "Grown on the array", "On the array", "Moving", "Growing", "Bound"]
    assert story[2].times == 3 and story[2].kind == "trouble" and story[1].text.endswith("fa1 was the only one that fits")


# What if

def test_every_array_answers_and_the_best_is_chosen() -> None:
    record = ClassRecord("pure", "1", "pure-provisioner", {"backend": "block"}, "Delete", False, (), ())
    arrays = {one.name: one for one in (
        array("fa1"), array("fa2", volume(claim(1))), array("fa3", problem="it is off"), array("fb1", backend="file"),
        array("fa4", labels={"env": "prod"}))}
    answer = whatif.ask(record, "10Gi", "env=dev", arrays, {})
    assert answer.chosen == "fa1" and {one.array: one.refusal for one in answer.choices} == {
        "fa1": "", "fa2": "", "fa3": "it is off", "fa4": "has not the labels asked for: env=dev"}
    assert "'lots' is not a size" in whatif.ask(record, "lots", "", arrays, {}).problem
    assert whatif.ask(record, f"{200 * TiB}", "", arrays, {}).chosen == ""


# Parsing

def test_objects_without_anything_in_them_are_read() -> None:
    """What a server leaves out is empty, not an error."""
    bare = {"metadata": {"uid": "u", "namespace": "n", "name": "x"}}
    assert claim_seen(OURS, bare).key == "n/x" and pv_seen("k8s", bare).ours is False
    assert pod_seen(bare) is None and event_seen(bare) is None


def test_an_event_series_is_counted() -> None:
    """events.k8s.io writes its count and last time into `series`."""
    found = event_seen({"metadata": {"name": "e"}, "involvedObject": {"kind": "PersistentVolume", "name": "pvc-1"},
                        "reason": "VolumeFailedDelete", "type": "Warning", "message": "two\n lines", "eventTime": AT,
                        "series": {"count": 7, "lastObservedTime": "2026-01-31T09:00:00Z"}})
    assert found is not None and (found.times, found.first, found.last, found.message) == (
        7, AT, "2026-01-31T09:00:00Z", "two lines")


def test_times() -> None:
    assert moment("2026-01-31T08:15:00.123456Z") == moment("2026-01-31T08:15:00Z") + 0.123456      # type: ignore[operator]
    assert moment("") is None and age("", 0.0) == "" and span(-5) == "0 s"
    assert [span(seconds) for seconds in (59, 60, 7200, 200000)] == ["59 s", "1 min", "2 h", "2 d"]


def test_that_the_binder_waits_hides_nothing() -> None:
    """kube-controller-manager repeats ExternalProvisioning every few seconds; what the provisioner said counts."""
    one = claim(1, phase="Pending", volume_name="")
    told = [event(one, "ProvisioningFailed", "no array fits", warning=True, last="2026-01-31T08:00:00Z"),
            event(one, "ExternalProvisioning", "Waiting for a volume", last="2026-01-31T09:00:00Z")]
    row = joined(seen([one], [], [], told), {})[0]
    assert row.state == "Failing" and row.last is not None and row.last.message == "no array fits"
