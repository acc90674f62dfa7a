"""What a pretend FlashArray and a pretend FlashBlade have in common for their owner: identity, clock, faults, requests."""

from collections.abc import Mapping
from threading import RLock
from typing import Any

from simulator.clock import Clock
from simulator.faults import Faults
from simulator.planes import Plane
from simulator.server import Logged, Server


class Box:
    """One pretend array with its server. `state` is the kind's own: an ArrayState or a BladeState."""

    kind = ""

    def __init__(self, state: Any, lock: RLock, labels: Mapping[str, str]) -> None:
        self.state = state
        self.labels = dict(labels)
        self.server: Server            # set by the simulator, which owns loop and certificates
        self._lock = lock

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def endpoint(self) -> str:
        """The management endpoint, "127.0.0.1:PORT", as pure.json's MgmtEndPoint."""
        return self.server.endpoint

    @property
    def token(self) -> str:
        """An API token of the first user, who may do everything; a FlashBlade's begins with "T-"."""
        return self.state.sessions.users[0].token

    def expire_sessions(self) -> None:
        """End all sessions at once: the next call of every client gets 401."""
        with self._lock:
            self.state.sessions.expire_all()

    @property
    def clock(self) -> Clock:
        return self.state.clock

    @property
    def plane(self) -> Plane:
        return self.state.plane

    # Faults and the request log

    @property
    def faults(self) -> Faults:
        return self.server.faults

    @property
    def requests(self) -> list[Logged]:
        """The requests so far, oldest first: (method, path, status). The path has no version and no query."""
        return list(self.server.log)

    def clear_requests(self) -> None:
        self.server.log.clear()

    # Space

    @property
    def capacity(self) -> int:
        return self.state.capacity

    @capacity.setter
    def capacity(self, capacity: int) -> None:
        self.state.capacity = capacity

    @property
    def used(self) -> int:
        """Bytes in use after reduction; of a FlashBlade those apart from its file systems' own (`set_used`)."""
        return self.state.used

    @used.setter
    def used(self, used: int) -> None:
        self.state.used = used
