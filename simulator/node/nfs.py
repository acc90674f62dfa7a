"""NFS client of a pretend node: exports by the arrays' rules, servers that stop answering (node-attach.md 2.10).

A mounted export is the simulator's directory: the pretend form reads and writes files there, the real form binds it.
"""

import ipaddress
import re
from typing import NamedTuple

from simulator.fabric import Row
from simulator.node.call import Call, ToolFails
from simulator.node.machine import Machine

FAILED, BUSY = 32, 16
VERSIONS = ("3", "4", "4.1")        # what a FlashBlade serves
MINUTES = 120.0                     # default `retry`: two minutes


class Export(NamedTuple):
    """A mount request that was granted."""

    server: str
    directory: str              # the simulator's
    fstype: str
    options: list[str]          # as the mount table shows them

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


class Client:
    """What servers answer to this node."""

    def __init__(self, machine: Machine, address: str) -> None:
        self._machine, self._address = machine, address

    def grant(self, call: Call, source: str, directory: str, options: list[str], fstype: str) -> "Export":
        """What the server answers to a mount request; ToolFails when it refuses or is silent."""
        server, path = parse_source(source)
        wanted = dict(option.partition("=")[::2] for option in options)
        version = wanted.get("vers") or wanted.get("nfsvers") or ("4" if fstype == "nfs4" else "4.1")
        if version not in VERSIONS:
            raise ToolFails(FAILED, "mount.nfs: requested NFS version or transport protocol is not supported for "
                            f"{directory}")
        self._wait_for(call, server, version, wanted)
        found = self.find(server, path, version)
        if not found["v3" if version == "3" else "v4_1"]:
            raise ToolFails(FAILED, f"mount.nfs: Protocol not supported for {source}")
        shown = [option for option in options if option not in ("rw", "ro", "defaults", "_netdev")
                 and not option.startswith(("vers=", "nfsvers=", "retry="))]
        return Export(server, found["directory"] or "", "nfs4" if version.startswith("4") else "nfs",
                      ["ro" if "ro" in wanted else "rw", "relatime", f"vers={version}", *shown, f"addr={server}"])

    def _wait_for(self, call: Call, server: str, version: str, wanted: dict[str, str]) -> None:
        """A server that does not answer: tried for `retry` minutes."""
        if not self.is_dark(server):
            return
        patience = MINUTES
        if "retry" in wanted:
            patience = max(10.0 if version == "3" else 45.0, 60 * float(wanted["retry"]))
        if not self._machine.wait(lambda: call.killed() or not self.is_dark(server), patience) or call.killed():
            raise ToolFails(FAILED, "mount.nfs: Connection timed out")

    def is_dark(self, server: str) -> bool:
        return server in self._machine.faults.nfs_dark

    def find(self, server: str, path: str, version: str) -> Row:
        """The row of an export that this node may mount."""
        for each in self._machine.fabric.exports():
            if (each["server"], each["path"]) == (server, path) and allows(each["rules"], self._address):
                return each
        if version == "3":
            raise ToolFails(FAILED, f"mount.nfs: access denied by server while mounting {server}:{path}")
        raise ToolFails(FAILED, f"mount.nfs: mounting {server}:{path} failed, reason given by server: "
                        "No such file or directory")


def looks_like(source: str) -> bool:
    return bool(re.match(r"(\[[0-9a-fA-F:.]+\]|[^/\[\]:]+):/", source))


def parse_source(source: str) -> tuple[str, str]:
    """"192.0.2.31:/k8s-pvc-1" or "[2001:db8::1]:/x" -> (server, path)."""
    server, _, path = source.rpartition(":/")
    return server.strip("[]"), "/" + path


def allows(rules: str, address: str) -> bool:
    """Whether export rules like "*(rw,no_root_squash) 192.0.2.0/24(ro)" let a client in."""
    for clients in re.findall(r"([^\s()]+)\([^)]*\)|([^\s()]+)", rules):
        client = "".join(clients)
        if client == "*" or client == address:
            return True
        try:
            if ipaddress.ip_address(address) in ipaddress.ip_network(client, strict=False):
                return True
        except ValueError:
            continue
    return False
