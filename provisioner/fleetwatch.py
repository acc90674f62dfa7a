"""Notices that pure.json changed: a Secret that kubelet renews under a running pod, or a file edited by hand."""

import os
import time

from provisioner.backends import Backends


ANYWAY = 60.0               # seconds after which it is read unchanged: tokens may lie in files it only names


class FleetWatch:
    """Call `look` every second or so."""

    def __init__(self, path: str, backends: Backends) -> None:
        self._path, self._backends = path, backends
        self._seen: tuple[int, int, int] | None = (0, 0, 0)
        self._read_at = 0.0

    def look(self) -> bool:
        """Read the fleet again if the file is another one; whether the fleet changed by that."""
        mark, now = self._mark(), time.monotonic()
        if mark == self._seen and now - self._read_at < ANYWAY:
            return False
        self._seen, self._read_at = mark, now
        return self._backends.reload()

    def _mark(self) -> tuple[int, int, int] | None:
        """What tells one version of the file from another; None when there is no file."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
