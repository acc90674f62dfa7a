"""A volume's device on this node: made of its paths, given the array's size, taken off again. Arrays are not asked.

The order is node-attach.md 2.2 to 2.4, 2.6 and 2.9: a scan of one LUN through each nexus, WWIDs compared before and after,
the map, its size; and back: the map, then each path after a last look at its WWID. What sysfs says decides at each step; a
LUN number alone proves nothing, for an array gives it out again at once (2.7).
"""

from collections.abc import Callable, Sequence
from functools import partial

from arrays import names
from arrays.errors import Busy, NeverHappened
from flex import log
from flex.locks import volume_lock
from flex.node import blockdev, multipath, scsi
from flex.node.aside import Aside
from flex.node.command import step
from flex.node.multipath import Map
from flex.node.scsi import Nexus, Path
from flex.trouble import NotTheVolume
from flex.wait import Deadline, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.paths import Paths

APPEAR = 30.0                   # seconds for a LUN to appear
MAP = 70.0                      # seconds for its map: on a busy node udev is what takes long, and giving up makes it more
STRAGGLERS = 2.0                # seconds further paths get when one is usable
RESCAN, LONGEST_RESCAN = 0.1, 2.0       # seconds after which the kernel is asked again for what did not come, doubling
SIZE = 10.0                     # seconds for all paths to show a new size, and for the map to take it
CHECKED = 15.0                  # seconds for multipathd to find that paths of an old map work again
LET_GO = 10.0                   # seconds for udev to let go of a map that nobody uses
GONE = 30.0                     # seconds for paths to go: one that has just failed takes its time
TRIES = 3                       # times that another volume is taken off our LUN


# Making ---------------------------------------------------------------------------------------------------------------

def make(paths: "Paths", wwid: str, size: int, lun: int, nexuses: Sequence[Nexus], deadline: Deadline) -> Map:
    """The multipath device of a connected volume: every path of it is this volume, and it has the array's size."""
    found_paths = find_paths(paths, nexuses, lun, wwid, deadline)
    step("paths found")
    by_name = [path.name for path in found_paths]
    found = multipath.add(paths, wwid, by_name, deadline.within(MAP))
    _await_paths(paths, found, by_name, deadline)
    multipath.check_slaves(paths, found)
    wait_for(lambda: multipath.has_usable_path(paths, wwid), f"a usable path of {found.name}", deadline.within(CHECKED))
    step("map made")
    fit(paths, found, size, deadline)
    return found


def find_paths(paths: "Paths", nexuses: Sequence[Nexus], lun: int, wwid: str, deadline: Deadline) -> list[Path]:
    """The volume's paths at `lun`, one through each nexus as far as they come; scanned for where they are missing.

    A scan may block for minutes on a session that is just dying, so it is the device that is waited for. Once a path is
    there, the others get a moment. NotTheVolume when the LUN shows another volume; NeverHappened when nothing appears.
    """
    search = _Search(paths, nexuses, lun, wwid, deadline)
    first = wait_for(search.look, f"LUN {lun} ({wwid}) through {', '.join(nexus.via for nexus in nexuses)}",
                     deadline.within(APPEAR))
    try:
        return wait_for(search.all_there, "further paths", deadline.within(STRAGGLERS))
    except NeverHappened:
        missing = [nexus.via for nexus in nexuses if not search.right(nexus)]
        log.info(f"LUN {lun} ({wwid}) has no path through {', '.join(missing)}")
        return search.look() or first


class _Search:
    """Looks for one LUN through several nexuses, and scans again where nothing came."""

    def __init__(self, paths: "Paths", nexuses: Sequence[Nexus], lun: int, wwid: str, deadline: Deadline) -> None:
        self.paths, self.nexuses, self.lun, self.wwid, self.deadline = paths, nexuses, lun, wwid, deadline
        self._scans = {nexus: _Again(partial(scsi.scan, paths, nexus, lun)) for nexus in nexuses}
        self._purges = 0

    def right(self, nexus: Nexus) -> list[Path]:
        """Our volume's path through one nexus, as far as it is there."""
        there = scsi.at_lun(self.paths, nexus, self.lun)
        wrong = [path for path in there if path.wwid and path.wwid != self.wwid]
        if wrong:
            self._clear(wrong[0])
            return []
        return [path for path in there if path.wwid and path.name]

    def _clear(self, wrong: Path) -> None:
        """Another volume came in at our LUN: it is taken off and scanned for again, a few times."""
        self._purges += 1
        if self._purges > TRIES * len(self.nexuses) or not names.is_wwid(wrong.wwid) \
                or not purge(self.paths, wrong.wwid, [wrong], self.deadline):
            raise NotTheVolume(f"LUN {self.lun} at {wrong.address} is {wrong.wwid}, and the array says it is {self.wwid}: "
                               "nothing was mounted")

    def look(self) -> list[Path]:
        """The paths that are there; scans go out for the others."""
        found = []
        for nexus in self.nexuses:
            here = self.right(nexus)
            found += here
            if not here:
                self._scans[nexus].keep_asking()
        return found

    def all_there(self) -> list[Path]:
        found = self.look()
        return found if len(found) >= len(self.nexuses) else []


