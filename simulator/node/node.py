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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from simulator.node.arrays import Arrays
from simulator.node.call import Call, ToolFails
from simulator.node.disks import Disk
from simulator.node.fc import FibreChannel
from simulator.node.foreign import Strangers
from simulator.node.forms import Form, PretendForm, RealForm
from simulator.node.iscsiadm import Iscsiadm
from simulator.node.machine import Command, Fabric, Machine, SysfsWrite
from simulator.node.multipath_tools import SOCKET, MultipathdSocket, MultipathTools
from simulator.node.multipathd import Multipathd
from simulator.node.records import Records
from simulator.node.scsi import Scsi
from simulator.node.server import CONTROL, Client, Server, address_of, hide, install
from simulator.node.sessions import Sessions
from simulator.node.settings import Faults, Settings
from simulator.node.views import MapInfo, MountInfo, PathInfo, SessionInfo

DIRECTORIES = ("/sys/block", "/sys/class/block", "/sys/class/iscsi_session", "/sys/class/iscsi_connection",
               "/sys/class/iscsi_host", "/sys/class/scsi_host", "/sys/class/scsi_device", "/sys/class/fc_host",
               "/sys/class/fc_remote_ports", "/sys/bus/scsi/devices", "/sys/dev/block", "/sys/devices/platform",
               "/sys/devices/virtual/block", "/dev/mapper", "/dev/disk/by-id", "/proc/self", "/proc/sys/kernel",
               "/etc/iscsi/nodes", "/etc/multipath", "/run", "/run/lock/iscsi", "/var/lib", "/var/log")


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
        self._form = self._make_form(address)
        self._arrays = Arrays(self._machine)
        self._scsi = Scsi(self._machine, self._form.nodes)
        self._sessions = Sessions(self._machine, self._scsi, self._arrays)
        self._multipathd = Multipathd(self._machine, self._scsi, self._form.nodes)
        self._multipathd.why_open = self._form.mounts.why_open
        self._machine.let_go = self._multipathd.released
        self._multipath_tools = MultipathTools(self._machine, self._multipathd)
        self._multipathd_socket = MultipathdSocket(self._machine, self._multipath_tools)
        self.tag = address_of(str(self.directory)).lstrip("\0")        # what its loop devices carry
        self._server = Server(f"\0{self.tag}", self._serve)
        self._control = Server(f"\0{self.tag}{CONTROL}", self._serve_remote)
        self._fc = FibreChannel(self._machine, self._scsi, self._arrays, list(wwns))
        self._strangers = Strangers(self._machine, self._scsi, self._arrays, self._sessions, self._multipathd,
                                    self._form.mounts.entries)
        self._strangers.tools = self._tools = self._table()
        self._machine.look, self._machine.every_poll = self._refresh, [self._poll]

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
        self._control.start()
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._control.stop()
        self._machine.stop()

    def power_on(self) -> None:
        """Boot: an empty /sys, /dev and /run, the records and files of before."""
        machine, tree = self._machine, self._machine.tree
        with machine.lock:
            for path in DIRECTORIES:
                tree.directory(path)
            tree.write("/etc/iscsi/initiatorname.iscsi", f"## pretend node\nInitiatorName={self.iqn}\n", 0o600)
            tree.write("/etc/hostname", f"{self.name}\n")
            tree.write("/proc/sys/kernel/hostname", f"{self.name}\n")
            tree.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
            self._scsi.boot()
            self._form.start()
            machine.running = True
            self._refresh()
            self._strangers.start()
            self._fc.start()
            self._log_in_at_boot()
            self._multipathd_socket.follow()
        self._server.start()

    def _log_in_at_boot(self) -> None:
        """open-iscsi.service logs in to records with node.startup=automatic."""
        records = Records(self._machine.tree, self._machine.settings)
        for record in records.all():
            values = records.read(record)
            if values["node.startup"] == "automatic" and self._arrays.portals(record.target).get(record.portal) == "up":
                self._sessions.open(record.target, record.portal, values)

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

    # -- following the world

    def _poll(self) -> None:
        self._refresh()
        self._multipathd_socket.follow()
        hide(str(self.bin), ["multipath", "multipathd"], self.settings.multipathd == "absent")

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
        """Sessions with the fabric's arrays; those of foreign LUNs are left out here, in `paths`, `maps`, `mounts`."""
        with self._machine.lock:
            return [SessionInfo(each.number, each.target, each.portal, each.host.number, each.sysfs)
                    for each in self._sessions.all.values() if not self._strangers.has(each.target)]

    @property
    def paths(self) -> list[PathInfo]:
        with self._machine.lock:
            return [PathInfo(each.name, each.hctl, each.uuid, each.size, each.state, each.transport.portal,
                             getattr(each.map, "name", "")) for each in self._scsi.paths.values()
                    if not self._strangers.has(each.transport.target)]

    @property
    def maps(self) -> list[MapInfo]:
        with self._machine.lock:
            return [MapInfo(each.name, each.alias, each.wwid, each.size,
                            tuple(path.name for path in each.paths), each.queueing)
                    for each in self._multipathd.maps.values() if not self._strangers.has_map(each)]

    @property
    def mounts(self) -> list[MountInfo]:
        """Mounts of our devices and of exports."""
        with self._machine.lock:
            return [each for each in self._form.mounts.entries() if each.directory not in self._strangers.directories]

    # -- other people's disks, FC, boot-time scans

    def add_foreign_lun(self, mounted: bool | str = False, *, lun: int = 1, content: str = "") -> str:
        """Add a FlashArray LUN that is not the driver's, with two paths and a map; returns its WWID.

        content: "ext4" (also made when mounted), "partition", "lvm", "raw" or "blank". It comes back after a reboot.
        """
        directory = mounted if isinstance(mounted, str) else str(self.directory / "foreign/mnt") if mounted else ""
        with self._machine.lock:
            wwid = self._strangers.add(lun, content or ("ext4" if directory else "partition"), directory)
            self._machine.changed.notify_all()
        return wwid

    def touched(self) -> list[str]:
        """What was done to the boot disk and to foreign LUNs: an empty list, if the driver is a good one."""
        with self._machine.lock:
            return self._strangers.touched()

    def zone(self, wwns: Sequence[str]) -> None:
        """Let this node's FC ports see these ports of arrays; they scan by themselves."""
        self.refresh()
        with self._machine.lock:
            self._fc.zone(list(wwns))

    def set_link(self, wwn: str, up: bool) -> None:
        """Pull or plug the cable of an FC port, the node's or an array's."""
        with self._machine.lock:
            self._fc.set_link(wwn, up)

    def scan_everything(self) -> None:
        """What rescan-scsi-bus.sh or a boot brings in: every LUN of every array."""
        with self._machine.lock:
            self._refresh()
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
