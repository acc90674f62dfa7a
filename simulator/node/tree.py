"""The files of a pretend node: what it shows below its root as /sys, /dev, /proc, /etc, /run, /var.

Directories appear and vanish in one step, files change in one step, as readers of sysfs expect. Files that are acted
on when written to (`scan`, `delete`, `rescan`) are FIFOs; events.py reads them.
"""

import contextlib
import itertools
import os
import shutil
from collections.abc import Mapping

Content = str | bytes


class Tree:
    """Absolute paths of a node ("/sys/block/sda") <-> files below `root`."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._stage = self.root + "/.stage"
        self._numbers = itertools.count()

    def make(self) -> None:
        os.makedirs(self._stage, exist_ok=True)

    def at(self, path: str) -> str:
        return self.root + path

    def staged(self) -> str:
        """A fresh name on the same file system, to be renamed into place."""
        return f"{self._stage}/{next(self._numbers)}"

    def directory(self, path: str) -> None:
        os.makedirs(self.at(path), exist_ok=True)

    def write(self, path: str, content: Content, mode: int = 0o644) -> None:
        """Put a whole file in place in one step."""
        staged = self.staged()
        fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            os.write(fd, content.encode() if isinstance(content, str) else content)
        finally:
            os.close(fd)
        os.replace(staged, self.at(path))

    def link(self, path: str, target: str) -> None:
        """A relative symbolic link, as sysfs has them; replaces what is there."""
        staged = self.staged()
        os.symlink(os.path.relpath(target, os.path.dirname(path)), staged)
        os.replace(staged, self.at(path))

    def put(self, path: str, attributes: Mapping[str, Content | None]) -> None:
        """Let a directory appear with all it holds: name -> content, or None for a directory."""
        staged = self.staged()
        os.makedirs(staged)
        for name, content in attributes.items():
            if content is None:
                os.makedirs(f"{staged}/{name}", exist_ok=True)
                continue
            os.makedirs(os.path.dirname(f"{staged}/{name}"), exist_ok=True)
            with open(f"{staged}/{name}", "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        os.rename(staged, self.at(path))

    def remove(self, path: str) -> None:
        """Let a file, link or directory vanish in one step."""
        staged = self.staged()
        try:
            os.rename(self.at(path), staged)
        except FileNotFoundError:
            return
        if os.path.isdir(staged) and not os.path.islink(staged):
            shutil.rmtree(staged, ignore_errors=True)
        else:
            os.unlink(staged)

    def read(self, path: str) -> str:
        with open(self.at(path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def clear(self, *paths: str) -> None:
        """Empty these directories: what a reboot does to /sys, /dev, /run."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(self.at(path)):
                    self.remove(f"{path}/{name}")
            self.directory(path)
