"""`python -m tests.lab.bench`: attach and detach times of the driver, of os-brick and of the bare minimum, side by side.

All three work on the same target in the same run, interleaved, and do the same: sessions, LUN, multipath device, a look
at what is on it, mount; and all the way back. The driver is the bundle that nodes get, measured as kubelet sees it, from
its start to its answer. Bare and os-brick run in a warm process and are spared what they do not do: starting, and the
array calls, which are made for them beforehand. So both are shown apart: array calls as a run of the same code with a
stop watch tells, the start as the time of a call that does nothing. Under software emulation only ratios mean something.
"""

import argparse
import json
import statistics
import sys
import time
from datetime import date

from tests.lab.arrays import Arrays, FlashArray, Volume
from tests.lab.guest import dependencies
from tests.lab.guest.machine import Disk, Guest
from tests.lab.lab import PORTALS, Lab
from tests.lab.node import Answer, Node

BARE = "tests.lab.inside.bare"
DIRECTORY = "/bench"
UP, DOWN = "attach + mount", "unmount + detach"
COMPETITOR = "os-brick==7.1.0"


def main(argv: list[str]) -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", action="store_true", help="show when each step of the driver's last calls was reached")
    chosen = parser.parse_args(argv)
    with Lab(nodes=1, extra=(Disk(dependencies.other(COMPETITOR)),)) as lab:
        bench = Bench(lab)
        results = bench.run(chosen.rounds)
        print(table(results, bench.start_ms, bench.brick.start_ms, bench.spawns))
        if chosen.steps:
            print(timeline(bench.steps))
    return 0


class Bench:
    """One node and one array, set up once."""

    def __init__(self, lab: Lab) -> None:
        self.arrays = Arrays(lab.arrays)
        self.node = Node(lab.nodes[0], 1)
        self.arrays.prepare([self.node.iqn])
        self.array: FlashArray = self.arrays.flash_array
        self.node.prepare()
        told = self.arrays.fleet("pure_json", ["fa1"])
        self.node.install_driver(told["json"], told["ca"])
        self.node.use_bundle()
        self.brick = Brick(self.node.guest)
        self.start_ms = 0.0
        self.spawns: dict[str, int] = {}
        self.steps: dict[str, list[list]] = {}

    def run(self, rounds: int) -> dict[str, dict[str, list[float]]]:
        """Operation -> who -> milliseconds."""
        volumes = {who: self.made(who) for who in ("flex", "bare", "os-brick")}
        anchor = self.made("anchor")
        results: dict[str, dict[str, list[float]]] = {}
        for kept in (False, True):
            if kept:
                self.expect(self.node.mount("anchor", anchor.pv, anchor.options()))
            for _ in range(rounds):
                for who, once in (("bare", self.bare), ("os-brick", self.os_brick), ("flex", self.flex),
                                  ("arrays", self.array_calls)):
                    if not kept:
                        self.node.log_out(self.array.iqn)
                    for operation, ms in once(volumes["flex" if who == "arrays" else who], kept).items():
                        results.setdefault(operation, {}).setdefault(who, []).append(ms)
        self.count_spawns(volumes["flex"])
        self.expect(self.node.unmount("anchor", anchor.pv))
        self.start_ms = statistics.median(self.node.flex("init").seconds * 1000 for _ in range(9))
        return results

    def made(self, who: str) -> Volume:
        """A volume with an xfs on it, detached."""
        volume = self.array.new_volume(name=f"bench-{who}")
        self.expect(self.node.mount("made", volume.pv, volume.options()))
        self.expect(self.node.unmount("made", volume.pv))
        return volume

    def flex(self, volume: Volume, kept: bool) -> dict[str, float]:
        up = self.expect(self.node.mount("pod", volume.pv, volume.options()))
        down = self.expect(self.node.unmount("pod", volume.pv))
        return {name(kept, UP): up.seconds * 1000, name(kept, DOWN): down.seconds * 1000}

    def array_calls(self, volume: Volume, kept: bool) -> dict[str, float]:
        """How long arrays were asked in the driver's calls; a run of the checkout, in which one can look."""
        self.node.use_checkout()
        up = self.node.times(lambda: self.node.mount("pod", volume.pv, volume.options()))
        down = self.node.times(lambda: self.node.unmount("pod", volume.pv))
        self.node.use_bundle()
        found = {name(kept, UP): up, name(kept, DOWN): down}
        self.steps.update({operation: told["steps"] for operation, told in found.items()})
        return {operation: told["arrays"] for operation, told in found.items()}

    def bare(self, volume: Volume, kept: bool) -> dict[str, float]:
        lun = volume.connect("node1")
        guest, iqn = self.node.guest, self.array.iqn
        up = 0.0 if kept else guest.call(f"{BARE}:timed", "login", iqn, list(PORTALS))
        up += guest.call(f"{BARE}:timed", "attach", iqn, lun, volume.wwid)
        device = guest.call(f"{BARE}:find_map", volume.wwid)
        up += guest.call(f"{BARE}:timed", "mount", device, DIRECTORY, "xfs", False)
        down = guest.call(f"{BARE}:timed", "umount", DIRECTORY)
        down += guest.call(f"{BARE}:timed", "detach", volume.wwid)
        volume.disconnect("node1")
        return {name(kept, UP): up, name(kept, DOWN): down}

    def os_brick(self, volume: Volume, kept: bool) -> dict[str, float]:
        lun = volume.connect("node1")
        guest = self.node.guest
        connection = {"target_discovered": False, "target_portals": list(PORTALS), "target_iqns": [self.array.iqn] * 2,
                      "target_luns": [lun] * 2, "target_portal": PORTALS[0], "target_iqn": self.array.iqn,
                      "target_lun": lun, "access_mode": "rw", "discard": True}
        up, _ = self.brick.do("attach", connection)
        device = guest.call(f"{BARE}:find_map", volume.wwid)
        up += guest.call(f"{BARE}:timed", "mount", device, DIRECTORY, "xfs", False)
        down = guest.call(f"{BARE}:timed", "umount", DIRECTORY)
        more, _ = self.brick.do("detach", connection)
        volume.disconnect("node1")
        return {name(kept, UP): up, name(kept, DOWN): down + more}

    def count_spawns(self, volume: Volume) -> None:
        up = self.node.spawns(lambda: self.node.mount("pod", volume.pv, volume.options()))
        down = self.node.spawns(lambda: self.node.unmount("pod", volume.pv))
        self.spawns = {UP: len(up), DOWN: len(down)}

    @staticmethod
    def expect(answer: Answer) -> Answer:
        if answer.status != "Success":
            raise SystemExit(f"lab bench: {answer}")
        return answer


