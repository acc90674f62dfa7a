"""The attach family, for clusters that set PURE_FLEX_ATTACH=true: attach is kubelet's or kube-controller-manager's.

    attach           on the node itself: the array shows the volume to its host, once no other host has it
    waitforattach    the volume is there; its device is not made yet
    mountdevice      all that `mount` does in the portable profile, at kubelet's global directory
    mount            a bind mount of the global directory, one a pod
    unmount          takes that bind away
    unmountdevice    the way back of mountdevice, the array's disconnection included
    detach           nothing is left to do, unless the node died

The device is made in `mountdevice`, whose counterpart kubelet calls on the same node: what waitforattach had made and no
mountdevice followed, nobody would ever remove. kube-controller-manager runs attach on another machine, which cannot know
the node's initiators, and a host of the node's name may be another cluster's node: so it only orders the nodes, and
mountdevice connects. Of the hosts that do have the volume, the one of the node's name is the node.
"""

import os

from arrays import names
from arrays.errors import ConfigError, NeverHappened, NotFound
from flex import request, resolve, state
from flex.machine import Node
from flex.node import mounts
from flex.request import FILE, MountRequest
from flex.trouble import HeldElsewhere, NotTheVolume
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from arrays.flasharray import FlashArray
    from arrays.records import Connection, Volume
    from flex.settings import Settings

CALL = 85.0             # seconds for attach, most of them for another host to let go
LOCK = 60.0             # seconds to wait for another call of this node about the same volume
BIND = 30.0             # seconds for mount(8)
PODS = "/pods/"
GLOBAL = "/plugins/kubernetes.io/flexvolume/pure/flex/mounts/"      # attacher.go makeGlobalMountPath; the slash stays
NOWHERE = "/plugins/kubernetes.io/flexvolume/pure/flex/mounts/-"    # for calls that bring no directory


# Calls about an array -------------------------------------------------------------------------------------------------

def attach(settings: "Settings", options: str, node_name: str) -> str:
    """Connect the volume to this node's host, if that is the node; returns its device. Done already is success."""
    node, wanted = _asked(settings, options)
    if wanted.backend == FILE:
        return wanted.nfs or wanted.volume
    from flex import find
    array, volume = find.flash_array(node, node.fleet(), wanted.volume, wanted.array, wanted.pv)
    if _is_here(node, node_name):
        _attach(wanted, node, array, volume)
    return _device(volume.serial)


def _attach(wanted: MountRequest, node: Node, array: "FlashArray", volume: "Volume") -> None:
    from flex import attach, block, initiators, preempt
    from flex.locks import volume_lock
    deadline = Deadline(CALL)
    with volume_lock(node.paths, names.wwid(volume.serial), deadline.left()):
        host = initiators.ensure_host(array, node).name
        connections: "Sequence[Connection]" = array.connections(volume.name)
        block.check_not_taken(node, volume, host, connections)
        if wanted.single_host:
            connections = preempt.free(node, array, volume.name, host, wanted.mount_dir, deadline, connections)
        attach.show(node, array, host, volume, deadline)
        if wanted.single_host and not connections:      # two nodes asked at once: the later one goes, as in mountdevice
            try:
                block.check_alone(array, volume.name, host)
            except HeldElsewhere:
                array.disconnect(host, volume.name)
                raise


def wait_for_attach(settings: "Settings", device: str, options: str) -> str:
    """The device of a volume that some array has: mountdevice connects what is not connected, and makes the device."""
    node, wanted = _asked(settings, options)
    if wanted.backend == FILE:
        return device or wanted.nfs or wanted.volume
    from flex import find
    _, volume = find.flash_array(node, node.fleet(), wanted.volume, wanted.array, wanted.pv)
    return _device(volume.serial)


def is_attached(settings: "Settings", first: str, second: str) -> bool:
    """Whether the volume is connected to the node's host; early kubelets put the node before the options.

    As long as only hosts of other names have it, one of them may be the node: "detached" must be certain.
    """
    options, node_name = (second, first) if second.lstrip().startswith("{") else (first, second)
    node, wanted = _asked(settings, options)
    if wanted.backend == FILE:
        return True
    from flex import find
    array, volume = find.flash_array(node, node.fleet(), wanted.volume, wanted.array, wanted.pv)
    connected = [one.host for one in array.connections(volume.name)]
    if _is_here(node, node_name):
        return _host(array, node, node_name, connected) != ""
    return bool(connected)


def detach(settings: "Settings", name: str, node_name: str) -> None:
    """Disconnect a volume from the node's host; unknown, gone and not connected are success.

    `name` is a PV's, that of an inline volume, or (community documents) a device path.
    """
    node = Node(settings.paths, settings)
    wanted = _named(node, name)
    if wanted is None or wanted.backend == FILE:
        return
    from flex import find
    try:
        array, volume = find.flash_array(node, node.fleet(), wanted.volume, wanted.array, wanted.pv)
    except NotFound:
        if node.fleet().complaints:         # it may be on an array that a slip in pure.json leaves out
            raise
        return
    host = _host(array, node, node_name, [one.host for one in array.connections(volume.name)])
    if host and not _in_use_here(node, volume.serial, node_name):
        array.disconnect(host, volume.name)


