"""How a FlashArray is called: through `purestorage`, long lists page by page, newer features only where they exist."""

from arrays.client import Client
from arrays.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from arrays.https import Door
    from arrays.purestorage_session import PurestorageSession

PAGE = 1000                 # volumes in one answer; REST 1.7 and later give a token for the next page


class Calls(Client["PurestorageSession"]):
    """The ground that volumes.py, hosts.py and flasharray.py stand on."""

    KIND = "FlashArray"

    def _session_over(self, door: "Door") -> "PurestorageSession":
        from arrays.purestorage_session import PurestorageSession
        return PurestorageSession(door, self.entry.token)

    def _pages(self, thing: str, call: "Callable[[PurestorageSession, dict[str, Any]], Any]") -> "list[Any]":
        """All rows of a list that may be long, page by page.

        A page may be shorter than asked for, and the last one may come with a token too (the library's page_through
        goes on until a page is empty), so the end is where the array says how many there are, or at an empty page.
        """
        rows: "list[Any]" = []
        page: "dict[str, Any]" = {"limit": PAGE}
        while True:
            found = self._ask("list", thing, lambda rest: call(rest, page))
            rows += found
            following = found.headers.get("x-next-token")
            if not (found and following) or len(rows) == total(found):
                return rows
            page = {"limit": PAGE, "token": following}

    def _need(self, version: str, verb: str, thing: str, feature: str) -> None:
        """Refuse what this array's REST is too old for."""
        if not self._ask(verb, thing, lambda rest: rest.speaks(version)):
            raise Refused(self.who, f"{verb} {thing}", f"its REST is older than {version}, which {feature} needs")


def total(rows: "Any") -> int | None:
    """How many rows there are on all pages together, None when the array does not say."""
    told = rows.headers.get("x-total-item-count", "")
    return int(told) if told.isdecimal() else None
