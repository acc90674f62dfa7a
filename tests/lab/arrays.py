"""The arrays' guest, seen from the tests: pretend arrays with real data, the bare target, their faults."""

import itertools
import time
from typing import Any

from tests.lab.guest.machine import Guest
from tests.lab.lab import ARRAY_ADDRESS, NFS_ADDRESS, OTHERS_PORTALS, PORTALS

INSIDE = "tests.lab.inside.arrays"
FLEET = "tests.lab.inside.fleet"
BARE_TARGET = "iqn.2010-06.com.purestorage:flasharray.ba4e000000000001"
GiB = 1 << 30


class Arrays:
    """Everything that poses as hardware of the vendor."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._numbers = itertools.count(int(time.time()) % 10**7)      # fresh names in a kept lab too
        self.flash_array = FlashArray(self, "fa1")
        self.foreign = FlashArray(self, "foreign")
        self.flash_blade = FlashBlade(self, "fb1")

    def find(self) -> None:
        """Nothing to prepare: an earlier process did."""
        for array in (self.flash_array, self.foreign):
            array.iqn = array.ask("iqn")

    def prepare(self, initiators: list[str]) -> None:
        """Disks, target and NFS server; then the simulator with the fleet of the tests and an array of somebody else."""
        self.call("prepare", "/dev/vdc")
        self.call("bare", BARE_TARGET, list(OTHERS_PORTALS))
        for initiator in initiators:
            self.call("know", initiator)
        self.fleet("start", ARRAY_ADDRESS)
        for array, portals in ((self.flash_array, PORTALS), (self.foreign, OTHERS_PORTALS)):
            array.iqn = self.fleet("add_flash_array", array.name, list(portals), initiators)
        self.fleet("add_flash_blade", self.flash_blade.name, NFS_ADDRESS)

    def call(self, function: str, *args: Any, wait: float = 60.0, **kwargs: Any) -> Any:
        return self.guest.call(f"{INSIDE}:{function}", *args, wait=wait, **kwargs)

    def fleet(self, function: str, *args: Any, wait: float = 60.0, **kwargs: Any) -> Any:
        return self.guest.call(f"{FLEET}:{function}", *args, wait=wait, **kwargs)

    def bare_volume(self, size: int = GiB) -> "BareVolume":
        """A fresh volume that no array's bookkeeping knows."""
        serial = f"BA4E{next(self._numbers):020X}"
        self.call("bare_volume", serial, size)
        return BareVolume(self, serial)


class BareVolume:
    """A volume of the bare target."""

    def __init__(self, arrays: Arrays, serial: str) -> None:
        self.arrays, self.serial = arrays, serial
        self.wwid = f"3624a9370{serial.lower()}"

    def show(self, initiator: str, lun: int) -> None:
        self.arrays.call("bare_show", initiator, lun, self.serial)

    def hide(self, initiator: str, lun: int) -> None:
        self.arrays.call("bare_hide", initiator, lun, self.serial)

    def resize(self, size: int) -> None:
        self.arrays.call("bare_resize", self.serial, size)


class FlashArray:
    """One pretend FlashArray: what its owner sees and does (simulator/flasharray.py), from outside the guest."""

    iqn: str

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.arrays, self.name = arrays, name
        self._numbers = itertools.count(int(time.time()) % 10**7)

    def ask(self, attribute: str, *args: Any, **kwargs: Any) -> Any:
        return self.arrays.fleet("ask", self.name, attribute, *args, **kwargs)

    def new_volume(self, size: int = GiB, name: str = "") -> "Volume":
        """A volume as the provisioner makes it: prefix and PV name."""
        pv = name or f"pvc-{self.name}-{next(self._numbers):04d}"
        made = self.ask("add_volume", f"k8s-{pv}", size)
        return Volume(self, pv, made["serial"])

    def ensure_host(self, node: Any) -> None:
        """The host object of a node, as the driver's first mount there makes it."""
        if node.name not in self.ask("hosts"):
            self.ask("add_host", node.name, iqns=[node.iqn])

    @property
    def pure_json_name(self) -> str:
        """Its MgmtEndPoint, as messages and PV options name it."""
        return str(self.ask("endpoint"))

    def unplug(self) -> None:
        """Take its management away; data goes on."""
        self.arrays.fleet("unplug", self.name)

    def plug(self) -> None:
        self.arrays.fleet("plug", self.name)

    def fault(self, **what: Any) -> None:
        self.arrays.fleet("add_fault", self.name, **what)

    def clear_faults(self) -> None:
        self.arrays.fleet("clear_faults", self.name)

    def portal(self, portal: str, state: str) -> None:
        self.ask("set_portal", portal, state)


class Volume:
    """A volume of a FlashArray and the PersistentVolume that stands for it."""

    def __init__(self, array: FlashArray, pv: str, serial: str) -> None:
        self.array, self.pv, self.serial = array, pv, serial
        self.name = f"k8s-{pv}"
        self.wwid = f"3624a9370{serial.lower()}"

    def options(self, **more: str) -> dict[str, str]:
        """The PV's options (design.md 3.3)."""
        return {"backend": "block", "namespace": "k8s", "volume": self.name, "access": "ReadWriteOnce", **more}

    @property
    def connections(self) -> dict[str, int]:
        """Host -> LUN."""
        found: dict[str, int] = self.array.ask("connections", self.name)
        return found

    @property
    def file(self) -> str:
        """Where the arrays' guest keeps the bytes."""
        return str(self.array.ask("volume", self.name)["file"])

    def holds(self, text: str) -> bool:
        """Whether the array has these bytes somewhere on the volume."""
        return bool(self.array.arrays.call("holds", self.file, text))

    def connect(self, host: str, lun: int | None = None) -> int:
        """As the array's administrator does."""
        return int(self.array.ask("connect", host, self.name, lun))

    def disconnect(self, host: str) -> None:
        self.array.ask("disconnect", host, self.name)

    def break_from(self, byte: int | None) -> None:
        """Let reads and writes fail from this byte on; None: not, or no more. To be said once before the first connect."""
        self.array.arrays.fleet("break_from", self.serial, byte)

    @property
    def size(self) -> int:
        return int(self.array.ask("volume", self.name)["size"])


class FlashBlade:
    """One pretend FlashBlade with a real NFS server behind it."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        self.arrays, self.name = arrays, name
        self._numbers = itertools.count(int(time.time()) % 10**7)

    def ask(self, attribute: str, *args: Any, **kwargs: Any) -> Any:
        return self.arrays.fleet("ask", self.name, attribute, *args, **kwargs)

    def new_file_system(self, **more: Any) -> "FileSystem":
        pv = f"pvc-{self.name}-{next(self._numbers):04d}"
        self.ask("add_file_system", f"k8s-{pv}", GiB, **more)
        self.export()
        return FileSystem(self, pv)

    def export(self) -> None:
        """Bring the NFS server in line with the blade's state."""
        self.arrays.fleet("export_all", self.name)

    def dark(self, dark: bool) -> None:
        """The data address answers nothing, or again."""
        self.arrays.fleet("nfs_dark", NFS_ADDRESS, dark)


class FileSystem:
    """A file system of a FlashBlade and the PersistentVolume that stands for it."""

    def __init__(self, blade: FlashBlade, pv: str) -> None:
        self.blade, self.pv, self.name = blade, pv, f"k8s-{pv}"

    def options(self, **more: str) -> dict[str, str]:
        return {"backend": "file", "namespace": "k8s", "volume": self.name, "nfs": f"{NFS_ADDRESS}:/{self.name}",
                "access": "ReadWriteMany", **more}
