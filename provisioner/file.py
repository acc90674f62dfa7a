"""A FlashBlade as the provisioner uses it: the same few questions and steps as a FlashArray (block.py)."""

from collections.abc import Sequence

from arrays import names
from arrays.entries import FlashBladeEntry
from arrays.flashblade import FileSystem, FlashBlade
from provisioner.claims import Claim
from provisioner.stores import Found, Measure, Wishes
from provisioner.wellknown import FILE


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
        """Only snapshots can be copied: of a live file system one is taken for it, and destroyed afterwards."""
        snapshot = wishes.source
        if "." not in snapshot:
            snapshot = self.array.snapshot(wishes.source, _suffix(claim)).name
        found = _found(self.array.copy_snapshot(snapshot, name, claim.size, rules=wishes.export_rules,
                                                snapshot_directory=wishes.snapshot_directory))
        self.complete(name, claim, wishes)
        return found

    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None:
        """All was in the call that made it, but for the snapshot that a copy of a live file system needed."""
        if wishes.source and "." not in wishes.source:
            self.array.destroy_snapshot(f"{wishes.source}.{_suffix(claim)}")

    def users(self, name: str) -> Sequence[str]:
        """A FlashBlade does not tell who has mounted a file system."""
        return ()

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


def _suffix(claim: Claim) -> str:
    """Of the snapshot that is taken for a claim's copy: a repeat finds it again."""
    return f"copy-{claim.uid}"
