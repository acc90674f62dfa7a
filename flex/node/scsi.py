"""SCSI on this node: the paths (sdX) of a LUN, looked up in sysfs; scan, rescan and delete.

A path's directory is /sys/class/scsi_host/hostH/device/…/targetH:C:T/H:C:T:L, with `sessionN` between for iSCSI and
`rport-H:C-N` for Fibre Channel. Its `wwid` is read there and not through /sys/block/sdX, which appears later
(node-attach.md, fact 9). Writes that can block happen aside.
"""

import os
from collections.abc import Iterator

from arrays import names
from arrays.tuples import NamedTuple
from flex.node import aside, sysfs
from flex.paths import Paths

_FLAT_SPACE = 0x4000            # SAM-2 flat addressing, as Linux shows it: LUN 300 may be 300 or 16684


class Nexus(NamedTuple):
    """One way from this node to an array: an iSCSI session, or an FC host and one of the array's ports."""

    host: int
    channel: int
    target: int
    via: str                    # portal "192.0.2.11:3260", or the array's WWPN: for messages

    @property
    def place(self) -> tuple[int, int, int]:
        """Where its LUNs are: host, channel, target."""
        return self.host, self.channel, self.target


class Path(NamedTuple):
    """One SCSI device as it was when looked at."""

    host: int
    channel: int
    target: int
    lun: int
    directory: str              # …/H:C:T:L, where `delete` and `rescan` are
    wwid: str                   # "3624a9370…" for what a FlashArray shows, else as sysfs has it ("naa.5000…", "t10.…", "")
    name: str                   # "sdb"; "" while the block device is not there yet

    @property
    def place(self) -> tuple[int, int, int]:
        """Host, channel and target: what it is reached through."""
        return self.host, self.channel, self.target

    @property
    def address(self) -> str:
        """"3:0:0:1", as kernel messages and `multipathd show paths` have it."""
        return f"{self.host}:{self.channel}:{self.target}:{self.lun}"


def every(paths: Paths) -> list[Path]:
    """All SCSI devices of this node, foreign ones too."""
    return [path for host in sysfs.entries(paths.scsi_hosts, "host")
            for target in _targets(f"{paths.scsi_hosts}/{host}/device") for path in _in_target(target)]


def of_wwid(paths: Paths, wwid: str) -> list[Path]:
    """The paths that now say they are the volume `wwid` ("3624a9370…")."""
    return [path for path in every(paths) if path.wwid == wwid]


def at_place(paths: Paths, place: tuple[int, int, int]) -> list[Path]:
    """All LUNs this node has at one (host, channel, target), whosever they are."""
    return [path for directory in _target(paths, place) for path in _in_target(directory)]


def at_lun(paths: Paths, nexus: Nexus, lun: int) -> list[Path]:
    """What is at `lun` of `nexus` now: nothing, or one path (its number may be in flat addressing)."""
    host, channel, target = nexus.place
    names_of_it = [f"{host}:{channel}:{target}:{number}" for number in lun_numbers(lun)]
    found = (_read(f"{directory}/{name}") for directory in _target(paths, nexus.place) for name in names_of_it)
    return [path for path in found if path]


def lun_numbers(lun: int) -> tuple[int, ...]:
    """The numbers Linux may show for an array's LUN: above 255 it may be in flat addressing."""
    return (lun,) if lun < 256 else (lun, lun + _FLAT_SPACE)


def plain_lun(number: int) -> int:
    """The array's LUN behind a number Linux shows."""
    return number - _FLAT_SPACE if number >= _FLAT_SPACE else number


def refreshed(path: Path) -> Path | None:
    """The same path as it is now, or None when it has gone."""
    return _read(path.directory)


def scan(paths: Paths, nexus: Nexus, lun: int) -> list[aside.Aside]:
    """Ask the kernel to look for one LUN of one target. Never a wildcard: that brings in every LUN of every array."""
    file = f"{paths.scsi_hosts}/host{nexus.host}/scan"
    return [aside.write(file, f"{nexus.channel} {nexus.target} {number}\n") for number in lun_numbers(lun)]


def rescan(path: Path) -> aside.Aside:
    """Ask the kernel to read size and identity of one path again."""
    return aside.write(f"{path.directory}/rescan", "1\n")


def delete(path: Path) -> aside.Aside:
    """Take one path off this node. The caller has verified its WWID just before."""
    return aside.write(f"{path.directory}/delete", "1\n")


def wwid_of(text: str) -> str:
    """The WWID as multipath writes it from what sysfs says: "naa.624a…" gives "3624a…"; another's stays as it is."""
    return names.wwid(names.serial(text)) if names.is_wwid(text) else text


def _targets(device: str) -> Iterator[str]:
    """The target directories below a host's `device`: directly (local disks), below a session or a remote port."""
    for name in sysfs.entries(device):
        if name.startswith("target"):
            yield f"{device}/{name}"
        elif name.startswith(("session", "rport-")):
            yield from (f"{device}/{name}/{target}" for target in sysfs.entries(f"{device}/{name}", "target"))


def _target(paths: Paths, place: tuple[int, int, int]) -> list[str]:
    """The directory of one target: a list of one, or of none when it is not there."""
    host, channel, target = place
    wanted = f"/target{host}:{channel}:{target}"
    return [directory for directory in _targets(f"{paths.scsi_hosts}/host{host}/device") if directory.endswith(wanted)]


def _in_target(target: str) -> Iterator[Path]:
    for name in sysfs.entries(target):
        if name.count(":") == 3 and (path := _read(f"{target}/{name}")):
            yield path


def _read(directory: str) -> Path | None:
    numbers = [sysfs.number(part) for part in os.path.basename(directory).split(":")]
    if None in numbers or len(numbers) != 4 or not os.path.isdir(directory):
        return None
    host, channel, target, lun = (number or 0 for number in numbers)
    block = sysfs.entries(f"{directory}/block")
    return Path(host, channel, target, lun, directory, wwid_of(sysfs.read(f"{directory}/wwid")), block[0] if block else "")
