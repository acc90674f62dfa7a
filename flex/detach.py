"""The way back: from a device that nobody mounts any more to a volume that is disconnected on its array.

The order is node-attach.md 2.6: write out, remove the map, verify that it is gone, delete each path after reading its WWID
once more, verify, and only then let the array disconnect. The other order would free the LUN's number while the old device
is still there. Sessions stay: the next mount needs them, and a logout would take LUNs of others along.

Every step may be found done already. What an array that is away cannot confirm stays in the record and is finished later.
"""

from functools import partial

from arrays import names
from arrays.errors import Busy, NotFound, PureError, Unreachable
from flex import device, lately, log, state
from flex.locks import volume_lock
from flex.node import blockdev, mounts, multipath
from flex.node.command import step
from flex.together import Ahead
from flex.trouble import NodeLacks, RecordLost
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from arrays.flasharray import FlashArray
    from arrays.fleet import FlashArrayEntry
    from flex.machine import Node
    from flex.state import Record

    Place = tuple[FlashArray, str, str, PureError | None]

AWAY = 60.0                     # seconds an array that gave no answer is not asked about left-overs again
BRIEF = 3.0                     # seconds such an array gets to answer
RELEASE = 20.0                  # seconds to take a device off that another call has left


class OnlyDisconnectLeft(PureError):
    """Everything on this node is released; the array could not be told. The next call, for whatever volume, tries again."""

    retry = True

    def __init__(self, volume: str, host: str, why: str) -> None:
        super().__init__(volume, host, why)
        self.volume = volume
        self.host = host
        self.why = why

    def __str__(self) -> str:
        return (f"volume {self.volume or 'unknown'} is unmounted and released on this node; only its disconnection from "
                f"{self.host or 'this node'} on the array is left ({self.why})")


def mounted(node: "Node", wwid: str) -> list[str]:
    """Where on this node a volume is mounted, through its map or through one of its paths alone."""
    return blockdev.mounted_volume(node.paths, wwid)


def is_open(node: "Node", wwid: str) -> bool:
    """Whether somebody has a volume's device for himself: a file system, too, that no mount table shows any more.

    The kernel takes a mount out of the table before it writes back, and lets go of the device when all is written.
    """
    found = multipath.find(node.paths, wwid)
    return bool(found and blockdev.is_open(node.paths, found.node))


def release(node: "Node", wwid: str, deadline: Deadline) -> None:
    """Take the device of a volume that nobody mounts off this node; Busy when it is in use after all."""
    found = multipath.find(node.paths, wwid)
    if found and multipath.has_usable_path(node.paths, wwid):
        _flush(node, found, deadline)
    elif found and not is_open(node, wwid):
        multipath.stop_queueing(node.paths, found)      # nothing is mounted: what would wait now is udev's looking
    device.take_off(node.paths, wwid, deadline)


def _flush(node: "Node", found: multipath.Map, deadline: Deadline) -> None:
    try:
        blockdev.flush(node.paths, found.node, deadline.within(blockdev.PATIENCE))
        step("flushed")
    except OSError as error:                            # umount has written all it could; the device goes either way
        log.info(f"writing out {found.name} of {found.wwid}: {error.strerror}")


# On the array ---------------------------------------------------------------------------------------------------------

def disconnect(node: "Node", record: "Record", *, patience: float | None = None,
               places: "Callable[[], list[Place]] | None" = None) -> None:
    """Let the array disconnect the record's volume from this node's host.

    A volume that is gone, destroyed or not connected counts as disconnected. OnlyDisconnectLeft when that cannot be found
    out now. `patience` (s) limits how long each array may take to answer; `places`: what is being looked up already.
    """
    try:
        found = places() if places else look_up(node, record, patience)
        failures = [error for place in found if (error := _disconnect(node, place))]
    except PureError as error:
        failures = [error]
    if failures:
        if record.array and failures[0].retry:
            lately.note(node.paths, f"array {record.array}")
        raise OnlyDisconnectLeft(record.volume, record.host, str(failures[0])) from failures[0]
    step("disconnected")


def look_up(node: "Node", record: "Record", patience: float | None = None) -> "list[Place]":
    """Each array that may have the record's volume, with the names it has there for host and volume.

    Unreachable when none of them knows it, and the one that does may be left out for a slip in pure.json.
    """
    places = [_place(node, array, record) for array in _arrays(node, record, patience)]
    complaints = node.fleet().complaints
    if (complaints or not places) and not any(array.name == record.array or volume for array, _, volume, _ in places):
        raise Unreachable(f"FlashArray {record.array}".rstrip(),
                          "; ".join(complaints) or f"{node.settings.fleet_file} names no FlashArray")
    return places


def _place(node: "Node", array: "FlashArray", record: "Record") -> "Place":
    try:
        return array, *_names(node, array, record), None
    except PureError as error:
        return array, "", "", error


def _disconnect(node: "Node", place: "Place") -> PureError | None:
    """Disconnect on one array, if it has the volume; why that could not be done or found out, None when it was.

    When no host of that name has it, this node's host may have another name now.
    """
    array, host, volume, error = place
    try:
        if volume and not array.disconnect(host, volume) and (renamed := _renamed(node, array)):
            array.disconnect(renamed, volume)
    except PureError as refused:
        return refused
    return error


