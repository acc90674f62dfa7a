"""Mount and unmount of a FlashArray volume: the order of steps. What each step does is in the modules below.

Both may be cut at any point and repeated. Everything about one volume happens under its lock, whose key is the WWID: `mount`
learns it from the array, `unmount` from the mount table or the record. The record is written before the array connects
anything and removed when all is given back; the truth is looked up each time (design.md 3.4).
"""

import os

from arrays import names
from arrays.errors import Busy, CommandFailed, ConfigError, NeverHappened, PureError
from flex import attach, detach, initiators, log, preempt, state
from flex.locks import Lock, volume_lock
from flex.node import blockdev, filesystem, mounts, multipath
from flex.node.command import step
from flex.node.filesystem import Found
from flex.node.multipath import Map
from flex.together import together
from flex.trouble import NotTheVolume, WillNotFormat
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Connection, Volume
    from flex.machine import Node
    from flex.request import MountRequest
    from flex.state import Record

CALL = 85.0                     # seconds for a mount; what it did is undone after that, and all ends within two minutes
UNMOUNT = 100.0                 # seconds for an unmount, most of them for writing back
LOCK = 90.0                     # seconds to wait for another call of this node about the same volume
MOUNT = 60.0                    # seconds for mount(8), which replays journals
UMOUNT = 70.0                   # seconds for umount(8), which writes back

USE, MAKE, MAKE_AGAIN = "use", "make", "make again"


# Mount ----------------------------------------------------------------------------------------------------------------

def mount(request: "MountRequest", node: "Node") -> None:
    """Connect the volume, make its file system if it is blank, mount it. Repeated, it finds everything done."""
    deadline = Deadline(CALL)
    if is_mounted(request, node):
        return
    from flex import find
    array, volume = find.flash_array(node, node.fleet(), request.volume, request.array, request.pv)
    wwid = names.wwid(volume.serial)
    with volume_lock(node.paths, wwid, deadline.within(LOCK)) as lock:
        if not _is_at(request, node, wwid):
            _Mount(request, node, array, volume, lock, deadline).run()


def is_mounted(request: "MountRequest", node: "Node") -> bool:
    """Whether the volume is at its directory already, by this node's own knowledge: no array is asked."""
    record = state.load(node.paths, request.mount_dir)
    return (record is not None and record.stage == state.MOUNTED and record.volume == request.volume
            and bool(record.wwid) and _is_at(request, node, record.wwid))


def _is_at(request: "MountRequest", node: "Node", wwid: str) -> bool:
    """Whether the volume is mounted at the directory; NotTheVolume when something else is."""
    there = mounts.at(node.paths, request.mount_dir)
    if not there:
        return False
    found = blockdev.wwid_of_mount(node.paths, there[-1])
    if found != wwid:
        raise NotTheVolume(f"{request.mount_dir} has {there[-1].source} mounted ({found or there[-1].fstype}), and volume "
                           f"{request.volume} ({wwid}) was asked for: nothing was changed")
    return True


