"""Hosts: an array's records of nodes, found by name or by initiator."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from simulator import rules
from simulator.refusal import Refusal
from simulator.state.objects import Host

if TYPE_CHECKING:
    from simulator.state.array import ArrayState

PERSONALITIES = ("aix", "esxi", "hitachi-vsp", "hpux", "oracle-vm-server", "solaris", "vms")
CHAP_NAMES = ("host_user", "target_user")
CHAP_SECRETS = ("host_password", "target_password")
KINDS = ("iqn", "wwn", "nqn")

_SECRET = re.compile(r"\S{12,255}")
_WWN = re.compile(r"[0-9A-F]{16}")


class Hosts:
    """All hosts of one array; an initiator belongs to at most one of them."""

    def __init__(self, array: "ArrayState") -> None:
        self._array = array
        self._by_name: dict[str, Host] = {}
        self._by_initiator: dict[str, Host] = {}

    def all(self) -> list[Host]:
        return list(self._by_name.values())

    def find(self, name: str) -> Host | None:
        return self._by_name.get(name.lower())

    def get(self, name: str) -> Host:
        host = self.find(name)
        if host is None:
            raise Refusal("Host does not exist.", name)
        return host

    def with_initiator(self, initiator: str) -> Host | None:
        """The host that has this IQN, WWN (with or without colons) or NQN."""
        return self._owner(initiator) or self._owner(plain_wwn(initiator))

    def _owner(self, initiator: str) -> Host | None:
        if self._array.switches.iqn_ignores_case:
            return next((host for known, host in self._by_initiator.items() if known.lower() == initiator.lower()),
                        None)
        return self._by_initiator.get(initiator)

    def _key(self, initiator: str) -> str:
        return initiator.lower() if self._array.switches.iqn_ignores_case else initiator

    def create(self, name: str, initiators: dict[str, Sequence[str]]) -> Host:
        """A host with its initiators ({"iqn": […], "wwn": […]}), or nothing at all when one is taken."""
        rules.check_name(name, "Host")
        if self.find(name):
            raise Refusal("Host already exists.", name)
        limit = self._array.switches.host_limit
        if limit is not None and len(self._by_name) >= limit:
            raise Refusal("Maximum number of hosts is reached: limit reached.", name)
        host = Host(name, self._array)
        wanted = {kind: self._checked(kind, initiators.get(kind, ()), host) for kind in KINDS}
        self._by_name[name.lower()] = host
        self._assign(host, wanted)
        return host

    def change_initiators(self, host: Host, kind: str, *, replace: Sequence[str] | None = None,
                          add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Replace, add to or remove from a host's initiators of one kind ("iqn"); all or nothing."""
        have = list(getattr(host, kind + "s")) if replace is None else []
        wanted = [*have, *(self._checked(kind, [*(replace or ()), *add], host))]
        gone = {self._key(each) for each in self._normal(kind, remove)}
        if missing := gone - {self._key(each) for each in wanted}:
            raise Refusal(f"The specified {kind.upper()} does not exist on this host.", sorted(missing)[0])
        kept = list(dict.fromkeys(each for each in wanted if self._key(each) not in gone))
        self._assign(host, {kind: kept})
        self._array.connections.tell(host)

    def _normal(self, kind: str, initiators: Iterable[str]) -> list[str]:
        return [plain_wwn(each) for each in initiators] if kind == "wwn" else list(initiators)

    def _checked(self, kind: str, initiators: Iterable[str], host: Host) -> list[str]:
        found = self._normal(kind, initiators)
        for initiator in found:
            if not _is_legal(kind, initiator):
                raise Refusal(f"Invalid {kind.upper()}.", initiator)
            if self._owner(initiator) not in (None, host):
                raise Refusal(f"The specified {kind.upper()} is already in use.", initiator)
        return list(dict.fromkeys(found))

    def _assign(self, host: Host, initiators: dict[str, list[str]]) -> None:
        for kind, wanted in initiators.items():
            for old in getattr(host, kind + "s"):
                self._by_initiator.pop(old, None)
            setattr(host, kind + "s", wanted)
            self._by_initiator.update((new, host) for new in wanted)
            for initiator in wanted:
                self._array.plane.know(self._array.name, initiator)
                if host.chap:
                    self._array.plane.chap(self._array.name, initiator, host.chap)

    def rename(self, host: Host, new: str) -> None:
        rules.check_name(new, "Host")
        if self._by_name.get(new.lower(), host) is not host:
            raise Refusal("Host already exists.", new)
        del self._by_name[host.name.lower()]
        host.name = new
        self._by_name[new.lower()] = host

    @staticmethod
    def set_personality(host: Host, personality: object) -> None:
        """One of PERSONALITIES; "" clears it (Linux has none)."""
        if personality != "" and personality not in PERSONALITIES:
            raise Refusal("Invalid personality.", host.name)
        host.personality = str(personality) or None

    def set_chap(self, host: Host, values: dict[str, str]) -> None:
        """Set CHAP users and secrets; "" as user clears both it and its secret."""
        for key in CHAP_SECRETS:
            if values.get(key) and not _SECRET.fullmatch(values[key]):
                raise Refusal("Invalid CHAP secret: must be 12 to 255 characters without spaces.", host.name)
        for key, value in values.items():
            host.chap[key] = value or None
            if key in CHAP_NAMES and not value:
                host.chap[key.replace("user", "password")] = None
        for iqn in host.iqns:
            self._array.plane.chap(self._array.name, iqn, host.chap)

    def delete(self, name: str) -> Host:
        """Forget a host; its initiators are free again."""
        host = self.get(name)
        if host.luns:
            raise Refusal("Host cannot be deleted due to existing connections.", name)
        if host.group:
            raise Refusal("Host cannot be deleted because it is in a host group.", name)
        self._assign(host, {kind: [] for kind in KINDS})
        del self._by_name[host.name.lower()]
        return host


def plain_wwn(wwn: str) -> str:
    """A WWN as the array keeps it: "50:01:…" or "5001…" becomes sixteen upper-case digits."""
    return wwn.replace(":", "").upper()


def _is_legal(kind: str, initiator: str) -> bool:
    if kind == "wwn":
        return bool(_WWN.fullmatch(initiator))
    starts = ("nqn.",) if kind == "nqn" else ("iqn.", "eui.", "naa.")
    return initiator.startswith(starts) and len(initiator) <= 223 and not re.search(r"[\s_]", initiator)
