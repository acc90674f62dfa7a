"""Unmount of a FlashArray volume, whoever mounted it: from kubelet's directory to the array; detach.py has the second half.

Apart from block.py, for it needs little of what a mount needs, and each module takes its time to import. What is to be
released is seen in the mount table, or is in the record where nothing is mounted any more.
"""

import time

from arrays import names
from arrays.errors import Busy, CommandFailed, NeverHappened
from flex import detach, log, state
from flex.locks import volume_lock
from flex.node import blockdev, mounts, multipath
from flex.node.command import step
from flex.wait import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.machine import Node
    from flex.state import Record

UNMOUNT = 100.0                 # seconds for an unmount, most of them for writing back
LOCK = 90.0                     # seconds to wait for another call of this node about the same volume
UMOUNT = 70.0                   # seconds for umount(8), which writes back


def unmount(mount_dir: str, record: "Record | None", node: "Node") -> None:
    """Unmount the directory and give its volume back, on this node and on the array, unless another pod has it here."""
    deadline = Deadline(UNMOUNT)
    done: set[str] = set()
    while _unmount_all(mount_dir, node, deadline, done):
        pass                                            # a mount that was still under way came to its end


def _unmount_all(mount_dir: str, node: "Node", deadline: Deadline, done: set[str]) -> bool:
    """Unmount what is there and give back what is recorded; True when something was mounted while the lock was awaited."""
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
            if mounts.at(node.paths, mount_dir):
                return True
            if detach.is_open(node, left.wwid):         # an umount(8) that was cut: the kernel still writes back
                _be_able_to_write_back(node, left)
            else:
                state.stop_waiting(node.paths, "no-path", left.wwid)
            detach.let_go(node, left, deadline)
    elif left and not left.wwid:
        state.remove(node.paths, mount_dir)
    return False


def _unmount_volume(mount_dir: str, wwid: str, node: "Node", deadline: Deadline) -> None:
    with volume_lock(node.paths, wwid, deadline.within(LOCK)):
        known = state.known(node.paths, mount_dir)
        record = known if known and known.wwid == wwid else _recorded(node, mount_dir, wwid)
        _be_able_to_write_back(node, record)
        unmount_layers(node, mount_dir, wwid, deadline)
        step("unmounted")
        detach.let_go(node, record, deadline)


def _recorded(node: "Node", mount_dir: str, wwid: str) -> "Record":
    """A record for a mount that has none: once it is unmounted, nothing else tells what is still to be given back."""
    record = state.Record(mount_dir, backend="block", wwid=wwid, stage=state.RELEASING)
    state.save(node.paths, record)
    step("release recorded")
    return record


def unmount_layers(node: "Node", mount_dir: str, wwid: str, deadline: Deadline) -> None:
    """Unmount the uppermost mounts of the directory as long as they are this volume."""
    while (there := mounts.at(node.paths, mount_dir)) and \
            blockdev.wwid_of_mount(node.paths, there[-1]) == wwid:
        try:
            mounts.umount(mount_dir, deadline.within(UMOUNT))
        except CommandFailed as error:
            if mounts.is_busy(error):
                users = ", ".join(mounts.users(node.paths, mount_dir)) or "a process of this node"
                raise Busy(mount_dir, f"{users} still uses it; kubelet will ask again") from error
            raise


def _be_able_to_write_back(node: "Node", record: "Record") -> None:
    """With all paths gone and queueing on, umount would hang. NeverHappened while paths may come back.

    They get PURE_UNMOUNT_NO_PATH_GRACE seconds over kubelet's repeats. What was not written is given up after that, or at
    once when the array shows the volume to another host instead: late writes would damage what that one has written.
    """
    found = multipath.find(node.paths, record.wwid)
    if not found or multipath.has_usable_path(node.paths, record.wwid):
        state.stop_waiting(node.paths, "no-path", record.wwid)
        return
    if not multipath.is_queueing(node.paths, record.wwid):
        return
    # paths cannot come back while this machine is suspended: its monotonic clock stands still then, the one since boot not
    waited, grace = state.waited(node.paths, "no-path", record.wwid, time.monotonic()), node.settings.no_path_grace
    if waited < grace and not detach.is_lost(node, record):
        raise NeverHappened(f"a path to volume {record.volume or record.wwid} to write unsaved data back (all are down; "
                            f"it is given up {grace - waited:.0f} s from now)", waited)
    log.info(f"giving up what was not yet written to {record.volume or record.wwid} ({found.name}): no path for "
             f"{waited:.0f} s, or another host has the volume")
    multipath.stop_queueing(node.paths, found)
    state.stop_waiting(node.paths, "no-path", record.wwid)