class _Mount:
    """One mount under way, under its volume's lock."""

    def __init__(self, request: "MountRequest", node: "Node", array: "FlashArray", volume: "Volume", lock: Lock,
                 deadline: Deadline) -> None:
        self.request, self.node, self.array, self.volume = request, node, array, volume
        self.lock, self.deadline = lock, deadline
        self.wwid = names.wwid(volume.serial)

    def run(self) -> None:
        host, connections, ports = together(lambda: initiators.ensure_host(self.array, self.node).name,
                                            lambda: self.array.connections(self.volume.name), self.array.ports)
        self._check_access(host, connections)
        record = self._record(host)
        state.save(self.node.paths, record)
        step("recorded")
        try:
            self._run(record, ports)
        except (PureError, OSError) as error:
            self._roll_back(record, error)
            raise _told(error) from error

    def _check_access(self, host: str, connections: "list[Connection]") -> None:
        """ReadWriteOnce: nobody else has it. Otherwise many may read, and no two may write one file system."""
        if self.request.single_host:
            preempt.free(self.node, self.array, self.volume.name, host, self.deadline, connections)
        elif not self.request.read_only and (others := preempt.of_others(connections, host)):
            raise ConfigError(f"volume {self.volume.name} ({self.request.access}) is connected to "
                              f"{', '.join(one.host for one in others)} too, and a file system on a block volume cannot be "
                              "written by two nodes: use ReadWriteOnce, or a class with backend file")

    def _record(self, host: str) -> "Record":
        request = self.request
        return state.Record(request.mount_dir, backend="block", pv=request.pv, volume=self.volume.name,
                            array=self.array.name, wwid=self.wwid, host=host, access=request.access)

    def _run(self, record: "Record", ports: list[object]) -> None:
        reached = attach.reach(self.node, ports)        # type: ignore[arg-type]
        lun = attach.connect(self.node, self.array, record.host, self.volume, reached)
        found = attach.device(self.node, self.volume, lun, reached)
        record = record.but(lun=lun, device=found.node)
        made = self._prepare(found)
        self._mount(found)
        state.save(self.node.paths, record.but(stage=state.MOUNTED))
        step("mounted and recorded")
        if not made and not self.request.read_only:
            self._grow(found)

    # The file system

    def _prepare(self, found: Map) -> bool:
        """Make sure that the device has the file system asked for; True when it was made just now."""
        used = blockdev.mounts_of(self.node.paths, found.number)
        if used:
            check_type(used[0].fstype, self.request.fs_type, self.volume.name)
            return False
        device = f"{self.node.paths.dev}/{found.node}"
        todo = self._todo(found, filesystem.probe(device))
        if todo == USE:
            if not self.request.read_only:
                filesystem.check(device, self.request.fs_type, inherit=(self.lock.fd,))
            return False
        self._make(device, todo == MAKE_AGAIN)
        return True

    def _todo(self, found: Map, seen: Found) -> str:
        """USE or MAKE, from what blkid saw and what is read where it saw nothing."""
        paths, began = self.node.paths, state.mkfs_began(self.node.paths, self.wwid)
        start = blockdev.read_start(paths, found.node, 512)
        unfinished = seen.type in ("", "xfs") and filesystem.is_unfinished_xfs(start)
        data = None if seen or unfinished else blockdev.first_data(paths, found.node)
        return todo(seen, self.request.fs_type, unfinished=unfinished, began=began, data=data,
                    forbidden=self._why_not_format(), volume=self.volume.name)

    def _why_not_format(self) -> str:
        if self.request.read_only:
            return "the mount is read-only"
        return f"its name does not begin with {self.request.prefix}-, so it is not ours to format" \
            if self.request.imported else ""

    def _make(self, device: str, again: bool) -> None:
        """Make the file system, between a mark and its removal: a repeat must know that this node began it."""
        state.begin_mkfs(self.node.paths, self.wwid)
        step("mkfs marked")
        filesystem.make(device, self.request.fs_type, self.request.create_options, again=again,
                        inherit=(self.lock.fd,))
        state.end_mkfs(self.node.paths, self.wwid)

    # The mount

    def _mount(self, found: Map) -> None:
        request, paths = self.request, self.node.paths
        state.end_mkfs(paths, self.wwid)                # what is mounted now is finished
        os.makedirs(request.mount_dir, mode=0o750, exist_ok=True)
        used = blockdev.mounts_of(paths, found.number)
        options = mount_options(request, self.volume)
        limit = self.deadline.within(MOUNT)
        if used and _is_read_only(used[0]) != request.read_only:
            self._bind(used[0], options, limit)
        else:
            mounts.mount(_device_name(self.node, found), request.mount_dir, request.fs_type, options, limit)
        if not _is_at(request, self.node, self.wwid):
            raise NeverHappened(f"{request.mount_dir} to be in the mount table", limit)

    def _bind(self, used: mounts.Mount, options: list[str], limit: float) -> None:
        """A device's mounts share one super block: beside a writing one, a read-only one is a bind."""
        if not self.request.read_only:
            raise Busy(f"volume {self.volume.name}", f"it is mounted read-only at {used.mount_dir} on this node")
        mounts.bind(used.mount_dir, self.request.mount_dir, ["ro"], limit)

    def _grow(self, found: Map) -> None:
        """The volume may have grown while it was mounted nowhere."""
        paths, fs_type = self.node.paths, self.request.fs_type
        covered = filesystem.size(paths, found.node, fs_type, self.request.mount_dir)
        if fs_type in filesystem.GROWABLE and filesystem.is_short(covered, blockdev.size(paths, found.node)):
            filesystem.grow(paths, found.node, fs_type, self.request.mount_dir, self.deadline)
            step("file system grown")

    # Failure

    def _roll_back(self, record: "Record", why: BaseException) -> None:
        """Give back what this call took: kubelet may never come again for a pod whose mount failed (kubernetes#49383)."""
        log.info(f"mount of {record.volume} at {record.mount_dir} is undone: {why}")
        try:
            _unmount_layers(self.node, record.mount_dir, self.wwid)
            detach.let_go(self.node, record, patience=detach.BRIEF)
        except (PureError, OSError) as error:
            log.info(f"left of {record.mount_dir}: {error}")


