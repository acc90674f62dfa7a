"""The provisioner's budgets (design.md 6), measured on the real process against the stand-in API server and pretend arrays.

Both stand-ins run in this process, the provisioner in one of its own, all on the same cores: what they cost (about 1.5 ms a
claim) is part of the wall time and not of the provisioner's CPU. The API server's delay and the array's are those of the
reference's own measurements: 5 ms and 30 ms.
"""

import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from provisioner.claims import Claim, parse
from provisioner.classes import VolumeClass
from provisioner.informer import Informer
from provisioner.kube import CLAIMS, PVS, Kube, from_kubeconfig
from provisioner.objects import ClaimRecord, claim_record, pv_record
from provisioner.placement import ArrayState, choose_array
from simulator.fleet import Simulator
from simulator.kubernetes import Binder, KubeApi
from tests.bench.budget import Budget, measured, status

OURS = frozenset(("pure-provisioner",))
GiB, TiB = 2**30, 2**40
MANY, FEW, BURST = 10_000, 100, 600
ARRAY_DELAY, API_DELAY = 0.030, 0.005


def run() -> list[Budget]:
    """Measure, print the table, and return what it comes to."""
    rows = [*burst_rows(), *list_rows(), *placement_rows()]
    for row in rows:
        bound = "≤" if row.most else "≥"
        print(f"{row.name:58} {row.value:9.2f} {row.unit:9} goal {bound} {row.target:g}, worst {bound} {row.worst:g}"
              f"{'' if row.kept else '   NOT KEPT'}")
    return rows


# A burst of claims

class Burst(NamedTuple):
    """What a burst cost."""

    claims_a_second: float      # PVs saved
    cpu: float                  # the provisioner's, ms a claim until all were bound
    requests: float             # to the API server, a claim, watches apart
    memory: float               # MB resident afterwards


def burst_rows() -> Iterator[Budget]:
    small, large = burst(FEW), burst(MANY)
    yield measured("claims/s, array 30 ms, API 5 ms, 16 workers", small.claims_a_second, "claims/s", 290, 250, most=False)
    yield measured("CPU a claim", small.cpu, "ms", 1.5, 2.0)
    yield measured("requests a claim to the API server, events included", small.requests, "", 2, 2)
    yield measured(f"CPU a claim with {MANY} PVs and claims ÷ with {FEW}", large.cpu / small.cpu, "", 1.1, 1.2)
    yield measured(f"resident memory with {MANY} PVs and claims", large.memory, "MB", 90, 100)


def burst(existing: int) -> Burst:
    """BURST claims at once, with so many PVs and bound claims there already."""
    with stand_ins() as (api, folder), Binder(api):
        fill(api, existing)
        with provisioner(api, folder) as process:
            serve(api, 20, "warm", existing)
            api.latency = API_DELAY
            asked, cpu, began = len(api.requests), cpu_seconds(process), time.monotonic()
            for number in range(BURST):
                api.create(claim(f"burst-{number}"))
            wait_for(lambda: api.count("persistentvolumes") == existing + 20 + BURST)
            seconds = time.monotonic() - began
            wait_for(lambda: all_bound(api, "burst-"))
            used = cpu_seconds(process) - cpu
            requests = sum(one.verb != "watch" and one.user == "provisioner" for one in api.requests[asked:])
            return Burst(BURST / seconds, 1000 * used / BURST, requests / BURST, resident(process))


def serve(api: KubeApi, count: int, name: str, existing: int) -> None:
    """Have a few claims served, so that sessions and caches are as in service."""
    for number in range(count):
        api.create(claim(f"{name}-{number}"))
    wait_for(lambda: api.count("persistentvolumes") == existing + count and all_bound(api, name))


@contextmanager
def stand_ins() -> Iterator[tuple[KubeApi, Path]]:
    """One pretend FlashArray that takes 30 ms for each change, an API server, and class pure."""
    with tempfile.TemporaryDirectory(prefix="provisioner-bench") as place:
        folder = Path(place)
        with Simulator(folder / "arrays", sampling_interval=0) as sim, KubeApi(folder / "api", managed_fields=True) as api:
            sim.add_flash_array("fa1").faults.add(method="POST", path="volume/*", latency=ARRAY_DELAY)
            sim.write_pure_json(folder / "pure.json")
            api.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "pure"},
                        "provisioner": "pure-provisioner", "parameters": {"backend": "block"}})
            yield api, folder


