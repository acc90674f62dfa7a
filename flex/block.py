"""Mount of a FlashArray volume: the order of steps. block_unmount.py is the way back, the steps are in the modules below.

Both may be cut at any point and repeated. Everything about one volume happens under its lock, whose key is the WWID: `mount`
learns it from the array, `unmount` from the mount table or the record. The record is written before the array connects
anything and removed when all is given back; the truth is looked up each time (design.md 3.4).
"""

import os
from functools import partial

from arrays import names
from arrays.errors import Busy, ConfigError, NeverHappened, PureError
from flex import attach, block_unmount, contents, detach, initiators, log, preempt, state
from flex.contents import Job
from flex.locks import device_turn, volume_lock
from flex.node import blockdev, filesystem, mounts, multipath
from flex.node.command import step
from flex.node.multipath import Map
from flex.together import together
from flex.trouble import HeldElsewhere, NotTheVolume
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrays.flasharray import FlashArray
    from arrays.records import Connection, Host, Port, Volume
    from flex.machine import Node
    from flex.paths import Paths
    from flex.request import MountRequest
    from flex.state import Record

CALL = 85.0                     # seconds for a mount; what it did is undone after that, and all ends within two minutes
TURN = 45.0                     # seconds to wait for one's turn; there is nothing yet to be undone
MOUNT = 60.0                    # seconds for mount(8), which replays journals


def mount(request: "MountRequest", node: "Node") -> None:
    """Connect the volume, make its file system if it is blank, mount it. Repeated, it finds everything done."""
    deadline = Deadline(CALL)
    if is_mounted(request, node):
        return
    from flex import find
    array, volume = find.flash_array(node, node.fleet(), request.volume, request.array, request.pv)
    wwid = names.wwid(volume.serial)
    with volume_lock(node.paths, wwid, deadline.within(block_unmount.LOCK)) as lock:
        if _is_at(request, node, wwid):
            _keep_mounted(request, node, array, volume)
        else:
            _mount(Job(request, node, array, volume, lock, deadline))


def is_mounted(request: "MountRequest", node: "Node") -> bool:
    """Whether the volume is at its directory already, by this node's own knowledge: no array is asked.

    Without a path it may have been taken from this node, which only the array knows; another call about it may be an
    unmount.
    """
    record = state.known(node.paths, request.mount_dir)
    if record is None or record.stage != state.MOUNTED or record.volume != request.volume or not record.wwid:
        return False
    try:
        with volume_lock(node.paths, record.wwid, 0.0):
            return _is_at(request, node, record.wwid) and multipath.has_usable_path(node.paths, record.wwid)
    except Busy:
        return False


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


def _keep_mounted(request: "MountRequest", node: "Node", array: "FlashArray", volume: "Volume") -> None:
    """The call that mounted it was cut before it could say so in the record, or the record was lost, or no path is up."""
    wwid = names.wwid(volume.serial)
    check_not_taken(node, volume, initiators.ensure_host(array, node).name, array.connections(volume.name))
    known = state.known(node.paths, request.mount_dir) or _record(request, request.volume, array.name, wwid, "")
    if known.wwid == wwid and known.stage != state.MOUNTED:
        state.save(node.paths, known.but(stage=state.MOUNTED))


def _mount(job: Job) -> None:
    """All steps of a mount, under the volume's lock; what they took is given back when one of them fails."""
    array, volume = job.array, job.volume
    known, connections, ports = together(lambda: initiators.ensure_host(array, job.node),
                                         lambda: array.connections(volume.name), array.ports)
    host = known.name
    check_not_taken(job.node, volume, host, connections)
    _check_host_object(job, known, connections)
    _check_access(job, host, connections)
    if job.request.read_only and not job.request.single_host and preempt.of_others(connections, host):
        job = job._replace(request=_without_replay(job.request))
    record = _record(job.request, volume.name, array.name, job.wwid, host)
    state.save(job.node.paths, record)
    step("recorded")
    try:
        _attach_and_mount(job, record, ports)
    except (PureError, OSError) as error:
        _roll_back(job, record, error)
        raise


