"""The loop on a node: look, mend, wait; and the orderly removal.

Every turn reads the Secret's file afresh, so a new array or token reaches the node without a restart. What cannot be used
(a pure.json that is not JSON) is reported and the last good one stays.
"""

import contextlib
import logging
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from arrays import fleet
from arrays.errors import ConfigError
from daemonset import installer, usage
from daemonset.settings import Settings

log = logging.getLogger(__name__)

# A look by names, sizes and modes each turn; a look at every byte once in so many turns.
THOROUGH_EVERY = 360
INIT_SECONDS = 30.0
# Written by whoever uninstalls, in the daemon's own container: until this container starts anew nothing is put back.
UNINSTALLED = ".pure-flex-uninstalled"


@dataclass
class Status:
    """What the health endpoint tells: the last turn's outcome."""

    problems: tuple[str, ...] = ("the first look has not ended yet",)
    turns: int = 0
    changes: int = 0
    alive: threading.Event = field(default_factory=threading.Event)

    @property
    def ready(self) -> bool:
        return not self.problems


class Daemon:
    """Keeps one node's driver right until it is stopped; stopping does not uninstall."""

    def __init__(self, settings: Settings, status: Status) -> None:
        self.settings = settings
        self.status = status
        self.stopping = threading.Event()
        self._arrays = b""

    def run(self) -> None:
        """Turn until `stopping` is set. After an uninstallation, for which preStop hooks are, it only waits for its end."""
        uninstalled = self.settings.scratch / UNINSTALLED
        uninstalled.unlink(missing_ok=True)
        while not self.stopping.is_set():
            if uninstalled.exists():
                self.status.problems = ("the driver was uninstalled; restart this pod to install it again",)
                self.status.turns += 1
            else:
                self.turn()
                self._answer_older_charts()
            self.stopping.wait(self.settings.interval)

    def turn(self) -> None:
        """One look at the node; problems go to the log once and to the health endpoint for as long as they last."""
        problems: list[str] = []
        try:
            wanted = installer.Wanted(installer.Bundle.at(self.settings.bundle), self._fleet(problems),
                                      self.settings.driver_settings.encode())
            thorough = self.status.turns % THOROUGH_EVERY == 0
            changes = installer.install(self.settings.plugin_dir, wanted, thorough)
            for change in changes:
                log.info("%s", change)
            self.status.changes += len(changes)
            if changes or self.status.problems:         # also at first, and until what was wrong is seen to be right
                problems += self._trial()
        except OSError as error:
            problems.append(advice(error, self.settings.plugin_dir))
        for problem in problems:
            if problem not in self.status.problems:
                log.error("%s", problem)
        self.status.problems = tuple(problems)
        self.status.turns += 1
        self.status.alive.set()

    def _fleet(self, problems: list[str]) -> bytes:
        """The bytes of pure.json when it can be used; otherwise the last ones that could."""
        try:
            content = self.settings.arrays.read_bytes()
            checked = fleet.parse(content.decode(), self.settings.arrays.name)
        except OSError as error:
            problems.append(f"cannot read {self.settings.arrays}: {error.strerror}; mount the Secret "
                            "pure-provisioner-secret there")
        except UnicodeDecodeError:
            problems.append(f"{self.settings.arrays} is not UTF-8 text: write it anew (README, Arrays)")
        except ConfigError as error:
            problems.append(str(error))
        else:
            for complaint in checked.complaints:
                log.warning("%s", complaint)
            self._arrays = content
        return self._arrays or self._installed_arrays()

    def _installed_arrays(self) -> bytes:
        """What a pod before this one installed; an empty fleet on a new node."""
        try:
            return (self.settings.plugin_dir / installer.DRIVER_FOLDER / ".pure.json").read_bytes()
        except OSError:
            return b"{}\n"

    def _trial(self) -> list[str]:
        """Run `flex init` as kubelet will."""
        driver = self.settings.plugin_dir / installer.DRIVER_FOLDER / installer.DRIVER
        try:
            done = subprocess.run([str(driver), "init"], capture_output=True, errors="replace", timeout=INIT_SECONDS,
                                  stdin=subprocess.DEVNULL, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            hint = f"; is {driver.parent} on a noexec file system?" if isinstance(error, PermissionError) else ""
            return [f"the driver does not start: {error}{hint}"]
        if done.returncode or '"Success"' not in done.stdout or done.stderr:
            return [f"`flex init` answers {done.stdout.strip() or done.stderr.strip()!r}"]
        return []

    def _answer_older_charts(self) -> None:
        """Charts before 2.5 wait in preStop for a finish flag after they set a start flag."""
        if (self.settings.scratch / ".uninstall_start_flag").exists():
            remove(self.settings)
            (self.settings.scratch / ".uninstall_finish_flag").touch()


def remove(settings: Settings) -> bool:
    """Uninstall unless volumes of ours are mounted or owed to an array, or that cannot be seen; says which. True if nothing
    is left."""
    try:
        in_use = [path for table in settings.mount_tables for path in usage.mounted(table)]
    except usage.Unknown as reason:
        log.warning("the driver stays: %s. When no pod of this node uses a volume of ours, remove %s by hand",
                    reason, settings.plugin_dir / installer.DRIVER_FOLDER)
        return False
    if in_use:
        log.warning("the driver stays: %d volumes are mounted, and nobody could unmount them without it: %s",
                    len(in_use), ", ".join(in_use[:5]))
        return False
    if owed := _owed(settings):
        log.warning("the driver stays: %d volumes are not mounted, but may still be connected to this node: %s. What "
                    "kubelet does not repeat, `pure~flex/flex unmount DIRECTORY` on the node finishes",
                    len(owed), "; ".join(owed[:5]))
        return False
    with contextlib.suppress(OSError):          # a read-only root without our manifest's scratch volume
        (settings.scratch / UNINSTALLED).touch()
    if installer.uninstall(settings.plugin_dir):
        log.info("removed %s", settings.plugin_dir / installer.DRIVER_FOLDER)
    return True


def _owed(settings: Settings) -> list[str]:
    """What the driver still owes to arrays; nothing, and a warning, under a chart that does not let us see that."""
    try:
        return usage.owed(settings.states)
    except usage.Unknown as reason:
        log.warning("whether a volume is still connected to this node cannot be seen: %s. The arrays tell", reason)
        return []


def advice(error: OSError, plugin_dir: Path) -> str:
    """What to do about a plugin directory that cannot be written."""
    return (f"cannot write {error.filename or plugin_dir}: {error.strerror or error}. If the node's /usr is read-only "
            "(CoreOS, Atomic), set flexPath to a writable directory such as /etc/kubernetes/volumeplugins/ and "
            "kubelet's --volume-plugin-dir to the same")
