"""The parts of a pretend node, put together: what happens at boot, when something may have changed, and without power."""

import contextlib
import os
from collections.abc import Sequence

from simulator.node.arrays import Arrays
from simulator.node.call import Tools
from simulator.node.disks import Disk
from simulator.node.fc import FibreChannel
from simulator.node.foreign import Strangers
from simulator.node.forms import Form, PretendForm, RealForm
from simulator.node.iscsiadm import Iscsiadm
from simulator.node.machine import Machine
from simulator.node.multipath_tools import MultipathTools
from simulator.node.multipathd import Multipathd
from simulator.node.multipathd_socket import MultipathdSocket
from simulator.node.records import Records
from simulator.node.scsi import Scsi
from simulator.node.sessions import Sessions

DIRECTORIES = ("/sys/block", "/sys/class/block", "/sys/class/iscsi_session", "/sys/class/iscsi_connection",
               "/sys/class/iscsi_host", "/sys/class/scsi_host", "/sys/class/scsi_device", "/sys/class/fc_host",
               "/sys/class/fc_remote_ports", "/sys/bus/scsi/devices", "/sys/dev/block", "/sys/devices/platform",
               "/sys/devices/virtual/block", "/dev/mapper", "/dev/disk/by-id", "/proc/self", "/proc/sys/kernel",
               "/etc/iscsi/nodes", "/etc/multipath", "/run", "/run/lock/iscsi", "/var/lib", "/var/log")


class Parts:
    """Kernel, iscsid, multipathd and udev of one node; call with the machine's lock held."""

    def __init__(self, machine: Machine, directory: str, real: bool, address: str, wwns: Sequence[str]) -> None:
        self._machine = machine
        self.form: Form = (RealForm(machine, directory, address, self.disks) if real else PretendForm(machine, address))
        self.arrays = Arrays(machine)
        self.scsi = Scsi(machine, self.form.nodes)
        self.sessions = Sessions(machine, self.scsi, self.arrays)
        self.multipathd = Multipathd(machine, self.scsi, self.form.nodes)
        self.multipathd.why_open = self.form.mounts.why_open
        machine.let_go = self.multipathd.released
        self.fc = FibreChannel(machine, self.scsi, self.arrays, list(wwns))
        self.strangers = Strangers(machine, self.scsi, self.arrays, self.sessions, self.multipathd,
                                   self.form.mounts.entries)
        self._records = Records(machine.tree, machine.settings)
        self._multipath_tools = MultipathTools(machine, self.multipathd)
        self._socket = MultipathdSocket(machine, self._multipath_tools, self.multipathd.start)
        self.tools = self.strangers.tools = self._table()
        machine.look, machine.every_poll = self.refresh, [self.poll]

    def _table(self) -> Tools:
        """Tool -> what it does."""
        iscsiadm = Iscsiadm(self._machine, self.arrays, self.sessions, self._records)
        return {"iscsiadm": iscsiadm.run, "multipath": self._multipath_tools.multipath,
                "multipathd": self._multipath_tools.multipathd, **self.form.tools(self.disk)}

    # -- power

    def boot(self) -> None:
        """An empty /sys, /dev and /run, the records and files of before."""
        tree = self._machine.tree
        for path in DIRECTORIES:
            tree.directory(path)
        tree.write("/etc/iscsi/initiatorname.iscsi", f"## pretend node\nInitiatorName={self._machine.iqn}\n", 0o600)
        tree.write("/etc/hostname", f"{self._machine.name}\n")
        tree.write("/proc/sys/kernel/hostname", f"{self._machine.name}\n")
        tree.write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n")
        self.scsi.boot()
        self.form.start()
        self._machine.running = True
        self.refresh()
        self.strangers.start()
        self.fc.start()
        self._log_in_at_boot()
        self._socket.follow()

    def _log_in_at_boot(self) -> None:
        """open-iscsi.service logs in to records with node.startup=automatic."""
        for record in self._records.all():
            values = self._records.read(record)
            if values["node.startup"] == "automatic" and self.arrays.portals(record.target).get(record.portal) == "up":
                self.sessions.open(record.target, record.portal, values)

    def lose_power(self) -> None:
        """File systems first, so that nothing is written on the way down; the arrays are not told."""
        self._machine.cut_power()
        self._socket.follow()
        self.form.lose()
        for made in list(self.multipathd.maps.values()):
            self.multipathd.remove(made)
        for session in list(self.sessions.all.values()):
            self.sessions.close(session)
        for host in list(self.scsi.hosts.values()):
            self.scsi.remove_host(host)
        self.sessions.pending.clear()
        self._machine.tree.clear("/sys", "/dev", "/run")

    # -- following the world

    def poll(self) -> None:
        self.refresh()
        self._socket.follow()

    def refresh(self) -> None:
        """Follow what the arrays show now."""
        if not self._machine.running:
            return
        self.arrays.refresh()
        self.sessions.refresh()
        self.scsi.refresh()
        self.multipathd.check_paths()
        self.form.mounts.follow_disks()

    # -- looking

    def disks(self) -> list[Disk]:
        return [*self.multipathd.maps.values(), *self.scsi.paths.values()]

    def disk(self, name: str) -> Disk | None:
        """The block device of a path that a tool was given: /dev/dm-0, /dev/mapper/…, with or without the root."""
        root = self._machine.tree.root
        below = name.removeprefix(root)
        with contextlib.suppress(OSError):
            target = os.readlink(root + below)
            below = os.path.normpath(f"{os.path.dirname(below)}/{target}") if not target.startswith("/") else below
        last = below.removeprefix("/dev/")
        return next((disk for disk in self.disks() if disk.name == last), None)
