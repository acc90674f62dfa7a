"""The kernel's own iSCSI and FC target (LIO), by its configfs tree; made to look like a FlashArray to the initiator.

Source of the attribute names: Documentation/target of the kernel, drivers/target/target_core_configfs.c of 6.1. A
device is an iblock over a loop device, so that /sys/block/loopN/stat counts what initiators read and wrote.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import time

CORE = "/sys/kernel/config/target/core/iblock_0"
ISCSI = "/sys/kernel/config/target/iscsi"
MODULES = ("target_core_mod", "target_core_iblock", "iscsi_target_mod", "loop", "dm_mod")
LOOP_CTL_GET_FREE, LOOP_SET_FD, LOOP_CLR_FD, LOOP_SET_CAPACITY = 0x4C82, 0x4C00, 0x4C01, 0x4C07    # linux/loop.h
LET_GO_TIMEOUT = 5.0                         # seconds for the kernel to let go of a device


def load() -> None:
    """Load the target's modules and mount its configuration."""
    os.makedirs("/etc/target", exist_ok=True)
    subprocess.run(["modprobe", "-a", *MODULES], check=True)
    if not os.path.isdir("/sys/kernel/config/target"):
        subprocess.run(["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=True)
    os.makedirs(ISCSI, exist_ok=True)


def put(path: str, value: str) -> None:
    """Write one attribute."""
    with open(path, "w") as file:
        file.write(value)


def attach_loop(file: str) -> str:
    """A free loop device over `file`: "loop3"."""
    with open("/dev/loop-control") as control, open(file, "r+b") as backing:
        while True:
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            with open(f"/dev/loop{number}", "r+b") as loop, contextlib.suppress(OSError):   # somebody else was first
                fcntl.ioctl(loop, LOOP_SET_FD, backing.fileno())
                return f"loop{number}"


def loop_ioctl(loop: str, request: int) -> None:
    with open(f"/dev/{loop}", "rb") as file:
        fcntl.ioctl(file, request)


class Device:
    """A volume as the target core knows it; the identity must be there before the first LUN."""

    def __init__(self, file: str, serial: str, vendor: str = "PURE", model: str = "FlashArray", *,
                 breakable: bool = False) -> None:
        self.name, self.path = serial, f"{CORE}/{serial}"
        self.loop = attach_loop(file)
        self.breakable = Breakable(f"/dev/{self.loop}", serial) if breakable else None
        os.makedirs(self.path)
        put(f"{self.path}/control", f"udev_path={self.breakable.path if self.breakable else f'/dev/{self.loop}'}")
        put(f"{self.path}/enable", "1")
        for attribute, value in (("vendor_id", vendor), ("product_id", model), ("revision", "8888"),
                                 ("company_id", "0x24a937"), ("vpd_unit_serial", f"0{serial.lower()}")):
            put(f"{self.path}/wwn/{attribute}", value)
        put(f"{self.path}/attrib/emulate_tpu", "1")
        put(f"{self.path}/attrib/is_nonrot", "1")

    def resize(self) -> None:
        """The file has a new size: tell the loop device; the target asks it with each READ CAPACITY."""
        loop_ioctl(self.loop, LOOP_SET_CAPACITY)

    def remove(self) -> None:
        os.rmdir(self.path)
        if self.breakable:
            self.breakable.remove()
        patiently(lambda: loop_ioctl(self.loop, LOOP_CLR_FD))


class Breakable:
    """A disk's double (device mapper) whose bytes from some place on can be made unreadable, and readable again."""

    def __init__(self, disk: str, name: str) -> None:
        self.disk, self.name, self.path = disk, f"breakable-{name}", f"/dev/mapper/breakable-{name}"
        with open(f"/sys/block/{os.path.basename(disk)}/size") as file:
            self.sectors = int(file.read())
        _dmsetup("create", self.name, table=self._table(self.sectors))

    def break_from(self, byte: int | None) -> None:
        """Let what lies at `byte` or behind it fail with an I/O error; None: nothing any more."""
        _dmsetup("load", self.name, table=self._table(self.sectors if byte is None else byte // 512))
        _dmsetup("resume", self.name)        # suspends first, to change the tables

    def remove(self) -> None:
        _dmsetup("remove", "--retry", self.name)

    def _table(self, good: int) -> str:
        lines = [f"0 {good} linear {self.disk} 0"] if good else []
        return "\n".join(lines + ([f"{good} {self.sectors - good} error"] if good < self.sectors else []))


def _dmsetup(*argv: str, table: str = "") -> None:
    done = subprocess.run(["dmsetup", *argv], input=table, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"dmsetup {' '.join(argv)}: {done.stderr}")


class Group:
    """A target with its one portal group: the LUNs it has, and what each initiator sees of them."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.numbers: dict[str, int] = {}    # device -> number in the group
        self.links: dict[str, int] = {}      # device -> how many initiators see it

    def make(self) -> None:
        os.makedirs(self.path, exist_ok=True)
        for attribute in ("authentication", "generate_node_acls"):
            if os.path.exists(f"{self.path}/attrib/{attribute}"):
                put(f"{self.path}/attrib/{attribute}", "0")

    def enable(self) -> None:
        put(f"{self.path}/enable", "1")

    def portal(self, portal: str, wanted: bool) -> None:
        path = f"{self.path}/np/{portal}"
        if wanted and not os.path.isdir(path):
            os.mkdir(path)
        elif not wanted and os.path.isdir(path):
            os.rmdir(path)

    def know(self, initiator: str) -> None:
        os.makedirs(f"{self.path}/acls/{initiator}", exist_ok=True)

    def show(self, initiator: str, lun: int, device: Device) -> None:
        """Map the device to the initiator under this LUN, live."""
        number = self.numbers.get(device.name)
        if number is None:
            number = next(n for n in range(1 << 14) if n not in self.numbers.values())
            os.makedirs(f"{self.path}/lun/lun_{number}")
            os.symlink(device.path, f"{self.path}/lun/lun_{number}/device")
            self.numbers[device.name] = number
        self.know(initiator)
        mapped = f"{self.path}/acls/{initiator}/lun_{lun}"
        os.makedirs(mapped)
        os.symlink(f"{self.path}/lun/lun_{number}", f"{mapped}/lun")
        self.links[device.name] = self.links.get(device.name, 0) + 1

    def hide(self, initiator: str, lun: int, device: Device) -> None:
        """Take the mapping away, live; the last one takes the group's LUN with it."""
        mapped = f"{self.path}/acls/{initiator}/lun_{lun}"
        os.unlink(f"{mapped}/lun")
        os.rmdir(mapped)
        self.links[device.name] -= 1
        if not self.links[device.name]:
            number = self.numbers.pop(device.name)
            os.unlink(f"{self.path}/lun/lun_{number}/device")
            os.rmdir(f"{self.path}/lun/lun_{number}")

    def chap(self, initiator: str, user: str, password: str) -> None:
        """Ask this initiator for CHAP at its next login; no user: no more."""
        acl = f"{self.path}/acls/{initiator}"
        put(f"{acl}/attrib/authentication", "1" if user else "0")
        put(f"{acl}/auth/userid", user or "NULL")
        put(f"{acl}/auth/password", password or "NULL")


def iscsi(iqn: str) -> Group:
    return Group(f"{ISCSI}/{iqn}/tpgt_1")


def firewall(portal: str, dark: bool) -> None:
    """Drop what comes for a portal ("192.0.2.10:3260"), or let it in again: sessions stall, nothing is refused."""
    host, port = portal.rsplit(":", 1)
    family = "ip6" if ":" in host else "ip"
    table = "dark_" + re.sub(r"\W+", "_", f"{host.strip('[]')}_{port}")
    rules = f"add table inet {table}\ndelete table inet {table}\n"
    if dark:
        rules += f"add table inet {table}\n"
        rules += (f"add chain inet {table} in {{ type filter hook input priority 0; }}\n"
                  f"add rule inet {table} in {family} daddr {host.strip('[]')} tcp dport {port} drop\n")
    done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"nft: {done.stderr}")


def patiently(action) -> None:
    """Repeat what the kernel refuses while it still holds a device."""
    deadline = time.monotonic() + LET_GO_TIMEOUT
    while True:
        try:
            return action()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
