"""A pretend FlashArray as its owner sees it: identity, state to look at and to set, faults, the request log.

Clients speak to it over HTTPS (`endpoint`, `token`); everything here is for tests and for who runs the simulator, from
any thread. What it answers is in `simulator/rest`, what it knows in `simulator/state`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from simulator.box import Box
from simulator.counters import Counters
from simulator.rest import flasharray as rest
from simulator.rest.http import Reply, Request
from simulator.state.array import ArrayState
from simulator.state.connections import Seen
from simulator.state.hosts import KINDS
from simulator.state.objects import Host, Volume
from simulator.state.sessions import User
from simulator.switches import FlashArraySwitches
from simulator.views import HostView, VolumeView


class FlashArray(Box):
    """One pretend FlashArray; `Simulator.add_flash_array` makes it and starts its server."""

    kind = "flash-array"
    state: ArrayState

    def answer(self, request: Request) -> Reply:
        return rest.answer(self.state, request)

    # Access

    def add_user(self, name: str, password: str, role: str = "array_admin") -> User:
        """Another user with a token of their own; the role "readonly" may only look."""
        with self._lock:
            return self.state.sessions.add_user(name, password, role)

    def revoke(self, token: str) -> None:
        """Take a user's token away, and the sessions opened with it."""
        with self._lock:
            self.state.sessions.revoke(token)

    @property
    def iqn(self) -> str:
        return self.state.iqn

    @property
    def switches(self) -> FlashArraySwitches:
        return self.state.switches

    # Ports

    @property
    def portals(self) -> list[str]:
        """The iSCSI portals, like "192.0.2.11:3260", in whatever state."""
        return list(self.state.ports.portals)

    @property
    def wwns(self) -> list[str]:
        """The FC ports."""
        return list(self.state.ports.wwns)

    def portal_state(self, portal: str) -> str:
        """ "up", "dark", "refused" or "absent" (state/ports.py)."""
        return {**self.state.ports.portals, **self.state.ports.wwns}[portal]

    def set_portal(self, portal: str, state: str) -> None:
        with self._lock:
            self.state.ports.set(portal, state)

    # Volumes

    @property
    def volumes(self) -> dict[str, VolumeView]:
        """All volumes by name, destroyed ones too."""
        with self._lock:
            self.state.tick()
            return {volume.name: self._view(volume) for volume in self.state.volumes.all()}

    def volume(self, name: str) -> VolumeView:
        """One volume, live or destroyed; KeyError when there is none of that name."""
        with self._lock:
            self.state.tick()
            volume = self.state.volumes.find(name)
            if volume is None:
                raise KeyError(f"{self.name} has no volume {name}")
            return self._view(volume)

    def _view(self, volume: Volume) -> VolumeView:
        live = tuple(each.suffix for each in volume.snapshots.values() if not each.destroyed)
        return VolumeView(volume.name, volume.serial, volume.size, volume.source, volume.created, volume.destroyed,
                          self.state.volumes.time_remaining(volume), volume.bandwidth_limit, volume.iops_limit, live,
                          self.plane.file(volume.serial))

    def add_volume(self, name: str, size: int | str) -> VolumeView:
        """Make a volume as an administrator would; `Refusal` where the array refuses."""
        with self._lock:
            return self._view(self.state.volumes.create(name, size))

    def destroy_volume(self, name: str) -> None:
        with self._lock:
            self.state.volumes.destroy(name)

    def recover_volume(self, name: str) -> None:
        with self._lock:
            self.state.volumes.recover(name)

    def eradicate_volume(self, name: str) -> None:
        with self._lock:
            self.state.volumes.eradicate(name)

    def resize_volume(self, name: str, size: int | str, *, truncate: bool = False) -> None:
        with self._lock:
            self.state.volumes.resize(name, size, truncate=truncate)

    def rename_volume(self, name: str, new: str) -> None:
        with self._lock:
            self.state.volumes.rename(name, new)

    def snapshot(self, volume: str, suffix: str) -> None:
        with self._lock:
            self.state.snapshots.take([volume], suffix)

    def set_volume_used(self, name: str, used: int) -> None:
        """What `space=true` reports for the volume, in bytes."""
        with self._lock:
            self.state.volumes.live(name).used = used

    def count_io(self, volume: str, **counts: int) -> None:
        """Add I/O to a volume's counters (reads, writes, read_bytes, written_bytes, read_usec, write_usec)."""
        with self._lock:
            self.plane.count(self.state.volumes.get(volume).serial, **counts)

    def counters(self, volume: str) -> Counters:
        """All I/O of a volume so far, as the data plane counted it."""
        with self._lock:
            return self.plane.counters(self.state.volumes.get(volume, pending=True).serial)

    # Hosts and connections

    @property
    def hosts(self) -> dict[str, HostView]:
        """All hosts by name."""
        with self._lock:
            return {host.name: _host_view(host) for host in self.state.hosts.all()}

    def host(self, name: str) -> HostView:
        with self._lock:
            return _host_view(self.state.hosts.get(name))

    def add_host(self, name: str, *, iqns: Sequence[str] = (), wwns: Sequence[str] = (), nqns: Sequence[str] = (),
                 group: str | None = None) -> HostView:
        """Make a host, and put it into a host group, made if need be."""
        with self._lock:
            host = self.state.hosts.create(name, dict(zip(KINDS, (iqns, wwns, nqns), strict=True)))
            if group is not None:
                self._group(group, [name])
            return _host_view(host)

    def _group(self, group: str, members: Iterable[str]) -> None:
        if group.lower() not in {each.name.lower() for each in self.state.hgroups.all()}:
            self.state.hgroups.create(group)
        self.state.hgroups.change_members(self.state.hgroups.get(group), add=list(members))

    def set_chap(self, host: str, **values: str) -> None:
        """Set host_user, host_password, target_user, target_password of a host."""
        with self._lock:
            self.state.hosts.set_chap(self.state.hosts.get(host), values)

    def chap(self, host: str) -> dict[str, str | None]:
        """The CHAP names and secrets of a host, in clear: for the pretend node's login."""
        with self._lock:
            return dict(self.state.hosts.get(host).chap)

    def delete_host(self, name: str) -> None:
        with self._lock:
            self.state.hosts.delete(name)

    def connect(self, host: str, volume: str, lun: int | None = None) -> int:
        """Connect a volume to a host; returns the LUN."""
        with self._lock:
            return self.state.connections.connect(self.state.hosts.get(host), self.state.volumes.live(volume), lun)

    def connect_group(self, group: str, volume: str, lun: int | None = None) -> int:
        with self._lock:
            return self.state.connections.connect_group(self.state.hgroups.get(group),
                                                        self.state.volumes.live(volume), lun)

    def disconnect(self, host: str, volume: str) -> None:
        with self._lock:
            self.state.connections.disconnect(self.state.hosts.get(host), self.state.volumes.live(volume))

    def connections(self, volume: str) -> dict[str, int]:
        """Host name -> LUN of all who see the volume, privately or through a group; {} when it is gone."""
        with self._lock:
            found = self.state.volumes.find(volume)
            if found is None:
                return {}
            private = {seen.host.name: seen.lun for seen in self.state.connections.private(found)}
            shared = {host.name: lun for _, host, lun in self.state.connections.shared(found) if host}
            return {**shared, **private}

    def seen_by(self, initiator: str) -> list[Seen]:
        """What this array shows an initiator, in order of LUN; [] for a stranger."""
        with self._lock:
            host = self.state.hosts.with_initiator(initiator)
            return self.state.connections.of_host(host) if host else []


def _host_view(host: Host) -> HostView:
    return HostView(host.name, tuple(host.iqns), tuple(host.wwns), tuple(host.nqns),
                    host.group.name if host.group else None,
                    {volume.name: lun for volume, lun in host.all_luns().items()}, host.personality)


def entry(array: FlashArray, verify: bool | str) -> dict[str, Any]:
    """The array's element of "FlashArrays" in pure.json."""
    return {"MgmtEndPoint": array.endpoint, "APIToken": array.token, "Labels": array.labels, "VerifyTLS": verify}
