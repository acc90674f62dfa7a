"""The node a call-out works on: its paths, settings, name, clock and fleet, passed to whatever needs them."""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from arrays.fleet import Fleet
    from flex.paths import Paths
    from flex.settings import Settings


def since_boot() -> float:
    """Seconds since this machine was started: whoever sets its clock does not shorten a grace.

    Time in which it was suspended counts: another machine, from which a volume is to be taken, had it to let go.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Node:
    """One machine. `clock` is in seconds, for what is counted over several calls."""

    def __init__(self, paths: "Paths", settings: "Settings", name: str = "",
                 clock: "Callable[[], float]" = since_boot) -> None:
        self.paths = paths
        self.settings = settings
        self.clock = clock
        self._name = name
        self._fleet: "Fleet | None" = None

    @property
    def name(self) -> str:
        """What the machine calls itself; an array's host is named for it if one must be made."""
        if not self._name:
            self._name = _hostname(self.paths)
        return self._name

    def fleet(self) -> "Fleet":
        """The arrays of pure.json, read once a call-out; ConfigError says what is wrong with the file."""
        if self._fleet is None:
            from arrays import fleet

            from flex import log
            self._fleet = fleet.load(self.settings.fleet_file, self.settings.environment)
            for complaint in self._fleet.complaints:
                log.info(complaint)
        return self._fleet


def _hostname(paths: "Paths") -> str:
    for file in (paths.hostname, paths.at("/etc/hostname")):
        try:
            with open(file, encoding="utf-8", errors="replace") as opened:
                return opened.read().strip()
        except OSError:
            continue
    return os.uname().nodename
