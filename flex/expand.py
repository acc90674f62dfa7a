"""Growing a mounted volume, from the array to the file system; it never shrinks anything.

kubelet calls this and nobody else has asked the array: kube-controller-manager has no expander for FlexVolume and takes its
own success for done (reference/real-kubernetes.md section 4). So the array's volume is grown here when it is smaller than
asked, then each path is rescanned, the map resized and the file system grown, and each is looked at afterwards.
"""

from arrays import names, units
from flex import device as devices
from flex.locks import volume_lock
from flex.node import blockdev, filesystem, mounts, multipath
from flex.node.command import step
from flex.node.multipath import Map
from flex.trouble import NotTheVolume
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.machine import Node
    from flex.node.mounts import Mount
    from flex.request import MountRequest

CALL = 100.0                    # seconds
LOCK = 60.0                     # seconds to wait for another call of this node about the same volume


def grow(request: "MountRequest", device: str, mount_dir: str, new_size: int, old_size: int, node: "Node") -> None:
    """Give the volume mounted at `mount_dir` at least `new_size` bytes; done already is success.

    `device` is what kubelet thinks the device is: "" without an attach phase; the mount table is believed instead.
    `old_size` is the claim's old size, and of no use here.
    """
    del device, old_size
    deadline = Deadline(CALL)
    from flex import find
    array, volume = find.flash_array(node, node.fleet(), request.volume, request.array, request.pv)
    wwid = names.wwid(volume.serial)
    with volume_lock(node.paths, wwid, deadline.within(LOCK)):
        mounted, found = _mounted(node, mount_dir, wwid, request.volume)
        if new_size > volume.size:
            volume = array.grow_volume(volume.name, units.array_size(new_size))
            step("grown on the array")
        devices.fit(node.paths, found, volume.size, deadline)
        _grow_file_system(node, mounted, found, deadline)
        step("file system grown")


def _mounted(node: "Node", mount_dir: str, wwid: str, volume: str) -> "tuple[Mount, Map]":
    """The mount at a directory and the multipath device below it; NotTheVolume when that is not the volume."""
    there = mounts.at(node.paths, mount_dir)
    found = multipath.find(node.paths, wwid)
    if not there or not found or blockdev.wwid_of_mount(node.paths, there[-1]) != wwid:
        seen = there[-1].source if there else "nothing"
        raise NotTheVolume(f"{mount_dir} has {seen} mounted where volume {volume} ({wwid}) was to be grown")
    return there[-1], found


def _grow_file_system(node: "Node", mounted: "Mount", found: Map, deadline: Deadline) -> None:
    paths, fs_type, whole = node.paths, mounted.fstype, blockdev.size(node.paths, found.node)
    covered = filesystem.size(paths, found.node, fs_type, mounted.mount_dir)
    if covered == whole:
        return
    writable = next((one for one in blockdev.mounts_of(paths, found.number) if not one.read_only), None)
    if writable is None:
        raise NotTheVolume(f"the {fs_type} at {mounted.mount_dir} is mounted read-only and cannot grow: mount it "
                           "read-write")
    filesystem.grow(paths, found.node, fs_type, writable.mount_dir, deadline)
