"""What all parts of a pretend node share: its tree, its time, one lock, its settings, and a record of what was done.

One lock guards all state. Whoever has to wait (a login, a mkfs) does so in `wait`, which gives the lock away meanwhile.
"""

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from simulator.fabric import Fabric
from simulator.node.call import ToolFails
from simulator.node.disks import Disk
from simulator.node.events import Events
from simulator.node.settings import Faults, Settings
from simulator.node.tree import Tree

POLL = 0.1         # real seconds between two looks at what the arrays show


class Command(NamedTuple):
    """One tool that was spawned; status None while it runs or when it was killed."""

    argv: tuple[str, ...]
    status: int | None
    seconds: float


class SysfsWrite(NamedTuple):
    """A write to a file of sysfs that acts: "/sys/…/scan", "0 0 1"."""

    path: str
    text: str


class Machine:
    """The shared ground of one node."""

    def __init__(self, root: str, name: str, iqn: str, fabric: Fabric, settings: Settings) -> None:
        self.name, self.iqn, self.fabric, self.settings = name, iqn, fabric, settings
        self.tree = Tree(root)
        self.faults = Faults()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.failures: list[str] = []                  # tracebacks of the node itself: a bug of ours, tests assert none
        self.commands: list[Command] = []
        self.sysfs_writes: list[SysfsWrite] = []
        self.running = False
        self.look: Callable[[], None] = lambda: None                # see what the arrays show now
        self.every_poll: Sequence[Callable[[], None]] = ()
        self.let_go: Callable[[Disk], None] = lambda disk: None     # told when the last user of a disk closed it
        self.events = Events(self.failed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name=f"{name}-time", daemon=True)
        self._stopped = False
        self._life = 0                                 # one more each time the power is cut

    def start(self) -> None:
        self.events.start()
        self._thread.start()

    def stop(self) -> None:
        with self.lock:
            self._stopped = True
            self.changed.notify_all()
        self._thread.join()
        self.events.stop()

    def failed(self, where: str, error: BaseException) -> None:
        self.failures.append(f"{where}: " + "".join(traceback.format_exception(error)))

    # -- time

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something, with the lock held, when `seconds` of the node's time have passed."""
        with self.lock:
            heapq.heappush(self._due, (time.monotonic() + seconds / self.settings.speed, next(self._numbers), act))
            self.changed.notify_all()

    def wait(self, until: Callable[[], object], seconds: float | None) -> bool:
        """Give the lock away until `until` is true or the node's `seconds` have passed; say which. Call with the lock.

        ToolFails when the power was cut meanwhile: whoever waited is no more.
        """
        life, real = self._life, None if seconds is None else seconds / self.settings.speed
        came = self.changed.wait_for(lambda: self._life != life or until(), real)
        if self._life != life:
            raise ToolFails(137, "")
        return bool(came)

    def cut_power(self) -> None:
        """Nothing that was about to happen happens, and nobody goes on who waits."""
        self.running = False
        self._life += 1
        self._due.clear()
        self.changed.notify_all()

    def _run(self) -> None:
        with self.lock:
            poll = time.monotonic()
            while not self._stopped:
                now = time.monotonic()
                self._act(list(self._take(now)))
                if now >= poll:
                    poll = now + POLL
                    self._act(self.every_poll if self.running else ())
                next_due = min([poll, *(due for due, _, _ in self._due[:1])])
                self.changed.wait(max(0.0, next_due - time.monotonic()))

    def _take(self, now: float) -> Iterable[Callable[[], None]]:
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]

    def _act(self, acts: Sequence[Callable[[], None]]) -> None:
        for act in acts:
            try:
                act()
            except Exception as error:          # the top of this thread: the test is told, the node lives on
                self.failed("time", error)
        if acts:
            self.changed.notify_all()

    # -- sysfs files that act

    def acting_file(self, path: str, act: Callable[[str], None]) -> None:
        """Make a FIFO that calls `act`, with the lock held, for each line written to it."""
        def locked(text: str) -> None:
            with self.lock:
                self.sysfs_writes.append(SysfsWrite(path, text))
                self.look()
                act(text)
                self.changed.notify_all()
        self.events.make(self.tree.at(path), locked)
