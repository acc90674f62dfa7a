"""The lab's three guests with their management network on the bridge of the control plane.

The hub of that network is in the arrays' QEMU, so one tap device there is enough for all three; that QEMU runs in the
control plane's network namespace and the tap device goes with the namespace.
"""

from dataclasses import dataclass, fields
from pathlib import Path

from tests.cluster import namespaces
from tests.cluster.namespaces import BRIDGE, CONTROL, Place, inside
from tests.lab.guest import wires
from tests.lab.guest.machine import Disk, Guest
from tests.lab.lab import Lab, addresses

TAP = "guests"
MEMORY = 1536                                # MiB of each guest


@dataclass(frozen=True)
class GuestPlace(Place):
    """Where a guest lives in the network; the lab has numbered its addresses."""

    @property
    def address(self) -> str:
        return addresses(self.number)["mgmt"][0].partition("/")[0]

    @property
    def pods(self) -> str:
        """The lab's fabrics have what tests/cluster gives to pods: here they are in RFC 2544's range."""
        return f"198.18.{self.number}.0/24"


class Bridged(Guest):
    """The guest whose QEMU runs beside the control plane."""

    def _argv(self) -> list[str]:
        return [*inside(CONTROL), *super()._argv()]


class BridgedLab(Lab):
    """Three machines that reach the control plane, and it them."""

    def __init__(self, disk: Path) -> None:
        super().__init__(memory=MEMORY, extra=[Disk(disk)])
        given = {field.name: getattr(self.arrays, field.name) for field in fields(Guest) if field.init}
        self.arrays = Bridged(**{**given, "nets": [*self.arrays.nets, *_hub_to_tap()]})


def _hub_to_tap() -> list[str]:
    """QEMU arguments: one more port of the management network's hub, with the tap device behind it."""
    hub = wires.NETWORKS.index("mgmt") + 1
    return ["-netdev", f"tap,id=control,ifname={TAP},script=no,downscript=no",
            "-netdev", f"hubport,id=control.port,hubid={hub},netdev=control"]


def make_network(places: list[GuestPlace]) -> None:
    """The control plane's namespace with its bridge, the tap device, and the ways to the nodes' pods."""
    namespaces.make([])
    control = inside(CONTROL, "ip")
    namespaces.run(*control, "tuntap", "add", "dev", TAP, "mode", "tap")
    namespaces.run(*control, "link", "set", TAP, "master", BRIDGE, "up")
    for place in places:
        namespaces.run(*control, "route", "add", place.pods, "via", place.address)
