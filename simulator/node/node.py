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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from simulator.node.arrays import Arrays
from simulator.node.call import Call, ToolFails
from simulator.node.disks import Disk
from simulator.node.forms import Form, PretendForm, RealForm
from simulator.node.iscsiadm import Iscsiadm
from simulator.node.machine import Command, Fabric, Machine, SysfsWrite
from simulator.node.multipath_tools import SOCKET, MultipathdSocket, MultipathTools
from simulator.node.multipathd import Multipathd
from simulator.node.records import Records
from simulator.node.scsi import Scsi
from simulator.node.server import Client, Server, install
from simulator.node.sessions import Sessions
from simulator.node.settings import Faults, Settings
from simulator.node.views import MapInfo, MountInfo, PathInfo, SessionInfo

DIRECTORIES = ("/sys/block", "/sys/class/block", "/sys/class/iscsi_session", "/sys/class/iscsi_connection",
               "/sys/class/iscsi_host", "/sys/class/scsi_host", "/sys/class/scsi_device", "/sys/class/fc_host",
               "/sys/class/fc_remote_ports", "/sys/bus/scsi/devices", "/sys/dev/block", "/sys/devices/platform",
               "/sys/devices/virtual/block", "/dev/mapper", "/dev/disk/by-id", "/proc/self", "/etc/iscsi/nodes",
               "/etc/multipath", "/run", "/run/lock/iscsi", "/var/lib", "/var/log")


