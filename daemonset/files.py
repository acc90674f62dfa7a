"""Writing on a node so that nobody ever sees half a file: staged under a dot name, synced, renamed.

kubelet's prober skips names that begin with a dot (kubernetes/kubernetes pkg/volume/flexvolume/probe.go), so staging and
configuration never make it run the driver.
"""

import os
import shutil
from pathlib import Path


def put(target: Path, content: bytes, mode: int) -> bool:
    """Make `target` hold `content` with `mode`; True if that took a write."""
    if holds(target, content, mode):
        return False
    staged = target.with_name(f".{target.name.lstrip('.')}.new")
    staged.unlink(missing_ok=True)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, target)
    sync(target.parent)
    return True


def holds(target: Path, content: bytes, mode: int) -> bool:
    """Whether `target` is a plain file with that content and mode."""
    try:
        return (not target.is_symlink() and target.stat().st_mode & 0o7777 == mode and target.read_bytes() == content)
    except OSError:
        return False


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder and sync every file; `target` must be new."""
    shutil.copytree(source, target, symlinks=True)
    for path in target.rglob("*"):
        if path.is_file():
            sync(path)
    sync(target)


def mend(damaged: Path, source: Path) -> None:
    """Make a folder equal to `source`, each file in one rename; what `source` does not have is removed."""
    for path in sorted(source.rglob("*")):
        target = damaged / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        elif not holds(target, path.read_bytes(), path.stat().st_mode & 0o7777):
            put(target, path.read_bytes(), path.stat().st_mode & 0o7777)
    for path in [path for path in damaged.rglob("*") if not path.is_dir()]:
        if not (source / path.relative_to(damaged)).exists():
            path.unlink()


def same_shape(one: Path, other: Path) -> bool:
    """Whether two folders hold the same names with the same sizes and modes. Cheap: no file is read."""
    return _shape(one) == _shape(other)


def same_content(one: Path, other: Path) -> bool:
    """Whether two folders are equal to the byte."""
    return same_shape(one, other) and all(
        path.read_bytes() == (other / path.relative_to(one)).read_bytes() for path in one.rglob("*") if path.is_file())


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shape(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for base, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(base, name))
            found.add((os.path.relpath(os.path.join(base, name), folder), stat.st_size, stat.st_mode))
    return found
