"""Whole lists of what belongs to volumes, one call each however many volumes there are: for reports, not for call-outs."""

from arrays import records
from arrays.calls import Calls
from arrays.errors import NotFound
from arrays.records import Activity, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Overview(Calls):
    """Space, snapshots, hosts and load of all volumes whose names fit a pattern ("k8s-*"), by volume name."""

    def volume_space(self, pattern: str) -> dict[str, int]:
        """Bytes each volume takes on the array after reduction, its snapshots included."""
        return {row["name"]: int(row.get("total") or 0) for row in self._rows("space", pattern, space=True)}

    def volume_snapshots(self, pattern: str) -> dict[str, list[Snapshot]]:
        """Live snapshots of each volume that has any."""
        found: dict[str, list[Snapshot]] = {}
        for row in self._rows("snapshots", pattern, snap=True):
            one = records.snapshot(row)
            found.setdefault(one.source or one.name.rpartition(".")[0], []).append(one)
        return found

    def volume_hosts(self, pattern: str) -> dict[str, list[str]]:
        """Names of the hosts that have each volume, privately or by a group; volumes of none are left out."""
        found: dict[str, list[str]] = {}
        for row in self._rows("connections", pattern, connect=True):
            if row.get("host") and row["host"] not in found.setdefault(row["name"], []):
                found[row["name"]].append(row["host"])
        return found

    def volumes_activity(self, pattern: str) -> dict[str, Activity]:
        """What is read from and written to each volume just now."""
        return {row["name"]: records.activity(row) for row in self._rows("activity", pattern, action="monitor")}

    def _rows(self, what: str, pattern: str, **wanted: "Any") -> "list[Any]":
        try:
            return list(self._ask("list", f"{what} of volumes {pattern}",
                                  lambda rest: rest.list_volumes(names=[pattern], **wanted)))
        except NotFound:                # a pattern that fits nothing is refused by some releases
            return []