class _Again:
    """A question to the kernel that is asked again, in growing pauses, once it has been answered in vain."""

    def __init__(self, ask: Callable[[], list[Aside]]) -> None:
        self._ask = ask
        self._asked: list[Aside] = []
        self._pause = Deadline(0.0)

    def keep_asking(self) -> None:
        """Ask if that was not done yet or has brought nothing; never while an earlier one is still under way."""
        if self._pause.passed() and all(aside.done() for aside in self._asked):
            self._asked = self._ask()
            self._pause = Deadline(min(max(self._pause.seconds * 2, RESCAN), LONGEST_RESCAN))


def _await_paths(paths: "Paths", found: Map, wanted: Sequence[str], deadline: Deadline) -> None:
    """Give multipathd a moment to take in the other paths; a map with one is usable."""
    try:
        wait_for(lambda: set(wanted) <= set(multipath.slaves(paths, found.node)), "further paths",
                 deadline.within(STRAGGLERS))
    except NeverHappened:
        log.info(f"{found.name} has not all of {', '.join(wanted)} yet")


def fit(paths: "Paths", found: Map, size: int, deadline: Deadline) -> None:
    """Let a device have the array's size, at least `size`: its paths are asked to read it again, then the map (2.9).

    NeverHappened while a path does not show it: the map cannot grow before all of them have.
    """
    by_name = multipath.slaves(paths, found.node)
    short = {name for name in by_name if blockdev.size(paths, name) < size}
    if short:
        rescans = {path.name: _Again(partial(_rescan, path)) for path in scsi.of_wwid(paths, found.wwid)
                   if path.name in short}
        wait_for(lambda: _have_size(paths, rescans, size),
                 f"{', '.join(sorted(rescans))} to show the array's size of {size} bytes", deadline.within(SIZE))
        multipath.check_slaves(paths, found)            # a rescan reads the identity again, too
        step("paths rescanned")
    whole = min((blockdev.size(paths, name) for name in by_name), default=size)
    if blockdev.size(paths, found.node) < whole:
        multipath.resize(paths, found, whole, deadline.within(SIZE))
        step("map resized")


def _rescan(path: Path) -> list[Aside]:
    return [scsi.rescan(path)]


def _have_size(paths: "Paths", rescans: "dict[str, _Again]", size: int) -> bool:
    waiting = [again for name, again in rescans.items() if blockdev.size(paths, name) < size]
    for again in waiting:
        again.keep_asking()
    return not waiting


# Taking off -----------------------------------------------------------------------------------------------------------

def take_off(paths: "Paths", wwid: str, deadline: Deadline, unwanted: Sequence[Path] | None = None) -> None:
    """Remove the map of a volume that nobody uses, then its paths (all of them, or the unwanted ones); verify both.

    Busy when the map is in use after all. Each path's WWID is read again immediately before it is deleted.
    """
    found = multipath.find(paths, wwid)
    if found:
        multipath.remove(paths, found, deadline.within(LET_GO))
        step("map removed")
    doomed = scsi.of_wwid(paths, wwid) if unwanted is None else unwanted
    asides = [scsi.delete(now) for path in doomed if (now := scsi.refreshed(path)) and now.wwid == wwid]
    wait_for(lambda: not any((now := scsi.refreshed(path)) and now.wwid == wwid for path in doomed),
             f"the paths of {wwid} to go", deadline.within(GONE))
    for aside in asides:
        aside.done()
    step("paths deleted")


def purge(paths: "Paths", wwid: str, stale: Sequence[Path], deadline: Deadline) -> bool:
    """Take stale paths of a volume off this node, with its map; False when somebody uses them or works on the volume."""
    try:
        with volume_lock(paths, wwid, 0.0):
            if in_use(paths, wwid, stale):
                return False
            log.info(f"removing the stale device of {wwid}: {', '.join(path.address for path in stale)}")
            take_off(paths, wwid, deadline, stale)
    except (Busy, NeverHappened) as error:
        log.info(f"the stale device of {wwid} stays: {error}")
        return False
    return True


def in_use(paths: "Paths", wwid: str, some: Sequence[Path]) -> bool:
    """Whether anybody uses a volume's map, or one of these paths of it without the map."""
    found = multipath.find(paths, wwid)
    if found and (blockdev.users(paths, found.node) or blockdev.is_open(paths, found.node)):
        return True
    above = {f"device {found.node}"} if found else set()
    return any(set(blockdev.users(paths, path.name)) - above for path in some if path.name)
