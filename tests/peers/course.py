"""What each is put through: a burst of claims made and deleted; and a start among many objects."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.cluster import flood
from tests.cluster.audit import Audit
from tests.peers import usage
from tests.peers.plane import Plane
from tests.peers.runners import Runner, Running
from tests.peers.watching import Heard, watched

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
PVS = "/api/v1/persistentvolumes"
SERVED = "volume.kubernetes.io/storage-provisioner"     # how the controller manager tells whose a claim is
WARM = 10                               # claims served beforehand, so that connections and caches are as in service
PATIENCE = 120.0                        # seconds for a burst's claims, and for its end
FILLING = 300.0                         # seconds for 10,000 PVs and 10,000 claims
LATE = 2.0                              # seconds for events, which are told late
QUIET = 3.0                             # seconds without growth after which memory counts as settled
SETTLED = 60.0                          # seconds memory may take for that


class Run(NamedTuple):
    """What one burst showed."""

    made: float             # PVs a second, from the first claim to the last PV
    bound: float            # bound claims a second
    cpu: float              # the program's own, ms a claim, until the last is bound
    requests: float         # to the API server, a claim, watches and leases apart
    memory: float           # MB resident at the end
    deleted: float          # PVs a second, from the first claim's deletion to the last PV's


class Start(NamedTuple):
    """What a start among many objects showed."""

    first: float            # seconds from the start to a PV for a claim that waits
    memory: float           # MB resident once all is read


def burst(plane: Plane, runner: Runner, count: int) -> Run:
    """Start the program, have `count` claims served and deleted, end the program."""
    with _heard(plane) as (pvs, claims), runner.running(plane) as running:
        _create(plane, runner, "warm", WARM)
        running.wait(f"{WARM} claims bound", lambda: len(claims.moments("BOUND", "warm")) >= WARM, PATIENCE)
        plane.audit.forget()
        used = usage.cpu(running.pid)
        _create(plane, runner, "c", count)
        running.wait(f"{count} claims bound", lambda: len(claims.moments("BOUND", "c")) >= count, PATIENCE)
        used = round(usage.cpu(running.pid) - used, 3)          # hundredths, without what floats make of them
        began = claims.moments("ADDED", "c")[0]
        made, bound = pvs.moments("ADDED", "pvc-")[-1] - began, claims.moments("BOUND", "c")[-1] - began
        time.sleep(LATE)
        asked, memory = _requests(plane.audit), usage.memory(running.pid)
        deleted = _delete(plane, running, pvs, count)
        return Run(count / made, count / bound, 1000 * used / count, asked / count, memory, (count + WARM) / deleted)


def _delete(plane: Plane, running: Running, pvs: Heard, count: int) -> float:
    """Delete all claims; seconds until the last PV is gone."""
    began, total = time.time(), count + WARM
    _ask(plane, [{"method": "DELETE", "path": f"{CLAIMS}/{name}-{number}"}
                 for name, many in (("warm", WARM), ("c", count)) for number in range(many)])
    running.wait(f"{total} PVs gone", lambda: len(pvs.moments("DELETED", "pvc-")) >= total, PATIENCE)
    return pvs.moments("DELETED", "pvc-")[-1] - began


def start(plane: Plane, runner: Runner) -> Start:
    """Start the program among what `fill` made, with one claim that waits. The controller manager is away."""
    name = re.sub("[^a-z0-9]+", "-", runner.name)           # a claim of its own, for it stays: nobody ends its protection
    _create(plane, runner, name, 1, {SERVED: runner.provisioner})
    pv = "pvc-" + plane.kubectl("get", "pvc", f"{name}-0", "-o", "jsonpath={.metadata.uid}")
    with watched(plane.work, "persistentvolumes") as pvs:
        began = time.time()
        with runner.running(plane) as running:
            running.wait("a PV", lambda: pvs.moments("ADDED", pv), PATIENCE)
            return Start(pvs.moments("ADDED", pv)[0] - began, _settled(running))


def _settled(running: Running) -> float:
    """MB resident when it has not grown for a while."""
    seen, since = 0.0, time.monotonic()
    began = since
    while time.monotonic() - since < QUIET and time.monotonic() - began < SETTLED:
        time.sleep(0.2)
        now = usage.memory(running.pid)
        if now > 1.01 * seen:
            seen, since = now, time.monotonic()
    return usage.memory(running.pid)


def fill(plane: Plane, runner: Runner, count: int) -> None:
    """So many claims, each with a PV of this provisioner's making: nothing is left to do for them, but all must be known."""
    claims = [_claim(f"old-{number}", runner.provisioner, {SERVED: runner.provisioner}, volumeName=f"old-{number}")
              for number in range(count)]
    _ask(plane, [*({"method": "POST", "path": CLAIMS, "body": claim} for claim in claims),
                 *({"method": "POST", "path": PVS, "body": _pv(claim)} for claim in claims)], FILLING)


def _create(plane: Plane, runner: Runner, name: str, count: int, annotations: dict[str, str] = {}) -> None:
    """So many claims of the program's class at once."""
    _ask(plane, [{"method": "POST", "path": CLAIMS, "body": _claim(f"{name}-{number}", runner.provisioner, annotations)}
                 for number in range(count)])


def _ask(plane: Plane, requests: list[dict[str, Any]], seconds: float = PATIENCE) -> None:
    """Send requests, each of which the API server must take."""
    statuses = flood.send(plane.work, requests, seconds)
    if set(statuses) - {"200", "201"} or sum(statuses.values()) < len(requests):
        raise RuntimeError(f"the API server answered {len(requests)} requests with {statuses}")


def _claim(name: str, storage_class: str, annotations: dict[str, str], **spec: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "default", "annotations": annotations},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                     "storageClassName": storage_class, **spec}}


def _pv(claim: dict[str, Any]) -> dict[str, Any]:
    """The PV of a claim of `fill`, as ours looks."""
    name, storage_class = claim["metadata"]["name"], claim["spec"]["storageClassName"]
    return {"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": storage_class},
                         "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"]},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": storage_class,
                     "persistentVolumeReclaimPolicy": "Delete",
                     "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": name},
                     "flexVolume": {"driver": "pure/flex", "fsType": "xfs", "options": {
                         "backend": "block", "namespace": "k8s", "volume": f"k8s-{name}", "array": "192.0.2.10",
                         "access": "ReadWriteOnce"}}}}


@contextmanager
def _heard(plane: Plane) -> Iterator[tuple[Heard, Heard]]:
    """What is announced of PVs and of claims."""
    with watched(plane.work, "persistentvolumes") as pvs, watched(plane.work, "persistentvolumeclaims") as claims:
        yield pvs, claims


def _requests(audit: Audit) -> int:
    """How many requests of the program have ended since the last `forget`."""
    return sum(1 for entry in audit.entries() if entry["stage"] == "ResponseComplete" and entry["verb"] != "watch"
               and (entry.get("objectRef") or {}).get("resource") != "leases")
