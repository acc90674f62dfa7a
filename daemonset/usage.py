"""Whether volumes of ours are mounted on this node: then the driver must stay, or nobody can unmount them."""

import os
import re
from pathlib import Path

# /var/lib/kubelet/pods/<uid>/volumes/pure~flex/<pv>; kubelet's root may be elsewhere. Field 5 is the mount point
# (proc(5), mountinfo), with blanks as \\040.
_OURS = re.compile(r"^\S+ \S+ \S+ \S+ (\S*/pods/[^/\s]+/volumes/pure~flex/[^/\s]+|\S*/flexvolume/pure/flex/mounts/[^/\s]+) ",
                   re.MULTILINE)


class Unknown(Exception):
    """The node's mount table cannot be seen from here."""


def mounted(table: Path) -> list[str]:
    """Mount points of our volumes in a node's mount table, for example /proc/1/mountinfo under hostPID.

    Without hostPID /proc/1 is a process of our own container and tells nothing of the node: Unknown.
    """
    if _is_our_own(table):
        raise Unknown("this pod does not see the node's mounts (hostPID is not set)")
    try:
        return _OURS.findall(table.read_text(errors="replace"))
    except OSError as error:
        raise Unknown(f"cannot read {table}: {error.strerror}") from None


def _is_our_own(table: Path) -> bool:
    namespace = table.parent / "ns/mnt"
    try:
        return os.readlink(namespace) == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
