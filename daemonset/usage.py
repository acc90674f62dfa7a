"""Whether volumes of ours are mounted on this node, or still connected: then the driver must stay, or nobody can unmount
them, and no array is told that they may go elsewhere."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

# /var/lib/kubelet/pods/<uid>/volumes/pure~flex/<pv>; kubelet's root may be elsewhere. Field 5 is the mount point
# (proc(5), mountinfo), with blanks as \\040.
_OURS = re.compile(r"^\S+ \S+ \S+ \S+ (\S*/pods/[^/\s]+/volumes/pure~flex/[^/\s]+|\S*/flexvolume/pure/flex/mounts/[^/\s]+) ",
                   re.MULTILINE)


READINGS = 10           # of a mount table, at most


class Unknown(Exception):
    """The node's mount table, or what the driver wrote down there, cannot be seen from here."""


def mounted(table: Path) -> list[str]:
    """Mount points of our volumes in a node's mount table, for example /proc/1/mountinfo under hostPID.

    Without hostPID /proc/1 is a process of our own container and tells nothing of the node: Unknown.
    """
    if _is_our_own(table):
        raise Unknown("this pod does not see the node's mounts (hostPID is not set)")
    try:
        return _OURS.findall(_content(table))
    except OSError as error:
        raise Unknown(f"cannot read {table}: {error.strerror}") from None


def _content(table: Path) -> str:
    """What two readings in a row say, else whatever any of them said: before Linux 5.8 one may lack a line while others
    mount and unmount."""
    readings = [table.read_text(errors="replace")]
    while len(readings) < READINGS:
        readings.append(table.read_text(errors="replace"))
        if readings[-1] == readings[-2]:
            return readings[-1]
    return "".join(readings)


def owed(states: Iterable[Path]) -> list[str]:
    """Volumes whose calls have not come to their end, in words, by the driver's records in the first of the folders that is
    there: it writes one before an array connects a volume and removes it when all is given back. Nothing where none of them
    is, Unknown when they cannot be read. File systems need nothing but their unmount.
    """
    try:
        for state in states:
            if state.is_dir():
                names = sorted(os.listdir(state / "mounts")) if (state / "mounts").is_dir() else []
                return [words for name in names if name.endswith(".json") and (words := _words(state / "mounts" / name))]
    except OSError as error:
        raise Unknown(f"cannot read {error.filename}: {error.strerror}") from None
    return []


def _words(file: Path) -> str:
    try:
        found = json.loads(file.read_text(errors="replace"))
        if not found.get("wwid"):
            return ""
        return f"{found.get('volume') or found['wwid']} on array {found.get('array') or '(unknown)'}, {found['mount_dir']}"
    except FileNotFoundError:           # it came to its end just now
        return ""
    except (ValueError, KeyError, AttributeError):
        return f"what {file.name} stood for, which cannot be read"


def _is_our_own(table: Path) -> bool:
    namespace = table.parent / "ns/mnt"
    try:
        return os.readlink(namespace) == os.readlink("/proc/self/ns/mnt")
    except OSError:
        return False