def check_not_taken(node: "Node", volume: "Volume", host: str, connections: "Sequence[Connection]") -> None:
    """A volume that was taken from this node while mounted here has another writer since: that mount has to go first."""
    there = detach.mounted(node, names.wwid(volume.serial))
    if there and all(one.host.lower() != host.lower() for one in connections):
        raise Busy(f"volume {volume.name}", "it was disconnected from this node while it was mounted at "
                   f"{', '.join(there)}: what is cached there is out of date, and has to be unmounted first")


def _check_host_object(job: Job, host: "Host", connections: "Sequence[Connection]") -> None:
    """What is connected to a host object that has other machines' initiators too may be mounted on one of those."""
    mine = [one for one in connections if one.host.lower() == host.name.lower() and not one.shared]
    if not mine or job.request.read_only and not job.request.single_host or job.node.settings.attach:
        return          # with an attach phase it was `attach` that connected it, on whatever machine
    if (strangers := initiators.strangers(host, job.node)) and not _has_been_here(job):
        raise HeldElsewhere(f"volume {job.volume.name} is connected already, and not by this node, to host {host.name}, "
                            f"which has initiators that are not this node's ({', '.join(strangers)}): another machine may "
                            "be writing it. Give each node a host of its own on the array, or disconnect the volume there")


def _has_been_here(job: Job) -> bool:
    """Whether this node connected the volume itself, in a call before."""
    paths = job.node.paths
    return bool(detach.mounted(job.node, job.wwid)) or any(one.wwid == job.wwid for one in state.records(paths))


def _check_access(job: Job, host: str, connections: "Sequence[Connection]") -> None:
    """ReadWriteOnce: nobody else has it. Otherwise many may read, and no two may write one file system."""
    request = job.request
    if request.single_host:
        preempt.free(job.node, job.array, job.volume.name, host, request.mount_dir, job.deadline, connections)
    elif not request.read_only and (others := preempt.of_others(connections, host)):
        raise ConfigError(f"volume {job.volume.name} ({request.access}) is connected to "
                          f"{', '.join(one.host for one in others)} too, and a file system on a block volume cannot be "
                          "written by two nodes: use ReadWriteOnce, or a class with backend file")


def _check_access_again(job: Job, host: str) -> None:
    """Two nodes that ask at once both see a volume that nobody has. Each looks again once it is connected itself, so at
    least the later one sees the other, and goes before it has touched the device."""
    if job.request.single_host or not job.request.read_only:
        check_alone(job.array, job.volume.name, host)


def check_alone(array: "FlashArray", volume: str, host: str) -> None:
    """HeldElsewhere when another host has a volume too, right after it was connected to ours."""
    others = [one.host for one in preempt.of_others(array.connections(volume), host) if not one.shared]
    if others:
        raise HeldElsewhere(f"volume {volume} was connected to {', '.join(others)} too, just when it was connected "
                            "to this node, which lets go of it: nothing was mounted")


def _attach_and_mount(job: Job, record: "Record", ports: "Sequence[Port]") -> None:
    """An array that cannot be reached holds nobody else up: the turn is taken after that. It lasts until the volume is
    mounted: were it over before mkfs and mount, all those that came through would share the CPU, and end late together."""
    reached = attach.reach(job.node, ports)
    with device_turn(job.node.paths, job.deadline.within(TURN)):
        lun, found = attach.attach(job.node, job.array, record.host, job.volume, reached, job.deadline,
                                   partial(_check_access_again, job, record.host))
        made = contents.prepare(job, found)
        _mount_device(job, found)
    state.end_mkfs(job.node.paths, job.wwid)            # what could be mounted is finished
    state.save(job.node.paths, record.but(lun=lun, device=found.node, stage=state.MOUNTED))
    step("mounted and recorded")
    if not made and not job.request.read_only:
        contents.grow(job, found)


