"""What one caller may see of everything that is known, as of now. Decides by rights; the joining is rows.py's."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from arrays.names import base_name
from explorer import rows, timeline, whatif
from explorer.cluster import Cluster, Seen
from explorer.fleet import ArraySeen, FleetWatch
from explorer.rights import Rights
from explorer.rows import ClaimRow, Load
from provisioner.orphans import Orphan
from provisioner.settings import Settings


class Joined(NamedTuple):
    """The whole picture, joined once for each state of API server and arrays, however many look."""

    version: tuple[int, int]
    claims: list[ClaimRow]
    orphans: list[Orphan]
    loads: Mapping[str, Load]


class View:
    """The pages' only source; safe for threads."""

    def __init__(self, cluster: Cluster, fleet: FleetWatch, settings: Settings) -> None:
        self._cluster, self._fleet, self._settings = cluster, fleet, settings
        self._lock = threading.Lock()
        self._joined = Joined((-1, -1), [], [], {})

    @property
    def seen(self) -> Seen:
        return self._cluster.seen

    @property
    def arrays(self) -> Mapping[str, ArraySeen]:
        return self._fleet.arrays

    @property
    def namespace(self) -> str:
        """The one namespace that is watched, "" for all."""
        return self._cluster.namespace

    def complaints(self) -> list[str]:
        """What is missing from the pages, for everybody to read."""
        return [*self._cluster.complaints(), *self._fleet.complaints]

    def _now(self) -> Joined:
        version = (self._cluster.changes, self._fleet.changes)
        with self._lock:
            if self._joined.version != version:
                seen, arrays, prefix = self._cluster.seen, self._fleet.arrays, self._settings.prefix
                found = self._orphans(seen, arrays)
                self._joined = Joined(version, rows.claim_rows(seen, arrays, prefix, self._settings.provisioners), found,
                                      rows.loads(arrays, found))
            return self._joined

    def _orphans(self, seen: Seen, arrays: Mapping[str, ArraySeen]) -> list[Orphan]:
        """Orphans by answers of arrays that are younger than the end of the PV and claim that the volume had."""
        if not self.knows_orphans:              # everything would look like one
            return []
        released = self._cluster.released
        return [one for one in rows.orphans(seen, arrays, self._settings.prefix)
                if one.waiting or released.get(base_name(one.volume), 0.0) < arrays[one.array].at]

    @property
    def knows_orphans(self) -> bool:
        """Whether orphans can be told at all: only from a full list of PVs and claims."""
        return not self._cluster.namespace and not self._cluster.complaints()

    def claims(self, rights: Rights) -> list[ClaimRow]:
        """The claims that the caller may list, without pods and events that he may not."""
        found = self._now().claims
        if rights.everything and rights.may("pods", "") and rights.may("events", ""):
            return found
        allowed = rights.namespaces({row.claim.namespace for row in found})
        shown = {name: _trimmer(rights, name) for name in allowed}
        return [shown[row.claim.namespace](row) for row in found if row.claim.namespace in allowed]

    def claim(self, rights: Rights, namespace: str, name: str) -> tuple[ClaimRow, list[timeline.Step]] | None:
        """One claim and its story; None when there is none, or none that the caller may see."""
        row = next((row for row in self._now().claims if (row.claim.namespace, row.claim.name) == (namespace, name)), None)
        if row is None or namespace not in rights.namespaces({namespace}):
            return None
        events = self.seen.events if rights.may("events", namespace) else {}
        trimmed = _trimmer(rights, namespace)(row)
        return trimmed, timeline.steps(trimmed, events)

    def orphans(self) -> list[Orphan]:
        return [one for one in self._now().orphans if not one.waiting]

    def waiting(self) -> list[Orphan]:
        """Volumes made for claims whose PV is not saved yet."""
        return [one for one in self._now().orphans if one.waiting]

    def loads(self) -> Mapping[str, Load]:
        return self._now().loads

    def classes(self) -> list[str]:
        """Names of the classes of our provisioner."""
        ours = self._settings.provisioners
        return sorted(name for name, one in list(self.seen.classes.items()) if one.provisioner in ours)

    def what_if(self, class_name: str, size: str, labels: str) -> whatif.Answer:
        record = self.seen.classes.get(class_name)
        if record is None or class_name not in self.classes():
            return whatif.Answer("", (), f"there is no class {class_name} of ours")
        return whatif.ask(record, size, labels, self.arrays, self.loads(), self._settings.busy)


def _trimmer(rights: Rights, namespace: str) -> Callable[[ClaimRow], ClaimRow]:
    """What takes off a row of that namespace what the caller may not list."""
    pods, events = rights.may("pods", namespace), rights.may("events", namespace)
    return lambda row: row._replace(pods=row.pods if pods else (), last=row.last if events else None)
