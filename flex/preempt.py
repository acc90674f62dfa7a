"""A ReadWriteOnce volume that another host holds: waiting for it to let go, and taking it only from who is silent.

Without an attach phase the new node's `mount` comes before the old node's `unmount` whenever a Deployment's pod moves, and
the old pod may write for its whole grace period (reference/real-kubernetes.md section 4). Taking the volume at once would
cut a living writer off. So (design.md 3.5, rule 6): wait for the connection to disappear, which is what that node's
`unmount` ends with; preempt only after PURE_PREEMPT_RWO_GRACE seconds counted over kubelet's repeats; and go on waiting, up
to ten times as long, while the array's monitor shows I/O on the volume, for then somebody alive is using it.
"""

import time
from collections.abc import Sequence

from flex import log, state
from flex.node.command import step
from flex.trouble import HeldElsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Connection
    from flex.machine import Node
    from flex.wait import Deadline

PATIENCE = 30.0                 # seconds one call waits: then kubelet shows the words in the pod's events, and asks again
ALIVE = 10                      # times the grace that a host which still does I/O is waited for
QUIET = 10.0                    # seconds (a quarter of the grace if that is less) of silence seen before it is believed
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.1, 0.9, 1.4     # seconds between two looks at the array

TAKE, WAIT = "take", "wait"


def free(node: "Node", array: "FlashArray", volume: str, host: str, mount_dir: str, deadline: "Deadline",
         connections: "Sequence[Connection]") -> "Sequence[Connection]":
    """Return the volume's connections once no host but ours has it; HeldElsewhere when that takes longer than this call.

    `mount_dir` is for whom it is asked: another pod's wait does not count. `connections` is what the array said a moment
    ago.
    """
    wait: _Wait | None = None
    while others := of_others(connections, host):
        begins, wait = wait is None, wait or _Wait(node, volume, mount_dir)
        wait.meet(others)
        wait.look(array)
        if begins:
            log.info(f"waiting: {wait.words(others)}")
        if wait.verdict() == TAKE:
            if _take(array, volume, others, is_shared(connections, host), wait.waited):
                from flex import counts         # a call-out that takes nothing does without
                counts.add(node.paths, counts.PREEMPTED)
            wait.forget()
            return array.connections(volume)
        if wait.over(deadline):
            raise HeldElsewhere(wait.words(others))
        wait.pause(deadline)
        connections = array.connections(volume)
    if wait:
        log.info(f"volume {volume} was let go after {wait.waited:.1f} s")
        wait.forget()
    return connections


def of_others(connections: "Sequence[Connection]", host: str) -> "list[Connection]":
    """The connections of hosts other than `host`; arrays compare names without case."""
    return [one for one in connections if not _same(one.host, host)]


def is_shared(connections: "Sequence[Connection]", host: str) -> bool:
    """Whether `host` itself has the volume through a host group."""
    return any(one.shared and _same(one.host, host) for one in connections)


def verdict(waited: float, grace: float, allowed: bool, busy: bool) -> str:
    """TAKE when the volume may be taken from its other host after `waited` seconds, else WAIT."""
    if not allowed or waited < grace:
        return WAIT
    return WAIT if busy and waited < ALIVE * grace else TAKE


