"""Soak: claims come, grow, are copied and go for as long as asked, while everything that can fail does.

    python -m tests.provisioner.soak --minutes 2 [--seed 7]

After each round all faults end, and then there has to be exactly one volume and one PV for each claim, no snapshot left of
a copy, and no more threads, open files and memory than before. In the first third of the rounds the process is killed in
the middle of its work now and then; in the others it is one process, whose memory is compared.
"""

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from simulator.flasharray import FlashArray
from tests.provisioner.cluster import CLAIMS, PVS, Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.waiting import until

MOST = 50                       # claims at a time
OPERATIONS = 60                 # in a round
CALM = 60.0                     # seconds in which everything has to be right once the faults ended
GROWTH = 8.0                    # MB by which memory may differ between the first and the last rounds of one process
# Who loses the lead ends, and what it had begun for a claim that goes meanwhile is the sweep's: on a machine full of other
# work that must not happen.
SETTINGS = {"array_timeout": 0.5, "leader_election": True, "lease": 5.0, "renew": 4.0, "renew_every": 0.2,
            "sweep_every": 2.0, "sweep_grace": 60.0, "retry_longest": 0.3}


class Reading(NamedTuple):
    """What the process takes, after a round."""

    pid: int
    memory: float               # MB resident
    threads: int
    files: int


class Soak:
    """One run over a cluster; `dice` decides everything, so a seed can be repeated (as far as threads allow)."""

    def __init__(self, cluster: Cluster, dice: random.Random) -> None:
        self.cluster, self.dice = cluster, dice
        self.made = self.deleted = self.kills = 0
        self.names: list[str] = []
        self.process: Any = None
        self._stack = contextlib.ExitStack()
        self.cluster.storage_class("fast", parameters={"iops_limit": "30000", "fstype": "ext4"})

    def __enter__(self) -> "Soak":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        self.process = self._stack.enter_context(self.cluster.process(**SETTINGS))

    # A round

    def round(self, kill: bool) -> Reading:
        """Some operations with faults, with the process killed in the middle or not; then calm, and what it takes."""
        for number in range(OPERATIONS):
            if kill and number == OPERATIONS // 2:
                self.kill()
            self.step()
            time.sleep(self.dice.random() * 0.02)
        self.calm()
        return reading(self.process.pid)

    def kill(self) -> None:
        """Kill -9 with claims in the making; none is deleted just then, for what that leaves is the sweep's (C5)."""
        self.calm()
        for _ in range(8):
            self.make()
        time.sleep(self.dice.random() * 0.1)
        self.process.kill()
        self.process.join()
        self.kills += 1
        self.start()
        self.calm()

    def step(self) -> None:
        roll = self.dice.random()
        if roll < 0.35 and len(self.names) < MOST:
            self.make()
        elif roll < 0.6 and len(self.names) > 10:
            self.cluster.delete_claim(self.names.pop(self.dice.randrange(len(self.names))))
            self.deleted += 1
        elif roll < 0.7 and self.names:
            self.grow(self.dice.choice(self.names))
        elif roll < 0.75:
            self.reload()
        else:
            self.fault()

    def make(self) -> None:
        self.made += 1
        name = self.dice.choice((f"c{self.made}", f"data-db{self.made % 5}-{self.made}"))
        kind, more = self.dice.choice(("pure", "pure", "fast", "pure-file")), {}
        like = [other for other in self.names if (self.cluster.api.get(CLAIMS, other) or {}).get("spec", {}).get(
            "storageClassName") == kind]
        if like and self.dice.random() < 0.2:
            more["dataSource"] = {"kind": "PersistentVolumeClaim", "name": self.dice.choice(like)}
        self.cluster.claim(name, kind, size="40Gi" if more else "10Gi",
                           mode="ReadWriteMany" if kind == "pure-file" else "ReadWriteOnce", **more)
        self.names.append(name)

    def grow(self, name: str) -> None:
        size = self.dice.choice(("12Gi", "15Gi", "20Gi"))
        claim = self.cluster.api.get(CLAIMS, name)
        if claim and claim["status"].get("phase") == "Bound" and claim["spec"]["resources"]["requests"]["storage"] == "10Gi":
            self.cluster.api.patch(CLAIMS, name, {"spec": {"resources": {"requests": {"storage": size}}}})

    def reload(self) -> None:
        """A label comes or goes, or a token is renewed."""
        array = self.dice.choice(self.cluster.sim.arrays)
        if self.dice.random() < 0.5 and isinstance(array, FlashArray):
            array.add_user(f"user{self.dice.randrange(10**6)}", f"secret-{self.dice.randrange(10**9)}")
        array.labels["turn"] = str(self.dice.randrange(3))
        self.cluster.write_fleet()

    def fault(self) -> None:
        array, times = self.dice.choice(self.cluster.sim.arrays), self.dice.randrange(1, 4)
        api, after = self.cluster.api, self.dice.random() < 0.5
        match self.dice.randrange(11):
            case 0 | 1:
                array.faults.add(method=self.dice.choice(("POST", "PUT", "PATCH", "DELETE")), lose_reply=True, times=times)
            case 2:
                array.faults.add(status=503, times=times)
            case 3:
                array.faults.add(reset=True, times=times)
            case 4:
                array.faults.add(hang=True, times=1)
            case 5:
                api.faults.add(verb="create", resource=PVS, status=500, after=after, times=times)
            case 6:
                verb = self.dice.choice(("delete", "update", "get"))
                api.faults.add(verb=verb, resource=PVS, drop=True, after=after, times=1)
            case 7:
                api.drop_watches()
            case 8:
                api.faults.add(verb="watch", stream=self.dice.choice(("half", "garbage", "gone", "cut", "end")), events=1)
            case 9:
                api.compact()
            case 10:
                api.faults.add(resource="events", status=500, times=times)

    # Calm

    def calm(self) -> None:
        """All faults end, and everything has to be as it should."""
        for array in self.cluster.sim.arrays:
            array.faults.clear()
        self.cluster.api.faults.clear()
        self.give_up()
        try:
            until(lambda: self.settled() or not self.process.is_alive(), "one volume and one PV for each claim", CALM)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.differences()}") from None
        assert self.process.is_alive(), f"the provisioner ended by itself: {self.differences()}"

    def give_up(self) -> None:
        """Copies of claims that went before they were copied will never be made: their users delete them."""
        waiting = {claim["metadata"]["name"]: claim for claim in self.cluster.api.objects(CLAIMS)
                   if claim["status"].get("phase") != "Bound"}
        for name in list(self.names):
            original = waiting.get(name, {}).get("spec", {}).get("dataSource", {}).get("name")
            if original and original not in self.names:
                self.cluster.delete_claim(name)
                self.names.remove(name)             # and the next one in a chain finds its original gone

    def settled(self) -> bool:
        claims = self.cluster.api.objects(CLAIMS)
        return (all(claim["status"].get("phase") == "Bound" for claim in claims)
                and self.cluster.api.count(PVS) == len(claims) and set(self.cluster.live()) == self.wanted()
                and not self.copies())

    def wanted(self) -> set[str]:
        return {f"k8s-pvc-{claim['metadata']['uid']}" for claim in self.cluster.api.objects(CLAIMS)}

    def copies(self) -> list[str]:
        """Snapshots that were taken for a copy and are still there, of file systems that are."""
        return [found.name for blade in self.cluster.sim.flash_blades for found in blade.state.snapshots()
                if not found.destroyed]

    def differences(self) -> str:
        live, wanted = set(self.cluster.live()), self.wanted()
        unbound = [claim["metadata"]["name"] for claim in self.cluster.api.objects(CLAIMS)
                   if claim["status"].get("phase") != "Bound"]
        told = [event["message"] for name in unbound[:3] for event in self.cluster.api.events(name)]
        return (f"too many volumes {sorted(live - wanted)}, missing {sorted(wanted - live)}, unbound {unbound} {told}, "
                f"{self.cluster.api.count(PVS)} PVs, snapshots {self.copies()}")