class PretendNode:
    """One node; switched on when entered, its state gone when left. All properties and methods are safe for threads."""

    def __init__(self, directory: str | os.PathLike[str], fabric: Fabric, name: str = "node1", iqn: str = "",
                 real: bool | None = None, settings: Settings | None = None, address: str = "198.51.100.10") -> None:
        self.directory = Path(directory).absolute()
        self.root, self.bin = self.directory / "root", self.directory / "bin"
        self.name, self.iqn, self.real = name, iqn or f"iqn.1993-08.org.debian:01:{name}", bool(real)
        if len(str(self.root) + SOCKET) > 107:
            raise ValueError(f"{self.root} is too long a name for a node: multipathd's socket would not fit")
        self._machine = Machine(str(self.root), name, self.iqn, fabric, settings or Settings())
        self._form = self._make_form(address)
        self._arrays = Arrays(self._machine)
        self._scsi = Scsi(self._machine, self._form.nodes)
        self._sessions = Sessions(self._machine, self._scsi, self._arrays)
        self._multipathd = Multipathd(self._machine, self._scsi, self._form.nodes)
        self._multipathd.why_open = self._form.mounts.why_open
        self._machine.let_go = self._multipathd.released
        self._multipath_tools = MultipathTools(self._machine, self._multipathd)
        self._multipathd_socket = MultipathdSocket(self._machine, self._multipath_tools)
        self._server = Server(str(self.directory), self._serve)
        self._tools = self._table()
        self._machine.every_poll = [self._poll]

    def _make_form(self, address: str) -> Form:
        if self.real:
            return RealForm(self._machine, str(self.directory), address, self._disks)
        return PretendForm(self._machine, address)

    def _disks(self) -> list[Disk]:
        return [*self._multipathd.maps.values(), *self._scsi.paths.values()]

    def _table(self) -> dict[str, Callable[[Call], int]]:
        """Tool -> what it does."""
        iscsiadm = Iscsiadm(self._machine, self._arrays, self._sessions,
                            Records(self._machine.tree, self._machine.settings))
        return {"iscsiadm": iscsiadm.run, "multipath": self._multipath_tools.multipath,
                "multipathd": self._multipath_tools.multipathd, **self._form.tools(self.disk)}

    # -- power

    def __enter__(self) -> Self:
        self._machine.tree.make()
        self._machine.start()
        install(str(self.directory), str(self.bin), sorted(self._tools))
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._machine.stop()

    def power_on(self) -> None:
        """Boot: an empty /sys, /dev and /run, the records and files of before."""
        machine, tree = self._machine, self._machine.tree
        with machine.lock:
            for path in DIRECTORIES:
                tree.directory(path)
            tree.write("/etc/iscsi/initiatorname.iscsi", f"## pretend node\nInitiatorName={self.iqn}\n", 0o600)
            tree.write("/etc/hostname", f"{self.name}\n")
            tree.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
            self._form.start()
            machine.running = True
            self._refresh()
            self._multipathd_socket.follow()
        self._server.start()

    def power_off(self) -> None:
        """Cut the power: what was not written is lost, nothing runs any more, the arrays are not told."""
        machine = self._machine
        self._server.stop()
        with machine.lock:
            if not machine.running:
                return
            machine.running = False
            machine.forget_timers()
            self._multipathd_socket.follow()
            self._lose_everything()

    def _lose_everything(self) -> None:
        self._form.lose()
        for made in list(self._multipathd.maps.values()):
            self._multipathd.remove(made)
        for session in list(self._sessions.all.values()):
            self._sessions.close(session)
        for host in list(self._scsi.hosts.values()):
            self._scsi.remove_host(host)
        self._sessions.pending.clear()
        self._machine.tree.clear("/sys", "/dev", "/run")

    def reboot(self) -> None:
        """Power off and on again."""
        self.power_off()
        self.power_on()

    # -- serving tools

    def _serve(self, client: Client) -> None:
        request = client.request()
        if not request:
            return
        if request[1] == "remote":
            client.answer(*self._remote(request[2:]))
            return
        call = Call(request[1:], client.killed, request[0], run=client.run)
        start = time.monotonic()
        with self._machine.lock:
            index = len(self._machine.commands)
            self._machine.commands.append(Command(tuple(call.argv), None, 0.0))
            self._refresh()
            status = self._run(call)
            self._machine.commands[index] = Command(tuple(call.argv), status, time.monotonic() - start)
            self._machine.changed.notify_all()
        client.answer(status, "".join(call.out), "".join(call.err))

    def _run(self, call: Call) -> int:
        if self._machine.settings.multipathd == "absent" and call.tool.startswith("multipath"):
            call.complain(f"{call.tool}: not found")
            return 127
        if (status := self._machine.faults.fail.get(call.tool)) is not None and "fsck" not in call.tool:
            return status
        try:
            return self._tools[call.tool](call)
        except ToolFails as failure:
            call.complain(failure.text)
            return failure.status
        except Exception as error:          # the top of this thread: the test is told, the tool fails
            self._machine.failed(" ".join(call.argv), error)
            return 70

    def _remote(self, words: list[str]) -> tuple[int, str, str]:
        """A question of RemoteNode: method or property, JSON list of arguments."""
        found: Any = getattr(self, words[0])
        answer = found(*json.loads(words[1])) if callable(found) else found
        return 0, json.dumps(answer), ""

    # -- following the world

    def _poll(self) -> None:
        self._refresh()
        self._multipathd_socket.follow()

    def _refresh(self) -> None:
        if not self._machine.running:
            return
        self._arrays.refresh()
        self._sessions.refresh()
        self._scsi.refresh()
        self._multipathd.check_paths()
        self._form.mounts.follow_disks()

    def refresh(self) -> None:
        """See at once what the arrays show now, instead of within the next tenth of a second."""
        with self._machine.lock:
            self._refresh()

    def disk(self, name: str) -> Disk | None:
        """The block device of a path that a tool was given: /dev/dm-0, /dev/mapper/…, with or without the root."""
        root = self._machine.tree.root
        below = name.removeprefix(root)
        with contextlib.suppress(OSError):
            target = os.readlink(root + below)
            below = os.path.normpath(f"{os.path.dirname(below)}/{target}") if not target.startswith("/") else below
        last = below.removeprefix("/dev/")
        return next((disk for disk in self._disks() if disk.name == last), None)

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
        with self._machine.lock:
            return [SessionInfo(each.number, each.target, each.portal, each.host.number, each.sysfs)
                    for each in self._sessions.all.values()]

    @property
    def paths(self) -> list[PathInfo]:
        with self._machine.lock:
            return [PathInfo(each.name, each.hctl, each.uuid, each.size, each.state, each.transport.portal,
                             getattr(each.map, "name", "")) for each in self._scsi.paths.values()]

    @property
    def maps(self) -> list[MapInfo]:
        with self._machine.lock:
            return [MapInfo(each.name, each.alias, each.wwid, each.size,
                            tuple(path.name for path in each.paths), each.queueing)
                    for each in self._multipathd.maps.values()]

    @property
    def mounts(self) -> list[MountInfo]:
        """The mount table without the machine's own root."""
        with self._machine.lock:
            return self._form.mounts.entries()

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
            self._refresh()
            self._form.pods.write(path, data, sync)

    def read(self, path: str) -> str:
        """Read a file as text; FileNotFoundError when it is not there."""
        with self._machine.lock:
            self._refresh()
            return self._form.pods.read(path).decode(errors="surrogateescape")

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[None]:
        """A pod that keeps a file open below `path`: umount says busy meanwhile."""
        with self._form.pods.held(path):
            yield