def todo(seen: Found, wanted: str, *, unfinished: bool, began: bool, data: int | None, forbidden: str,
         volume: str) -> str:
    """What is to be done about the file system: USE it, MAKE it, MAKE_AGAIN; or an error that says why not.

    `seen` is blkid's word; `unfinished`: an xfs that mkfs did not complete; `began`: this node's mark of a mkfs; `data`:
    offset of something that is not zero, where blkid saw nothing; `forbidden`: why formatting is out of the question.
    """
    if unfinished or (not seen and began):
        if began and not forbidden:
            return MAKE_AGAIN
        raise WillNotFormat(f"volume {volume} has a file system that was never finished, "
                            f"{forbidden or 'begun by another node'}: if nothing on it is needed, clear it with `wipefs -a` "
                            "on its device, or delete the claim")
    if seen:
        if seen.ambivalent or seen.table:
            raise NotTheVolume(f"volume {volume} holds {seen} where {wanted} was asked for: it is neither formatted nor "
                               "mounted")
        check_type(seen.type, wanted, volume)
        return USE
    if forbidden:
        raise WillNotFormat(f"volume {volume} has no file system and gets none: {forbidden}")
    if data is not None:
        raise WillNotFormat(f"volume {volume} has no file system known here and is not blank: there is data near byte "
                            f"{data}. It is not formatted")
    return MAKE


def check_type(found: str, wanted: str, volume: str) -> None:
    """NotTheVolume naming both when a volume's file system is not the one asked for: never formatted, never guessed."""
    if found != wanted:
        raise NotTheVolume(f"volume {volume} holds {found} where {wanted} was asked for: it is neither formatted nor "
                           f"mounted. Ask for {found} in the PV's fsType, or use another volume")


def mount_options(request: "MountRequest", volume: "Volume") -> list[str]:
    """The PV's options, `ro`, and `nouuid` for an xfs that was copied: its origin may be mounted here with the same UUID."""
    options = [option for option in request.mount_options if option not in ("ro", "rw")]
    options += ["ro"] if request.read_only else []
    if request.fs_type == "xfs" and volume.source and "nouuid" not in options:
        options.append("nouuid")
    return options


def _is_read_only(mounted: mounts.Mount) -> bool:
    """Whether the super block behind a mount is read-only: a read-only bind of a writing one has both words."""
    words = mounted.options.split(",")
    return "ro" in words and "rw" not in words


