"""What the clients of both products share: a session made when first needed, and refusals that say what was asked."""

import threading
from abc import ABC, abstractmethod

from arrays.entries import Entry
from arrays.errors import Unreachable
from arrays.refusals import Declined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Generic, Protocol, TypeVar

    from arrays.https import Door

    class Session(Protocol):
        """What is known of a session here: that it ends."""

        def close(self) -> None: ...

    S = TypeVar("S", bound=Session)
    T = TypeVar("T")
else:
    class Generic:
        """As little of typing's as a class statement needs: Client["PurestorageSession"] is Client."""

        def __class_getitem__(cls, session):
            return cls


class Client(ABC, Generic["S"]):
    """One array of the fleet; may be shared by threads. Making one costs nothing: the first call connects and logs in.

    Times are in seconds: to connect, and for each piece of an answer.
    """

    KIND = "array"

    def __init__(self, entry: Entry, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        self.entry = entry
        self.closed = False
        self._timeouts = (connect_timeout, read_timeout)
        self._lock = threading.Lock()
        self._session: "S | None" = None

    @property
    def name(self) -> str:
        """The management endpoint, by which both programs know the array."""
        return self.entry.endpoint

    @property
    def who(self) -> str:
        """How messages call the array: "FlashArray 1.2.3.4"."""
        return f"{self.KIND} {self.entry.endpoint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def close(self) -> None:
        """Close all connections; calls that are under way or come later end with Unreachable."""
        with self._lock:
            self.closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    @abstractmethod
    def _session_over(self, door: "Door") -> "S":
        """A session that speaks this product's REST through `door`."""

    def _rest(self) -> "S":
        session = self._session
        if session is None:
            with self._lock:
                if self.closed:
                    raise Unreachable(self.who, "this program has closed its connection to it")
                session = self._session = self._session or self._new_session()
        return session

    def _new_session(self) -> "S":
        from arrays.https import Door       # HTTP and TLS take longer to import than all of this room: not before a call
        return self._session_over(Door(self.who, self.entry.endpoint, self.entry.verify, *self._timeouts))

    def _ask(self, verb: str, thing: str, call: "Callable[[S], T]") -> "T":
        """Make a call of the session; a refusal says that the array refused to `verb` the `thing`."""
        try:
            return call(self._rest())
        except Declined as declined:
            raise declined.error(self.who, verb, thing) from None


def same(name: str, other: str) -> bool:
    """Whether two names are one to an array, which keeps the case and compares without it."""
    return name.lower() == other.lower()