@contextmanager
def provisioner(api: KubeApi, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real program, 16 + 8 workers."""
    environment = {**os.environ, "KUBECONFIG": api.kubeconfig(user=api.add_user("provisioner")),
                   "PURE_DISCOVERY_CONF": str(folder / "pure.json")}
    with (folder / "provisioner.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "provisioner"], stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def claim(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                     "resources": {"requests": {"storage": "10Gi"}}}}


def fill(api: KubeApi, count: int) -> None:
    """Claims and PVs that were served long ago."""
    annotations = {"volume.kubernetes.io/storage-provisioner": "pure-provisioner",
                   "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
    for number in range(count):
        made = api.create({**claim(f"old-{number}"), "metadata": {
            "name": f"old-{number}", "namespace": "default", "annotations": annotations}})
        uid = made["metadata"]["uid"]
        api.patch("persistentvolumeclaims", f"old-{number}", {"spec": {"volumeName": f"pvc-{uid}"}})
        api.patch("persistentvolumeclaims", f"old-{number}",
                  {"status": {"phase": "Bound", "capacity": {"storage": "10Gi"}}}, status=True)
        api.create(old_pv(uid, number))
        api.patch("persistentvolumes", f"pvc-{uid}", {"status": {"phase": "Bound"}}, status=True)


def old_pv(uid: str, number: int) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": f"pvc-{uid}", "annotations": {"pv.kubernetes.io/provisioned-by": "pure-provisioner"},
                         "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"]},
            "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                     "persistentVolumeReclaimPolicy": "Delete",
                     "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default",
                                  "name": f"old-{number}", "uid": uid},
                     "flexVolume": {"driver": "pure/flex", "fsType": "xfs", "options": {
                         "backend": "block", "namespace": "k8s", "volume": f"k8s-pvc-{uid}", "array": "192.0.2.10",
                         "access": "ReadWriteOnce"}}}}


def all_bound(api: KubeApi, name: str) -> bool:
    return all(found["status"].get("phase") == "Bound" for found in api.objects("persistentvolumeclaims")
               if found["metadata"]["name"].startswith(name))


def wait_for(look: Any) -> None:
    deadline = time.monotonic() + 120
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError("the provisioner did not get there in two minutes")
        time.sleep(0.02)


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: subprocess.Popen[bytes]) -> float:
    """MB."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


# Listing what is there

def list_rows() -> Iterator[Budget]:
    with stand_ins() as (api, _):
        fill(api, MANY)
        config = api.kubeconfig()
        found = [json.loads(subprocess.run([sys.executable, "-m", "tests.bench.provisioner", "list", config], check=True,
                                           capture_output=True).stdout) for _ in range(3)]
    yield measured(f"list {MANY} PVs + {MANY} claims: retained", min(each["retained"] for each in found), "MB", 26, 40)
    yield measured("  CPU of the list", min(each["cpu"] for each in found), "s", 0.8, 1.2)
    yield measured("  wall time, the stand-in's work included", min(each["wall"] for each in found), "s", 1.5, 4)


def list_once(kubeconfig: str) -> None:
    """In a fresh process: fill both caches as the provisioner does, and say what it took."""
    kube = Kube(from_kubeconfig(kubeconfig))
    kube.list_page(PVS, 1)                              # connection and parser are there
    gc.collect()
    before, cpu, wall = own_memory(), time.process_time(), time.monotonic()
    informers: list[Informer[Any]] = [
        Informer(kube, PVS, lambda raw: pv_record(raw, OURS), lambda raw: raw["metadata"]["name"], lambda *_: None),
        Informer(kube, CLAIMS, lambda raw: claim_record(raw, OURS), lambda raw: raw["metadata"]["uid"], lambda *_: None)]
    for informer in informers:
        threading.Thread(target=informer.run, daemon=True).start()
    for informer in informers:
        informer.synced.wait(60)
    used, wall = time.process_time() - cpu, time.monotonic() - wall
    gc.collect()
    assert all(len(informer.cache) == MANY for informer in informers)
    print(json.dumps({"cpu": used, "wall": wall, "retained": own_memory() - before}), flush=True)
    os._exit(0)


def own_memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


# Placement

ARRAYS = (200, 300, 400, 400, 600, 800)         # TiB
MEASURED = 200                                  # claims between two measurements
REPLICAS = 3                                    # of a StatefulSet


class Placed(NamedTuple):
    """Where 10,000 volumes went."""

    apart: float            # how far apart the arrays' use is in the end, percentage points
    overloaded: float       # volumes that an overloaded array got, percent
    gathered: float         # StatefulSets with two volumes on one array, percent
    choice: float           # seconds


def placement_rows() -> Iterator[Budget]:
    placed = simulate_placement(random.Random(7))
    yield measured("placement of 10,000 claims over 6 arrays: spread of use", placed.apart, "% points", 1, 2)
    yield measured("  volumes on arrays that were overloaded just then", placed.overloaded, "%", 0, 0)
    yield measured("  StatefulSets of 3 with two volumes on one array", placed.gathered, "%", 2, 3)
    yield measured("  time for one choice", 1e6 * placed.choice, "µs", 60, 200)


def simulate_placement(dice: random.Random, claims: int = 10_000) -> Placed:
    """Place claims as they come on six arrays of different size and fill, some of which are overloaded now and then.

    Volumes are of 1 to 200 GiB and fill up to some part of their size some hundred claims later; every third is of a
    StatefulSet. The arrays are measured every 200 claims, as the provisioner does under load; at one measurement in ten
    an array's hosts wait too long for it. They begin 0 to 10 % full.
    """
    count = len(ARRAYS)
    used, volumes = [int(dice.uniform(0, 0.10) * size * TiB) for size in ARRAYS], [0] * count
    seen, recent, busy = list(used), [0] * count, [""] * count
    writing: list[tuple[int, int, int]] = []                                        # (from which claim on, array, bytes)
    siblings, gathered, sets, overloaded, spent = [0] * count, 0, 0, 0, 0.0
    for number in range(claims):
        if number % MEASURED == 0:
            for _, array, size in [entry for entry in writing if entry[0] <= number]:
                used[array] += size
            writing = [entry for entry in writing if entry[0] > number]
            seen, recent = list(used), [sum(size for _, array, size in writing if array == index) for index in range(count)]
            busy = ["its hosts wait 20 ms for it" if dice.random() < 0.1 else "" for _ in ARRAYS]
        wanted, of_set = asked(dice.randint(1, 200) * GiB), number % 3 == 0
        states = [ArrayState(f"fa{index}", "block", {}, ARRAYS[index] * TiB, seen[index], volumes[index],
                             recent=recent[index], busy=busy[index], siblings=siblings[index] if of_set else 0)
                  for index in range(count)]
        began = time.perf_counter()
        chosen = int(choose_array(states, wanted).name[2:])
        spent += time.perf_counter() - began
        volumes[chosen] += 1
        recent[chosen] += wanted.size
        overloaded += bool(busy[chosen]) and not all(busy)
        writing.append((number + dice.randint(50, 800), chosen, int(wanted.size * dice.uniform(0.2, 1.0))))
        if of_set:
            siblings[chosen] += 1
        if sum(siblings) == REPLICAS:
            gathered, sets, siblings = gathered + (max(siblings) > 1), sets + 1, [0] * count
    for _, array, size in writing:
        used[array] += size
    percent = [100 * use / (size * TiB) for use, size in zip(used, ARRAYS)]
    return Placed(max(percent) - min(percent), 100 * overloaded / claims, 100 * gathered / sets, spent / claims)


def asked(size: int) -> Claim:
    record = ClaimRecord("0", "shop", "data", "1", "pure", "", False, str(size), "", ("ReadWriteOnce",))
    return parse(record, VolumeClass("pure", "block", "Delete"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["list"]:
        list_once(sys.argv[2])
    sys.exit(status(run()))
