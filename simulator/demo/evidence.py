"""What the story's statements about the database's volume are checked against."""
import os
import struct
import threading
from pathlib import Path
from typing import Self

from simulator.demo.cluster import Cluster
from simulator.demo.nodes import Member
from simulator.demo.workload import FILE, Journal, whole
from simulator.kubelet import CallOut
from simulator.kubelet.volumes import likely_mount_point

LOOK_EVERY = 0.05                        # seconds


class Evidence:
    """Looks at arrays, nodes and data; `pv` and `volume` are the names of one volume."""

    def __init__(self, cluster: Cluster, pv: str, volume: str) -> None:
        self._cluster = cluster
        self.pv = pv
        self.volume = volume

    def holders(self) -> set[str]:
        """Nodes the array has the volume connected to."""
        by_iqn = {member.machine.iqn: member.name for member in self._cluster.nodes}
        return {by_iqn.get(iqn, iqn) for iqn in self._cluster.arrays.connected(self.volume)}

    def done(self, member: Member, call: str) -> list[CallOut]:
        """Calls of the driver on a node about the volume that have ended."""
        return [found for found in self._cluster.screen.calls
                if found.node == member.name and found.call == call and found.arguments[0].endswith(self.pv)]

    def journal(self, member: Member) -> str:
        """The journal, read through the node's mount."""
        path = self._directory(member) / FILE
        return path.read_text() if self._cluster.real else member.machine.read(str(path))

    def keeps(self, member: Member, lives: list[Journal]) -> bool:
        """Whether the journal on a node has every line these lives know to be on the volume."""
        text = self.journal(member)
        return all(whole(text, journal.life, journal.lines) for journal in lives)

    def mkfs_runs(self) -> list[tuple[str, ...]]:
        """Every mkfs on any node."""
        return [argv for member in self._cluster.nodes for argv in member.tools("mkfs")]

    def mounted_well(self, member: Member) -> bool:
        """An xfs, with discard, from the multipath device that carries the volume's serial; the kernel agrees if real."""
        directory = self._directory(member)
        serial = self._cluster.arrays.volume(self.volume)[1]["serial"].lower()
        found = [mount for mount in member.machine.mounts if mount.directory == str(directory)]
        return (len(found) == 1 and found[0].fstype == "xfs" and found[0].wwid.endswith(serial)
                and "discard" in found[0].options and (not self._cluster.real or likely_mount_point(directory)))

    def file_system_bytes(self, member: Member) -> int:
        """Size of the file system: the kernel's word, or in the pretended form that of the superblock on the volume."""
        if self._cluster.real:
            found = os.statvfs(self._directory(member))
            return found.f_blocks * found.f_frsize
        luns = self._cluster.arrays.fabric.luns(member.machine.iqn)
        with open(next(lun["file"] for lun in luns if lun["volume"] == self.volume), "rb") as volume:
            magic, block, blocks = struct.unpack(">4sIQ", volume.read(16))    # sb_magicnum, sb_blocksize, sb_dblocks
        return int(block * blocks) if magic == b"XFSB" else 0

    def _directory(self, member: Member) -> Path:
        found = member.directory(self.pv)
        if found is None:
            raise RuntimeError(f"{self.pv} has no directory on {member.name}")
        return found


class Watch:
    """Looks at the array all the while: `together` is each time it had the volume connected to more than one node."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._over = threading.Event()
        self.looks = 0
        self.together: list[set[str]] = []
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10.0)

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            holders = self._evidence.holders()
            self.looks += 1
            if len(holders) > 1:
                self.together.append(holders)
