"""FlashBlade file systems over NFS: mount and unmount of an export. No array is asked when the PV says what to mount.

The order of steps and what a dead server does to them: node-attach.md 2.10. A mount point whose server may be away is
never looked at by this process; a child with a limit does that.
"""

import os

from arrays.errors import Busy, CommandFailed, NeverHappened, PureError
from flex import locks, log, state
from flex.node import command, mounts
from flex.trouble import NodeLacks, NotTheVolume
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.machine import Node
    from flex.node.mounts import Mount
    from flex.paths import Paths
    from flex.request import MountRequest

CALL = 85.0             # seconds for all of a mount; its roll-back comes on top
MOUNT = 45.0            # seconds for mount(8); NFS 4.1 on a dark server takes beyond 30
UNMOUNT = 60.0          # seconds for all of an unmount
UMOUNT = 15.0           # seconds for one umount(8) before more is tried: on a dark server it says busy after 10
GLANCE = 3.0            # seconds in which a server that lives answers a look at its file system
LOCK = 20.0             # seconds another call about the same file system on this node may take

VERSIONS = ("vers=", "nfsvers=", "v3", "v4", "minorversion=")
NFS3 = "vers=3"


def mount(request: "MountRequest", node: "Node") -> None:
    """Mount the export on the request's directory; done already is success, another volume there is NotTheVolume."""
    deadline = Deadline(CALL)
    with locks.volume_lock(node.paths, request.volume, LOCK):
        source = request.nfs or _export(request, node)
        record = state.Record(request.mount_dir, backend="file", pv=request.pv, volume=request.volume,
                              array=request.array, access=request.access, source=source, stage=state.MOUNTED)
        there = mounts.at(node.paths, request.mount_dir)
        if there:
            _same(there[-1], source)
            state.save(node.paths, record)
        else:
            _mount(record, options(request.mount_options, request.read_only), node.paths, deadline)


def unmount(mount_dir: str, record: "state.Record | None", node: "Node") -> None:
    """Unmount every NFS mount of the directory and forget it; a dead server cannot prevent that, a living user can."""
    deadline = Deadline(UNMOUNT)
    volume = record.volume if record is not None else mount_dir
    with locks.volume_lock(node.paths, volume, LOCK):
        _clear(node.paths, mount_dir, deadline)
        state.remove(node.paths, mount_dir)


def grow(request: "MountRequest", size: int, node: "Node") -> None:
    """Make the file system at least `size` bytes on its FlashBlade; clients see it at once. It never shrinks."""
    from flex import find
    blade, found = find.flash_blade(node, node.fleet(), request.volume, request.array, request.pv)
    if 0 < found.size < size:           # 0: without limit
        blade.grow_file_system(request.volume, size)


def options(chosen: "tuple[str, ...]", read_only: bool) -> list[str]:
    """Mount options: the PV's, NFSv3 if they name no version, TCP for v3 (mountd's default is UDP), and no long retries."""
    found = [option for option in chosen if option not in ("rw", "ro")]
    if not any(option.startswith(VERSIONS) for option in found):
        found.append(NFS3)
    if any(option in (NFS3, "nfsvers=3", "v3") for option in found):
        found += [f"{key}=tcp" for key in ("proto", "mountproto") if not _says(found, key)]
    if not _says(found, "retry"):
        found.append("retry=0")         # kubelet repeats; mount(8) alone would try for two minutes
    if read_only or "ro" in chosen:
        found.append("ro")
    return found


def _says(options: list[str], key: str) -> bool:
    words = (key, "udp", "tcp") if key == "proto" else (key,)
    return any(option.partition("=")[0] in words for option in options)


def _export(request: "MountRequest", node: "Node") -> str:
    """Where the fleet says the file system is: for PVs without the option `nfs`."""
    from arrays import names
    from flex import find
    blade, _ = find.flash_blade(node, node.fleet(), request.volume, request.array, request.pv)
    return names.export(blade.entry.nfs_endpoint, request.volume)


def _same(there: "Mount", source: str) -> None:
    if not there.is_nfs or _plain(there.source) != _plain(source):
        raise NotTheVolume(f"{there.source} is mounted on {there.mount_dir}, where {source} was asked for: "
                           "nothing was changed")


