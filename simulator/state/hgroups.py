"""Host groups: hosts that share connections."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Host, HostGroup

if TYPE_CHECKING:
    from simulator.state.array import ArrayState


class HostGroups:
    """All host groups of one array; a host is in at most one."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array
        self._by_name: dict[str, HostGroup] = {}

    def all(self) -> list[HostGroup]:
        return list(self._by_name.values())

    def get(self, name: str) -> HostGroup:
        group = self._by_name.get(name.lower())
        if group is None:
            raise Refusal("Host group does not exist.", name)
        return group

    def create(self, name: str, members: Sequence[str] = ()) -> HostGroup:
        rules.check_name(name, "Host group")
        if name.lower() in self._by_name:
            raise Refusal("Host group already exists.", name)
        group = HostGroup(name)
        hosts = self._checked(group, members)
        self._by_name[name.lower()] = group
        self._join(group, hosts)
        return group

    def change_members(self, group: HostGroup, *, replace: Sequence[str] | None = None,
                       add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Replace, add or remove members; all or nothing."""
        joining = self._checked(group, [*(replace or ()), *add])
        leaving = [self._array.hosts.get(name) for name in remove]
        for host in leaving:
            if host.group is not group:
                raise Refusal("Host could not be found in the host group.", host.name)
        if replace is not None:
            leaving += [host for host in group.hosts if host not in joining]
        for host in leaving:
            group.hosts.remove(host)
            host.group = None
            self._array.connections.tell(host)
        self._join(group, joining)

    def _checked(self, group: HostGroup, names: Sequence[str]) -> list[Host]:
        hosts = [self._array.hosts.get(name) for name in names]
        for host in hosts:
            if host.group not in (None, group):
                raise Refusal("Host already belongs to a host group.", host.name)
            if host.group is None and (host.luns.keys() & group.luns.keys()
                                       or {*host.luns.values()} & {*group.luns.values()}):
                raise Refusal("Host has connections that conflict with the host group's.", host.name)
        return hosts

    def _join(self, group: HostGroup, hosts: Sequence[Host]) -> None:
        for host in hosts:
            if host.group is None:
                host.group = group
                group.hosts.append(host)
                self._array.connections.tell(host)

    def rename(self, group: HostGroup, new: str) -> None:
        rules.check_name(new, "Host group")
        if self._by_name.get(new.lower(), group) is not group:
            raise Refusal("Host group already exists.", new)
        del self._by_name[group.name.lower()]
        group.name = new
        self._by_name[new.lower()] = group

    def delete(self, name: str) -> HostGroup:
        group = self.get(name)
        if group.luns:
            raise Refusal("Host group cannot be deleted due to existing connections.", name)
        if group.hosts:
            raise Refusal("Host group cannot be deleted because it has hosts.", name)
        del self._by_name[group.name.lower()]
        return group