def _mount_device(job: Job, found: Map) -> None:
    request, paths = job.request, job.node.paths
    os.makedirs(request.mount_dir, mode=0o750, exist_ok=True)
    used = blockdev.mounts_of(paths, found.number)
    limit = job.deadline.within(MOUNT)
    if used and _is_read_only(used[0]) != request.read_only:
        _bind(job, used, limit)
    else:
        mounts.mount(_device_name(paths, found), request.mount_dir, request.fs_type, mount_options(request, job.volume),
                     limit)
    if not _is_at(request, job.node, job.wwid):
        raise NeverHappened(f"{request.mount_dir} to be in the mount table", limit)


def _bind(job: Job, used: "Sequence[mounts.Mount]", limit: float) -> None:
    """A device's mounts share one super block: beside a writing one, a read-only one is a bind, of a mount that shows all
    of the volume: what kubelet mounts for a subPath shows one directory of it."""
    if not job.request.read_only:
        raise Busy(f"volume {job.volume.name}", f"it is mounted read-only at {used[0].mount_dir} on this node")
    source = next((one.mount_dir for one in used if one.root == "/" or detach.is_a_pods(job.node, one.mount_dir)), "")
    if not source:
        raise Busy(f"volume {job.volume.name}", f"only a directory of it is mounted, at {used[0].mount_dir}, on this node")
    directory = job.request.mount_dir
    mounts.bind(source, directory, ["ro"], limit)
    if not mounts.at(job.node.paths, directory)[-1].read_only:
        mounts.make_read_only(directory, limit)         # util-linux before 2.27 passes over `ro` of a bind


def _roll_back(job: Job, record: "Record", why: BaseException) -> None:
    """Give back what this call took: kubelet may never come again for a pod whose mount failed (kubernetes#49383)."""
    log.info(f"mount of {record.volume} at {record.mount_dir} is undone: {why}")
    deadline = Deadline(detach.RELEASE)
    try:
        block_unmount.unmount_layers(job.node, record.mount_dir, job.wwid, deadline)
        detach.let_go(job.node, record, deadline, patience=detach.BRIEF)
    except (PureError, OSError) as error:
        log.info(f"left of {record.mount_dir}: {error}")


def _record(request: "MountRequest", volume: str, array: str, wwid: str, host: str) -> "Record":
    return state.Record(request.mount_dir, backend="block", pv=request.pv, volume=volume, array=array, wwid=wwid,
                        host=host, access=request.access)


def mount_options(request: "MountRequest", volume: "Volume") -> list[str]:
    """The PV's options, `ro`, and `nouuid` for an xfs that was copied: its origin may be mounted here with the same UUID."""
    options = [option for option in request.mount_options if option not in ("ro", "rw")]
    options += ["ro"] if request.read_only else []
    if request.fs_type == "xfs" and volume.source and "nouuid" not in options:
        options.append("nouuid")
    return options


def _without_replay(request: "MountRequest") -> "MountRequest":
    """Even a read-only mount replays the log, that is, writes: not where another host has the volume, and may write it."""
    return request.but(mount_options=(*request.mount_options, *filesystem.no_replay(request.fs_type)))


def _is_read_only(mounted: mounts.Mount) -> bool:
    """Whether the super block behind a mount is read-only: a read-only bind of a writing one has both words."""
    words = mounted.options.split(",")
    return "ro" in words and "rw" not in words


def _device_name(paths: "Paths", found: Map) -> str:
    """/dev/mapper/<name> where udev has made that link already: what people know from `df`; else /dev/dm-N."""
    link, device = f"{paths.dev}/mapper/{found.name}", f"{paths.dev}/{found.node}"
    return link if os.path.realpath(link) == os.path.realpath(device) and os.path.islink(link) else device
