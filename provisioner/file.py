"""A FlashBlade as the provisioner uses it: the same few questions and steps as a FlashArray (block.py).

A FlashBlade copies snapshots only. So a copy of a live file system takes one, "<source>.copy-<claim UID>", which a repeat
finds by its name; `tidy` destroys it before the copy's PV is saved, and `scraps` finds those that a crash left.
"""

import re
from collections.abc import Sequence

from arrays import names
from arrays.entries import FlashBladeEntry
from arrays.errors import Refused
from arrays.flashblade import FileSystem, FlashBlade
from provisioner.claims import Claim
from provisioner.stores import Found, Measure, Scrap, Wishes
from provisioner.wellknown import FILE

_SCRAP = re.compile(r"(.+)\.copy-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class FileStore:
    """File systems on one FlashBlade; safe for threads."""

    backend = FILE

    def __init__(self, entry: FlashBladeEntry, connect_timeout: float, read_timeout: float) -> None:
        self.entry = entry
        self.array = FlashBlade(entry, connect_timeout=connect_timeout, read_timeout=read_timeout)

    def measure(self) -> Measure:
        """Capacity, use and number of file systems."""
        space = self.array.space()
        return Measure(space.capacity, space.used, self.array.count())

    def find(self, name: str) -> Found | None:
        """The file system, live or destroyed and still recoverable."""
        file_system = self.array.find_file_system(name, pending=True)
        return None if file_system is None else _found(file_system)

    def create(self, name: str, claim: Claim, wishes: Wishes) -> Found:
        """Make the file system with its export rules in one call, so that nobody mounts it without them."""
        if wishes.source:
            return self._copy(name, claim, wishes)
        return _found(self.array.create_file_system(name, claim.size, rules=wishes.export_rules,
                                                    snapshot_directory=wishes.snapshot_directory))

    def _copy(self, name: str, claim: Claim, wishes: Wishes) -> Found:
        snapshot = self._taken(wishes.source, claim.uid) if _live(wishes.source) else wishes.source
        return _found(self.array.copy_snapshot(snapshot, name, claim.size, rules=wishes.export_rules,
                                               snapshot_directory=wishes.snapshot_directory))

    def _taken(self, source: str, uid: str) -> str:
        """The snapshot for a copy; one that was destroyed in between keeps its name, and is brought back."""
        name = f"{source}.{_suffix(uid)}"
        try:
            self.array.snapshot(source, _suffix(uid))
        except Refused as refusal:
            try:
                self.array.recover_snapshot(name)
            except Refused:
                raise refusal from None
        return name

    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None:
        """All was in the call that made it."""

    def tidy(self, source: str, uid: str) -> None:
        """Destroy the snapshot that was taken for a claim's copy; gone already is as good."""
        if _live(source):
            self.array.destroy_snapshot(f"{source}.{_suffix(uid)}")

    def scraps(self, prefix: str) -> Sequence[Scrap]:
        """The snapshots of file systems of ours that were taken for copies, whether still needed or not."""
        found = map(_SCRAP.fullmatch, (one.name for one in self.array.all_snapshots(f"{prefix}-*.{_suffix('*')}")))
        return [Scrap(one[1], one[2]) for one in found if one and names.is_ours(one[1], prefix)]

    def users(self, name: str) -> Sequence[str]:
        """A FlashBlade does not tell who has mounted a file system."""
        return ()

    def stretched(self, name: str) -> bool:
        """A file system is on one FlashBlade."""
        return False

    def grow(self, name: str, size: int) -> None:
        self.array.grow_file_system(name, size)

    def recover(self, name: str) -> None:
        self.array.recover_file_system(name)

    def destroy(self, name: str) -> None:
        self.array.destroy_file_system(name)

    def eradicate(self, name: str) -> None:
        self.array.eradicate_file_system(name)

    def export(self, name: str) -> str:
        """What nodes mount: "1.2.3.7:/k8s-pvc-…"."""
        return names.export(self.entry.nfs_endpoint, name)

    def holdings(self, prefix: str) -> Sequence[Found]:
        """All live file systems whose name begins with `prefix`, for reports."""
        return [_found(file_system) for file_system in self.array.file_systems(f"{prefix}-*")]

    def close(self) -> None:
        self.array.close()


def _found(file_system: FileSystem) -> Found:
    return Found(file_system.name, file_system.size, file_system.destroyed, file_system.source)


def _live(source: str) -> bool:
    """Whether that is a file system and not a snapshot of one."""
    return bool(source) and "." not in source


def _suffix(uid: str) -> str:
    """Of the snapshot that is taken for a claim's copy: a repeat finds it again."""
    return f"copy-{uid}"
