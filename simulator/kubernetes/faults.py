"""What can go wrong on the way to the API server, for tests to switch on."""
import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One misbehaviour; which requests it meets (empty means any), how often, and what happens then.

    `after` lets the request do its work first, so that a lost answer or a 500 hides a success. The fields below
    `hits` concern watches only: after `events` changes were sent the stream is `stream`:
    "cut" (connection dropped), "half" (dropped inside a line), "stall" (silent for ever), "garbage" (not JSON), "gone"
    (410 as an ERROR event), "error" (500 as an ERROR event), "end" (closed politely).
    """
    verb: str = ""                       # get, list, watch, create, update, patch, delete
    resource: str = ""                   # plural
    name: str = ""
    user: str = ""
    times: int | None = 1                # None: until cleared
    latency: float = 0.0                 # seconds before the request is looked at
    hang: bool = False                   # no answer until the fault is cleared or the server stops
    drop: bool = False                   # the connection is closed without an answer
    status: int = 0                      # answered with this code and `reason`
    reason: str = ""
    retry_after: int | None = None       # seconds
    after: bool = False
    hits: int = 0
    stream: str = ""
    events: int = 0
    pause: float = 0.0                   # seconds before each change is sent: a slow stream
    cleared: threading.Event = field(default_factory=threading.Event, repr=False)

    def clear(self) -> None:
        """It never happens again; hanging requests go on."""
        self.cleared.set()

    def meets(self, verb: str, resource: str, name: str, user: str) -> bool:
        """Whether the request is one of those meant."""
        pairs = ((self.verb, verb), (self.resource, resource), (self.name, name), (self.user, user))
        return (not self.cleared.is_set() and (self.times is None or self.hits < self.times)
                and all(wanted in ("", found) for wanted, found in pairs))


class Faults:
    """The faults that are on; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **what: object) -> Fault:
        """Switch a fault on: add(verb="create", resource="persistentvolumes", status=500, after=True)."""
        fault = Fault(**what)  # type: ignore[arg-type]
        with self._lock:
            self._faults = [known for known in self._faults if not known.cleared.is_set()] + [fault]
        return fault

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            for fault in self._faults:
                fault.clear()
            self._faults = []

    def hit(self, verb: str, resource: str, name: str, user: str) -> Fault | None:
        """The fault this request meets, counted."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.meets(verb, resource, name, user):
                    fault.hits += 1
                    return fault
        return None