def reading(pid: int) -> Reading:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return Reading(pid, resident, int(status.partition("Threads:")[2].split()[0]), len(os.listdir(f"/proc/{pid}/fd")))


def rounds(directory: Path, seconds: float, seed: int) -> Iterator[tuple[Soak, Reading]]:
    """Rounds until the time is over, at least three."""
    with running(directory) as cluster, Soak(cluster, random.Random(seed)) as soak:
        began, number = time.monotonic(), 0
        while number < 3 or time.monotonic() - began < seconds:
            yield soak, soak.round(kill=time.monotonic() - began < seconds / 3 and number % 2 == 0)
            number += 1


def grown(readings: list[Reading]) -> tuple[float, int, int]:
    """By how much the last process took more at the end than when it had warmed up: MB, threads, open files."""
    last = [one for one in readings if one.pid == readings[-1].pid]
    quarter = max(1, len(last) // 4)
    first, end = last[quarter - 1:2 * quarter] or last, last[-quarter:]

    def median(of: list[Reading], field: str) -> float:
        return statistics.median(getattr(one, field) for one in of)

    return (median(end, "memory") - median(first, "memory"), int(median(end, "threads") - median(first, "threads")),
            int(median(end, "files") - median(first, "files")))


def main() -> int:
    """Print a line a round; 1 when something was left or lost, or the process grew."""
    parser = argparse.ArgumentParser(description="Claims under random faults, with memory watched.")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory(prefix="soak") as place:
        for soak, found in rounds(Path(place), chosen.minutes * 60, chosen.seed):
            readings.append(found)
            print(f"round {len(readings):4}  made {soak.made:5}  deleted {soak.deleted:5}  killed {soak.kills:3}  "
                  f"memory {found.memory:6.1f} MB  threads {found.threads:3}  files {found.files:3}", flush=True)
    memory, threads, files = grown(readings)
    print(f"the last process grew by {memory:.1f} MB, {threads} threads, {files} open files")
    return 0 if memory <= GROWTH and threads <= 2 and files <= 12 else 1


if __name__ == "__main__":
    sys.exit(main())
