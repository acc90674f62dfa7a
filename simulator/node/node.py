"""PretendNode: a machine with iSCSI, multipath, file systems and NFS below one directory.

    with Simulator(directory) as sim, PretendNode(directory / "node1", LocalFabric(sim)) as node:
        subprocess.run([flex, "mount", …], env=node.environment())
        assert node.mounts[-1].directory == …

`directory/root` is what the driver takes for "/" (PURE_FLEX_ROOT), `directory/bin` goes in front of PATH. Keep the
directory's name short: multipathd's abstract socket has `<root>/org/kernel/linux/storage/multipathd` for a name, and
108 bytes are all there is.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from simulator.fabric import Fabric
from simulator.node.call import Call, ToolFails
from simulator.node.executables import install
from simulator.node.machine import Command, Machine, SysfsWrite
from simulator.node.multipathd_socket import SOCKET
from simulator.node.parts import Parts
from simulator.node.server import CONTROL, Client, Server, address_of
from simulator.node.settings import Faults, Settings
from simulator.node.views import MapInfo, MountInfo, PathInfo, SessionInfo


class PretendNode:
    """One node; switched on when entered, its state gone when left. All properties and methods are safe for threads."""

    def __init__(self, directory: str | os.PathLike[str], fabric: Fabric, name: str = "node1", iqn: str = "",
                 real: bool | None = None, settings: Settings | None = None, address: str = "198.51.100.10",
                 wwns: Sequence[str] = ()) -> None:
        self.directory = Path(directory).absolute()
        self.root, self.bin = self.directory / "root", self.directory / "bin"
        self.name, self.iqn, self.real = name, iqn or f"iqn.1993-08.org.debian:01:{name}", bool(real)
        if len(str(self.root) + SOCKET) > 107:
            raise ValueError(f"{self.root} is too long a name for a node: multipathd's socket would not fit")
        self._machine = Machine(str(self.root), name, self.iqn, fabric, settings or Settings())
        self._parts = Parts(self._machine, str(self.directory), self.real, address, wwns)
        self._form, self._scsi, self._arrays = self._parts.form, self._parts.scsi, self._parts.arrays
        self.tag = address_of(str(self.directory)).lstrip("\0")        # what its loop devices carry
        self._server = Server(f"\0{self.tag}", self._serve)
        self._control = Server(f"\0{self.tag}{CONTROL}", self._serve_remote)

    # -- power

    def __enter__(self) -> Self:
        self._machine.tree.make()
        install(f"\0{self.tag}", str(self.bin), sorted(self._parts.tools))
        self._machine.start()
        self._control.start()
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._control.stop()
        self._machine.stop()

    def power_on(self) -> None:
        """Boot: an empty /sys, /dev and /run, the records and files of before."""
        with self._machine.lock:
            self._parts.boot()
        self._server.start()

    def power_off(self) -> None:
        """Cut the power: what was not written is lost, nothing runs any more, the arrays are not told."""
        self._server.stop()
        with self._machine.lock:
            if self._machine.running:
                self._parts.lose_power()

    def reboot(self) -> None:
        """Power off and on again."""
        self.power_off()
        self.power_on()

    # -- serving tools

    def _serve(self, client: Client) -> None:
        request = client.request()
        if not request:
            return
        call = Call(request[1:], client.killed, request[0], run=client.run)
        start = time.monotonic()
        with self._machine.lock:
            index = len(self._machine.commands)
            self._machine.commands.append(Command(tuple(call.argv), None, 0.0))
            self._parts.refresh()
            status = self._run(call)
            self._machine.commands[index] = Command(tuple(call.argv), status, time.monotonic() - start)
            self._machine.changed.notify_all()
        client.answer(status, "".join(call.out), "".join(call.err))

    def _run(self, call: Call) -> int:
        if (status := self._machine.faults.fail.get(call.tool)) is not None and "fsck" not in call.tool:
            return status
        try:
            return self._parts.tools[call.tool](call)
        except ToolFails as failure:
            call.complain(failure.text)
            return failure.status
        except Exception as error:          # the top of this thread: the test is told, the tool fails
            self._machine.failed(" ".join(call.argv), error)
            return 70

    def _serve_remote(self, client: Client) -> None:
        """A question of RemoteNode: method or property, JSON list of arguments."""
        words = client.request()
        if not words:
            return
        try:
            found: Any = getattr(self, words[2])
            client.answer(0, json.dumps(found(*json.loads(words[3])) if callable(found) else found), "")
        except Exception as error:          # the top of this thread: whoever asked is told
            client.answer(1, "", f"{type(error).__name__}: {error}")

    def refresh(self) -> None:
        """See at once what the arrays show now, instead of within the next tenth of a second."""
        with self._machine.lock:
            self._parts.refresh()

    # -- looking

    @property
    def settings(self) -> Settings:
        return self._machine.settings

    @property
    def faults(self) -> Faults:
        return self._machine.faults

    @property
    def commands(self) -> list[Command]:
        """Every tool that was spawned so far, in order."""
        with self._machine.lock:
            return list(self._machine.commands)

    @property
    def sysfs_writes(self) -> list[SysfsWrite]:
        """Every write to a scan, delete or rescan file so far."""
        with self._machine.lock:
            return list(self._machine.sysfs_writes)

    @property
    def failures(self) -> list[str]:
        """Tracebacks of the node itself; tests assert that there are none."""
        return list(self._machine.failures)

    @property
    def alarms(self) -> list[str]:
        """What would have destroyed data on real machines; tests assert that there are none."""
        return list(self._form.mounts.alarms)

    @property
    def sessions(self) -> list[SessionInfo]:
        """Sessions with the fabric's arrays; those of foreign LUNs are left out here, in `paths`, `maps`, `mounts`."""
        with self._machine.lock:
            return [SessionInfo(each.number, each.target, each.portal, each.host.number, each.sysfs)
                    for each in self._parts.sessions.all.values() if not self._parts.strangers.has(each.target)]

    @property
    def paths(self) -> list[PathInfo]:
        with self._machine.lock:
            return [PathInfo(each.name, each.hctl, each.uuid, each.size, each.state, each.transport.portal,
                             getattr(each.map, "name", "")) for each in self._scsi.paths.values()
                    if not self._parts.strangers.has(each.transport.target)]

    @property
    def maps(self) -> list[MapInfo]:
        with self._machine.lock:
            return [MapInfo(each.name, each.alias, each.wwid, each.size,
                            tuple(path.name for path in each.paths), each.queueing)
                    for each in self._parts.multipathd.maps.values() if not self._parts.strangers.has_map(each)]

    @property
    def mounts(self) -> list[MountInfo]:
        """Mounts of our devices and of exports."""
        with self._machine.lock:
            foreign = self._parts.strangers.directories
            return [each for each in self._form.mounts.entries() if each.directory not in foreign]

    # -- other people's disks, FC, boot-time scans

    def add_foreign_lun(self, mounted: bool | str = False, *, lun: int = 1, content: str = "") -> str:
        """Add a FlashArray LUN that is not the driver's, with two paths and a map; returns its WWID.

        content: "ext4" (also made when mounted), "partition", "lvm", "raw" or "blank". It comes back after a reboot.
        """
        directory = mounted if isinstance(mounted, str) else str(self.directory / "foreign/mnt") if mounted else ""
        with self._machine.lock:
            wwid = self._parts.strangers.add(lun, content or ("ext4" if directory else "partition"), directory)
            self._machine.changed.notify_all()
        return wwid

    def touched(self) -> list[str]:
        """What was done to the boot disk and to foreign LUNs: an empty list, if the driver is a good one."""
        with self._machine.lock:
            return self._parts.strangers.touched()

    def zone(self, wwns: Sequence[str]) -> None:
        """Let this node's FC ports see these ports of arrays; they scan by themselves."""
        self.refresh()
        with self._machine.lock:
            self._parts.fc.zone(list(wwns))

    def set_link(self, wwn: str, up: bool) -> None:
        """Pull or plug the cable of an FC port, the node's or an array's."""
        with self._machine.lock:
            self._parts.fc.set_link(wwn, up)

    def scan_everything(self) -> None:
        """What rescan-scsi-bus.sh or a boot brings in: every LUN of every array."""
        with self._machine.lock:
            self._parts.refresh()
            for host in list(self._scsi.hosts.values()):
                self._scsi.scan(host)
            self._machine.changed.notify_all()

    def environment(self) -> dict[str, str]:
        """What a driver needs to run on this node."""
        return {"PATH": f"{self.bin}:{os.environ.get('PATH', os.defpath)}", "PURE_FLEX_ROOT": str(self.root)}

    # -- what pods do

    def write(self, path: str, data: str | bytes, sync: bool = True) -> None:
        """Write a file below a mount (or on the node's own disk); with `sync` it is on the volume afterwards.

        OSError as a pod would get it: EIO when the device fails, EROFS on a read-only mount.
        """
        data = data.encode() if isinstance(data, str) else data
        with self._machine.lock:
            self._parts.refresh()
            self._form.pods.write(path, data, sync)

    def read(self, path: str) -> str:
        """Read a file as text; FileNotFoundError when it is not there."""
        with self._machine.lock:
            self._parts.refresh()
            return self._form.pods.read(path).decode(errors="surrogateescape")

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[None]:
        """A pod that keeps a file open below `path`: umount says busy meanwhile."""
        with self._form.pods.held(path):
            yield
