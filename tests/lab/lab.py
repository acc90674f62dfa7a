"""Three guests: one with the arrays, two nodes; each with a management card and two storage cards.

Addresses are of the documentation ranges: management and NFS in 198.51.100.0/24, the storage fabrics a and b in the two
halves of 192.0.2.0/24.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.guest import build, dependencies, wires
from tests.lab.guest.machine import Disk, Guest
from tests.lab.node import Node

CHECKOUT = Path(__file__).resolve().parents[2]
ROOMS = ("arrays", "flex", "simulator", "tests")
NOT_NEEDED_INSIDE = ("provisioner", "daemonset", "cluster", "bench", "kubernetes", "components")

ARRAY_ADDRESS = "198.51.100.10"
NFS_ADDRESS = "198.51.100.20"
OTHERS_PORTALS = ("192.0.2.10:3260", "192.0.2.138:3260")     # of the bare target and somebody else's array
PORTALS = ("192.0.2.11:3260", "192.0.2.139:3260")            # of the array under test, one on each fabric
FABRIC_A = "192.0.2.0/25"
PREFIX = "pure-flex-lab-"                    # and the process, so that a killed one's directory is known for what it is
MEMORY = 1024                                # MiB of each guest
NAME = os.environ.get("PURE_LAB_NAME", "")   # tells labs apart that run side by side
KEPT = build.CACHE / "kept"
SCRATCH = 40 << 30                           # bytes of the arrays' disk; a sparse file


class Lab:
    """All machines of a run; a context manager that leaves nothing behind."""

    def __init__(self, nodes: int = 2, memory: int = MEMORY, kept: bool = False,
                 extra: Sequence[Disk] = ()) -> None:
        """`kept`: the guests stay when this process ends, and are found again by the next (for work on the
        tests); `extra`: further disks of the nodes, /dev/vdd and on.
        """
        image = build.image()
        sweep()
        self.kept = kept
        self.directory = KEPT if kept else Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.found = kept and KEPT.exists()
        self.directory.mkdir(exist_ok=True)
        names = [f"node{n}" for n in range(1, nodes + 1)]
        deps, bundle = Disk(dependencies.disk()), Disk(dependencies.bundle())
        scratch = self.directory / "scratch.img"
        if not self.found:
            scratch.touch()
            os.truncate(scratch, SCRATCH)
        self.arrays = Guest("arrays", image, self.directory / "arrays", wires.hub_side(self.directory, names),
                            (deps, Disk(scratch, read_only=False)), memory=memory, outlives=kept)
        self.nodes = [Guest(name, image, self.directory / name, wires.spoke_side(self.directory, name, n),
                            (deps, bundle, *extra), memory=memory, outlives=kept) for n, name in enumerate(names, 1)]
        self.seconds: dict[str, float] = {}
        self.after_boot: Callable[[Node], None] = Node.prepare

    @property
    def guests(self) -> list[Guest]:
        return [self.arrays, *self.nodes]

    def __enter__(self) -> "Lab":
        try:
            self.find() if self.found else self.start()
        except BaseException:
            self.keep_consoles()
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self.kept:
            self.stop()

    def find(self) -> None:
        """Speak to the guests of an earlier run again, with today's code on the nodes."""
        for guest in self.guests:
            guest.wait(20)
        for guest in self.guests[1:]:
            self.put_checkout(guest)
            guest.renew_agent()

    def start(self) -> None:
        """Switch all on, give them code and addresses."""
        began = time.monotonic()
        for guest in [*self.nodes, self.arrays]:
            guest.start()
            guest.qmp("query-status")        # its sockets exist now, for the arrays' hubs to connect to
        for guest in self.guests:
            guest.wait()
        self.seconds["boot"] = time.monotonic() - began
        for number, guest in enumerate(self.guests):
            self.furnish(number, guest)
        self.seconds["ready"] = time.monotonic() - began

    def furnish(self, number: int, guest: Guest) -> None:
        """What a guest needs after each boot: our code (kept on its disk) and its addresses."""
        self.put_checkout(guest)
        guest.call("tests.lab.inside.network:up", addresses(number), guest.name)

    def reset(self, node: Node) -> None:
        """Power cut and reboot of a node, up to its daemons."""
        node.guest.reset()
        self.furnish(node.number, node.guest)
        self.after_boot(node)

    def put_checkout(self, guest: Guest) -> None:
        guest.put("/opt/checkout", *(CHECKOUT / room for room in ROOMS), leave_out=NOT_NEEDED_INSIDE)

    def stop(self) -> None:
        for guest in reversed(self.guests):
            guest.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep_consoles(self) -> None:
        """Copy the serial logs to where they outlive the run."""
        for guest in self.guests:
            for name in ("console.log", "qemu.log"):
                with contextlib.suppress(OSError):
                    shutil.copy(guest.directory / name, last(f"{guest.name}-{name}"))


def last(file: str) -> Path:
    """Where something of the last run is kept."""
    return build.CACHE / f"last{NAME}-{file}"


def sweep() -> None:
    """Remove the directories of labs whose process was killed; their guests died with it."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = directory.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(directory, ignore_errors=True)


def addresses(number: int) -> dict[str, list[str]]:
    """The addresses of guest 0 (arrays) or node 1, 2, …"""
    if number == 0:
        return {"mgmt": [f"{ARRAY_ADDRESS}/24", f"{NFS_ADDRESS}/24"], "a": ["192.0.2.10/25", "192.0.2.11/25"],
                "b": ["192.0.2.138/25", "192.0.2.139/25"]}
    return {"mgmt": [f"198.51.100.{100 + number}/24"], "a": [f"192.0.2.{100 + number}/25"],
            "b": [f"192.0.2.{228 + number}/25"]}
