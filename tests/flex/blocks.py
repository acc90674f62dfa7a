"""What the tests of FlashArray volumes say again and again: options, what a node and an array hold, what may be left."""

from pathlib import Path
from typing import Any

import pytest

from flex import doctor
from flex.machine import Node
from flex.paths import Paths
from flex.settings import Settings
from flex.wait import wait_for
from tests.flex.driver import options

GiB = 1 << 30


def block(pv: str = "pvc-1", **own: str) -> dict[str, str]:
    """The options of a PV that our provisioner made for a FlashArray volume."""
    return options(pv, **{"backend": "block", "namespace": "k8s", "volume": f"k8s-{pv}", "access": "ReadWriteOnce", **own})


def original(pv: str = "pvc-1", **own: str) -> dict[str, str]:
    """The options of a PV of the original driver: none of its own that we know."""
    return options(pv, **own)


def host_of(array: Any, node: Any) -> str:
    """The array's name for a node, by its initiator; "" when it has none."""
    return next((host.name for host in array.hosts.values() if node.iqn in host.iqns), "")


def wwid(array: Any, volume: str = "k8s-pvc-1") -> str:
    return f"3624a9370{array.volume(volume).serial.lower()}"


def bytes_of(array: Any, volume: str = "k8s-pvc-1") -> bytes:
    """The first two MiB of a volume, as they lie on the array."""
    with open(array.volume(volume).file, "rb") as file:
        return file.read(2 << 20)


def put_bytes(array: Any, offset: int, data: bytes, volume: str = "k8s-pvc-1") -> None:
    with open(array.volume(volume).file, "r+b") as file:
        file.seek(offset)
        file.write(data)


def ran(node: Any, tool: str) -> list[tuple[str, ...]]:
    """The command lines of one tool that ran on a node, in order."""
    return [command.argv for command in node.commands if command.argv[0] == tool]


def records(node: Any) -> list[str]:
    """The files that call-outs left for later ones."""
    folder = Path(f"{node.root}/var/lib/pure-flex")
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.name != "counts")


def hurry(node: Any) -> None:
    """Let a pretend node's time go by faster still: udev and multipathd are most of what a call-out waits for."""
    node.settings.speed = 80


def reboot(node: Any) -> None:
    """Power off and on; the name of multipathd's socket is free once the thread that listened has noticed."""
    node.power_off()
    wait_for(lambda: f"@{node.root}/org" not in Path("/proc/net/unix").read_text(), "multipathd's socket to be gone", 10)
    node.power_on()


def check_given_back(node: Any, array: Any, volume: str = "k8s-pvc-1") -> None:
    """Nothing of a volume is left on a node, on its array or in the driver's memory; the sessions stay."""
    assert (node.mounts, node.maps, node.paths) == ([], [], [])
    assert host_of(array, node) not in array.connections(volume)
    assert records(node) == []


def check_mounted(node: Any, array: Any, directory: Path, volume: str = "k8s-pvc-1", paths: int = 2) -> None:
    """A volume is mounted at a directory, through its map over so many paths, and connected on the array."""
    mount, = [mount for mount in node.mounts if mount.directory == str(directory)]
    made, = [made for made in node.maps if made.wwid == wwid(array, volume)]
    assert mount.wwid == made.wwid and len(made.paths) == paths
    assert host_of(array, node) in array.connections(volume)


def failure(answer: dict[str, Any]) -> str:
    """The words of a call that failed."""
    assert answer["status"] == "Failure", answer
    return str(answer["message"])


# For commands that people run

def on(flex: Any, node: Any, **settings: str) -> Node:
    fleet = str(flex.executable.with_name(".pure.json"))
    return Node(Paths(str(node.root)), Settings({"PURE_DISCOVERY_CONF": fleet, **settings}, str(flex.executable.parent)))


def without_portals(flex: Any, node: Any, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The pretend node as a command on it sees it; its portals, which are nowhere, are not tried."""
    hurry(node)
    flex.install()
    for name, value in node.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor, "unreachable", lambda address, port: "")
    return on(flex, node)
