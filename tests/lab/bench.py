"""`python -m tests.lab.bench`: attach and detach times of the driver, of os-brick and of the bare minimum, side by side.

All three work on the same target in the same run, interleaved. The driver is measured as kubelet sees it: from its start
to its answer, array calls included. Bare and os-brick get their volume connected beforehand, run in a warm process, and
mount by mount(2). Under software emulation only ratios mean something.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date

from tests.lab.arrays import Arrays, FlashArray, Volume
from tests.lab.guest import dependencies
from tests.lab.guest.machine import Disk, Guest
from tests.lab.lab import PORTALS, Lab
from tests.lab.node import Node

BARE = "tests.lab.inside.bare"
DIRECTORY = "/bench"
COMPETITOR = "os-brick==7.1.0"


def main(argv: list[str]) -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bench")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    with Lab(nodes=1, extra=(Disk(dependencies.other(COMPETITOR)),)) as lab:
        bench = Bench(lab)
        results = bench.run(rounds)
        print(table(results, bench.start_ms, bench.spawns))
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
        self.brick = Brick(self.node.guest)
        self.start_ms = 0.0
        self.spawns: dict[str, int] = {}

    def run(self, rounds: int) -> dict[str, dict[str, list[float]]]:
        """Operation -> who -> milliseconds."""
        volumes = {who: self.made(who) for who in ("flex", "bare", "os-brick")}
        anchor = self.made("anchor")
        results: dict[str, dict[str, list[float]]] = {}
        for kept in (False, True):
            if kept:
                self.expect(self.node.mount("anchor", anchor.pv, anchor.options()))
            for _ in range(rounds):
                for who, once in (("bare", self.bare), ("os-brick", self.os_brick), ("flex", self.flex)):
                    if not kept:
                        self.node.log_out(self.array.iqn)
                    for operation, ms in once(volumes[who], kept).items():
                        results.setdefault(operation, {}).setdefault(who, []).append(ms)
        self.count_spawns(volumes["flex"])
        self.expect(self.node.unmount("anchor", anchor.pv))
        self.start_ms = statistics.median(timed(lambda: self.node.flex("init")) for _ in range(9))
        return results

    def made(self, who: str) -> Volume:
        """A volume with an xfs on it, detached."""
        volume = self.array.new_volume(name=f"bench-{who}")
        self.expect(self.node.mount("made", volume.pv, volume.options()))
        self.expect(self.node.unmount("made", volume.pv))
        return volume

    def flex(self, volume: Volume, kept: bool) -> dict[str, float]:
        up = timed(lambda: self.expect(self.node.mount("pod", volume.pv, volume.options())))
        down = timed(lambda: self.expect(self.node.unmount("pod", volume.pv)))
        return {name(kept, "attach + mount"): up, name(kept, "unmount + detach"): down}

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
        return {name(kept, "attach + mount"): up, name(kept, "unmount + detach"): down}

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
        return {name(kept, "attach + mount"): up, name(kept, "unmount + detach"): down + more}

    def count_spawns(self, volume: Volume) -> None:
        up = self.node.spawns(lambda: self.node.mount("pod", volume.pv, volume.options()))
        down = self.node.spawns(lambda: self.node.unmount("pod", volume.pv))
        self.spawns = {"attach + mount": len(up), "unmount + detach": len(down)}

    @staticmethod
    def expect(answer) -> None:
        if answer.status != "Success":
            raise SystemExit(f"lab bench: {answer}")


class Brick:
    """os-brick in a process of its own in the guest, spoken to through two pipes in the file system."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.sh("mkdir -p /opt/brick; mount -o ro /dev/vdc /opt/brick; mkfifo /run/brick.in /run/brick.out")
        guest.start_command("sh", "-c", "sleep 3600 > /run/brick.in & exec python3 -m tests.lab.inside.brick "
                            "< /run/brick.in > /run/brick.out", env={"PYTHONPATH": "/opt/checkout:/opt/brick"})
        self.answer()

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


def timed(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return (time.monotonic() - began) * 1000


def table(results: dict[str, dict[str, list[float]]], start_ms: float, spawns: dict[str, int]) -> str:
    """The medians in ms with their range, and the ratios that the budgets are about."""
    lines = [f"{date.today()}, one emulated CPU; medians (min-max) in ms; an idle `flex init` takes {start_ms:.0f}", "",
             "| operation | flex | bare | os-brick | flex ÷ (bare + own start) | flex ÷ os-brick |",
             "|---|---|---|---|---|---|"]
    for operation, by_whom in results.items():
        middle = {who: statistics.median(times) for who, times in by_whom.items()}
        cells = [f"{middle[who]:.0f} ({min(by_whom[who]):.0f}-{max(by_whom[who]):.0f})"
                 for who in ("flex", "bare", "os-brick")]
        lines.append(f"| {operation} | {' | '.join(cells)} | {middle['flex'] / (middle['bare'] + start_ms):.2f} | "
                     f"{middle['flex'] / middle['os-brick']:.2f} |")
    lines += ["", *(f"process spawns, {operation}, logged in: {count}" for operation, count in spawns.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