def _asked(settings: "Settings", options: str) -> tuple[Node, MountRequest]:
    node = Node(settings.paths, settings)
    return node, resolve.complete(request.parse(NOWHERE, options, settings), node)


def _named(node: Node, name: str) -> MountRequest | None:
    """The volume that detach's name means: by this node's records, else by its PV's name; None for an unknown device."""
    device = name.rpartition("/")[2] if name.startswith("/") else ""
    for record in state.records(node.paths):
        if record.pv == name or device and device in (record.device, record.wwid):
            return MountRequest(record.mount_dir, record.pv, record.volume, record.backend, array=record.array)
    if device:
        return None
    try:
        volume = names.volume_name(node.settings.prefix, name)
        return resolve.complete(MountRequest(NOWHERE, name, volume, ""), node)
    except ConfigError:
        return None
    except NotFound:
        if node.fleet().complaints:
            raise
        return None


def _host(array: "FlashArray", node: Node, node_name: str, connected: list[str]) -> str:
    """Which of the hosts that have a volume stands for a node; "" for none of them."""
    from flex import initiators
    if _is_here(node, node_name):
        host = array.find_host(initiators.of_node(node))
        likely = {host.name.lower()} if host else set()
    else:
        likely = {names.host_name(node_name).lower(), node_name.lower(), node_name.partition(".")[0].lower()}
    return next((name for name in connected if name.lower() in likely), "")


def _is_here(node: Node, node_name: str) -> bool:
    """Whether a node of Kubernetes is this machine: its name may be longer or shorter than the machine's own."""
    own, asked = node.name.lower(), node_name.lower()
    return own == asked or own.partition(".")[0] == asked or asked.partition(".")[0] == own


def _in_use_here(node: Node, serial: str, node_name: str) -> bool:
    """detach may come while a slow mount runs (kubernetes#71145): what is mounted here stays connected."""
    if not _is_here(node, node_name):
        return False
    from flex import detach
    return bool(detach.mounted(node, names.wwid(serial)))


def _device(serial: str) -> str:
    return f"/dev/mapper/{names.wwid(serial)}"


# Calls about a directory ----------------------------------------------------------------------------------------------

def mount(wanted: MountRequest, node: Node) -> None:
    """Show a pod the volume that mountdevice has mounted at the global directory; done already is success."""
    from flex.locks import volume_lock
    source = global_directory(wanted.mount_dir)
    record = state.load(node.paths, source)
    with volume_lock(node.paths, record and (record.wwid or record.volume) or wanted.volume, LOCK):
        _show(wanted, record, source, node)


def _show(wanted: MountRequest, record: "state.Record | None", source: str, node: Node) -> None:
    staged = mounts.at(node.paths, source)
    if not staged or record is None or record.volume != wanted.volume:
        raise NotTheVolume(f"{wanted.volume} is not mounted at {source}, from where {wanted.mount_dir} is to be made: "
                           "kubelet has to call mountdevice first")
    there = mounts.at(node.paths, wanted.mount_dir)
    if not there:
        state.save(node.paths, record.but(mount_dir=wanted.mount_dir))
        _bind(wanted, source, node)
    elif (there[-1].device, there[-1].source) != (staged[-1].device, staged[-1].source):
        raise NotTheVolume(f"{there[-1].source} is mounted on {wanted.mount_dir}, where {wanted.volume} was asked for: "
                           "nothing was changed")


def global_directory(mount_dir: str) -> str:
    """kubelet's global directory of the volume that a pod's directory is for:

        <root>/pods/<uid>/volumes/pure~flex/<name> -> <root>/plugins/kubernetes.io/flexvolume/pure/flex/mounts/<name>
    """
    root, pods, rest = mount_dir.rpartition(PODS)
    if not pods or rest.count("/") != 3:
        raise ConfigError(f"{mount_dir} is no pod's directory of kubelet's: <root>/pods/<uid>/volumes/pure~flex/<name>")
    return root + GLOBAL + rest.rpartition("/")[2]


def _bind(wanted: MountRequest, source: str, node: Node) -> None:
    made = not os.path.isdir(wanted.mount_dir)
    if made:
        os.makedirs(wanted.mount_dir, mode=0o750)
    try:
        mounts.bind(source, wanted.mount_dir, ["ro"] if wanted.read_only else [], BIND)
        if not mounts.at(node.paths, wanted.mount_dir):
            raise NeverHappened(f"{source} to be shown at {wanted.mount_dir}", BIND)
        if wanted.read_only and not mounts.at(node.paths, wanted.mount_dir)[-1].read_only:
            mounts.make_read_only(wanted.mount_dir, BIND)       # util-linux before 2.27 passes over `ro` of a bind
    except BaseException:
        for _ in mounts.at(node.paths, wanted.mount_dir):
            mounts.umount(wanted.mount_dir, BIND)
        if made:
            os.rmdir(wanted.mount_dir)
        state.remove(node.paths, wanted.mount_dir)
        raise
