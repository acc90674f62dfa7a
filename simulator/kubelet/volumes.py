"""Setting a pod's volume up and taking it down around the driver: directories, mount point tests, left-overs.

After pkg/volume/flexvolume/{mounter,unmounter,expander,util}.go; facts in flexvolume-protocol.md section 5.2.
"""
import os
from collections.abc import Callable
from pathlib import Path

from simulator.kubelet.driver import Driver, DriverFailed, NotSupported


def likely_mount_point(directory: Path) -> bool:
    """kubelet's test: another device than the parent's. FileNotFoundError when there is no directory."""
    return os.stat(directory).st_dev != os.stat(directory.parent).st_dev


class Volumes:
    """One kubelet's directories below `root` and what it does with them."""

    def __init__(self, root: Path | str, driver: Driver,
                 is_mount_point: Callable[[Path], bool] = likely_mount_point) -> None:
        self.root = Path(root)
        self.driver = driver
        self._is_mount_point = is_mount_point

    def directory(self, pod_uid: str, volume: str) -> Path:
        """`<root>/pods/<uid>/volumes/pure~flex/<PV name>`."""
        return self.root / "pods" / pod_uid / "volumes" / self.driver.name.replace("/", "~") / volume

    def set_up(self, directory: Path, options: str, *, group: int | None = None) -> bool:
        """Mount; False when it was a mount point already, which kubelet takes for done without asking. DriverFailed."""
        self.driver.look_up()
        try:
            if self._is_mount_point(directory):
                return False
        except FileNotFoundError:
            directory.mkdir(parents=True, mode=0o750)
        try:
            self.driver.call("mount", str(directory), options)
        except NotSupported:
            raise DriverFailed("mount is Not supported: kubelet would bind-mount the global directory, which does not "
                               "exist without an attach phase") from None
        except DriverFailed:
            _remove_if_empty(directory)  # once, and whatever comes of it (k#49539)
            raise
        if group is not None and self.driver.capabilities["fsGroup"]:
            _give_to_group(directory, group)
        return True

    def tear_down(self, directory: Path) -> None:
        """Unmount and remove the directory; DriverFailed when either does not work."""
        if not os.path.lexists(directory):
            return
        try:
            self.driver.call("unmount", str(directory))
        except NotSupported:
            raise DriverFailed("unmount is Not supported: kubelet would unmount by itself") from None
        try:
            directory.rmdir()            # never recursive; the driver may have removed it
        except FileNotFoundError:
            return
        except OSError as error:
            raise DriverFailed(f"remove {directory}: {error.strerror}") from None

    def expand(self, directory: Path, options: str, new: int, old: int) -> None:
        """expandfs with an empty device, as it is without an attach phase; skipped when the driver wants none."""
        if not self.driver.capabilities["requiresFSResize"]:
            return
        try:
            self.driver.call("expandfs", options, "", str(directory), str(new), str(old))
        except NotSupported:
            raise DriverFailed("expandfs is Not supported: kubelet's own resize fails on an empty device") from None

    def found(self) -> list[tuple[str, str]]:
        """(pod uid, PV name) of every directory below the root: what a restarted kubelet goes by."""
        pattern = f"pods/*/volumes/{self.driver.name.replace('/', '~')}/*"
        return sorted((path.parts[-4], path.name) for path in self.root.glob(pattern))

    def forget_pod(self, pod_uid: str) -> None:
        """Remove a pod's empty directories."""
        pod = self.root / "pods" / pod_uid
        for directory in (pod / "volumes" / self.driver.name.replace("/", "~"), pod / "volumes", pod):
            _remove_if_empty(directory)


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return


def _give_to_group(directory: Path, group: int) -> None:
    """Group and mode for everything below, as kubelet does for fsGroup after a mount (pkg/volume/volume_linux.go)."""
    for parent, directories, files in os.walk(directory):
        for path in (parent, *(os.path.join(parent, name) for name in files)):
            if os.path.islink(path):
                continue
            mode = os.stat(path).st_mode & 0o7777 | 0o660 | (0o2110 if os.path.isdir(path) else 0)
            os.chown(path, -1, group)
            os.chmod(path, mode)
