"""What each array of the fleet says of itself, asked side by side; one that does not answer gives its reason."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.errors import PureError
from arrays.fleet import Fleet
from arrays.flasharray import FlashArray
from arrays.flashblade import FlashBlade
from arrays.units import human
from provisioner import volumes
from provisioner.backends import new_store
from provisioner.stores import Found, Measure, Store, foreseen
from provisioner.wellknown import BLOCK, FILE

T = TypeVar("T")
Entry = FlashArrayEntry | FlashBladeEntry

CONNECT, READ = 5.0, 15.0           # seconds; a person waits for it


class Answer(NamedTuple):
    """What one array said, or the error that came instead."""

    entry: Entry
    said: Any
    error: str


def each(fleet: Fleet, ask: Callable[[Entry], T]) -> list[Answer]:
    """Ask all arrays at once, in the order of pure.json. Nobody's odd answer hides what others say."""
    entries: list[Entry] = [*fleet.flash_arrays, *fleet.flash_blades]

    def answer(entry: Entry) -> Answer:
        try:
            with foreseen(entry.name):
                return Answer(entry, ask(entry), "")
        except PureError as error:
            return Answer(entry, None, str(error))

    with ThreadPoolExecutor(max_workers=max(1, len(entries))) as pool:
        return list(pool.map(answer, entries))


def kind(entry: Entry) -> str:
    return "FlashArray" if isinstance(entry, FlashArrayEntry) else "FlashBlade"


def backend(entry: Entry) -> str:
    return BLOCK if isinstance(entry, FlashArrayEntry) else FILE


def measured(entry: Entry) -> Measure:
    """How full an array is, as placement sees it."""
    store = new_store(entry, CONNECT, READ)
    try:
        return store.measure()
    finally:
        store.close()


def figures(entry: Entry) -> Mapping[str, object]:
    """Capacity, use, reduction and load, as `pure arrays show` has them; bytes and microseconds."""
    array: FlashArray | FlashBlade = (
        FlashArray(entry, connect_timeout=CONNECT, read_timeout=READ) if isinstance(entry, FlashArrayEntry)
        else FlashBlade(entry, connect_timeout=CONNECT, read_timeout=READ))
    try:
        identity, space = array.identity(), array.space()
        load = array.activity() if isinstance(array, FlashArray) else None
        return {
            "array_name": identity.name, "version": identity.version,
            "capacity": space.capacity, "used": space.used, "used_percent": round(100 * space.fullness, 1),
            "data_reduction": round(space.data_reduction, 2), "total_reduction": round(space.total_reduction, 2),
            "volumes": array.volume_count() if isinstance(array, FlashArray) else array.count(),
            "iops": load.reads_per_sec + load.writes_per_sec if load else None,
            "bandwidth": load.read_bytes_per_sec + load.written_bytes_per_sec if load else None,
            "usec_per_read": load.usec_per_read if load else None,
            "usec_per_write": load.usec_per_write if load else None,
        }
    finally:
        array.close()


def for_people(row: Mapping[str, object]) -> dict[str, object]:
    """The same row with sizes and rates a person reads at a glance."""
    words = dict(row)
    for key in ("capacity", "used", "size", "free"):
        if isinstance(value := words.get(key), int):
            words[key] = human(value)
    if isinstance(value := words.get("bandwidth"), int):
        words["bandwidth"] = f"{human(value)}/s"
    return words


def holdings(prefix: str) -> Callable[[Entry], Sequence[Found]]:
    """How to ask an array for all live volumes of ours."""
    def ask(entry: Entry) -> Sequence[Found]:
        store = new_store(entry, CONNECT, READ)
        try:
            return store.holdings(prefix)
        finally:
            store.close()

    return ask


def users_elsewhere(fleet: Fleet, home: Store, found: Found) -> list[str]:
    """Hosts that have the volume of a stretched pod through other arrays than `home`; one that is silent raises."""
    if not home.stretched(found.name):
        return []
    users = []
    for entry in fleet.flash_arrays:
        if entry.name != home.entry.name:
            with closing(new_store(entry, CONNECT, READ)) as other:
                users += volumes.users_through(other, found)
    return users
