"""The arrays' side of the pages: each array is asked every so often, on its own, and its last answer is kept.

A handful of requests an array and turn, however many volumes there are (arrays/overview.py). A dead array keeps the
figures it last gave, with what is wrong with it. Memory: some 300 bytes a volume of ours.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from arrays.entries import FlashArrayEntry
from arrays.errors import PureError
from arrays.fleet import Fleet
from arrays.names import base_name
from arrays.records import Activity, Snapshot
from provisioner import survey
from provisioner.block import BlockStore, as_found
from provisioner.file import FileStore
from provisioner.stores import Found, Measure, foreseen
from provisioner.survey import Entry

_AT_ONCE = 16


@dataclass(frozen=True)
class VolumeSeen:
    """A volume or file system of ours on an array; bytes. None where an array of that kind does not tell."""

    found: Found
    used: int | None = None
    snapshots: tuple[Snapshot, ...] | None = None
    hosts: tuple[str, ...] | None = None
    activity: Activity | None = None


@dataclass(frozen=True)
class ArraySeen:
    """One array's last answer; `problem` is why there is none now."""

    name: str                                       # management endpoint
    backend: str
    kind: str
    labels: Mapping[str, str]
    title: str = ""                                 # what the array calls itself
    version: str = ""
    measure: Measure = Measure(0, 0, 0)
    data_reduction: float = 0.0
    total_reduction: float = 0.0
    activity: Activity | None = None
    volumes: Mapping[str, VolumeSeen] = field(default_factory=dict)     # by base name
    problem: str = ""
    at: float = 0.0                                 # time.time() when the answer was begun, 0 for none yet

    @property
    def console(self) -> str:
        """The array's own page."""
        return f"https://{self.name}/"


Door = BlockStore | FileStore


def opened(entry: Entry) -> Door:
    """A client of the array that keeps its session."""
    if isinstance(entry, FlashArrayEntry):
        return BlockStore(entry, survey.CONNECT, survey.READ)
    return FileStore(entry, survey.CONNECT, survey.READ)


def ask(door: Door, prefix: str) -> ArraySeen:
    """Everything the pages need of one array; PureError when it does not tell."""
    return _ask_block(door, prefix) if isinstance(door, BlockStore) else _ask_file(door, prefix)


def _ask_block(store: BlockStore, prefix: str) -> ArraySeen:
    array = store.array
    seen, space, identity = _new(store.entry, store.measure()), array.space(), array.identity()
    volumes: dict[str, VolumeSeen] = {}
    for pattern in (f"{prefix}-*", *(f"{pod}::{prefix}-*" for pod in store.entry.replication_pods)):
        used, snapshots = array.volume_space(pattern), array.volume_snapshots(pattern)
        hosts, loads = array.volume_hosts(pattern), array.volumes_activity(pattern)
        for one in array.volumes(pattern):
            volumes[base_name(one.name)] = VolumeSeen(
                as_found(one), used.get(one.name),
                tuple(snapshots.get(one.name, ())), tuple(hosts.get(one.name, ())), loads.get(one.name))
    return replace(seen, title=identity.name, version=identity.version, data_reduction=space.data_reduction,
                   total_reduction=space.total_reduction, activity=array.activity(), volumes=volumes)


def _ask_file(store: FileStore, prefix: str) -> ArraySeen:
    blade = store.array
    seen, space, identity = _new(store.entry, store.measure()), blade.space(), blade.identity()
    volumes = {one.name: VolumeSeen(Found(one.name, one.size, one.destroyed), one.used)
               for one in blade.file_systems(f"{prefix}-*")}
    return replace(seen, title=identity.name, version=identity.version, data_reduction=space.data_reduction,
                   total_reduction=space.total_reduction, volumes=volumes)


def _new(entry: Entry, measure: Measure = Measure(0, 0, 0), problem: str = "") -> ArraySeen:
    return ArraySeen(entry.name, survey.backend(entry), survey.kind(entry), dict(entry.labels), measure=measure,
                     problem=problem, at=0.0 if problem else time.time())


class FleetWatch:
    """Asks all arrays every `every` seconds; pure.json is read again each time."""

    def __init__(self, load: Callable[[], Fleet], prefix: str, every: float = 15.0) -> None:
        self._load, self._prefix, self._every = load, prefix, every
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="array")
        self._lock = threading.Lock()
        self._asking: set[str] = set()
        self._doors: dict[Entry, Door] = {}             # one for each entry, replaced when its token changes
        self._stopping = threading.Event()
        self.arrays: dict[str, ArraySeen] = {}
        self.complaints: tuple[str, ...] = ()
        self.changes = 0

    def start(self) -> None:
        threading.Thread(target=self._run, name="fleet", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._every)

    def look(self) -> None:
        """Read pure.json and ask each array that is not being asked already; does not wait for the answers."""
        try:
            fleet = self._load()
        except PureError as error:
            self.complaints = (str(error),)
            self.changes += 1
            return
        self.complaints = tuple(fleet.complaints)
        entries: list[Entry] = [*fleet.flash_arrays, *fleet.flash_blades]
        self._keep({entry.name: entry for entry in entries})
        for gone in self._doors.keys() - set(entries):
            self._doors.pop(gone).close()
        for entry in entries:
            if entry.name not in self._asking and not self._stopping.is_set():
                self._asking.add(entry.name)
                self._pool.submit(self._ask, entry, self._doors.setdefault(entry, opened(entry)))

    def _keep(self, entries: Mapping[str, Entry]) -> None:
        """Of the arrays known so far those that pure.json has, and the new ones; answers may come meanwhile."""
        with self._lock:
            if self.arrays.keys() != entries.keys():
                self.arrays = {name: self.arrays.get(name) or _new(entry, problem="has not answered yet")
                               for name, entry in entries.items()}
                self.changes += 1

    def _ask(self, entry: Entry, door: Door) -> None:
        try:
            with foreseen(entry.name):
                found = ask(door, self._prefix)
        except PureError as error:
            known = self.arrays.get(entry.name) or _new(entry)
            found = replace(known, labels=dict(entry.labels), problem=str(error))
        finally:
            self._asking.discard(entry.name)
        with self._lock:
            if entry.name in self.arrays:
                self.arrays = {**self.arrays, entry.name: found}
                self.changes += 1
