"""Snapshots of a FlashBlade's file systems.

Texts of FlashBlade errors are documented nowhere, so after a refusal the snapshot is looked at. Requests are as
PureStorage-OpenConnect/swagger, html/models/FB1.N, has them: a name filter was renamed in REST 1.9.
"""

from collections.abc import Callable, Mapping

from arrays.client import Client, same
from arrays.errors import ConfigError, Refused, Unreachable
from arrays.names import check_file_system_name, check_snapshot_name, check_suffix
from arrays.tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arrays.flashblade_session import FlashBladeSession

_PATTERN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*")


class FileSystemSnapshot(NamedTuple):
    """A snapshot, `name` = "file-system.suffix"; a destroyed one can be recovered for a day."""

    name: str
    source: str
    destroyed: bool = False


class BladeSnapshots(Client["FlashBladeSession"]):
    """What a FlashBlade does with snapshots of its file systems."""

    def snapshot(self, file_system: str, suffix: str) -> FileSystemSnapshot:
        """Take the snapshot "file_system.suffix", or return it if it was taken already."""
        check_file_system_name(file_system)
        check_suffix(suffix)
        thing = f"snapshot {file_system}.{suffix}"
        try:
            answer = self._ask("take", thing, lambda rest: rest.call("POST", "file-system-snapshots",
                                                                     {"sources": file_system}, {"suffix": suffix}))
            return _snapshot(self._first(answer))
        except Refused as refused:
            return self._taken_before(f"{file_system}.{suffix}", refused)

    def snapshots(self, file_system: str, pending: bool = False) -> list[FileSystemSnapshot]:
        """The snapshots of a file system, with `pending` the destroyed ones too; none when there is no such file system."""
        check_file_system_name(file_system)
        rows = self._items("list the snapshots of", f"file system {file_system}", "file-system-snapshots",
                           {"filter": f"source='{file_system}'"})
        found = [_snapshot(row) for row in rows]
        return [one for one in found if same(one.source, file_system) and (pending or not one.destroyed)]

    def all_snapshots(self, pattern: str) -> list[FileSystemSnapshot]:
        """The live snapshots of all file systems whose names fit `pattern` ("k8s-*.daily"), in one call."""
        if not set(pattern) <= _PATTERN:
            raise ConfigError(f"{pattern!r} is no pattern of snapshot names")
        rows = self._items("list", f"snapshots {pattern}", "file-system-snapshots", {"filter": f"name='{pattern}'"})
        return [found for found in map(_snapshot, rows) if not found.destroyed]

    def recover_snapshot(self, name: str) -> None:
        """Bring a destroyed snapshot back; a live one is success."""
        try:
            self._set_destroyed("recover", name, False)
        except Refused:
            found = self._find_snapshot(name)
            if found is None or found.destroyed:
                raise

    def destroy_snapshot(self, name: str) -> None:
        """Destroy the snapshot "file-system.suffix"; gone or destroyed already is success."""
        try:
            self._set_destroyed("destroy", name, True)
        except Refused:
            if (found := self._find_snapshot(name)) and not found.destroyed:
                raise

    def _set_destroyed(self, verb: str, name: str, destroyed: bool) -> None:
        check_snapshot_name(name)
        self._ask(verb, f"snapshot {name}",
                  lambda rest: rest.call("PATCH", "file-system-snapshots", {"name": name}, {"destroyed": destroyed}))

    def _taken_before(self, name: str, refused: Refused) -> FileSystemSnapshot:
        found = self._find_snapshot(name)
        if found is None:
            raise refused
        if found.destroyed:
            raise Refused(self.who, refused.what, "a destroyed snapshot keeps that name until it is eradicated: choose "
                          "another suffix, or recover or eradicate it")
        return found

    def _find_snapshot(self, name: str) -> FileSystemSnapshot | None:
        return next((one for one in self.snapshots(name.rpartition(".")[0], pending=True) if same(one.name, name)), None)

    def _first(self, answer: "Any") -> "Any":
        """What a change is answered with; an answer that broke off in its headers has nothing, whatever was done."""
        items = answer.get("items") if isinstance(answer, dict) else None
        if not items:
            raise Unreachable(self.who, "it did not tell what became of a change: look, or repeat it")
        return items[0]

    def _speaks(self, version: str) -> bool:
        return self._ask("tell", "its versions of REST", lambda rest: rest.speaks(version))

    def _items(self, verb: str, thing: str, path: str, params: Mapping[str, str] | None = None) -> "list[Any]":
        ask: "Callable[[FlashBladeSession], list[Any]]" = lambda rest: rest.items(path, params)
        return self._ask(verb, thing, ask)


def _snapshot(row: "Mapping[str, Any]") -> FileSystemSnapshot:
    """{"name", "suffix", "source", "destroyed"}"""
    return FileSystemSnapshot(row["name"], row.get("source") or row["name"].rpartition(".")[0], bool(row.get("destroyed")))
