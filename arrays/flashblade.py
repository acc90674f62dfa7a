"""One FlashBlade: its file systems with their export rules, and what room it has.

Texts of FlashBlade errors are documented nowhere, so after every refusal the file system is looked at again: if it is
as was asked for, that is success. Fields differ by version of REST: see `_nfs` and `_limit`. May be shared by threads.
"""

from collections.abc import Mapping

from arrays.blade_snapshots import BladeSnapshots, FileSystemSnapshot
from arrays.client import same
from arrays.entries import FlashBladeEntry
from arrays.errors import ConfigError, NotFound, Refused, VolumeDiffers
from arrays.names import check_file_system_name, check_snapshot_name, export
from arrays.records import Identity, Space
from arrays.tuples import NamedTuple
from arrays.units import human_exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arrays.flashblade_session import FlashBladeSession
    from arrays.https import Door
    from arrays.records import Row

__all__ = ["FileSystem", "FileSystemSnapshot", "FlashBlade", "Identity", "Space"]

_PATTERN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*")


class FileSystem(NamedTuple):
    """A file system; `size` 0 means without limit, `used` are bytes after reduction, `rules` as nfs.rules has them.

    A destroyed one can be recovered for `time_remaining` seconds more; a live one has 0 there.
    """

    name: str
    size: int
    destroyed: bool = False
    rules: str = ""
    nfs_enabled: bool = False
    snapshot_directory: bool = False
    used: int = 0
    time_remaining: int = 0
    source: str = ""                    # the file system it is a copy of, "" when it was made empty


