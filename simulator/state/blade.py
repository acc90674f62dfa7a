"""File systems of a FlashBlade, their snapshots and their life: made, changed, destroyed and pending, gone.

Rules: array-rest.md section 4 and points 57-64. Texts and codes are unverified; clients should read objects, not texts.
"""

import math
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import Clock
from simulator.planes import Plane
from simulator.refusal import Refusal
from simulator.state.sessions import Sessions
from simulator.switches import FlashBladeSwitches

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")      # unverified; clients stay inside this
_SUFFIX = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@dataclass(eq=False)
class FileSystem:
    """A file system, live or destroyed and pending."""

    name: str
    created: float                     # epoch seconds
    size: int = 0                      # provisioned bytes; 0 is unlimited
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    hard_limit: bool = False
    fast_remove: bool = False
    snapshot_directory: bool = False
    rules: str = ""
    v3: bool = False
    v4_1: bool = False
    smb: bool = False
    smb_acl_mode: str = "shared"
    http: bool = False
    access_control_style: str = "shared"
    safeguard_acls: bool = True
    user_quota: int = 0
    group_quota: int = 0
    writable: bool = True
    source: str | None = None          # the snapshot it was cloned from
    used: int = 0                      # bytes; tests set it
    due: float | None = None           # when it is eradicated by itself; None while live
    directory: str | None = None       # where the data plane keeps the files
    snapshots: dict[str, "FileSystemSnapshot"] = field(default_factory=dict)     # by lower-cased suffix

    @property
    def destroyed(self) -> bool:
        return self.due is not None

    @property
    def served(self) -> bool:
        """Whether any protocol is on."""
        return self.v3 or self.v4_1 or self.smb or self.http


@dataclass(eq=False)
class FileSystemSnapshot:
    """A snapshot; it goes with its file system."""

    owner: FileSystem
    suffix: str
    created: float
    size: int
    used: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    due: float | None = None

    @property
    def name(self) -> str:
        return f"{self.owner.name}.{self.suffix}"

    @property
    def destroyed(self) -> bool:
        return self.due is not None


