"""From a volume on an array to its multipath device on this node, and nothing left half done when it is repeated.

The order is node-attach.md 2.2 to 2.4: sessions, room at the LUN, connection, a scan of that one LUN through each session,
WWIDs compared before and after, the map, its size. What sysfs and the array say decides at each step; a LUN number alone
proves nothing, for the array gives it out again at once (2.7).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from arrays import names
from arrays.errors import Busy, NeverHappened
from flex import log
from flex.locks import volume_lock
from flex.node import blockdev, fc, iscsi, multipath, scsi
from flex.node.aside import Aside
from flex.node.command import step
from flex.node.multipath import Map
from flex.node.scsi import Nexus, Path
from flex.trouble import NotTheVolume
from flex.wait import Deadline, wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Connection, Port, Volume
    from flex.machine import Node
    from flex.paths import Paths

DEVICE = 30.0                   # seconds for a LUN to appear, and again for its map
STRAGGLERS = 2.0                # seconds further paths get when one is usable
RESCAN, LONGEST_RESCAN = 0.1, 2.0       # seconds after which the kernel is asked again for what did not come, doubling
SIZE = 10.0                     # seconds for all paths to show a new size
CHECKED = 15.0                  # seconds for multipathd to find that paths of an old map work again
TRIES = 3                       # LUNs tried when another volume's device is in use at the one given
LAST_LUN = 4095                 # array-rest.md section 2


@dataclass(frozen=True)
class Reach:
    """How this node reaches an array: the ways that work now, and every place on this node that leads there."""

    nexuses: tuple[Nexus, ...]
    places: frozenset[tuple[int, int, int]]     # (host, channel, target), those that are down included


# Reaching the array ---------------------------------------------------------------------------------------------------

def reach(node: "Node", ports: "Sequence[Port]") -> Reach:
    """Log in where no session is up (iSCSI), or find the array's ports (FC); an error when no way at all works."""
    if node.settings.san_type == "FC":
        seen = fc.ports(node.paths, [port.wwn for port in ports if port.wwn])
        return Reach(tuple(fc.usable(seen)), frozenset(port.nexus.place for port in seen))
    target, portals = iscsi_target(ports)
    wanted = iscsi.allowed(portals, node.settings.allowed_cidrs)
    up = iscsi.log_in(node.paths, target, wanted, node.settings.login_timeout)
    step("logged in")
    every = iscsi.sessions(node.paths, target)
    return Reach(tuple(session.nexus for session in up), frozenset(session.nexus.place for session in every))


def iscsi_target(ports: "Sequence[Port]") -> tuple[str, list[str]]:
    """The array's IQN, which all its iSCSI ports share, and their portals; NVMe and FC ports have none."""
    iqns = [port.iqn for port in ports if port.iqn and port.portal]
    return (iqns[0] if iqns else ""), [port.portal for port in ports if port.portal and port.iqn]


# Connecting -----------------------------------------------------------------------------------------------------------

def connect(node: "Node", array: "FlashArray", host: str, volume: "Volume", reached: Reach) -> int:
    """Connect a volume to this node's host; returns the LUN, at which no other volume's device is left on this node."""
    seen = _ours(node.paths, reached)                   # looked at before the array is asked: what is new is not stale
    connections = array.host_connections(host) if seen else []
    taken = _make_room(node, seen, {one.lun for one in connections})
    lun = array.connect(host, volume.name, _free_lun(taken, connections) if taken else None).lun
    step("connected")
    for _ in range(TRIES):
        if _is_free(node, names.wwid(volume.serial), lun, reached):
            return lun
        lun = _move(array, host, volume.name, {lun} | taken | {scsi.plain_lun(path.lun) for path in seen})
    raise NotTheVolume(f"each LUN at which the array shows volume {volume.name} is in use on this node by the device of "
                       "another volume: unmount what the array has disconnected")


