"""Volumes and snapshots of a FlashArray. Every change can be repeated: an answer may be lost after the array acted.

The pattern of a change: act; when the array refuses, look at the object; if it already is what was asked for, that is
success. Sizes are bytes. Names were checked by arrays.names, since the library puts them into URLs as they are.
"""

from arrays import records
from arrays.calls import Calls, total
from arrays.client import same
from arrays.errors import ConfigError, NotFound, PureError, Refused, TokenRefused, VolumeDiffers
from arrays.names import base_name, check_pod_name, check_snapshot_name, check_suffix, check_volume_name, in_pod
from arrays.records import Activity, Snapshot, Space, Volume
from arrays.refusals import is_pending
from arrays.units import SECTOR, human_exactly, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Volumes(Calls):
    """What a FlashArray does with volumes."""

    # Looking

    def volume(self, name: str, pending: bool = False) -> Volume:
        """The volume of that name; NotFound when there is none. With `pending` a destroyed one is found too."""
        check_volume_name(name)
        row = self._ask("look at", f"volume {name}", lambda rest: rest.get_volume(name, **_pending(pending)))
        return records.volume(row)

    def find_volume(self, name: str, pending: bool = False) -> Volume | None:
        """As `volume`, with None for NotFound."""
        try:
            return self.volume(name, pending)
        except NotFound:
            return None

    def volumes(self, pattern: str = "", pending: bool = False) -> list[Volume]:
        """All volumes, or those whose names fit `pattern` ("k8s-*"); with `pending` the destroyed ones too."""
        wanted: "dict[str, Any]" = {"names": [pattern]} if pattern else {}
        try:
            rows = self._pages("volumes", lambda rest, page: rest.list_volumes(**wanted, **_pending(pending), **page))
        except NotFound:                # a pattern without "*" that fits nothing is refused by some releases
            return []
        return [records.volume(row) for row in rows]

    def volume_count(self) -> int:
        """How many volumes the array has, destroyed ones included: they count against its limit until eradicated."""
        found = self._ask("count", "volumes", lambda rest: rest.list_volumes(pending=True, start=0, limit=1))
        counted = total(found)
        return counted if counted is not None else len(self.volumes(pending=True))

    def volume_activity(self, name: str) -> Activity | None:
        """What is read from and written to a volume just now; None when the array monitors none of that name."""
        check_volume_name(name)
        try:
            rows = self._ask("monitor", f"volume {name}",
                             lambda rest: rest.list_volumes(action="monitor", names=[name]))
        except NotFound:
            return None
        return next((records.activity(row) for row in rows if same(row.get("name", ""), name)), None)

    def space_of(self, name: str) -> Space:
        """A volume's size as `capacity`, what it takes on flash after reduction as `used`, and its reduction."""
        check_volume_name(name)
        found = self._ask("measure", f"volume {name}", lambda rest: rest.get_volume(name, space=True))
        return records.space_of(found[0] if isinstance(found, list) else found)         # by release

    # Making

    def create_volume(self, name: str, size: int, *, iops_limit: int | None = None,
                      bandwidth_limit: int | None = None) -> Volume:
        """Make a blank volume, or return the one an interrupted attempt left: same name, same size, no source.

        Limits are operations and bytes a second. VolumeDiffers when the name belongs to something else; Refused when a
        destroyed volume has it, which the caller may recover or eradicate if that is surely its own.
        """
        check_volume_name(name)
        _check_size(name, size)
        thing = f"volume {name}"
        limits = self._limits("create", thing, iops_limit, bandwidth_limit)
        try:
            return records.volume(self._ask("create", thing, lambda rest: rest.create_volume(name, size, **limits)))
        except NotFound as refused:             # the pod or group it would stand in
            found = self._left_behind(name, Refused(self.who, f"create {thing}", refused.text))
        except Refused as refused:
            found = self._left_behind(name, refused)
        if found.source:
            raise VolumeDiffers(self.who, thing, "a blank volume", f"a copy of {found.source}")
        if found.size != size:
            raise VolumeDiffers(self.who, thing, human_exactly(size), human_exactly(found.size))
        if limits:
            self.set_limits(name, iops_limit, bandwidth_limit)
        return found

    def clone_volume(self, source: str, name: str) -> Volume:
        """Make a volume with the data of `source`, a volume or a snapshot ("volume.suffix"), or return it if made.

        Its size is the source's: grow it afterwards. Errors as in create_volume; NotFound when the source is missing.
        """
        check_volume_name(name)
        origin = source.partition(".")[0]
        check_snapshot_name(source) if "." in source else check_volume_name(source)
        thing = f"volume {name}"
        try:
            return records.volume(self._ask("create", thing, lambda rest: rest.copy_volume(source, name)))
        except NotFound as refused:
            missing = NotFound(self.who, f"volume or snapshot {source}", refused.text)
            found = self._left_behind(name, missing)
        except Refused as refused:
            found = self._left_behind(name, refused)
        if not same(found.source, origin):
            raise VolumeDiffers(self.who, thing, f"a copy of {origin}",
                                f"a copy of {found.source}" if found.source else "no source")
        return found

    def _left_behind(self, name: str, refused: Refused) -> Volume:
        """The live volume that is why an array refused to make one; what else it refused for is raised."""
        found = None if isinstance(refused, TokenRefused) else self.find_volume(name, pending=True)
        if found is None:
            raise refused
        if found.destroyed:
            raise Refused(self.who, f"create volume {name}", "a destroyed volume keeps that name for "
                          f"{span(found.time_remaining)} more: recover or eradicate it on the array")
        return found

    # Changing

    def grow_volume(self, name: str, size: int) -> Volume:
        """Make a volume at least `size` bytes large and return it as it then is; a larger one is left alone."""
        _check_size(name, size)
        found = self.volume(name)
        if found.size >= size:
            return found
        self._ask("grow", f"volume {name}", lambda rest: rest.extend_volume(name, size))
        return found._replace(size=size)

    def set_limits(self, name: str, iops: int | None, bandwidth: int | None) -> None:
        """Limit a volume to so many operations and bytes a second; None leaves a limit as it is, 0 lifts it."""
        check_volume_name(name)
        thing = f"volume {name}"
        limits = {key: value or "" for key, value in self._limits("limit", thing, iops, bandwidth).items()}
        if limits:
            self._ask("limit", thing, lambda rest: rest.set_volume(name, **limits))

    def _limits(self, verb: str, thing: str, iops: int | None, bandwidth: int | None) -> dict[str, int]:
        limits = {}
        if bandwidth is not None:
            self._need("1.14", verb, thing, "a bandwidth limit")
            limits["bandwidth_limit"] = bandwidth
        if iops is not None:
            self._need("1.17", verb, thing, "an IOPS limit")
            limits["iops_limit"] = iops
        return limits

    def move_volume(self, name: str, pod: str) -> str:
        """Move a volume into a pod ("" takes it out of one) and return its name there; already there is success."""
        check_volume_name(name)
        if pod:
            check_pod_name(pod)
        moved = in_pod(pod, base_name(name))
        self._need("1.13", "move", f"volume {name}", "a pod")
        try:
            self._ask("move", f"volume {name}", lambda rest: rest.move_volume(name, pod))
        except Refused:
            if same(name, moved) and self.find_volume(name):
                return moved
            if self.find_volume(name, pending=True) or not self.find_volume(moved):
                raise
        return moved

    # Unmaking

    def destroy_volume(self, name: str) -> None:
        """Destroy a volume; it stays recoverable on the array for a day. Gone or destroyed already is success.

        Refused while it is connected to any host: the array sees to that, and the hosts are named.
        """
        check_volume_name(name)
        try:
            self._ask("destroy", f"volume {name}", lambda rest: rest.destroy_volume(name))
        except NotFound:
            pass
        except Refused as refused:
            raise self._still_connected(name, refused) from None

    def _still_connected(self, name: str, refused: Refused) -> Refused:
        hosts = [] if isinstance(refused, TokenRefused) else self._hosts_of(name)
        if not hosts:
            return refused
        return Refused(self.who, refused.what, f"{refused.text} It is connected to {', '.join(hosts)}.")

    def _hosts_of(self, volume: str) -> list[str]:
        """Names of hosts and host groups a volume is connected to, for a message: [] when they cannot be had."""
        try:
            private = self._ask("list", "connections", lambda rest: rest.list_volume_private_connections(volume))
            shared = self._ask("list", "connections", lambda rest: rest.list_volume_shared_connections(volume))
        except PureError:
            return []
        return sorted({row["host"] for row in private} | {row["hgroup"] for row in shared})

    def recover_volume(self, name: str) -> Volume:
        """Bring a destroyed volume back, with its serial and data and without connections; a live one is success."""
        check_volume_name(name)
        try:
            self._ask("recover", f"volume {name}", lambda rest: rest.recover_volume(name))
        except Refused:
            found = self.find_volume(name, pending=True)
            if found is None or found.destroyed:
                raise
            return found
        return self.volume(name)

    def eradicate_volume(self, name: str) -> None:
        """Free name and space of a destroyed volume, for good; gone already is success, a live one is Refused."""
        check_volume_name(name)
        try:
            self._ask("eradicate", f"volume {name}", lambda rest: rest.eradicate_volume(name))
        except NotFound as refused:
            if is_pending(refused):             # it is still there
                raise

    # Snapshots

    def snapshot(self, volume: str, suffix: str) -> Snapshot:
        """Take the snapshot "volume.suffix", or return it if it was taken already."""
        check_volume_name(volume)
        check_suffix(suffix)
        name = f"{volume}.{suffix}"
        thing = f"snapshot {name}"
        try:
            return records.snapshot(self._ask("take", thing, lambda rest: rest.create_snapshot(volume, suffix=suffix)))
        except Refused as refused:
            if found := self._snapshot(name):
                if found.destroyed:
                    raise Refused(self.who, f"take {thing}", "a destroyed snapshot keeps that name until it is "
                                  "eradicated: choose another suffix, or recover or eradicate it") from None
                return found
            if isinstance(refused, NotFound):
                raise NotFound(self.who, f"volume {volume}", refused.text) from None
            raise

    def snapshots(self, volume: str, pending: bool = False) -> list[Snapshot]:
        """The snapshots of a volume, with `pending` the destroyed ones too; NotFound when there is no such volume."""
        check_volume_name(volume)
        rows = self._ask("list the snapshots of", f"volume {volume}",
                         lambda rest: rest.get_volume(volume, snap=True, **_pending(pending)))
        return [records.snapshot(row) for row in rows]

    def destroy_snapshot(self, name: str) -> None:
        """Destroy the snapshot "volume.suffix"; gone or destroyed already is success."""
        check_snapshot_name(name)
        try:
            self._ask("destroy", f"snapshot {name}", lambda rest: rest.destroy_volume(name))
        except NotFound:
            pass

    def _snapshot(self, name: str) -> Snapshot | None:
        try:
            rows = self._ask("look at", f"snapshot {name}", lambda rest: rest.get_volume(name, snap=True, pending=True))
        except NotFound:
            return None
        return next((records.snapshot(row) for row in rows if same(row["name"], name)), None)


def _check_size(name: str, size: int) -> None:
    if size <= 0 or size % SECTOR:
        raise ConfigError(f"volume {name}: a size of {size} bytes is no multiple of {SECTOR}: round it up first")


def _pending(pending: bool) -> "dict[str, Any]":
    return {"pending": True} if pending else {}
