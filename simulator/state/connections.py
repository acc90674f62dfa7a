"""Connections: which host sees which volume as which LUN, privately or through its group.

Section 2 of array-rest.md: LUNs 1-4095; private ones lowest free from 1; shared ones from 254 down, then 255 up (old
Purity: from 10 up). A freed LUN is given again at once. A host has at most one connection to a volume.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Host, HostGroup, Volume

if TYPE_CHECKING:
    from simulator.state.array import ArrayState

_PRIVATE = range(1, rules.MAX_LUN + 1)
_SHARED = (*range(254, 0, -1), *range(255, rules.MAX_LUN + 1))
_SHARED_OLD = range(10, 256)


class Seen(NamedTuple):
    """One volume as a host sees it."""

    host: Host
    volume: Volume
    lun: int
    group: HostGroup | None            # None: private


class Connections:
    """Makes and breaks the connections of one array, and tells the data plane."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array

    def connect(self, host: Host, volume: Volume, lun: object = None) -> int:
        """Connect privately; returns the LUN."""
        taken = host.all_luns()
        if volume in taken:
            raise Refusal("Connection already exists.", volume.name)
        limit = self._array.switches.connection_limit
        if limit is not None and len(taken) >= limit:
            raise Refusal("Maximum number of connections is reached: limit reached.", host.name)
        chosen = _choose(lun, _PRIVATE, taken.values(), volume)
        host.luns[volume] = chosen
        volume.hosts.add(host)
        self.tell(host)
        return chosen

    def disconnect(self, host: Host, volume: Volume) -> None:
        if volume not in host.luns:
            raise self._not_connected(volume)
        del host.luns[volume]
        volume.hosts.discard(host)
        self.tell(host)

    def connect_group(self, group: HostGroup, volume: Volume, lun: object = None) -> int:
        """Connect a group: every member, now and later, sees the volume at the same LUN."""
        if volume in group.luns or any(volume in host.luns for host in group.hosts):
            raise Refusal("Connection already exists.", volume.name)
        taken = {used for host in group.hosts for used in host.luns.values()} | {*group.luns.values()}
        order = _SHARED_OLD if self._array.switches.shared_luns_from_10 else _SHARED
        chosen = _choose(lun, order, taken, volume)
        group.luns[volume] = chosen
        volume.groups.add(group)
        self._tell_all(group.hosts)
        return chosen

    def disconnect_group(self, group: HostGroup, volume: Volume) -> None:
        if volume not in group.luns:
            raise self._not_connected(volume)
        del group.luns[volume]
        volume.groups.discard(group)
        self._tell_all(group.hosts)

    def _not_connected(self, volume: Volume) -> Refusal:
        old = self._array.switches.old_disconnect_text
        return Refusal("Volume is not connected." if old else "Connection does not exist.", volume.name)

    def of_host(self, host: Host) -> list[Seen]:
        """What a host sees, in order of LUN."""
        rows = [Seen(host, volume, lun, None) for volume, lun in host.luns.items()]
        if host.group:
            rows += [Seen(host, volume, lun, host.group) for volume, lun in host.group.luns.items()]
        return sorted(rows, key=lambda row: row.lun)

    def private(self, volume: Volume, *, remote: bool = False) -> list[Seen]:
        """The private connections of a volume on this array; `remote`: those on the pod's other arrays."""
        hosts = [host for host in volume.hosts if (host.array is not self._array) == remote]
        return [Seen(host, volume, host.luns[volume], None) for host in sorted(hosts, key=lambda host: host.name)]

    def shared(self, volume: Volume) -> list[tuple[HostGroup, Host | None, int]]:
        """(group, member, LUN) for each member of each connected group; a group without members has one row."""
        rows: list[tuple[HostGroup, Host | None, int]] = []
        for group in sorted(volume.groups, key=lambda group: group.name):
            rows += [(group, host, group.luns[volume]) for host in group.hosts] or [(group, None, group.luns[volume])]
        return rows

    def tell(self, host: Host) -> None:
        """Tell the data plane what changed in what the host's initiators see."""
        plane, name = self._array.plane, self._array.name
        now = {(initiator, lun): volume.serial
               for volume, lun in host.all_luns().items() for initiator in host.initiators()}
        before, host.shown = host.shown, now
        for (initiator, lun), serial in before.items():
            if now.get((initiator, lun)) != serial:
                plane.hide(name, initiator, lun, serial)
        for (initiator, lun), serial in now.items():
            if before.get((initiator, lun)) != serial:
                plane.show(name, initiator, lun, serial)

    def _tell_all(self, hosts: Iterable[Host]) -> None:
        for host in hosts:
            self.tell(host)


def _choose(wanted: object, order: Iterable[int], taken: Iterable[int], volume: Volume) -> int:
    used = set(taken)
    if wanted is not None:
        lun = rules.lun(wanted, volume.name)
        if lun in used:
            raise Refusal("LUN is already in use.", volume.name)
        return lun
    free = next((lun for lun in order if lun not in used), None)
    if free is None:
        raise Refusal("No LUN is free: limit reached.", volume.name)
    return free
