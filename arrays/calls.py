"""How a FlashArray is called: the session that is made when first needed, and answers turned into rows or errors."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from arrays.entries import FlashArrayEntry
from arrays.errors import Refused, Unreachable
from arrays.refusals import Declined

if TYPE_CHECKING:       # purestorage and requests take longer to import than all else together: not before a call
    from arrays.purestorage_session import PurestorageSession

PAGE = 1000                 # volumes in one answer; REST 1.7 and later give a token for the next page

T = TypeVar("T")


class Calls:
    """One FlashArray's session. Making one costs nothing; the first call connects and logs in."""

    def __init__(self, entry: FlashArrayEntry, *, connect_timeout: float = 5.0, read_timeout: float = 30.0) -> None:
        self.entry = entry
        self.closed = False
        self._timeouts = (connect_timeout, read_timeout)
        self._lock = threading.Lock()
        self._session: "PurestorageSession | None" = None

    @property
    def name(self) -> str:
        """The management endpoint, by which both programs know the array."""
        return self.entry.endpoint

    @property
    def who(self) -> str:
        """How messages call the array: "FlashArray 1.2.3.4"."""
        return f"FlashArray {self.entry.endpoint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def close(self) -> None:
        """Close all connections; calls that are under way or come later end with Unreachable."""
        with self._lock:
            self.closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _rest(self) -> "PurestorageSession":
        session = self._session
        if session is None:
            with self._lock:
                if self.closed:
                    raise Unreachable(self.who, "this program has closed its connection to it")
                session = self._session = self._session or self._new_session()
        return session

    def _new_session(self) -> "PurestorageSession":
        from arrays.https import Door
        from arrays.purestorage_session import PurestorageSession
        door = Door(self.who, self.entry.endpoint, self.entry.verify, *self._timeouts)
        return PurestorageSession(door, self.entry.token)

    def _ask(self, verb: str, thing: str, call: "Callable[[PurestorageSession], T]") -> T:
        """Make one call of the library; a refusal says that the array refused to `verb` the `thing`."""
        try:
            return call(self._rest())
        except Declined as declined:
            raise declined.error(self.who, verb, thing) from None

    def _pages(self, thing: str, call: "Callable[[PurestorageSession, dict[str, Any]], Any]") -> list[Any]:
        """All rows of a list that may be long, page by page."""
        rows: list[Any] = []
        page: dict[str, Any] = {"limit": PAGE}
        while True:
            found = self._ask("list", thing, lambda rest: call(rest, page))
            rows += found
            following = found.headers.get("x-next-token")
            if not following or not found:
                return rows
            page = {"limit": PAGE, "token": following}

    def _need(self, version: str, verb: str, thing: str, feature: str) -> None:
        """Refuse what this array's REST is too old for."""
        rest = self._rest()
        if not self._ask(verb, thing, lambda _: rest.speaks(version)):
            raise Refused(self.who, f"{verb} {thing}", f"its REST is older than {version}, which {feature} needs")


def same(name: str, other: str) -> bool:
    """Whether two names are one to an array, which keeps the case and compares without it."""
    return name.lower() == other.lower()
