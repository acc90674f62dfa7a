"""What is on a volume: whether its file system may be used as it is, has to be made, or must be left alone.

Never formatted: what was not read and found blank, what is not ours, what is mounted to be read only (design.md 3.5, rule
1). A file system whose making was cut is made again only by the node that began it (design.md 3.4.1). Decisions are
functions of what was seen; node/filesystem.py does the looking and the making.
"""

from arrays import names
from arrays.errors import PureError
from arrays.tuples import NamedTuple
from flex import log, state
from flex.locks import Lock
from flex.node import blockdev, filesystem
from flex.node.command import step
from flex.node.filesystem import Found
from flex.node.multipath import Map
from flex.trouble import NotTheVolume, WillNotFormat
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Volume
    from flex.machine import Node
    from flex.request import MountRequest

USE, MAKE, MAKE_AGAIN = "use", "make", "make again"


class Job(NamedTuple):
    """One mount under way: what is asked for, where the volume is, the lock that is held, and how long it may take."""

    request: "MountRequest"
    node: "Node"
    array: "FlashArray"
    volume: "Volume"
    lock: Lock
    deadline: Deadline

    @property
    def wwid(self) -> str:
        return names.wwid(self.volume.serial)


def prepare(job: Job, found: Map) -> bool:
    """Make sure that the device has the file system asked for; True when it was made just now."""
    used = blockdev.mounts_of(job.node.paths, found.number)
    if used:
        check_type(used[0].fstype, job.request.fs_type, job.volume.name)
        return False
    device = f"{job.node.paths.dev}/{found.node}"
    what = _todo(job, found, filesystem.probe(device, job.deadline.within(filesystem.LOOK)))
    if what != USE:
        _make(job, found, what == MAKE_AGAIN)
    elif not job.request.read_only:
        filesystem.check(device, job.request.fs_type, job.deadline.within(filesystem.CHECK), inherit=(job.lock.fd,))
    return what != USE


def grow(job: Job, found: Map) -> None:
    """Let a mounted file system fill its device: the volume may have grown while it was mounted nowhere.

    What fails here is logged and no more: the volume is mounted, and `expandfs` will say what is wrong.
    """
    paths, request = job.node.paths, job.request
    try:
        covered = filesystem.size(paths, found.node, request.fs_type, request.mount_dir)
        if request.fs_type in filesystem.GROWABLE and filesystem.is_short(covered, blockdev.size(paths, found.node)):
            filesystem.grow(paths, found.node, request.fs_type, request.mount_dir, job.deadline)
            step("file system grown")
    except (PureError, OSError) as error:
        log.info(f"the file system of {job.volume.name} was not grown: {error}")


def _todo(job: Job, found: Map, seen: Found) -> str:
    """USE or MAKE, from what blkid saw and what is read where it saw nothing."""
    paths, unfinished, data = job.node.paths, False, None
    if not seen or seen.type == "xfs":
        start, data = _look(job, found)
        unfinished = filesystem.is_unfinished_xfs(start)
    began = state.mkfs_began(paths, job.wwid)
    if began and not seen and not unfinished:
        _check_no_superblock(job, found)
    return todo(seen, job.request.fs_type, unfinished=unfinished, began=began, data=data,
                forbidden=why_not_format(job.request), volume=job.volume.name)


def _check_no_superblock(job: Job, found: Map) -> None:
    """blkid sees nothing, too, while it cannot read, and a mark may be old: of a mkfs that was finished after all, on a
    volume that other nodes have used since."""
    for fs_type in filesystem.GROWABLE:
        if filesystem.size(job.node.paths, found.node, fs_type) is not None:
            raise WillNotFormat(f"volume {job.volume.name} begins with the superblock of {fs_type}, and blkid sees nothing "
                                "there: it is not formatted")


def _look(job: Job, found: Map) -> tuple[bytes, int | None]:
    try:
        return blockdev.look(job.node.paths, found.node, job.deadline.within(blockdev.PATIENCE))
    except OSError as error:
        raise WillNotFormat(f"the device {found.name} of volume {job.volume.name} cannot be read ({error.strerror}), and "
                            "what cannot be read is never taken for blank") from error


def _make(job: Job, found: Map, again: bool) -> None:
    """Make the file system, between a mark and its removal: a repeat must know that this node began it."""
    paths = job.node.paths
    whole, told = blockdev.size(paths, found.node), job.array.volume(job.volume.name).size
    if whole != told:
        raise NotTheVolume(f"{found.name} has {whole} bytes and volume {job.volume.name} has {told}: not formatted")
    state.begin_mkfs(paths, job.wwid)
    step("mkfs marked")
    filesystem.make(f"{paths.dev}/{found.node}", job.request.fs_type, job.request.create_options,
                    job.deadline.within(filesystem.MAKE), again=again, inherit=(job.lock.fd,))
    state.end_mkfs(paths, job.wwid)


def why_not_format(request: "MountRequest") -> str:
    """Why formatting is out of the question, "" when it is not."""
    if request.read_only:
        return "the mount is read-only"
    return f"its name does not begin with {request.prefix}-, so it is not ours to format" if request.imported else ""


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
