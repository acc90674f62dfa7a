"""C8 for copies of file systems: cut at each boundary, nothing stays but a volume and a PV for each claim that lives.

A FlashBlade copies snapshots only, so there are four writes: snapshot ► copy ► snapshot destroyed ► PV. A process is
killed after each of them, which is before the next one; one claim stays and one is deleted meanwhile.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.flashblade import FlashBlade
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.filecopies import FILES, live_snapshots, of_claim, sources
from tests.provisioner.given import UID
from tests.provisioner.waiting import until

OF_SHARED = {**FILES, **of_claim("shared")}
WRITES = {"snapshot": ("POST", "file-system-snapshots"), "copy": ("POST", "file-systems"),
          "end of the snapshot": ("PATCH", "file-system-snapshots"), "PV": ("create", PVS)}


@contextlib.contextmanager
def silent(cluster: Cluster, write: str, after: bool) -> Iterator[Any]:
    """No answer to such writes, before they acted or after; until the end of the block."""
    verb, path = WRITES[write]
    if write == "PV":
        fault: Any = cluster.api.faults.add(verb=verb, resource=path, hang=True, after=after, times=None)
        yield fault
        fault.clear()
    else:
        faults = cluster.sim.flash_blades[0].faults
        fault = faults.add(method=verb, path=path, **{"hang_after" if after else "hang": True})
        yield fault
        faults.remove(fault)


def test_c8_killed_at_each_boundary_of_a_copy(shared: Cluster, fb1: FlashBlade) -> None:
    """Whoever stays is bound to a copy, and the sweep destroys the snapshots; copies of claims that went are C5's."""
    original, begun = shared.volume("shared"), []
    settings = {"array_timeout": 20.0, "sweep_every": 0.05, "sweep_grace": 600.0}
    with contextlib.ExitStack() as processes:
        process = processes.enter_context(shared.process(**settings))
        for write in WRITES:
            stays, goes = f"stays{len(begun)}", f"goes{len(begun)}"
            with silent(shared, write, after=True) as fault:
                shared.claim(stays, **OF_SHARED)
                shared.claim(goes, **OF_SHARED)
                until(lambda: fault.hits >= 2, f"{write} of both")
                process.kill()
                process.join()
            begun.append((stays, shared.volume(goes)))
            shared.delete_claim(goes)
            process = processes.enter_context(shared.process(**settings))
            shared.bound(stays)
            until(lambda: not live_snapshots(fb1), f"no snapshot left, cut after the {write}")
            until(lambda: shared.api.get(CLAIMS, goes) is None, "the claim gone, finalizer and all")
            until(lambda: shared.api.count(PVS) == len(shared.api.objects(CLAIMS)), "one PV a claim")
    left = {gone for _, gone in begun} & set(shared.live())
    assert sources(fb1) == {**{shared.volume(stays): original for stays, _ in begun}, **dict.fromkeys(left, original)}
    assert left == {gone for _, gone in begun[1:3]}         # the copies that had no PV yet


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
def test_c6_the_claim_goes_while_a_write_of_its_copy_is_unknown(shared: Cluster, fb1: FlashBlade, after: bool) -> None:
    """The process lives: it finds out what there is and destroys it, without any sweep."""
    with shared.provisioner(array_timeout=0.1):
        for number, write in enumerate(WRITES):
            with silent(shared, write, after) as fault:
                shared.claim(f"copy{number}", **OF_SHARED)
                until(lambda: fault.hits, write)
                shared.delete_claim(f"copy{number}")
            until(lambda: list(shared.live()) == [shared.volume("shared")] and not live_snapshots(fb1)
                  and shared.api.count(PVS) == 1, f"nothing left, cut at the {write}")


def test_the_snapshot_is_gone_before_the_pv_is_saved(shared: Cluster, fb1: FlashBlade) -> None:
    """So nothing has to be remembered when the claim is served."""
    with shared.provisioner(array_timeout=0.1), silent(shared, "end of the snapshot", after=False) as fault:
        shared.claim("copy", **OF_SHARED)
        until(lambda: fault.hits >= 2, "tried again")
        assert live_snapshots(fb1) and shared.api.count(PVS) == 1
        fb1.faults.remove(fault)
        shared.bound("copy")
        assert not live_snapshots(fb1)


def test_an_array_that_refuses_to_destroy_the_snapshot_keeps_no_claim_waiting(shared: Cluster, fb1: FlashBlade) -> None:
    """What it refuses is for the sweep to repeat."""
    refusing = fb1.faults.add(method="PATCH", path="file-system-snapshots", status=400)
    with shared.provisioner(sweep_every=0.05):
        shared.claim("copy", **OF_SHARED)
        shared.bound("copy")
        assert live_snapshots(fb1)
        fb1.faults.remove(refusing)
        until(lambda: not live_snapshots(fb1), "swept")


def test_a_copy_is_adopted_although_its_original_went(shared: Cluster, fb1: FlashBlade) -> None:
    """The copy was made for this claim, and the array says of what."""
    original = shared.volume("shared")
    with silent(shared, "PV", after=False) as fault, shared.process() as process:
        shared.claim("copy", **OF_SHARED)
        until(lambda: fault.hits, "the PV on its way")
        process.kill()
        process.join()
    pv = shared.pv_name("shared")
    shared.delete_claim("shared")
    with shared.process():
        shared.bound("copy")
        shared.gone(pv)
    assert sources(fb1) == {shared.volume("copy"): original} and list(shared.live()) == [shared.volume("copy")]


def test_a_snapshot_destroyed_too_early_is_brought_back(shared: Cluster, fb1: FlashBlade) -> None:
    """Its name stays taken for a day, and the claim must not wait for that."""
    claim = shared.claim("copy", **OF_SHARED)
    (taken,) = fb1.state.take([shared.volume("shared")], f"copy-{claim['metadata']['uid']}")
    fb1.state.set_snapshot_destroyed(taken, True)
    with shared.provisioner():
        shared.bound("copy")
    assert taken.destroyed and sources(fb1) == {shared.volume("copy"): shared.volume("shared")}


def test_the_sweep_destroys_only_snapshots_that_are_provably_done_with(shared: Cluster, fb1: FlashBlade) -> None:
    """Not a person's, not one that a claim waits for, not another cluster's, and not of another form."""
    waits = shared.claim("waits", **FILES, selector={"matchLabels": {"env": "none"}})["metadata"]["uid"]
    ours, foreign, other = shared.volume("shared"), f"k8s-pvc-{UID}", f"k8s2-pvc-{UID}"
    for name in (foreign, other):
        fb1.add_file_system(name, 2**30)
    kept = [(ours, "nightly"), (ours, f"copy-{waits}"), (ours, "copy-mine"), (ours, f"precopy-{UID}"),
            (foreign, f"copy-{UID}"), (other, f"copy-{UID}")]
    for source, suffix in [*kept, (ours, f"copy-{UID}")]:
        fb1.state.take([source], suffix)
    with shared.provisioner(sweep_every=0.05, sweep_grace=600.0):
        shared.event("ProvisioningFailed", "waits")
        until(lambda: fb1.state.snapshot(f"{ours}.copy-{UID}").destroyed, "swept")
        looks = len(fb1.requests)
        until(lambda: len(fb1.requests) > looks + 6, "some more sweeps")
    assert sorted(found.name for found in fb1.state.snapshots() if not found.destroyed) == sorted(
        f"{source}.{suffix}" for source, suffix in kept)