def _move(array: "FlashArray", host: str, volume: str, avoid: set[int]) -> int:
    """Connect a volume again at a LUN that is free on the array and on the node."""
    array.disconnect(host, volume)
    step("disconnected from a LUN in use")
    lun = _free_lun(avoid, array.host_connections(host))
    log.info(f"volume {volume} goes to LUN {lun}: another volume's device is in use at the one it had")
    found = array.connect(host, volume, lun).lun
    step("connected")
    return found


def _ours(paths: "Paths", reached: Reach) -> list[Path]:
    """Devices of FlashArray volumes in the places that lead to this array."""
    return [path for path in scsi.every(paths) if path.place in reached.places and names.is_wwid(path.wwid)]


def _make_room(node: "Node", paths: Iterable[Path], connected: set[int]) -> set[int]:
    """Take stale devices off LUNs that the array will give out again; returns the LUNs where one is in use.

    A LUN that this node has and the array does not show to it is stale. One in use stays, and its LUN is avoided: what its
    user still writes would land on the volume that comes there.
    """
    stale = [path for path in paths if scsi.plain_lun(path.lun) not in connected]
    kept = set()
    for wwid in sorted({path.wwid for path in stale}):
        if not purge(node.paths, wwid, [path for path in stale if path.wwid == wwid]):
            kept |= {scsi.plain_lun(path.lun) for path in stale if path.wwid == wwid}
    return kept


def _is_free(node: "Node", wwid: str, lun: int, reached: Reach) -> bool:
    """Whether no other volume's device is at our LUN; a stale one that nobody uses is taken off."""
    there = [path for nexus in reached.nexuses for path in scsi.at_lun(node.paths, nexus, lun)]
    others = {path.wwid for path in there if path.wwid and path.wwid != wwid}
    return all(names.is_wwid(other) and purge(node.paths, other, [path for path in there if path.wwid == other])
               for other in sorted(others))


def _free_lun(blocked: set[int], connections: "Sequence[Connection]") -> int:
    used = blocked | {one.lun for one in connections}
    return next(lun for lun in range(1, LAST_LUN + 1) if lun not in used)


def purge(paths: "Paths", wwid: str, stale: Sequence[Path]) -> bool:
    """Take stale paths of a volume off this node, with its map; False when somebody uses them or works on the volume."""
    try:
        with volume_lock(paths, wwid, 0.0):
            if _in_use(paths, wwid, stale):
                return False
            log.info(f"removing the stale device of {wwid}: {', '.join(path.address for path in stale)}")
            take_off(paths, wwid, stale)
    except (Busy, NeverHappened) as error:
        log.info(f"the stale device of {wwid} stays: {error}")
        return False
    return True


def _in_use(paths: "Paths", wwid: str, stale: Sequence[Path]) -> bool:
    found = multipath.find(paths, wwid)
    if found and (blockdev.users(paths, found.node) or blockdev.is_open(paths, found.node)):
        return True
    above = {f"device {found.node}"} if found else set()
    return any(set(blockdev.users(paths, path.name)) - above for path in stale if path.name)


def take_off(paths: "Paths", wwid: str, unwanted: Sequence[Path] | None = None) -> None:
    """Remove the map of a volume that nobody uses, then its paths (all of them, or the unwanted ones); verify both.

    Busy when the map is in use after all. Each path's WWID is read again immediately before it is deleted.
    """
    found = multipath.find(paths, wwid)
    if found:
        multipath.remove(paths, found, SIZE)
        step("map removed")
    doomed = scsi.of_wwid(paths, wwid) if unwanted is None else unwanted
    asides = [scsi.delete(now) for path in doomed if (now := scsi.refreshed(path)) and now.wwid == wwid]
    wait_for(lambda: not any((now := scsi.refreshed(path)) and now.wwid == wwid for path in doomed),
             f"the paths of {wwid} to go", DEVICE)
    for aside in asides:
        aside.done()
    step("paths deleted")


# The device -----------------------------------------------------------------------------------------------------------

