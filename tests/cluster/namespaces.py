"""Network namespaces of our own on this machine: one for the control plane with a bridge, one for each node.

Speaks to iproute2 and nsenter. Addresses are from the documentation ranges (RFC 5737), so nothing real is ever reached:

    198.51.100.1      control plane, arrays        198.51.100.11, .12   nodes
    192.0.2.0/26 …    pods of a node               203.0.113.0/24       services
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PREFIX = "pf-"
CONTROL = f"{PREFIX}control"
BRIDGE = "br0"
API_SERVICE = "203.0.113.1"
SERVICES = "203.0.113.0/24"
CONTROL_ADDRESS = "198.51.100.1"


@dataclass(frozen=True)
class Place:
    """Where one node lives in the network; `number` counts from 1."""

    number: int

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def namespace(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def address(self) -> str:
        return f"198.51.100.{10 + self.number}"

    @property
    def pods(self) -> str:
        """Range of this node's pod addresses."""
        return f"192.0.2.{64 * (self.number - 1)}/26"


def run(*argv: str, check: bool = True) -> str:
    """Run a command on the machine; its stdout. A failure shows what the command said."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(namespace: str, *argv: str) -> list[str]:
    """The command that runs `argv` in a namespace. nsenter, not `ip netns exec`: that mounts a /sys without cgroups."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *argv]


def make(places: list[Place]) -> None:
    """Namespaces, bridge, cables, addresses and routes."""
    run("ip", "netns", "add", CONTROL)
    control = inside(CONTROL, "ip")
    run(*control, "link", "set", "lo", "up")
    run(*control, "address", "add", f"{API_SERVICE}/32", "dev", "lo")
    run(*control, "link", "add", BRIDGE, "type", "bridge")
    run(*control, "address", "add", f"{CONTROL_ADDRESS}/24", "dev", BRIDGE)
    run(*control, "link", "set", BRIDGE, "up")
    run(*inside(CONTROL, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
    for place in places:
        _connect(place)


def _connect(place: Place) -> None:
    run("ip", "netns", "add", place.namespace)
    run(*inside(CONTROL, "ip"), "link", "add", place.name, "type", "veth", "peer", "name", "eth0",
        "netns", place.namespace)
    run(*inside(CONTROL, "ip"), "link", "set", place.name, "master", BRIDGE, "up")
    node = inside(place.namespace, "ip")
    run(*node, "link", "set", "lo", "up")
    run(*node, "address", "add", f"{place.address}/24", "dev", "eth0")
    run(*node, "link", "set", "eth0", "up")
    run(*node, "route", "add", "default", "via", CONTROL_ADDRESS)
    run(*inside(place.namespace, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
    run(*inside(CONTROL, "ip"), "route", "add", place.pods, "via", place.address)


def remove() -> None:
    """Kill what runs in namespaces of ours and delete them, however an earlier run ended."""
    for name in sorted(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else []:
        if name.startswith(PREFIX):
            for pid in run("ip", "netns", "pids", name, check=False).split():
                run("kill", "-KILL", pid, check=False)
            run("ip", "netns", "delete", name, check=False)