def _plain(source: str) -> str:
    return source.rstrip("/").lower() if source.rstrip("/").endswith(":") else source.rstrip("/")


def _mount(record: "state.Record", options: list[str], paths: "Paths", deadline: Deadline) -> None:
    directory = record.mount_dir
    made = not os.path.isdir(directory)
    if made:
        os.makedirs(directory, mode=0o750)
    state.save(paths, record)
    command.step("recorded")
    try:
        _run_mount(record.source, directory, options, deadline.within(MOUNT))
        if not mounts.at(paths, directory):
            raise NeverHappened(f"{record.source} to be mounted on {directory}", MOUNT)
    except BaseException as why:
        _roll_back(paths, directory, made, why)
        raise


def _roll_back(paths: "Paths", directory: str, made: bool, why: BaseException) -> None:
    """Leave the directory as it was found; what cannot be undone now stays written down for `unmount`."""
    log.info(f"mount at {directory} is undone: {why}")
    try:
        _clear(paths, directory, Deadline(UMOUNT))
        if made:
            os.rmdir(directory)
        state.remove(paths, directory)
    except (PureError, OSError) as error:
        log.info(f"left of {directory}: {error}")


def _run_mount(source: str, directory: str, options: list[str], limit: float) -> None:
    try:
        mounts.mount(source, directory, "nfs", options, limit)
    except CommandFailed as failure:
        if failure.status == command.NO_END:
            raise NeverHappened(f"an answer of NFS server {source.partition(':/')[0]} for {source}", limit) from None
        if "helper program" in failure.output and "mount.nfs:" not in failure.output:
            raise NodeLacks("this node cannot mount NFS: install nfs-common (Debian, Ubuntu) or nfs-utils "
                            f"(Red Hat, SUSE); {failure}") from None
        raise


def _clear(paths: "Paths", directory: str, deadline: Deadline) -> None:
    """Take away all that is mounted on the directory, the uppermost first."""
    while layers := mounts.at(paths, directory):
        _take_off(paths, layers[-1], directory, deadline)
        left = mounts.at(paths, directory)
        if len(left) >= len(layers):
            raise NeverHappened(f"the unmounting of {left[-1].source} from {directory}", deadline.seconds)


def _take_off(paths: "Paths", layer: "Mount", directory: str, deadline: Deadline) -> None:
    """One umount. What is busy or slow with a living server is repeated; a dead one is left behind, or forced off."""
    try:
        mounts.umount(directory, deadline.within(UMOUNT))
        return
    except CommandFailed as failure:
        if "not mounted" in failure.output:
            return
        if not layer.is_nfs or _answers(directory):
            raise _in_words(failure, directory, paths) from None
    _without_server(layer, _is_shared(paths, layer), directory, deadline)


def _is_shared(paths: "Paths", layer: "Mount") -> bool:
    return any(mount.device == layer.device and mount.id != layer.id for mount in mounts.table(paths))


def _without_server(layer: "Mount", shared: bool, directory: str, deadline: Deadline) -> None:
    """The server is away, and a pod must not be stuck for ever.

    Force makes waiting calls fail: also those of the other mounts of this export, which share its super block (mount(2),
    MNT_FORCE), and whose pods would lose what they write at this moment although the server is back a minute later.
    """
    log.info(f"{layer.source} gives no answer: {directory} is unmounted {'lazily' if shared else 'by force'}")
    for lazy in (True,) if shared else (False, False, True):        # after the first one force says busy, then it works
        try:
            mounts.umount(directory, max(deadline.within(UMOUNT / 3), 1.0), force=not lazy, lazy=lazy)
            return
        except CommandFailed:
            if lazy:
                raise


def _answers(directory: str) -> bool:
    """Whether the server of what is mounted there answers; asked by a child that may hang in our place."""
    try:
        command.run("stat", "-f", "-c", "%T", directory, timeout=GLANCE)
    except CommandFailed:
        return False
    return True


def _in_words(failure: CommandFailed, directory: str, paths: "Paths") -> PureError:
    return Busy(directory, ", ".join(mounts.users(paths, directory))) if mounts.is_busy(failure) else failure
