"""`unmount`: kubelet brings a directory and nothing else; what is to be undone is in its record and in mountinfo.

It comes for directories that were never mounted, for pods from before a reboot, again and again. Afterwards the directory
is empty and no mount point, for kubelet removes it with a plain rmdir.
"""

import os

from arrays.errors import PureError
from flex import state
from flex.node import mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.machine import Node
    from flex.node.mounts import Mount

SHOWN = 3               # names of left files in a message
PATIENCE = 60.0         # seconds for umount(8) of what is not ours: it may write back


class LeftFiles(PureError):
    """Files lie in a directory that nothing is mounted on; `message` names them."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def unmount(mount_dir: str, node: "Node") -> None:
    """Release whatever `mount` made of this directory; nothing there is success. PureError: kubelet repeats the call."""
    record = state.known(node.paths, mount_dir)
    mounted = mounts.at(node.paths, mount_dir)
    if _is_file(record, mounted):
        from flex import file
        file.unmount(mount_dir, record, node)
    elif record is not None or any(mount.source.startswith(f"{node.paths.dev}/") for mount in mounted):
        from flex import block_unmount
        block_unmount.unmount(mount_dir, record, node)
    else:
        for _ in mounted:       # a bind, a tmpfs: put there by somebody else, but the directory is the driver's to clear
            mounts.umount(mount_dir, PATIENCE)
        state.load(node.paths, mount_dir)       # a record that cannot be read is not the same as none
    _check_empty(mount_dir)


def _is_file(record: "state.Record | None", mounted: "list[Mount]") -> bool:
    """What is seen mounted decides; the record, when nothing is."""
    return mounted[-1].is_nfs if mounted else record is not None and record.backend == "file"


def _check_empty(mount_dir: str) -> None:
    """Report files that lie in the directory itself: kubelet cannot remove it, and nothing of a user's is deleted here."""
    try:
        found = sorted(os.listdir(mount_dir))
    except (FileNotFoundError, NotADirectoryError):
        return
    if found:
        names = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
        raise LeftFiles(f"{mount_dir} is unmounted and holds files that were written while nothing was mounted on it "
                        f"({names}): move them away, then kubelet can remove it")
