"""The arrays' guest, seen from the tests: the bare target for the bare sequences, the NFS server, its faults."""

import itertools
from typing import Any

from tests.lab.guest.machine import Guest
from tests.lab.lab import PORTALS

INSIDE = "tests.lab.inside.arrays"
BARE_TARGET = "iqn.2010-06.com.purestorage:flasharray.ba4e000000000001"


class Arrays:
    """Everything that poses as hardware of the vendor."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._numbers = itertools.count(1)

    def prepare(self) -> None:
        self.call("prepare", "/dev/vdc")
        self.call("bare", BARE_TARGET, list(PORTALS))

    def know(self, initiator: str) -> None:
        """Let an initiator log in everywhere, as an array lets any."""
        self.call("know", initiator)

    def call(self, function: str, *args: Any, wait: float = 60.0, **kwargs: Any) -> Any:
        return self.guest.call(f"{INSIDE}:{function}", *args, wait=wait, **kwargs)

    def bare_volume(self, size: int = 1 << 30) -> "BareVolume":
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
