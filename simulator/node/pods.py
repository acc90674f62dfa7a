"""What pods do with their volumes on a pretend node: write and read files.

In the pretend form files are in the volume itself (formats.py); each access is told to the array's monitor.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator

from simulator.node.arrays import SILENT
from simulator.node.machine import Machine
from simulator.node.mounts import FileSystem, Mount, Mounts


class Pods:
    """File access as pods have it."""

    def __init__(self, machine: Machine, mounts: Mounts) -> None:
        self._machine, self._mounts = machine, mounts
        self._pids = itertools.count(4201)

    def write(self, path: str, data: bytes, sync: bool) -> None:
        mount = self._mounts.holding(path)
        if mount is None or not (mount.fs or mount.server):
            put(path, data)
            return
        if mount.read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        if mount.server:
            self._answer(mount)
            put(mount.export + path.removeprefix(mount.directory), data)
            return
        fs = mount.fs
        assert fs
        self._alive(fs, path)
        fs.content.files[path.removeprefix(mount.directory)] = data.decode("latin-1")
        fs.dirty = True
        if sync:
            self.sync(fs, path)

    def sync(self, fs: FileSystem, path: str) -> None:
        """Put what was written on the device; waits while the device's I/O waits, as a pod would."""
        self._machine.wait(lambda: not fs.disk.stalled, None)
        self._mounts.write_back(fs, clean=False)
        if fs.shut_down:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        self._count(fs, writes=1, written_bytes=4096)

    def _count(self, fs: FileSystem, **counts: int) -> None:
        """Tell the array's monitor of I/O that no kernel counts; a volume's file is named for its serial."""
        with contextlib.suppress(RuntimeError, *SILENT):
            self._machine.fabric.count(os.path.basename(fs.disk.file or ""), **counts)

    def read(self, path: str) -> bytes:
        mount = self._mounts.holding(path)
        if mount is None or not (mount.fs or mount.server):
            return get(path)
        if mount.server:
            self._answer(mount)
            return get(mount.export + path.removeprefix(mount.directory))
        assert mount.fs
        self._alive(mount.fs, path)
        found = mount.fs.content.files.get(path.removeprefix(mount.directory))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return found.encode("latin-1")

    @contextlib.contextmanager
    def held(self, path: str) -> Iterator[None]:
        """A process keeps a file open below `path`: umount says busy, and /proc tells who."""
        with self._machine.lock:
            mount, process = self._mounts.holding(path), f"/proc/{next(self._pids)}"
            fs = mount.fs if mount else None
            self._machine.tree.put(process, {"comm": "writer\n", "fd": None})
            os.symlink(path, self._machine.tree.at(f"{process}/fd/3"))
            if fs:
                fs.open_files += 1
        try:
            yield
        finally:
            with self._machine.lock:
                self._machine.tree.remove(process)
                if fs:
                    fs.open_files -= 1
                    self._mounts.drop_fs(fs)
                self._machine.changed.notify_all()

    def _alive(self, fs: FileSystem, path: str) -> None:
        if fs.shut_down or fs.disk.file is None and not fs.disk.stalled:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def _answer(self, mount: Mount) -> None:
        """A hard mount waits for its server for ever; so long that a test notices, not longer."""
        if not self._machine.wait(lambda: mount.server not in self._machine.faults.nfs_dark, 60.0):
            raise TimeoutError(errno.ETIMEDOUT, "the NFS server does not answer", mount.directory)


def put(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def get(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
