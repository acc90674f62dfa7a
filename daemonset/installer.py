"""The driver in kubelet's plugin directory: put there, kept right, taken away. Knows files, not arrays.

kubelet runs `pure~flex/flex` as root within milliseconds of seeing it, and forgets a driver whose file goes away, so the
final name is only ever reached by rename: the folder as a whole at the first install, the file at every later one.

    pure~flex/flex                 the launcher
    pure~flex/.flex-rt-<hash>/     its runtime; the one before stays until the next change, for calls still running
    pure~flex/.pure.json           the fleet, 0600
    pure~flex/.settings.json       settings, 0600
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from daemonset import files

DRIVER_FOLDER = "pure~flex"
DRIVER = "flex"
RUNTIME = ".flex-rt-"
STAGING = ".pure-flex-"       # beside the driver's folder: kubelet's prober skips dot names


@dataclass(frozen=True)
class Bundle:
    """What `make bundle` built: a launcher and the runtime it names."""

    launcher: bytes
    runtime: Path

    @classmethod
    def at(cls, folder: Path) -> "Bundle":
        """Read the bundle in `folder`; a folder without one is a broken image."""
        runtimes = sorted(folder.glob(f"{RUNTIME}*"))
        if len(runtimes) != 1 or not (folder / DRIVER).is_file():
            raise OSError(f"{folder} holds no driver bundle: this image is broken, or PURE_FLEX_BUNDLE points elsewhere")
        return cls((folder / DRIVER).read_bytes(), runtimes[0])


@dataclass(frozen=True)
class Wanted:
    """The content of the driver's folder."""

    bundle: Bundle
    arrays: bytes
    settings: bytes

    def sidecars(self) -> dict[str, bytes]:
        """Configuration files beside the driver, by name."""
        return {".pure.json": self.arrays, ".settings.json": self.settings}


def install(plugin_dir: Path, wanted: Wanted, thorough: bool = False) -> list[str]:
    """Make the driver's folder what is wanted and return what had to change, in words; [] means nothing was written.

    `thorough` compares the runtime byte by byte, otherwise by names, sizes and modes. OSError says what cannot be written.
    """
    folder = plugin_dir / DRIVER_FOLDER
    if not folder.is_dir():
        _first_install(plugin_dir, wanted)
        return [f"installed {folder / DRIVER}"]
    changes = [f"wrote {name}" for name, content in wanted.sidecars().items()
               if files.put(folder / name, content, 0o600)]
    same = files.same_content if thorough else files.same_shape
    if not same(wanted.bundle.runtime, folder / wanted.bundle.runtime.name):
        _put_runtime(plugin_dir, wanted.bundle.runtime)
        changes.append(f"wrote {wanted.bundle.runtime.name}")
    if files.put(folder / DRIVER, wanted.bundle.launcher, 0o755):
        changes.append(f"wrote {DRIVER}")
        _drop_old_runtimes(plugin_dir, wanted.bundle.runtime.name)
    _drop_staging(plugin_dir)
    return changes


def uninstall(plugin_dir: Path) -> bool:
    """Take the driver's folder away in one rename; False if there was none. Nothing else is touched.

    The driver's file is deleted last: kubelet keeps watching the moved folder, takes every other deletion for a change of
    the driver, and only this one for its end.
    """
    gone = plugin_dir / f"{STAGING}gone"
    shutil.rmtree(gone, ignore_errors=True)
    try:
        (plugin_dir / DRIVER_FOLDER).rename(gone)
    except FileNotFoundError:
        return False
    for path in [path for path in gone.iterdir() if path.name != DRIVER]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _drop_staging(plugin_dir)
    return True


def _first_install(plugin_dir: Path, wanted: Wanted) -> None:
    """Build the whole folder under a dot name and rename it: kubelet takes a driver folder without driver for broken."""
    plugin_dir.mkdir(parents=True, exist_ok=True)
    staged = plugin_dir / f"{STAGING}new"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(mode=0o755)
    files.copy_tree(wanted.bundle.runtime, staged / wanted.bundle.runtime.name)
    for name, content in wanted.sidecars().items():
        files.put(staged / name, content, 0o600)
    files.put(staged / DRIVER, wanted.bundle.launcher, 0o755)
    staged.rename(plugin_dir / DRIVER_FOLDER)
    files.sync(plugin_dir)


def _put_runtime(plugin_dir: Path, runtime: Path) -> None:
    """Put a new runtime in place in one rename; mend a damaged one file by file, so that no call finds it missing."""
    target = plugin_dir / DRIVER_FOLDER / runtime.name
    if target.is_dir():
        files.mend(target, runtime)
        return
    staged = plugin_dir / f"{STAGING}runtime"
    shutil.rmtree(staged, ignore_errors=True)
    files.copy_tree(runtime, staged)
    staged.rename(target)
    files.sync(target.parent)


def _drop_old_runtimes(plugin_dir: Path, current: str) -> None:
    """Keep the current runtime and the one before it (the youngest of the others)."""
    others = sorted((path for path in (plugin_dir / DRIVER_FOLDER).glob(f"{RUNTIME}*") if path.name != current),
                    key=lambda path: path.stat().st_ctime, reverse=True)
    for path in others[1:]:
        path.rename(plugin_dir / f"{STAGING}old-{path.name.removeprefix(RUNTIME)}")


def _drop_staging(plugin_dir: Path) -> None:
    """Remove what an earlier install left behind under our staging names."""
    for name in os.listdir(plugin_dir):
        if name.startswith(STAGING):
            shutil.rmtree(plugin_dir / name, ignore_errors=True)