def is_lost(node: "Node", record: "Record") -> bool:
    """Whether the array says that this node has the volume no more and another has, or that the volume is gone.

    One that is merely disconnected may come back. False when the array cannot be asked.
    """
    try:
        return all(_is_lost(node, array, *_names(node, array, record)) for array in _arrays(node, record, BRIEF))
    except PureError as error:
        log.info(f"cannot ask who has {record.volume}: {error}")
        return False


def _is_lost(node: "Node", array: "FlashArray", host: str, volume: str) -> bool:
    hosts = {one.host.lower() for one in array.connections(volume)} if volume else {""}
    return bool(hosts) and host.lower() not in hosts and not (volume and _renamed(node, array).lower() in hosts)


def _arrays(node: "Node", record: "Record", patience: float | None) -> "list[FlashArray]":
    """The array the record names, or all of them when it names none that pure.json still has."""
    from arrays.flasharray import FlashArray
    entries: "tuple[FlashArrayEntry, ...]" = node.fleet().flash_arrays
    named = [entry for entry in entries if entry.name == record.array]
    limits = {"connect_timeout": patience, "read_timeout": patience} if patience else {}
    return [FlashArray(entry, **limits) for entry in named or entries]


def _names(node: "Node", array: "FlashArray", record: "Record") -> tuple[str, str]:
    """(host, volume) as the array calls this node and the record's volume: names may have changed, serials do not.

    The volume is "" when the array has none of that serial, or shows it to other hosts only and under a new name.
    """
    host = record.host or _host(node, array)
    serial = names.serial(record.wwid)
    volume = array.find_volume(record.volume) if record.volume else None
    if volume and volume.serial.upper() == serial:
        return host, volume.name if host else ""
    try:
        return host, _by_serial(array, host, serial) if host else ""
    except NotFound:
        renamed = _renamed(node, array)
        return (renamed, _by_serial(array, renamed, serial)) if renamed else (host, "")


def _host(node: "Node", array: "FlashArray") -> str:
    from flex import initiators
    return str(getattr(array.find_host(initiators.of_node(node)), "name", ""))


def _renamed(node: "Node", array: "FlashArray") -> str:
    """The name that this node's host has now, whatever a record says; "" when it has none, or that cannot be told."""
    try:
        return _host(node, array)
    except NodeLacks:
        return ""               # no initiator any more: nothing can be connected to this node


def _by_serial(array: "FlashArray", host: str, serial: str) -> str:
    for one in array.host_connections(host):
        volume = array.find_volume(one.volume)
        if volume and volume.serial.upper() == serial:
            return volume.name
    return ""


# What is left over ----------------------------------------------------------------------------------------------------

def finish_left_overs(node: "Node", deadline: Deadline) -> None:
    """Try, once and briefly, what earlier calls could not finish and kubelet may never ask for again.

    Left over are disconnections, and half-done mounts and unmounts of pods whose directory kubelet has removed. Nothing is
    raised: this is somebody else's call.
    """
    for record in state.records(node.paths):
        if deadline.passed():
            return
        away = lately.failed(node.paths, f"array {record.array}", AWAY)
        if state.is_left_over(record) and not away:
            _finish(node, record)


def _finish(node: "Node", record: "Record") -> None:
    try:
        with volume_lock(node.paths, record.wwid, 0.0):
            if state.load(node.paths, record.mount_dir) == record:
                let_go(node, record, Deadline(RELEASE), patience=BRIEF)
                log.info(f"finished what was left of {record.mount_dir}: volume {record.volume}")
    except (PureError, OSError) as error:
        log.info(f"still left of {record.mount_dir}: {error}")


def let_go(node: "Node", record: "Record", deadline: Deadline, *, patience: float | None = None) -> None:
    """Give back all that a record stands for, if no other pod of this node has the volume. Call with its lock held."""
    others = mounted(node, record.wwid)
    if mounts.resolved(record.mount_dir) not in others and any(is_a_pods(node, directory) for directory in others):
        state.remove(node.paths, record.mount_dir)      # its unmount gives the volume back
        return
    if others:
        raise Busy(f"volume {record.volume or record.wwid}", f"it is still mounted at {', '.join(others)}")
    places = Ahead(partial(look_up, node, record, patience))       # its answers come while the device goes
    release(node, record.wwid, deadline)
    step("released")
    try:
        disconnect(node, record, patience=patience, places=places)
    except OnlyDisconnectLeft:
        state.save(node.paths, record.but(stage=state.DISCONNECT_LEFT))
        raise
    state.remove(node.paths, record.mount_dir)
    step("forgotten")


def is_a_pods(node: "Node", mount_dir: str) -> bool:
    """Whether kubelet will ask to unmount a directory: it looks like a pod's, or this node has a record of it."""
    try:
        return bool(state.pod_directory(mount_dir)) or state.load(node.paths, mount_dir) is not None
    except RecordLost:
        return True