def device(node: "Node", volume: "Volume", lun: int, reached: Reach) -> Map:
    """The multipath device of a connected volume: every path of it is this volume, and it has the array's size."""
    wwid = names.wwid(volume.serial)
    _drop_wrong_luns(node, wwid, lun, reached)
    found_paths = find_paths(node.paths, reached.nexuses, lun, wwid)
    step("paths found")
    found = multipath.add(node.paths, wwid, DEVICE)
    _await_paths(node.paths, found, [path.name for path in found_paths])
    multipath.check_slaves(node.paths, found)
    wait_for(lambda: multipath.has_usable_path(node.paths, wwid), f"a usable path of {found.name}", CHECKED)
    step("map made")
    return same_size(node.paths, found, volume.size)


def _drop_wrong_luns(node: "Node", wwid: str, lun: int, reached: Reach) -> None:
    """Old paths of this very volume at another LUN: their LUN may be another volume by now, so no map may have them."""
    wrong = [path for path in _ours(node.paths, reached)
             if path.wwid == wwid and scsi.plain_lun(path.lun) != lun]
    if not wrong:
        return
    if _in_use(node.paths, wwid, wrong):
        raise NotTheVolume(f"volume {wwid} is at LUN {lun} and in use on this node through "
                           f"{', '.join(path.address for path in wrong)}, which the array has disconnected: unmount it")
    take_off(node.paths, wwid, wrong)


def find_paths(paths: "Paths", nexuses: Sequence[Nexus], lun: int, wwid: str, timeout: float = DEVICE) -> list[Path]:
    """The volume's paths at `lun`, one through each nexus as far as they come; scanned for where they are missing.

    A scan may block for minutes on a session that is just dying, so it is the device that is waited for. Once a path is
    there, the others get a moment. NotTheVolume when the LUN shows another volume; NeverHappened when nothing appears.
    """
    search = _Search(paths, nexuses, lun, wwid)
    first = wait_for(search.look, f"LUN {lun} ({wwid}) through {', '.join(nexus.via for nexus in nexuses)}", timeout)
    try:
        return wait_for(search.all_there, "further paths", STRAGGLERS)
    except NeverHappened:
        missing = [nexus.via for nexus in nexuses if not search.right(nexus)]
        log.info(f"LUN {lun} ({wwid}) has no path through {', '.join(missing)}")
        return search.look() or first


class _Search:
    """Looks for one LUN through several nexuses, and scans again where nothing came."""

    def __init__(self, paths: "Paths", nexuses: Sequence[Nexus], lun: int, wwid: str) -> None:
        self.paths, self.nexuses, self.lun, self.wwid = paths, nexuses, lun, wwid
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
                or not purge(self.paths, wrong.wwid, [wrong]):
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


def _await_paths(paths: "Paths", found: Map, wanted: Sequence[str]) -> None:
    """Give multipathd a moment to take in the other paths; a map with one is usable."""
    try:
        wait_for(lambda: set(wanted) <= set(multipath.slaves(paths, found.node)), "further paths", STRAGGLERS)
    except NeverHappened:
        log.info(f"{found.name} has not all of {', '.join(wanted)} yet")


def _rescan(path: Path) -> list[Aside]:
    return [scsi.rescan(path)]


def _have_size(paths: "Paths", short: "dict[str, _Again]", size: int) -> bool:
    waiting = [again for name, again in short.items() if blockdev.size(paths, name) != size]
    for again in waiting:
        again.keep_asking()
    return not waiting


def same_size(paths: "Paths", found: Map, size: int) -> Map:
    """Let a device have the array's size: each path is asked to read it again, then the map (node-attach.md 2.9)."""
    by_name = multipath.slaves(paths, found.node)
    short = {path.name: _Again(partial(_rescan, path)) for path in scsi.of_wwid(paths, found.wwid)
             if path.name in by_name and blockdev.size(paths, path.name) != size}
    if short:
        wait_for(lambda: _have_size(paths, short, size),
                 f"{', '.join(sorted(short))} to show the array's size of {size} bytes", SIZE)
        multipath.check_slaves(paths, found)            # a rescan reads the identity again, too
        step("paths rescanned")
    if blockdev.size(paths, found.node) != size:
        multipath.resize(paths, found, size, SIZE)
        step("map resized")
    return found
