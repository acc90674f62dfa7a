"""What the provisioner asks of an array, FlashArray (block.py) and FlashBlade (file.py) alike."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from arrays.entries import Entry
from arrays.errors import Unusable
from provisioner.claims import Claim

log = logging.getLogger(__name__)

_ODD = (LookupError, TypeError, ValueError, AttributeError)     # an answer without a field it always had, or of another type


class Measure(NamedTuple):
    """How full an array is; bytes, and volumes by number."""

    capacity: int
    used: int
    volumes: int
    pods: Mapping[str, int] = {}            # replication pod -> volumes in it
    wait: float = 0.0                       # milliseconds its hosts wait for an answer just now, 0 if it does not tell


class Found(NamedTuple):
    """A volume or file system as the array has it."""

    name: str                               # with its pod, if it is in one
    size: int
    destroyed: bool
    source: str = ""                        # the volume it is a copy of, "" when it was made blank
    created: str = ""                       # as the array writes it, "" if it does not tell
    serial: str = ""                        # tells it from all others of its name anywhere, "" if it has none


class Wishes(NamedTuple):
    """What a class leaves open, decided: settings' defaults filled in, pod chosen."""

    export_rules: str = ""
    snapshot_directory: bool = False
    pod: str = ""
    source: str = ""                        # volume or snapshot ("volume.suffix") whose data it shall have


class Scrap(NamedTuple):
    """What the copy for a claim needed beside itself, and is still there."""

    source: str                             # the volume that is copied
    uid: str                                # of the claim the copy is for


class Store(Protocol):
    """One array. Every step may be repeated; errors are arrays.errors'.

    `tidy` destroys what a copy of `source` for a claim needs beside itself; `scraps` lists what is there of it.
    `stretched`: other arrays have the same volume too, and hosts of their own that use it.
    """

    @property
    def backend(self) -> str: ...
    @property
    def entry(self) -> Entry: ...
    def measure(self) -> Measure: ...
    def find(self, name: str) -> Found | None: ...
    def create(self, name: str, claim: Claim, wishes: Wishes) -> Found: ...
    def complete(self, name: str, claim: Claim, wishes: Wishes) -> None: ...
    def tidy(self, source: str, uid: str) -> None: ...
    def scraps(self, prefix: str) -> Sequence["Scrap"]: ...
    def users(self, name: str) -> Sequence[str]: ...
    def stretched(self, name: str) -> bool: ...
    def grow(self, name: str, size: int) -> None: ...
    def recover(self, name: str) -> None: ...
    def destroy(self, name: str) -> None: ...
    def eradicate(self, name: str) -> None: ...
    def export(self, name: str) -> str: ...
    def holdings(self, prefix: str) -> Sequence[Found]: ...
    def close(self) -> None: ...


@contextmanager
def foreseen(array: str) -> Iterator[None]:
    """Make Unusable of what an odd answer raises in here: one array must not end the work with all. The log has more."""
    try:
        yield
    except _ODD as error:
        log.info("what array=%s answered", array, exc_info=True)
        raise Unusable(f"array {array}", f"it gave an answer that nobody foresaw, please report it: {error!r}") from None
