"""Hosts of a FlashArray, and which volumes they are shown at which LUN.

A host is found by its initiators, whatever its name, for an array lets an initiator belong to one host only. LUNs are
handed out again as soon as they are free: whoever looks for a device checks its WWID, never the LUN alone.
"""

from collections.abc import Collection, Iterable

from arrays import records
from arrays.calls import Calls
from arrays.client import same
from arrays.errors import Busy, ConfigError, NotFound, Refused
from arrays.names import LONGEST_NAME, check_host_name, check_volume_name
from arrays.records import Connection, Host
from arrays.refusals import is_about_host, is_disconnected, is_in_use, is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RACES = 5                   # times that another process may come first (cinder's number)

_IN_A_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/")


class Hosts(Calls):
    """What a FlashArray does with hosts and connections."""

    def hosts(self) -> list[Host]:
        """All hosts of the array."""
        return [records.host(row) for row in self._ask("list", "hosts", lambda rest: rest.list_hosts())]

    def find_host(self, initiators: Iterable[str]) -> Host | None:
        """The host that has one of these IQNs or WWNs, None when no host has. REST 1.x cannot filter by initiator."""
        return _with_initiators(self.hosts(), initiators)

    def ensure_host(self, name: str, *, iqns: Collection[str] = (), wwns: Collection[str] = ()) -> Host:
        """The host with these initiators: found by them, or made as `name` with them in the same call.

        An empty host called `name` is given them. A host of that name with other initiators may be another cluster's
        node: it is left alone, and ours gets a name with a mark of its initiators. Another process may make the host
        in the same moment; then that one is used.
        """
        check_host_name(name)
        if not (iqns or wwns):
            raise ConfigError(f"host {name}: this node has no initiator, so no volume can be connected to it")
        if (usual := self._host(name)) and _has_all(usual, (*iqns, *wwns)):
            return usual                # what each mount but a node's first meets: no list of all hosts for that
        for _ in range(RACES):
            known = self.hosts()
            if found := _with_initiators(known, (*iqns, *wwns)):
                return self._completed(found, name, iqns, wwns)
            namesake = _named(known, name)
            if namesake and not self._is_blank(namesake):
                name = _marked(name, (*iqns, *wwns))
                namesake = _named(known, name)
            try:
                if not namesake:
                    return self._create(name, iqns, wwns)
                made = self._add(namesake, iqns, wwns)
                if _has_only(made, (*iqns, *wwns)):
                    return made
                self._take_back(made, iqns, wwns)       # another node saw it blank too, and would share all volumes
                name = _marked(name, (*iqns, *wwns))
            except Refused as refused:
                if not (is_there(refused) or is_in_use(refused) or isinstance(refused, NotFound)):
                    raise
        raise Busy(f"host {name} on {self.who}", "others make and remove it at the same time")

    def _host(self, name: str) -> Host | None:
        try:
            return records.host(self._ask("look at", f"host {name}", lambda rest: rest.get_host(name)))
        except NotFound:
            return None

    def _is_blank(self, host: Host) -> bool:
        """Whether a host stands for nobody yet: an attempt to make it was cut short."""
        return not host.initiators and not self.host_connections(host.name)

    def _completed(self, host: Host, name: str, iqns: Collection[str], wwns: Collection[str]) -> Host:
        """The host with the initiators it lacks added, if it is the one we made; a foreign one is used as it is."""
        new_iqns = [iqn for iqn in iqns if not _has_all(host, [iqn])]
        new_wwns = [wwn for wwn in wwns if not _has_all(host, [wwn])]
        ours = same(host.name, name) or same(host.name, _marked(name, (*iqns, *wwns)))
        return self._add(host, new_iqns, new_wwns) if ours and (new_iqns or new_wwns) else host

    def _create(self, name: str, iqns: Collection[str], wwns: Collection[str]) -> Host:
        row = self._ask("create", f"host {name}", lambda rest: rest.create_host(name, **_lists("", iqns, wwns)))
        return records.host(row)

    def _add(self, host: Host, iqns: Collection[str], wwns: Collection[str]) -> Host:
        row = self._ask("add initiators to", f"host {host.name}",
                        lambda rest: rest.set_host(host.name, **_lists("add", iqns, wwns)))
        return records.host({"hgroup": host.group, **row})

    def _take_back(self, host: Host, iqns: Collection[str], wwns: Collection[str]) -> None:
        self._ask("take initiators from", f"host {host.name}",
                  lambda rest: rest.set_host(host.name, **_lists("rem", iqns, wwns)))

    # Connections

    def connect(self, host: str, volume: str, lun: int | None = None) -> Connection:
        """Show a volume to a host, at the first free LUN or at `lun`. Connected already is success, at whatever LUN.

        NotFound names the host or the volume that is missing.
        """
        thing = _pair(host, volume)
        asked = {} if lun is None else {"lun": lun}
        for _ in range(RACES):
            try:
                row = self._ask("connect", thing, lambda rest: rest.connect_host(host, volume, **asked))
                return Connection(row.get("name") or host, row.get("vol") or volume, int(row["lun"]))
            except NotFound as refused:
                raise self._missing(host, volume, refused) from None
            except Refused as refused:
                if not is_there(refused):
                    raise
            if found := self._connection(host, volume):
                return found
            # it was there, and now it is not: the other end has just let go
        raise Busy(f"connection of {thing} on {self.who}", "others make and remove it at the same time")

    def disconnect(self, host: str, volume: str) -> bool:
        """Stop showing a volume to a host. False when there was nothing to do: not connected, or one of them is gone."""
        thing = _pair(host, volume)
        try:
            self._ask("disconnect", thing, lambda rest: rest.disconnect_host(host, volume))
        except Refused as refused:
            if not is_disconnected(refused):
                raise
            return False
        return True

    def connections(self, volume: str) -> list[Connection]:
        """The hosts a volume is shown to, those of host groups among them; NotFound when there is no such volume."""
        check_volume_name(volume)
        thing = f"volume {volume}"
        private = self._ask("list the connections of", thing,
                            lambda rest: rest.list_volume_private_connections(volume))
        shared = self._ask("list the connections of", thing, lambda rest: rest.list_volume_shared_connections(volume))
        found = [Connection(row["host"], row["name"], int(row["lun"])) for row in private]
        for row in shared:
            members = [row["host"]] if row.get("host") else self._members(row["hgroup"])
            found += [Connection(host, row["name"], int(row["lun"]), shared=True) for host in members]
        return list(dict.fromkeys(found))

    def host_connections(self, host: str) -> list[Connection]:
        """The volumes a host is shown, those it has through its host group too; NotFound when there is no such host."""
        _check_foreign(host)
        rows = self._ask("list the connections of", f"host {host}", lambda rest: rest.list_host_connections(host))
        return [Connection(row["name"], row["vol"], int(row["lun"]), shared=bool(row.get("hgroup"))) for row in rows]

    def _connection(self, host: str, volume: str) -> Connection | None:
        return next((found for found in self.connections(volume) if same(found.host, host)), None)

    def _members(self, group: str) -> list[str]:
        row: "Any" = self._ask("look at", f"host group {group}", lambda rest: rest.get_hgroup(group))
        return list(row.get("hosts") or ())

    def _missing(self, host: str, volume: str, refused: NotFound) -> NotFound:
        return NotFound(self.who, f"host {host}" if is_about_host(refused) else f"volume {volume}", refused.text)


