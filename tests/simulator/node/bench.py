"""What the tests of pretend nodes share: a simulator, nodes on its storage network, and their tools run as processes."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from simulator.fabric import LocalFabric
from simulator.fleet import Simulator
from simulator.node import PretendNode, Settings

GiB = 1 << 30
PATIENCE = 10.0                     # real seconds; everything waited for here takes a fraction of one


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Bench:
    """One FlashArray `array`, one FlashBlade `blade`, and a node `node` that the array knows as a host."""

    def __init__(self, sim: Simulator, array: Any, node: PretendNode) -> None:
        self.sim, self.array, self.node = sim, array, node
        self.target = array.iqn
        self.portals = list(array.portals)

    # -- tools

    def run(self, *argv: object, node: PretendNode | None = None, timeout: float = 30.0) -> Done:
        """Run a tool of the node to its end."""
        with self.start(*argv, node=node) as process:
            out, err = process.communicate(timeout=timeout)
        return Done(process.returncode, out, err)

    def start(self, *argv: object, node: PretendNode | None = None) -> "subprocess.Popen[str]":
        node = node or self.node
        words = [str(word) for word in argv]
        return subprocess.Popen([f"{node.bin}/{words[0]}", *words[1:]], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                env={**os.environ, **node.environment(), "LC_ALL": "C"})

    def iscsiadm(self, *argv: object, node: PretendNode | None = None) -> Done:
        """iscsiadm -m node -T TARGET …"""
        return self.run("iscsiadm", "-m", "node", "-T", self.target, *argv, node=node)

    def ask(self, request: str, node: PretendNode | None = None) -> str:
        """One request to multipathd's socket, in its own protocol."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"\0{(node or self.node).root}/org/kernel/linux/storage/multipathd")
            data = request.encode() + b"\0"
            connection.sendall(struct.pack("@Q", len(data)) + data)
            length = struct.unpack("@Q", connection.recv(8, socket.MSG_WAITALL))[0]
            return connection.recv(length, socket.MSG_WAITALL).rstrip(b"\0").decode()

    # -- sysfs

    def sys(self, path: str, node: PretendNode | None = None) -> Path:
        return (node or self.node).root / "sys" / path

    def read(self, path: str, node: PretendNode | None = None) -> str:
        return self.sys(path, node).read_text().strip()

    def scan(self, what: str, node: PretendNode | None = None) -> None:
        """Write to the scan file of every host of a session."""
        for session in (node or self.node).sessions:
            self.sys(f"class/scsi_host/host{session.host}/scan", node).write_text(what)

    # -- whole steps

    def volume(self, name: str, size: int = GiB, lun: int | None = None, host: str = "node1") -> str:
        """A volume connected to the node; returns its WWID."""
        volume = self.array.add_volume(name, size)
        self.array.connect(host, name, lun)
        return "3624a9370" + volume.serial.lower()

    def login(self, portals: int = 2, scan: str = "manual", node: PretendNode | None = None) -> None:
        for portal in self.portals[:portals]:
            assert self.iscsiadm("-p", portal, "-o", "new", node=node).status == 0
        update = ("-o", "update", "-n", "node.session.scan", "-v", scan)
        assert self.iscsiadm(*update, node=node).status == 0
        assert self.iscsiadm("--login", node=node).status == 0

    def attach(self, wwid: str, portals: int = 2, node: PretendNode | None = None) -> str:
        """Log in if need be, scan everything, make the map; returns the device's file."""
        machine = node or self.node
        if not machine.sessions:
            self.login(portals, node=node)
        self.scan("- - -", node)
        until(lambda: self.ask(f"add map {wwid}", node) == "ok\n")
        until(lambda: len(self.map(wwid, node).paths) == len(machine.sessions))
        return f"{machine.root}/dev/{self.map(wwid, node).name}"

    def map(self, wwid: str, node: PretendNode | None = None) -> Any:
        return next((each for each in (node or self.node).maps if each.wwid == wwid), None)

    def made(self, name: str, kind: str = "xfs") -> str:
        """A volume with a file system on it, attached; returns the device's file."""
        device = self.attach(self.volume(name))
        assert self.run(f"mkfs.{kind}", device).status == 0
        return device

    def directory(self, name: str = "mnt") -> str:
        """An empty directory to mount on."""
        path = self.node.directory / "kubelet" / name
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def mounted(self, name: str, kind: str = "xfs") -> tuple[str, str]:
        """A new volume with a file system, mounted: (device, directory)."""
        device, directory = self.made(name, kind), self.directory(name)
        assert self.run("mount", "-t", kind, device, directory).status == 0
        return device, directory


def until(look: Callable[[], object], patience: float = PATIENCE) -> Any:
    """Wait until `look` returns something true, and return it."""
    end = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < end, "never happened"
        time.sleep(0.005)
    return found


@contextmanager
def a_node(sim: Simulator, name: str = "node1", *, alarms: int = 0, **options: Any) -> Iterator[PretendNode]:
    """A node that is switched on; in the end it had no failure of its own, and `alarms` things would have cost data."""
    settings = Settings(**{"speed": 100.0, **options.pop("settings", {})})
    with TemporaryDirectory(prefix="pn-") as folder:
        with PretendNode(folder, LocalFabric(sim), name, settings=settings, **options) as node:
            yield node
            assert (node.failures, len(node.alarms)) == ([], alarms)


@contextmanager
def a_bench(sim: Simulator, array: Mapping[str, Any] | None = None, **options: Any) -> Iterator[Bench]:
    """A node and an array of its own, which knows the node."""
    made = sim.add_flash_array(f"fa{len(sim.flash_arrays) + 1}", **(array or {}))
    with a_node(sim, **options) as node:
        made.add_host("node1", iqns=[node.iqn])
        yield Bench(sim, made, node)
