"""All that one FlashArray knows, put together from its parts."""

import uuid
from collections.abc import Sequence

from simulator.clock import Clock
from simulator.monitor import Monitor
from simulator.planes import Plane
from simulator.state.connections import Connections
from simulator.state.hgroups import HostGroups
from simulator.state.hosts import Hosts
from simulator.state.pods import Pods
from simulator.state.ports import Ports
from simulator.state.sessions import Sessions
from simulator.state.snapshots import Snapshots
from simulator.state.volumes import Volumes
from simulator.switches import FlashArraySwitches

_FIRST_SERIAL = 0x11010                # as in the official examples: ...00011010


class ArrayState:
    """One FlashArray without its HTTP: identity, space, and the parts that hold objects."""

    def __init__(self, name: str, *, capacity: int, clock: Clock, plane: Plane, monitor: Monitor,
                 switches: FlashArraySwitches, portals: Sequence[str], wwns: Sequence[str] = (),
                 nvme_portals: Sequence[str] = ()) -> None:
        self.name = name
        self.id = str(uuid.uuid4())
        self.capacity = capacity
        self.used = 0                  # bytes after reduction; tests set it
        self.switches = switches
        self.clock, self.plane, self.monitor = clock, plane, monitor
        prefix = self.id.replace("-", "")[:16]
        self.iqn = f"iqn.2010-06.com.purestorage:flasharray.{prefix}"
        self.nqn = f"nqn.2010-06.com.purestorage:flasharray.{prefix}"
        self._prefix, self._serials = prefix.upper(), _FIRST_SERIAL
        self.peers: dict[str, ArrayState] = {}       # arrays a pod may be stretched to, by name
        self.sessions = Sessions(clock, switches)
        self.ports = Ports(self, portals, wwns, nvme_portals)
        self.pods = Pods(self)
        self.volumes = Volumes(self)
        self.snapshots = Snapshots(self)
        self.connections = Connections(self)
        self.hosts = Hosts(self)
        self.hgroups = HostGroups(self)

    def next_serial(self) -> str:
        """24 hex digits: the array's prefix and a number that is never used again, by volume or snapshot."""
        self._serials += 1
        return f"{self._prefix}{self._serials:08X}"

    def total(self) -> int:
        """Bytes in use: what was set, and what volumes really take if the switch asks for it."""
        if not self.switches.used_follows_writes:
            return self.used
        return self.used + sum(self.plane.allocated(volume.serial) for volume in self.volumes.all())

    def tick(self) -> None:
        """Eradicate what is due; called before each request, cheap when nothing is."""
        now = self.clock.now()
        if now >= self.volumes.next_due:
            self.volumes.sweep(now)