class _Wait:
    """One call's waiting for one volume; the time is counted for each host, from this pod's first call that met with it."""

    def __init__(self, node: "Node", volume: str, mount_dir: str) -> None:
        self.node, self.volume, self.mount_dir = node, volume, mount_dir
        self.allowed, self.grace = node.settings.preempt, node.settings.preempt_grace
        self._since: dict[str, float] = {}      # monotonic time of the first look that met with a host, by its mark
        self._met: list[str] = []
        self._start = time.monotonic()
        self._last_io: float | None = None      # monotonic time of the last look that showed I/O
        self._writes: bool | None = None        # what the last look showed; None: the array did not tell
        self._pause = FIRST_PAUSE

    @property
    def here(self) -> float:
        """Seconds in this call."""
        return time.monotonic() - self._start

    @property
    def waited(self) -> float:
        """Seconds since the latest of the hosts that have the volume now was first met with."""
        return time.monotonic() - max(self._since[key] for key in self._met)

    def meet(self, others: "Sequence[Connection]") -> None:
        """These hosts have the volume now; one that came meanwhile gets the whole grace."""
        self._met = [f"{self.volume} {one.host} {self.mount_dir}" for one in others]
        for key in self._met:
            if key not in self._since:
                self._since[key] = time.monotonic() - state.waited(self.node.paths, "held", key, self.node.clock())

    def look(self, array: "FlashArray") -> None:
        """Ask the array's monitor whether somebody uses the volume."""
        activity = array.volume_activity(self.volume)
        self._writes = None if activity is None else not activity.idle
        if self._writes is not False:
            self._last_io = time.monotonic()

    def verdict(self) -> str:
        return verdict(self.waited, self.grace, self.allowed, self._is_busy())

    def _is_busy(self) -> bool:
        """Whether silence is not proven: the monitor shows means over some seconds, and a quiet writer pauses."""
        quiet = min(QUIET, self.grace / 4)
        since = self._start if self._last_io is None else self._last_io
        return self._writes is not False or time.monotonic() - since < quiet

    def over(self, deadline: "Deadline") -> bool:
        return self.here >= PATIENCE or deadline.passed()

    def pause(self, deadline: "Deadline") -> None:
        left = [PATIENCE - self.here, deadline.left(), self._pause]
        if self.allowed and self.waited < self.grace:
            left.append(self.grace - self.waited)       # look again at the very moment when it may be taken
        time.sleep(max(0.01, min(left)))
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)

    def forget(self) -> None:
        for key in self._since:
            state.stop_waiting(self.node.paths, "held", key)

    def words(self, others: "Sequence[Connection]") -> str:
        """For the pod's events: for whom it waits, how long, whether that host still does I/O, and what comes next."""
        return words(self.volume, [one.host for one in others], self.waited, self.grace, self.allowed, self._writes)


def words(volume: str, hosts: "Sequence[str]", waited: float, grace: float, allowed: bool, busy: bool | None) -> str:
    """What an operator reads about a volume that is held elsewhere."""
    who = f"host{'s' if len(hosts) > 1 else ''} {', '.join(hosts)}"
    does = {True: "it is still being read or written", False: "nobody reads or writes it",
            None: "the array does not tell whether it is being written"}[busy]
    told = f"volume {volume} is still connected to {who}, {waited:.0f} s after this node first asked for it; {does}"
    if not allowed:
        return (f"{told}. Preemption is off (PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT), so it is not taken: end the pod "
                "there, or disconnect the volume on the array")
    limit = ALIVE * grace if busy is not False else grace
    return f"{told}. It is taken over after {limit:.0f} s, or as soon as that node lets go"


def _take(array: "FlashArray", volume: str, others: "Sequence[Connection]", shared_with_us: bool,
          waited: float) -> int:
    """Disconnect the other hosts, which have been silent; how many.

    What a host group shows to its hosts is an administrator's doing and not undone. When our host is in that group too,
    nothing needs to be undone: that nobody uses the volume is all that such connections leave to find out.
    """
    shared = [one.host for one in others if one.shared]
    if shared and not shared_with_us:
        raise HeldElsewhere(f"volume {volume} is connected to {', '.join(shared)} through a host group, which the driver "
                            "does not undo: disconnect it from the host group on the array")
    taken = [one.host for one in others if not one.shared]
    for name in taken:
        step(f"preempting {name}")
        array.disconnect(name, volume)
        log.info(f"preempted host {name}: volume {volume} taken from it after {waited:.0f} s")
    step("preempted")
    return len(taken)


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
