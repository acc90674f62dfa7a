"""Hears of PVs and claims as the API server announces them, and notes the moment of each.

A process of its own in the control plane's network, so that nothing it waits for is put down to whoever is measured:

    python -m tests.peers.watching WORK RESOURCE FILE

A line of FILE is "SECONDS EVENT NAME"; EVENT is ADDED, BOUND or DELETED.
"""

import http.client
import re
import ssl
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import flood, processes
from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside

LONGEST = 3600                          # seconds a watch may last
_ANNOUNCED = re.compile(rb'{"type":"(ADDED|MODIFIED|DELETED)","object":.*?"metadata":{"name":"([^"]+)"')


class Heard:
    """What was noted so far."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def moments(self, event: str, prefix: str) -> list[float]:
        """When objects whose names begin like this had this event for the first time: in order, seconds of the epoch."""
        return moments(self._file.read_text().splitlines(), event, prefix)


@contextmanager
def watched(work: Path, resource: str) -> Iterator[Heard]:
    """Listen for a while to what becomes of "persistentvolumes" or "persistentvolumeclaims"."""
    name, file = f"watching-{resource}", work / f"heard-{resource}"
    file.unlink(missing_ok=True)
    try:
        processes.start(work, name, [*inside(CONTROL), sys.executable, "-m", "tests.peers.watching", str(work), resource,
                                     str(file)], {"PYTHONPATH": str(CHECKOUT)})
        processes.wait(f"a watch of {resource}", file.exists, 30)
        yield Heard(file)
    finally:
        processes.stop(work, name, kill=True)


def moments(notes: Iterable[str], event: str, prefix: str) -> list[float]:
    """See Heard."""
    first: dict[str, float] = {}
    for note in notes:
        stamp, kind, name = note.split()
        if kind == event and name.startswith(prefix):
            first.setdefault(name, float(stamp))
    return sorted(first.values())


def parse(line: bytes) -> list[tuple[str, str]]:
    """Events and names that a line of a watch tells of; an object may be new and bound at once. Bookmarks tell of none."""
    found = _ANNOUNCED.match(line)
    if not found:
        return []
    kind, name = found[1].decode(), found[2].decode()
    if kind == "DELETED":
        return [(kind, name)]
    bound = [("BOUND", name)] if b'"phase":"Bound"' in line else []
    return bound if kind == "MODIFIED" else [(kind, name), *bound]


def main(work: Path, resource: str, file: Path) -> None:
    """Note all that is announced, until killed."""
    tls = ssl.create_default_context(cafile=str(work / "ca.pem"))
    connection = http.client.HTTPSConnection(CONTROL_ADDRESS, 443, context=tls)
    connection.request("GET", f"/api/v1/{resource}?watch=1&timeoutSeconds={LONGEST}",
                       headers={"Authorization": f"Bearer {flood.admin_token(work)}"})
    answer = connection.getresponse()
    with file.open("w", buffering=1) as notes:
        while line := answer.readline():
            now = time.time()
            for event, name in parse(line):
                notes.write(f"{now:.4f} {event} {name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