class BladeState:
    """One FlashBlade without its HTTP."""

    def __init__(self, name: str, *, capacity: int, clock: Clock, plane: Plane, switches: FlashBladeSwitches,
                 nfs_endpoint: str) -> None:
        self.name = name
        self.id = str(uuid.uuid4())
        self.capacity, self.used = capacity, 0
        self.nfs_endpoint = nfs_endpoint
        self.clock, self.plane, self.switches = clock, plane, switches
        self.sessions = Sessions(clock, switches, token_prefix="T-")
        self._by_name: dict[str, FileSystem] = {}
        self._next_due = math.inf

    def total(self) -> int:
        """Bytes in use: what was set for the blade and for each file system."""
        return self.used + sum(each.used for each in self._by_name.values())

    def tick(self) -> None:
        """Eradicate what is due; cheap when nothing is."""
        if self.clock.now() >= self._next_due:
            self._sweep(self.clock.now())

    def _sweep(self, now: float) -> None:
        dues = [math.inf]
        for system in self.all():
            if system.due is not None and system.due <= now:
                self._end(system)
                continue
            for snapshot in list(system.snapshots.values()):
                if snapshot.due is not None and snapshot.due <= now:
                    del system.snapshots[snapshot.suffix.lower()]
            left: list[FileSystem | FileSystemSnapshot] = [system, *system.snapshots.values()]
            dues += [each.due for each in left if each.due is not None]
        self._next_due = min(dues)

    def _due(self) -> float:
        due = self.clock.now() + self.switches.pending_seconds
        self._next_due = min(self._next_due, due)
        return due

    def time_remaining(self, thing: FileSystem | FileSystemSnapshot) -> int | None:
        """Whole milliseconds until eradication; None while live."""
        return None if thing.due is None else max(0, math.ceil((thing.due - self.clock.now()) * 1000))

    def all(self) -> list[FileSystem]:
        return list(self._by_name.values())

    def find(self, name: str) -> FileSystem | None:
        return self._by_name.get(name.lower())

    def get(self, name: str) -> FileSystem:
        """A file system, live or destroyed."""
        system = self.find(name)
        if system is None:
            raise Refusal("File system does not exist.", name)
        return system

    def create(self, name: str, source: FileSystemSnapshot | None = None) -> FileSystem:
        """A file system with the documented defaults, empty or a clone of a snapshot."""
        if not _NAME.fullmatch(name):
            raise Refusal("Invalid file system name.", name)
        if taken := self.find(name):
            if not taken.destroyed or self.switches.pending_name_reserved:
                raise Refusal("File system already exists.", name)
            self._end(taken)
        if self.switches.file_system_limit is not None and len(self._by_name) >= self.switches.file_system_limit:
            raise Refusal("Maximum number of file systems is reached: limit reached.", name)
        system = FileSystem(name, self.clock.now(), rules=self.switches.default_rules)
        if source:
            system.size, system.used, system.source = source.size, source.used, source.name
        system.directory = self.plane.create_export(self.name, name)
        self._by_name[name.lower()] = system
        return system

    def change(self, system: FileSystem, fields: dict[str, Any], *, ignore_usage: bool = False) -> FileSystem:
        """Set fields (names of `FileSystem`) and `destroyed`; all or nothing."""
        destroyed = fields.pop("destroyed", None)
        if system.destroyed and (fields or destroyed is not False):
            raise Refusal("File system has been destroyed.", system.name)
        self._check_size(system, fields, ignore_usage)
        after = {name: fields.get(name, getattr(system, name)) for name in ("v3", "v4_1", "smb", "http")}
        if destroyed and any(after.values()) and self.switches.destroy_needs_protocols_off:
            raise Refusal("File system cannot be destroyed while protocols are enabled.", system.name)
        for name, value in fields.items():
            setattr(system, name, value)
        if destroyed:
            self._destroy(system)
        elif destroyed is False:
            self._recover(system)
        return system

    @staticmethod
    def _check_size(system: FileSystem, fields: dict[str, Any], ignore_usage: bool) -> None:
        size, hard = fields.get("size", system.size), fields.get("hard_limit", system.hard_limit)
        if hard and size and size < system.used and not ignore_usage:
            raise Refusal("Cannot set the size below the space in use.", system.name)

    def _destroy(self, system: FileSystem) -> None:
        system.due = self._due()
        for snapshot in system.snapshots.values():
            snapshot.due = snapshot.due or system.due

    @staticmethod
    def _recover(system: FileSystem) -> None:
        """Bring back a file system and the snapshots that went with it; protocols stay off."""
        for snapshot in system.snapshots.values():
            if snapshot.due == system.due:
                snapshot.due = None
        system.due = None

    def eradicate(self, name: str) -> None:
        system = self.get(name)
        if not system.destroyed:
            raise Refusal("File system must be destroyed before it can be eradicated.", name)
        self._end(system)

    def _end(self, system: FileSystem) -> None:
        del self._by_name[system.name.lower()]
        self.plane.remove_export(self.name, system.name)

    def snapshots(self) -> list[FileSystemSnapshot]:
        return [snapshot for system in self.all() for snapshot in system.snapshots.values()]

    def snapshot(self, name: str) -> FileSystemSnapshot:
        """The snapshot "fs.suffix", live or destroyed."""
        owner, _, suffix = name.rpartition(".")
        system = self.find(owner)
        found = system.snapshots.get(suffix.lower()) if system else None
        if found is None:
            raise Refusal("Snapshot does not exist.", name)
        return found

    def take(self, names: list[str], suffix: str | None) -> list[FileSystemSnapshot]:
        """A snapshot of each file system, all or none; without suffix it is named for the time."""
        systems = [self.get(name) for name in names]
        chosen = suffix or time_suffix(self.clock.now(), {key for each in systems for key in each.snapshots})
        if not _SUFFIX.fullmatch(chosen):
            raise Refusal("Invalid snapshot suffix.", chosen)
        for system in systems:
            if system.destroyed:
                raise Refusal("File system has been destroyed.", system.name)
            if chosen.lower() in system.snapshots:
                raise Refusal("Snapshot already exists.", f"{system.name}.{chosen}")
        return [self._take(system, chosen) for system in systems]

    def _take(self, system: FileSystem, suffix: str) -> FileSystemSnapshot:
        snapshot = FileSystemSnapshot(system, suffix, self.clock.now(), system.size, system.used)
        system.snapshots[suffix.lower()] = snapshot
        return snapshot

    def set_snapshot_destroyed(self, snapshot: FileSystemSnapshot, destroyed: bool) -> None:
        if destroyed and snapshot.destroyed:
            raise Refusal("Snapshot has been destroyed.", snapshot.name)
        if not destroyed and snapshot.owner.destroyed:
            raise Refusal("File system has been destroyed.", snapshot.owner.name)
        snapshot.due = self._due() if destroyed else None

    def eradicate_snapshot(self, name: str) -> None:
        snapshot = self.snapshot(name)
        if not snapshot.destroyed:
            raise Refusal("Snapshot must be destroyed before it can be eradicated.", name)
        del snapshot.owner.snapshots[snapshot.suffix.lower()]


def time_suffix(now: float, taken: set[str]) -> str:
    """A suffix for a snapshot nobody named, from the time: "1529345123000"."""
    number = int(now * 1000)
    while str(number) in taken:
        number += 1
    return str(number)