class Brick:
    """os-brick in a process of its own in the guest, spoken to through two pipes in the file system."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.sh("mkdir -p /opt/brick; mount -o ro /dev/vdd /opt/brick; mkfifo /run/brick.in /run/brick.out")
        began = time.monotonic()
        guest.start_command("sh", "-c", "sleep 3600 > /run/brick.in & exec python3 -m tests.lab.inside.brick "
                            "< /run/brick.in > /run/brick.out", env={"PYTHONPATH": "/opt/checkout:/opt/brick"})
        self.answer()
        self.start_ms = (time.monotonic() - began) * 1000      # what a driver that used it would pay at each call

    def do(self, what: str, connection: dict) -> tuple[float, str]:
        order = json.dumps({"do": what, "connection": connection})
        self.guest.run("sh", "-c", "cat > /run/brick.in", stdin=f"{order}\n".encode())
        answer = self.answer()
        return answer["ms"], answer["path"]

    def answer(self) -> dict:
        done = self.guest.run("timeout", "100", "head", "-n", "1", "/run/brick.out", timeout=110, allow=(0, 124))
        if not done.out:
            raise SystemExit(f"lab bench: os-brick ended: {self.guest.read('/var/log/lab.log')[-3000:]}")
        return dict(json.loads(done.out))


def name(kept: bool, operation: str) -> str:
    return f"{operation}, {'logged in' if kept else 'first on node'}"


def table(results: dict[str, dict[str, list[float]]], start_ms: float, brick_ms: float, spawns: dict[str, int]) -> str:
    """The medians in ms with their range, and the ratios that the budgets are about."""
    lines = [f"{date.today()}, QEMU software emulation, one CPU a guest; medians (min-max) in ms; own start {start_ms:.0f}, "
             f"os-brick's {brick_ms:.0f}",
             "", "| operation | flex | of it array calls | bare | os-brick | flex without array calls ÷ (bare + own start) "
             "| ÷ os-brick | ÷ (os-brick + its start) | bare ÷ os-brick |", "|---|---|---|---|---|---|---|---|---|"]
    for operation, by_whom in results.items():
        middle = {who: statistics.median(times) for who, times in by_whom.items()}
        cells = [f"{middle[who]:.0f} ({min(by_whom[who]):.0f}-{max(by_whom[who]):.0f})"
                 for who in ("flex", "arrays", "bare", "os-brick")]
        own = middle["flex"] - middle["arrays"]
        lines.append(f"| {operation} | {' | '.join(cells)} | {own / (middle['bare'] + start_ms):.2f} | "
                     f"{own / middle['os-brick']:.2f} | {own / (middle['os-brick'] + brick_ms):.2f} | "
                     f"{middle['bare'] / middle['os-brick']:.2f} |")
    lines += ["", *(f"process spawns, {operation}, logged in: {count}" for operation, count in spawns.items())]
    return "\n".join(lines)


def timeline(steps: dict[str, list[list]]) -> str:
    """The last run's steps: when each was reached, and how long after the one before."""
    lines = []
    for operation, reached in steps.items():
        before = [0.0, *(at for _, at in reached)]
        lines += ["", operation, *(f"{at:8.0f} {at - since:+7.0f}  {step[:100]}"
                                   for (step, at), since in zip(reached, before))]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
