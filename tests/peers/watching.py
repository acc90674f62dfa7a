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
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster import flood, processes
from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside

LONGEST = 3600                          # seconds a watch may last
SILENT = 60                             # seconds without a word after which it is begun again where it was
_VERSION = re.compile(rb'"resourceVersion":"([0-9]+)"')     # the first is the object's own, claimRef's comes later
_ANNOUNCED = re.compile(rb'{"type":"(ADDED|MODIFIED|DELETED)","object":.*?"metadata":{"name":"([^"]+)"')


class Heard:
    """What was noted so far."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def moments(self, event: str, prefix: str) -> list[float]:
        """When objects whose names begin like this had this event for the first time: in order, seconds of the epoch."""
        written, _, _ = self._file.read_text().rpartition("\n")     # what comes after the last end of line is half a note
        return moments(written.splitlines(), event, prefix)


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


def parse_version(line: bytes) -> str:
    """The resourceVersion to go on from after this line, "" when it has none."""
    found = _VERSION.search(line)
    return found[1].decode() if found else ""


def main(work: Path, resource: str, file: Path) -> None:
    """Note all that is announced, until killed. The server ends the watch of who is slow: it goes on where it was."""
    version, answer = "", _watch(work, resource, "")
    with file.open("w", buffering=1) as notes:
        while True:
            for line in _lines(answer):
                if line.startswith(b'{"type":"ERROR"'):
                    sys.exit(f"watch of {resource}: {line.decode()}")
                now, version = time.time(), parse_version(line) or version
                notes.writelines(f"{now:.4f} {event} {name}\n" for event, name in parse(line))
            answer = _watch(work, resource, version)


def _watch(work: Path, resource: str, version: str) -> http.client.HTTPResponse:
    """The answer to a watch from there on; from nowhere: what there is, then what comes. Ends the program if refused."""
    tls = ssl.create_default_context(cafile=str(work / "ca.pem"))
    connection = http.client.HTTPSConnection(CONTROL_ADDRESS, 443, timeout=SILENT, context=tls)
    connection.request("GET", f"/api/v1/{resource}?watch=1&resourceVersion={version}&timeoutSeconds={LONGEST}",
                       headers={"Authorization": f"Bearer {flood.admin_token(work)}"})
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"watch of {resource} from version {version or 'none'} on: {answer.status} {answer.reason}")
    return answer


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Lines until the answer ends, read in pieces as large as they come: line by line is too slow for a burst."""
    rest = b""
    with suppress(OSError, http.client.HTTPException):
        while data := answer.read1(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            yield from lines


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
