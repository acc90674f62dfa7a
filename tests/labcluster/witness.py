"""Remembers what writers were promised: each tells its record here once fsync has returned.

    python -m tests.labcluster.witness ADDRESS FILE

Runs beside the control plane, so that a node that loses power takes no promise with it. One clock stamps all records.
"""

import socketserver
import sys
import threading
import time
from pathlib import Path

from tests.cluster import processes
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside

PORT = 9000


class Witness:
    """The listener, seen from the tests."""

    def __init__(self, work: Path) -> None:
        self._work, self._file = work, work / "acknowledged"

    def start(self) -> None:
        self._file.touch()
        processes.start(self._work, "witness", [*inside(CONTROL), sys.executable, "-m", "tests.labcluster.witness",
                                                CONTROL_ADDRESS, str(self._file)])

    def records(self, pod: str = "") -> dict[str, float]:
        """Acknowledged records of a pod, or of all: "POD NUMBER" or "POD end" -> when it was told."""
        whole = self._file.read_text()
        lines = whole[:whole.rfind("\n") + 1].splitlines()
        told = {record: float(stamp) for stamp, _, record in (line.partition(" ") for line in lines)}
        return {record: stamp for record, stamp in told.items() if pod in ("", record.split()[0])}


def serve(address: str, file: Path) -> None:
    """Listen for ever; a line is remembered the moment it is whole."""
    lock = threading.Lock()

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                if line.endswith(b"\n"):
                    with lock, file.open("ab") as out:
                        out.write(f"{time.time():.3f} ".encode() + line)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server((address, PORT), Talk) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
