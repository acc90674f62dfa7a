"""A kubelet's watcher: runs the driver on every event it would act on, through install, upgrade, drift and uninstall.

kubelet 1.8 and later put inotify watches on the plugin directory and all folders below, skip events whose base name begins
with a dot, and take a Remove of the driver as "driver gone" (flexvolume-protocol: pkg/volume/flexvolume/probe.go).
"""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from daemonset import installer
from daemonset.installer import Wanted

WATCHED = flags.CREATE | flags.MODIFY | flags.ATTRIB | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE


class Watcher(threading.Thread):
    """Executes `init` whenever kubelet would; keeps the calls that failed, the removals, and how it ended."""

    def __init__(self, plugin_dir: Path) -> None:
        super().__init__(daemon=True)
        self.driver = plugin_dir / "pure~flex/flex"
        self.inotify = INotify()
        self.folders: dict[int, Path] = {}
        self.inits, self.failed, self.removed, self.registered = 0, [], [], False
        self.stopping = threading.Event()
        self.watch(plugin_dir)

    def watch(self, folder: Path) -> None:
        try:
            self.folders[self.inotify.add_watch(folder, WATCHED)] = folder
        except FileNotFoundError:
            return
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                self.watch(path)

    def run(self) -> None:
        while not self.stopping.is_set():
            for event in self.inotify.read(timeout=50):
                self.act(self.folders.get(event.wd, Path()), event)

    def act(self, folder: Path, event: object) -> None:
        if not event.name or event.name.startswith("."):
            return
        path = folder / event.name
        if event.mask & flags.DELETE and path in (self.driver, self.driver.parent):
            self.removed.append(path)
            self.registered = False
            return
        if event.mask & flags.CREATE and event.mask & flags.ISDIR or event.mask & flags.MOVED_TO and path.is_dir():
            self.watch(path)
        self.init()

    def init(self) -> None:
        self.inits += 1
        self.registered = True
        try:
            done = subprocess.run([self.driver, "init"], capture_output=True, text=True, check=False)
        except OSError as error:
            self.failed.append(error)
        else:
            if done.returncode or "Success" not in done.stdout or done.stderr:
                self.failed.append(done)


@pytest.fixture
def watcher(plugin_dir: Path) -> Iterator[Watcher]:
    """A kubelet that started before our first install."""
    plugin_dir.mkdir(parents=True)
    made = Watcher(plugin_dir)
    made.start()
    yield made
    made.stopping.set()
    made.join(10)


def settle(watcher: Watcher) -> None:
    """Let the watcher act on what has happened."""
    seen = -1
    while watcher.inits != seen:
        seen = watcher.inits
        watcher.stopping.wait(0.15)


def test_no_init_ever_fails_and_the_driver_is_never_seen_missing(
        plugin_dir: Path, watcher: Watcher, wanted: Callable[[str], Wanted]) -> None:
    first, second = wanted("1"), wanted("2")
    for desired in (first, second, first, second):
        installer.install(plugin_dir, desired)
        settle(watcher)
    (plugin_dir / "pure~flex/flex").chmod(0o700)
    (plugin_dir / "pure~flex/.pure.json").unlink()
    installer.install(plugin_dir, second)
    settle(watcher)

    assert watcher.inits >= 4
    assert watcher.failed == [] and watcher.removed == []


def test_a_first_install_is_a_handful_of_events(plugin_dir: Path, watcher: Watcher, wanted: Callable[[str], Wanted]) -> None:
    """kubelet 1.8 to 1.10 drops those above 20 in 5 seconds, and with them a driver that comes last (k#58352)."""
    installer.install(plugin_dir, wanted("1"))
    settle(watcher)
    assert watcher.registered and 1 <= watcher.inits <= 5


def test_a_turn_without_changes_wakes_nobody(plugin_dir: Path, watcher: Watcher, wanted: Callable[[str], Wanted]) -> None:
    desired = wanted("1")
    installer.install(plugin_dir, desired)
    settle(watcher)
    before = watcher.inits
    for _ in range(20):
        installer.install(plugin_dir, desired, thorough=True)
    settle(watcher)
    assert watcher.inits == before


def test_a_changed_secret_wakes_nobody(plugin_dir: Path, watcher: Watcher, wanted: Callable[[str], Wanted]) -> None:
    """Configuration has dot names: a new token costs no node a probe."""
    desired = wanted("1")
    installer.install(plugin_dir, desired)
    settle(watcher)
    before = watcher.inits
    installer.install(plugin_dir, Wanted(desired.bundle, b'{"FlashArrays": []}', b"{}\n"))
    settle(watcher)
    assert watcher.inits == before


def test_uninstall_ends_with_the_driver_forgotten(
        plugin_dir: Path, watcher: Watcher, wanted: Callable[[str], Wanted]) -> None:
    """The last thing kubelet sees is the removal of the driver, not a driver that fails."""
    installer.install(plugin_dir, wanted("1"))
    settle(watcher)
    restarted = Watcher(plugin_dir)                  # a kubelet that started later watches the runtime's folders too
    restarted.start()
    installer.uninstall(plugin_dir)
    for kubelet in (watcher, restarted):
        settle(kubelet)
        assert kubelet.removed and not kubelet.registered
    restarted.stopping.set()
    restarted.join(10)
    assert os.listdir(plugin_dir) == []