def _device_name(node: "Node", found: Map) -> str:
    """/dev/mapper/<name> where udev has made that link already: what people know from `df`; else /dev/dm-N."""
    link, device = f"{node.paths.dev}/mapper/{found.name}", f"{node.paths.dev}/{found.node}"
    return link if os.path.realpath(link) == os.path.realpath(device) and os.path.islink(link) else device


def _told(error: BaseException) -> BaseException:
    """An OSError of reading a device in words for an operator."""
    if isinstance(error, OSError):
        return NotTheVolume(f"{error.filename or 'the device'}: {error.strerror}. A device that cannot be read is never "
                            "taken for blank")
    return error


# Unmount --------------------------------------------------------------------------------------------------------------

def unmount(mount_dir: str, record: "Record | None", node: "Node") -> None:
    """Unmount the directory and give its volume back, on this node and on the array, unless another pod has it here."""
    deadline = Deadline(UNMOUNT)
    done: set[str] = set()
    while there := mounts.at(node.paths, mount_dir):
        wwid = blockdev.wwid_of_mount(node.paths, there[-1])
        if names.is_wwid(wwid):
            _unmount_volume(mount_dir, wwid, node, deadline)
            done.add(wwid)
        else:                                           # put there by somebody else, but the directory is ours to clear
            mounts.umount(mount_dir, deadline.within(UMOUNT))
    left = state.load(node.paths, mount_dir)
    if left and left.wwid and left.wwid not in done:
        with volume_lock(node.paths, left.wwid, deadline.within(LOCK)):
            detach.let_go(node, left)
    elif left and not left.wwid:
        state.remove(node.paths, mount_dir)


def _unmount_volume(mount_dir: str, wwid: str, node: "Node", deadline: Deadline) -> None:
    with volume_lock(node.paths, wwid, deadline.within(LOCK)):
        known = state.load(node.paths, mount_dir)
        record = known if known and known.wwid == wwid else state.Record(mount_dir, backend="block", wwid=wwid)
        record = record.but(stage=state.RELEASING)
        state.save(node.paths, record)
        step("release recorded")
        _be_able_to_write_back(node, record)
        _unmount_layers(node, mount_dir, wwid, deadline.within(UMOUNT))
        step("unmounted")
        detach.let_go(node, record)


def _unmount_layers(node: "Node", mount_dir: str, wwid: str, limit: float = UMOUNT) -> None:
    """Unmount the uppermost mounts of the directory as long as they are this volume."""
    while (there := mounts.at(node.paths, mount_dir)) and \
            blockdev.wwid_of_mount(node.paths, there[-1]) == wwid:
        try:
            mounts.umount(mount_dir, limit)
        except CommandFailed as error:
            if mounts.is_busy(error):
                raise Busy(mount_dir, "a process of this node still uses it; kubelet will ask again") from error
            raise


def _be_able_to_write_back(node: "Node", record: "Record") -> None:
    """With all paths gone and queueing on, umount would hang. NeverHappened while paths may come back.

    They get PURE_UNMOUNT_NO_PATH_GRACE seconds over kubelet's repeats. What was not written is given up after that, or at
    once when the array has disconnected this node: the volume is another's by then, and late writes would damage it.
    """
    found = multipath.find(node.paths, record.wwid)
    if not found or multipath.has_usable_path(node.paths, record.wwid):
        state.stop_waiting(node.paths, "no-path", record.wwid)
        return
    if not multipath.is_queueing(node.paths, record.wwid):
        return
    waited, grace = state.waited(node.paths, "no-path", record.wwid, node.clock()), node.settings.no_path_grace
    if waited < grace and not detach.is_disconnected(node, record):
        raise NeverHappened(f"a path to volume {record.volume or record.wwid} to write unsaved data back (all are down; "
                            f"it is given up {grace - waited:.0f} s from now)", waited)
    log.info(f"giving up what was not yet written to {record.volume or record.wwid} ({found.name}): no path for "
             f"{waited:.0f} s, or disconnected by the array")
    multipath.stop_queueing(node.paths, found)
    state.stop_waiting(node.paths, "no-path", record.wwid)
