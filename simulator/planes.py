"""Where the bytes of pretend volumes live: the plug between an array's bookkeeping and real data.

An array tells its plane of every volume and snapshot (by serial, which is unique over all arrays), of every LUN it
shows to an initiator, and asks it what was read and written. `NoPlane` keeps no bytes; `FilePlane` keeps sparse files.
A plane for a real target (LIO: node-attach.md 1.2) overrides the same methods; each is called with the simulator's
lock held, so they need no lock of their own and should not wait for the network.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simulator.counters import Counters, LoopCounters, read_side_file, side_file

_FICLONE = 0x40049409              # linux/fs.h: share the blocks of another file (xfs, btrfs)
_COPY_CHUNK = 1 << 20


class Plane:
    """A plane without bytes that counts only what `count` is told. Override what a real one does differently."""

    def __init__(self) -> None:
        self._told: dict[str, Counters] = {}

    def open_array(self, array: str, iqn: str, portals: Sequence[str]) -> None:
        """A FlashArray was added: its target name and portals ("192.0.2.11:3260")."""

    def portal(self, array: str, portal: str, state: str) -> None:
        """A portal of the array changed to "up", "dark", "refused" or "absent"."""

    def create(self, array: str, serial: str, size: int) -> None:
        """A volume or snapshot of `size` zero bytes is wanted."""

    def resize(self, serial: str, size: int) -> None:
        """A volume has this many bytes from now on; what a shrink cuts off is gone."""

    def copy(self, source: str, serial: str, size: int) -> None:
        """Replace the bytes of `serial` with those of `source`, `size` bytes; whoever has it open sees the change."""

    def remove(self, serial: str) -> None:
        """A volume or snapshot was eradicated."""
        self._told.pop(serial, None)

    def know(self, array: str, initiator: str) -> None:
        """A host of the array got this initiator; it sees nothing yet."""

    def chap(self, array: str, initiator: str, secrets: Mapping[str, str | None]) -> None:
        """What the array asks at the next login: host_user, host_password, target_user, target_password."""

    def show(self, array: str, initiator: str, lun: int, serial: str) -> None:
        """From now on `initiator` (IQN or WWN) sees the volume as `lun` of this array."""

    def hide(self, array: str, initiator: str, lun: int, serial: str) -> None:
        """`initiator` no longer sees the volume at `lun`."""

    def file(self, serial: str) -> str | None:
        """The file with the bytes, where there is one."""

    def allocated(self, serial: str) -> int:
        """Bytes really taken by the volume."""
        return 0

    def create_export(self, blade: str, name: str) -> str | None:
        """A file system was made; returns the directory that holds its files, where there is one."""

    def remove_export(self, blade: str, name: str) -> None:
        """A file system was eradicated."""

    def count(self, serial: str, *, reads: int = 0, writes: int = 0, read_bytes: int = 0, written_bytes: int = 0,
              read_usec: int = 0, write_usec: int = 0) -> None:
        """Add to a volume's counters: for tests, and for a pretend node whose I/O nobody else can see."""
        more = Counters(reads, writes, read_bytes, written_bytes, read_usec, write_usec)
        self._told[serial] = self._told.get(serial, Counters()).plus(more)

    def counters(self, serial: str) -> Counters:
        """All that was done to the volume so far."""
        return self.activity().get(serial, Counters())

    def activity(self) -> Mapping[str, Counters]:
        """`counters` of every volume that ever did something; the monitor asks once an interval for all."""
        return dict(self._told)


class NoPlane(Plane):
    """No bytes at all; enough for clients of the management interface."""


class FilePlane(Plane):
    """Volumes are sparse files `<directory>/<array>/<serial>`, file systems directories `<directory>/<blade>/<name>`.

    I/O is what the kernel counts for loop devices over those files, plus what `count` was told, plus the side file
    `<file>.io` where a pretend node may write "reads writes read_bytes written_bytes".
    """

    def __init__(self, directory: str | os.PathLike[str], sysfs: str | os.PathLike[str] = "/sys") -> None:
        super().__init__()
        self.directory = Path(directory).resolve()
        self._files: dict[str, Path] = {}
        self._serials: dict[str, str] = {}                   # the same the other way round
        self._loops = LoopCounters(Path(sysfs))
        self._shown: dict[str, int] = {}

    def create(self, array: str, serial: str, size: int) -> None:
        path = self.directory / array / serial
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
        self._files[serial], self._serials[str(path)] = path, serial

    def resize(self, serial: str, size: int) -> None:
        os.truncate(self._files[serial], size)

    def copy(self, source: str, serial: str, size: int) -> None:
        copy_file(self._files[source], self._files[serial], size)

    def remove(self, serial: str) -> None:
        super().remove(serial)
        path = self._files.pop(serial)
        del self._serials[str(path)]
        self._loops.forget(str(path))
        path.unlink(missing_ok=True)
        side_file(path).unlink(missing_ok=True)

    def show(self, array: str, initiator: str, lun: int, serial: str) -> None:
        self._shown[serial] = self._shown.get(serial, 0) + 1

    def hide(self, array: str, initiator: str, lun: int, serial: str) -> None:
        self._shown[serial] -= 1

    def file(self, serial: str) -> str | None:
        path = self._files.get(serial)
        return str(path) if path else None

    def allocated(self, serial: str) -> int:
        path = self._files.get(serial)
        return path.stat().st_blocks * 512 if path else 0

    def create_export(self, blade: str, name: str) -> str | None:
        path = self.directory / blade / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)             # root is not squashed and others may write, as on a fresh file system
        return str(path)

    def remove_export(self, blade: str, name: str) -> None:
        shutil.rmtree(self.directory / blade / name, ignore_errors=True)

    def activity(self) -> Mapping[str, Counters]:
        found = dict(self._told)
        for path, counters in self._loops.read().items():
            if serial := self._serials.get(path):
                found[serial] = found.get(serial, Counters()).plus(counters)
        for serial in self._shown:
            if (file := self._files.get(serial)) and (side := read_side_file(file)):
                found[serial] = found.get(serial, Counters()).plus(side)
        return found


def copy_file(source: Path, target: Path, size: int) -> None:
    """Make `target` hold the first `size` bytes of `source`, in place, sharing blocks or at least keeping holes."""
    with source.open("rb") as read, target.open("r+b") as write:
        write.truncate(0)
        with contextlib.suppress(OSError):
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
            write.truncate(size)
            return
        for start, end in _data(read.fileno()):
            _copy_range(read.fileno(), write.fileno(), start, min(end, size))
        write.truncate(size)


def _data(fd: int) -> Iterable[tuple[int, int]]:
    """The parts of a sparse file that hold data, as (start, end)."""
    end = 0
    while True:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:         # no data after `end`
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(read: int, write: int, start: int, end: int) -> None:
    while start < end:
        chunk = os.pread(read, min(_COPY_CHUNK, end - start), start)
        if not chunk:
            return
        os.pwrite(write, chunk, start)
        start += len(chunk)
