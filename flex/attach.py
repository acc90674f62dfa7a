"""From a volume on an array to its device on this node: sessions, room at the LUN, the connection.

The order is node-attach.md 2.2: log in where no session is up, make sure that no other volume's device is at the LUN the
array will give, connect, and let device.py find it there. A LUN number alone proves nothing: the array gives it out again at
once, and what sits there on this node may still be another volume (2.7).
"""

from collections.abc import Callable, Iterable, Sequence

from arrays import names
from arrays.tuples import NamedTuple
from flex import device, log
from flex.node import fc, iscsi, scsi
from flex.node.command import step
from flex.node.multipath import Map
from flex.node.scsi import Nexus, Path
from flex.trouble import NotTheVolume
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Connection, Port, Volume
    from flex.machine import Node
    from flex.paths import Paths

TRIES = 3                       # LUNs tried when another volume's device is in use at the one given
LAST_LUN = 4095                 # array-rest.md section 2


class Reach(NamedTuple):
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

def attach(node: "Node", array: "FlashArray", host: str, volume: "Volume", reached: Reach, deadline: Deadline,
           check: Callable[[], None]) -> tuple[int, Map]:
    """Connect a volume to this node's host and make its device; returns the LUN and the device. Call with a turn taken.

    `check` raises when the volume is not to be used after all: it is called once the array has connected it, before
    anything is done with it.
    """
    wwid = names.wwid(volume.serial)
    seen = _ours(node.paths, reached)                   # looked at before the array is asked: what is new is not stale
    lun = connect(node, array, host, volume, reached, seen, deadline)
    check()
    _drop_wrong_luns(node.paths, wwid, lun, seen, deadline)
    return lun, device.make(node.paths, wwid, volume.size, lun, reached.nexuses, deadline)


def show(node: "Node", array: "FlashArray", host: str, volume: "Volume", deadline: Deadline) -> None:
    """Connect a volume to this node's host, at a LUN that is free on the node too; its device is made later."""
    reached = reach(node, array.ports())
    connect(node, array, host, volume, reached, _ours(node.paths, reached), deadline)


def connect(node: "Node", array: "FlashArray", host: str, volume: "Volume", reached: Reach, seen: Sequence[Path],
            deadline: Deadline) -> int:
    """Connect a volume to this node's host; returns the LUN, at which no other volume's device is left on this node."""
    connections = array.host_connections(host) if seen else []
    taken = _make_room(node.paths, seen, {one.lun for one in connections}, deadline)
    lun = array.connect(host, volume.name, _free_lun(taken, connections) if taken else None).lun
    step("connected")
    for _ in range(TRIES):
        if _is_free(node.paths, names.wwid(volume.serial), lun, reached, deadline):
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
    return [path for place in sorted(reached.places) for path in scsi.at_place(paths, place) if names.is_wwid(path.wwid)]


def _make_room(paths: "Paths", seen: Iterable[Path], connected: set[int], deadline: Deadline) -> set[int]:
    """Take stale devices off LUNs that the array will give out again; returns the LUNs where one is in use.

    A LUN that this node has and the array does not show to it is stale. One in use stays, and its LUN is avoided: what its
    user still writes would land on the volume that comes there.
    """
    stale = [path for path in seen if scsi.plain_lun(path.lun) not in connected]
    kept = set()
    for wwid in sorted({path.wwid for path in stale}):
        its = [path for path in stale if path.wwid == wwid]
        if not device.purge(paths, wwid, its, deadline):
            kept |= {scsi.plain_lun(path.lun) for path in its}
    return kept


def _is_free(paths: "Paths", wwid: str, lun: int, reached: Reach, deadline: Deadline) -> bool:
    """Whether no other volume's device is at our LUN; a stale one that nobody uses is taken off."""
    there = [path for nexus in reached.nexuses for path in scsi.at_lun(paths, nexus, lun)]
    others = {path.wwid for path in there if path.wwid and path.wwid != wwid}
    return all(names.is_wwid(other) and device.purge(paths, other, [path for path in there if path.wwid == other], deadline)
               for other in sorted(others))


def _free_lun(blocked: set[int], connections: "Sequence[Connection]") -> int:
    used = blocked | {one.lun for one in connections}
    return next(lun for lun in range(1, LAST_LUN + 1) if lun not in used)


def _drop_wrong_luns(paths: "Paths", wwid: str, lun: int, seen: Sequence[Path], deadline: Deadline) -> None:
    """Old paths of this very volume at another LUN: their LUN may be another volume by now, so no map may have them."""
    wrong = [path for path in seen if path.wwid == wwid and scsi.plain_lun(path.lun) != lun]
    if not wrong:
        return
    if device.in_use(paths, wwid, wrong):
        raise NotTheVolume(f"volume {wwid} is at LUN {lun} and in use on this node through "
                           f"{', '.join(path.address for path in wrong)}, which the array has disconnected: unmount it")
    device.take_off(paths, wwid, deadline, wrong)