class FlashBlade(BladeSnapshots):
    """A FlashBlade of the fleet: FlashBlade(entry). No I/O happens before the first call.

    Beside what each method says, every call may raise Unreachable (no usable answer) and TokenRefused.
    """

    KIND = "FlashBlade"
    entry: FlashBladeEntry

    def __init__(self, entry: FlashBladeEntry, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        super().__init__(entry, connect_timeout=connect_timeout, read_timeout=read_timeout)

    def _session_over(self, door: "Door") -> "FlashBladeSession":
        from arrays.flashblade_session import FlashBladeSession
        return FlashBladeSession(door, self.entry.token)

    # The array

    def identity(self) -> Identity:
        """Name, id and Purity version."""
        row = self._items("tell", "its name and version", "arrays")[0]
        return Identity(row["name"], row.get("id") or "", row.get("version") or "")

    def space(self) -> Space:
        """Capacity and what is physically used. A FlashBlade has one ratio only; it stands for both."""
        row = self._items("tell", "its space", "arrays/space", {"type": "array"})[0]
        space = row.get("space") or {}
        ratio = float(space.get("data_reduction") or 1.0)
        return Space(int(row["capacity"]), int(space.get("total_physical") or 0), ratio, ratio)

    def count(self) -> int:
        """How many file systems the array has, destroyed ones included."""
        answer = self._ask("count", "file systems", lambda rest: rest.call("GET", "file-systems", {"limit": "0"}))
        total = (answer.get("pagination_info") or {}).get("total_item_count")
        return int(total) if total is not None else len(self.file_systems(pending=True))

    # File systems: looking

    def file_systems(self, pattern: str = "", pending: bool = False) -> list[FileSystem]:
        """All file systems, or those whose names fit `pattern` ("k8s-*"); with `pending` the destroyed ones too."""
        if not set(pattern) <= _PATTERN:
            raise ConfigError(f"{pattern!r} is no pattern of file system names")
        params = {"filter": f"name='{pattern}'"} if pattern else {}
        found = map(_file_system, self._items("list", "file systems", "file-systems", params))
        return [one for one in found if pending or not one.destroyed]       # the array lists both kinds, mixed

    def find_file_system(self, name: str, pending: bool = False) -> FileSystem | None:
        """The file system of that name, None when there is none. With `pending` a destroyed one is found too."""
        check_file_system_name(name)
        named = [found for found in self.file_systems(name, pending) if same(found.name, name)]
        return min(named, key=lambda found: found.destroyed, default=None)      # no source says that a name stays reserved

    def file_system(self, name: str, pending: bool = False) -> FileSystem:
        """As find_file_system, with NotFound for None."""
        found = self.find_file_system(name, pending)
        if found is None:
            raise NotFound(self.who, f"file system {name}")
        return found

    def export(self, name: str) -> str:
        """What a node mounts: "1.2.3.7:/k8s-pvc-1"."""
        return export(self.entry.nfs_endpoint, name)

    # File systems: changing. Every change may be repeated: an answer may be lost after the array acted.

    def create_file_system(self, name: str, size: int, *, rules: str, snapshot_directory: bool = False,
                           v3: bool = True, v4_1: bool = True) -> FileSystem:
        """Make a file system of `size` bytes that may not grow over it, exported by `rules` ("*(rw,no_root_squash)").

        One that an interrupted attempt left is returned; VolumeDiffers when the name belongs to one of another size,
        Refused when a destroyed one keeps it.
        """
        check_file_system_name(name)
        if size <= 0:
            raise ConfigError(f"file system {name}: a size of {size} bytes would mean without limit")
        nfs = {**self._nfs(v3, v4_1), "rules": rules}
        body = {"name": name, "provisioned": size, **self._limit(), "nfs": nfs,
                "snapshot_directory_enabled": snapshot_directory}
        thing = f"file system {name}"
        try:
            answer = self._ask("create", thing, lambda rest: rest.call("POST", "file-systems", {}, body))
            return _file_system(self._first(answer))
        except Refused as refused:
            found = self._left_behind(name, size, refused)
        if found.source:
            raise VolumeDiffers(self.who, thing, "an empty file system", f"a copy of {found.source}")
        return found if found.nfs_enabled and found.rules == rules else self._patch("export", name, {"nfs": nfs})

    def copy_snapshot(self, snapshot: str, name: str, size: int, *, rules: str, snapshot_directory: bool = False,
                      v3: bool = True, v4_1: bool = True) -> FileSystem:
        """Make a file system with the data of `snapshot` ("other.suffix"); the rest as in create_file_system.

        Refused before REST 1.9, which has no copies. One that an interrupted attempt left is returned, grown if need be.
        """
        check_snapshot_name(snapshot)
        thing = f"file system {check_file_system_name(name)}"
        if not self._speaks("1.9"):
            raise Refused(self.who, f"create {thing}", "copies of file systems need REST 1.9 (Purity//FB 3.0) or newer, and "
                          "this array's is older")
        nfs = {**self._nfs(v3, v4_1), "rules": rules}
        body = {"name": name, "source": {"name": snapshot}, "provisioned": size, **self._limit(), "nfs": nfs,
                "snapshot_directory_enabled": snapshot_directory}
        try:
            answer = self._ask("create", thing, lambda rest: rest.call("POST", "file-systems", {}, body))
            found = _file_system(self._first(answer))
        except Refused as refused:
            found = self._left_behind(name, None, refused)
            origin = snapshot.partition(".")[0]
            if not same(found.source, origin):
                raise VolumeDiffers(self.who, thing, f"a copy of {origin}",
                                    f"a copy of {found.source}" if found.source else "no source") from None
        if 0 < found.size < size:
            found = self._patch("grow", name, {"provisioned": size})
        return found if found.nfs_enabled and found.rules == rules else self._patch("export", name, {"nfs": nfs})

    def grow_file_system(self, name: str, size: int) -> FileSystem:
        """Make a file system at least `size` bytes large; a larger or unlimited one is left alone."""
        found = self.file_system(name)
        if found.size >= size or found.size == 0:
            return found
        return self._patch("grow", name, {"provisioned": size})

    def destroy_file_system(self, name: str) -> None:
        """Destroy a file system and its exports; it stays recoverable for a day. Gone or destroyed already is success.

        Exports are switched off in the same call: manila and the Ansible collection do so, and nobody says that an
        array would take one without the other.
        """
        check_file_system_name(name)
        off = {"nfs": self._nfs(False, False), "smb": {"enabled": False}, "http": {"enabled": False}, "destroyed": True}
        try:
            self._ask("destroy", f"file system {name}",
                      lambda rest: rest.call("PATCH", "file-systems", {"name": name}, off))
        except Refused:
            found = self.find_file_system(name, pending=True)
            if found and not found.destroyed:
                raise

    def recover_file_system(self, name: str, *, v3: bool = True, v4_1: bool = True) -> FileSystem:
        """Bring a destroyed file system back and export it again; a live one is success."""
        if self.file_system(name, pending=True).destroyed:
            self._patch("recover", name, {"destroyed": False})
        return self._patch("export", name, {"nfs": self._nfs(v3, v4_1)})

    def eradicate_file_system(self, name: str) -> None:
        """Free name and space of a destroyed file system, for good; gone already is success, a live one is Refused."""
        thing = f"file system {name}"
        found = self.find_file_system(name, pending=True)
        if found is None:
            return
        if not found.destroyed:
            raise Refused(self.who, f"eradicate {thing}", "it is not destroyed")
        try:
            self._ask("eradicate", thing, lambda rest: rest.call("DELETE", "file-systems", {"name": name}))
        except Refused:
            if self.find_file_system(name, pending=True):
                raise

    def _patch(self, verb: str, name: str, changes: "Mapping[str, Any]") -> FileSystem:
        try:
            answer = self._ask(verb, f"file system {name}",
                               lambda rest: rest.call("PATCH", "file-systems", {"name": name}, changes))
        except Refused as refused:
            if not self.find_file_system(name, pending=True):
                raise NotFound(self.who, f"file system {name}", refused.text) from None
            raise
        return _file_system(self._first(answer))

    def _left_behind(self, name: str, size: int | None, refused: Refused) -> FileSystem:
        """The live file system (of `size`) that is why the array refused to make one; other refusals are raised again."""
        found = self.find_file_system(name, pending=True)
        if found is None:
            raise refused
        if found.destroyed:
            raise Refused(self.who, refused.what, "a destroyed file system keeps that name until it is eradicated: "
                          "recover or eradicate it on the array")
        if size is not None and found.size != size:
            raise VolumeDiffers(self.who, f"file system {name}", human_exactly(size), human_exactly(found.size))
        return found

    # What depends on the version

    def _nfs(self, v3: bool, v4_1: bool) -> "dict[str, Any]":
        """NFS 4.1 came with REST 1.6, which calls NFS 3 by its number; both spellings at once would contradict."""
        if self._speaks("1.6"):
            return {"v3_enabled": v3, "v4_1_enabled": v4_1}
        return {"enabled": v3 or v4_1}

    def _limit(self) -> "dict[str, Any]":
        """Before REST 1.4 the size of a file system is only what is shown to its users."""
        return {"hard_limit_enabled": True} if self._speaks("1.4") else {}


def _file_system(row: "Row") -> FileSystem:
    """{"name", "provisioned", "destroyed", "time_remaining" (ms), "nfs": {…}, "snapshot_directory_enabled", "space"}"""
    nfs = row.get("nfs") or {}
    return FileSystem(row["name"], int(row.get("provisioned") or 0), bool(row.get("destroyed")), nfs.get("rules") or "",
                      any(nfs.get(key) for key in ("enabled", "v3_enabled", "v4_1_enabled")),
                      bool(row.get("snapshot_directory_enabled")),
                      int((row.get("space") or {}).get("total_physical") or 0),
                      int(row.get("time_remaining") or 0) // 1000,
                      ((row.get("source") or {}).get("name") or "").partition(".")[0])