def _has_all(host: Host, initiators: Iterable[str]) -> bool:
    return set(map(_plain, initiators)) <= set(map(_plain, host.initiators))


def _has_only(host: Host, initiators: Iterable[str]) -> bool:
    return set(map(_plain, host.initiators)) <= set(map(_plain, initiators))


def _with_initiators(hosts: Iterable[Host], initiators: Iterable[str]) -> Host | None:
    wanted = {_plain(initiator) for initiator in initiators}
    return next((host for host in hosts if not wanted.isdisjoint(map(_plain, host.initiators))), None)


def _plain(initiator: str) -> str:
    """An initiator as it compares: WWNs come with colons or without, IQNs are lower case by RFC 3722."""
    text = initiator.lower()
    return text if text.startswith(("iqn.", "eui.", "naa.", "nqn.")) else text.replace(":", "").removeprefix("0x")


def _named(hosts: Iterable[Host], name: str) -> Host | None:
    return next((host for host in hosts if same(host.name, name)), None)


def _marked(name: str, initiators: Iterable[str]) -> str:
    """The name of our host where `name` is somebody else's: the same for the same initiators."""
    from hashlib import sha256          # costs 3 ms at import, and is seldom needed
    mark = "i" + sha256(" ".join(sorted(map(_plain, initiators))).encode()).hexdigest()[:9]
    return f"{name[:LONGEST_NAME - 1 - len(mark)].rstrip('-')}-{mark}"


def _lists(verb: str, iqns: Collection[str], wwns: Collection[str]) -> dict[str, list[str]]:
    """{"iqnlist": […]} to create with, {"addiqnlist": […]} to add; a list with nothing in it would be refused."""
    return {key: list(found) for key, found in ((f"{verb}iqnlist", iqns), (f"{verb}wwnlist", wwns)) if found}


def _pair(host: str, volume: str) -> str:
    _check_foreign(host)
    check_volume_name(volume)
    return f"volume {volume} and host {host}"


def _check_foreign(host: str) -> None:
    """A host's name may be any the array gave us, as long as it stays within its place in a URL."""
    if not host or not set(host) <= _IN_A_NAME or "/" in host or ".." in host:
        raise ConfigError(f"{host!r} is no name of a host")
