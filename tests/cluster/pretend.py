"""The storage side of a node: this kernel has no SCSI, device-mapper or NFS, so a pretend node runs inside each node.

It lives in the node's namespaces and dies with the node. The driver reaches it as it reaches a real machine, through
/sys, /proc and tools, because kubelet, whose environment it inherits, has PURE_FLEX_ROOT and a PATH with those tools.
File systems are real, on loop devices over the simulated volumes.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from simulator.node.views import MapInfo, MountInfo
from tests.cluster.arrays import CA_IN_PODS, CHECKOUT, Arrays
from tests.cluster.nodes import Node

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ASK = ("import json, sys; from simulator.node.remote import RemoteNode; "
       "print(json.dumps(RemoteNode(sys.argv[1]).ask(sys.argv[2])))")


class Storage:
    """iSCSI, multipath, file systems and NFS of one node."""

    def __init__(self, node: Node, arrays: Arrays) -> None:
        self.node = node
        self.home = node.home / "pretend"
        self._arrays = arrays
        start = shlex.join([
            "env", f"PYTHONPATH={CHECKOUT}", f"PATH={SYSTEM_PATH}", sys.executable, "-m", "simulator.node",
            "--directory", str(self.home), "--fabric", str(arrays.directory), "--name", node.name,
            "--address", node.place.address, "--real"])
        up = f"{self.home}/bin/mount"
        node.services = [
            f"mkdir -p {self.home}; rm -f {up}",
            f"{start} > {node.home}/pretend.log 2>&1 &",
            f"i=0; until [ -x {up} ]; do i=$((i + 1)); [ $i -lt 300 ]; sleep 0.1; done"]
        node.environment = {"PATH": f"{self.home}/bin:{SYSTEM_PATH}", "PURE_FLEX_ROOT": str(self.home / "root")}

    def put_ca(self) -> None:
        """Give the node the CA file that pure.json names."""
        target = self.node.folder("/etc/pure") / Path(CA_IN_PODS).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self._arrays.ca)

    def ask(self, name: str) -> Any:
        """A property or method of the pretend node; its socket is known inside the node only."""
        argv = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-c", ASK, str(self.home), name]
        return json.loads(self.node.run(*argv))

    @property
    def mounts(self) -> list[MountInfo]:
        """Mounts of volumes and exports on the node."""
        return [MountInfo(*each) for each in self.ask("mounts")]

    @property
    def maps(self) -> list[MapInfo]:
        """Multipath maps on the node."""
        return [MapInfo(*each) for each in self.ask("maps")]

    @property
    def log(self) -> list[str]:
        """Lines of the driver's log on the node."""
        file = self.home / "root/var/log/pure-flex.log"
        return file.read_text().splitlines() if file.exists() else []

    def problems(self) -> list[str]:
        """What went wrong in the pretend node itself, and what would have destroyed data on a real machine."""
        return [*self.ask("failures"), *self.ask("alarms")]

    def pull_the_plug(self) -> None:
        """Power is gone: nothing more is written, every process is dead."""
        self.ask("power_off")
        self.node.pull_the_plug()


def loop_devices(below: Path) -> list[str]:
    """Loop devices over files below a folder."""
    done = subprocess.run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"], capture_output=True,
                          text=True, check=True)
    return [line.split()[0] for line in done.stdout.splitlines() if str(below) in line]
