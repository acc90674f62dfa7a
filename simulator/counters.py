"""What was read and written: as the kernel counts it for loop devices, and as a pretend node says in a side file."""

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_PAGE = 4096                           # what a file of sysfs holds at most


class Counters(NamedTuple):
    """What was done to a volume since it was made; bytes, and microseconds spent."""

    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    read_usec: int = 0
    write_usec: int = 0

    def plus(self, other: "Counters") -> "Counters":
        return Counters(*(mine + more for mine, more in zip(self, other, strict=True)))

    def minus(self, other: "Counters") -> "Counters":
        """What came on top of `other`; never below zero, since a counter may have started anew."""
        return Counters(*(max(0, mine - less) for mine, less in zip(self, other, strict=True)))


def side_file(path: Path) -> Path:
    """Where a pretend node may count its own I/O to the volume in `path`."""
    return path.with_name(path.name + ".io")


def read_side_file(path: Path) -> Counters | None:
    """Read the side file of a volume; None when there is none, or it is being written."""
    try:
        words = side_file(path).read_text().split()
        return Counters(*map(int, words[:6])) if words else None
    except (FileNotFoundError, ValueError):
        return None


class LoopCounters:
    """What the kernel counted for loop devices, summed by backing file over attach and detach.

    /sys/block/loopN/stat counts for as long as N lives, over all files it ever had, so only differences seen under
    one `diskseq` (Linux 5.15: a new number for each attach) belong to a file.
    """

    def __init__(self, sysfs: Path) -> None:
        self._block = sysfs / "block"
        self._last: dict[str, _Reading] | None = None        # by loop; None before the first look
        self._sums: dict[str, Counters] = {}                 # backing file -> all so far

    def read(self) -> Mapping[str, Counters]:
        """Backing file -> counters, as of now."""
        seen = {loop: _reading(f"{self._block}/{loop}") for loop in self._names()}
        for loop, now in seen.items():
            before = now if self._last is None else self._last.get(loop, _Reading())
            path = now.path or before.path           # just detached: it was still the old file's
            if path and (not before.path or not now.path or before.attach == now.attach):
                self._sums[path] = self._sums.get(path, Counters()).plus(now.counters.minus(before.counters))
        self._last = seen
        return self._sums

    def forget(self, path: str) -> None:
        """The file is gone; sums are kept of no others."""
        self._sums.pop(path, None)

    def _names(self) -> Iterable[str]:
        with contextlib.suppress(FileNotFoundError):
            return [name for name in os.listdir(self._block) if name.startswith("loop")]
        return ()


class _Reading(NamedTuple):
    path: str = ""                     # "" while nothing is attached
    attach: str = ""
    counters: Counters = Counters()


def _reading(loop: str) -> _Reading:
    path = _text(f"{loop}/loop/backing_file")
    stat = _text(f"{loop}/stat")
    return _Reading(path, _text(f"{loop}/diskseq") or path, parse_stat(stat) if stat else Counters())


def _text(path: str) -> str:
    """A sysfs file's text; "" when it is not there, as happens at any moment.

    By system calls: a machine may have some dozen loop devices, each of which has three of these files, all read four
    times a second.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _PAGE).decode().rstrip("\n")
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO):
            return ""
        raise


def parse_stat(text: str) -> Counters:
    """Read /sys/block/*/stat (Documentation/block/stat.rst): sectors of 512 bytes, milliseconds.

        reads merged sectors ms  writes merged sectors ms ...
    """
    words = [int(word) for word in text.split()[:8]]
    return Counters(words[0], words[4], words[2] * 512, words[6] * 512, words[3] * 1000, words[7] * 1000)
