"""Searching, filtering, sorting and paging of claims, as a query string asks for it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from explorer.rows import ClaimRow

PAGE = 50
PAGES = (25, 50, 100, 200)

_KEYS: dict[str, Callable[[ClaimRow], Any]] = {
    "namespace": lambda row: row.claim.namespace,
    "name": lambda row: row.claim.name,
    "class": lambda row: row.claim.class_name,
    "pods": lambda row: row.pods[0].name if row.pods else "",
    "node": lambda row: row.nodes[0] if row.nodes else "",
    "array": lambda row: row.array,
    "volume": lambda row: row.volume,
    "size": lambda row: row.size,
    "used": lambda row: -1 if row.used is None else row.used,
    "snapshots": lambda row: -1 if row.snapshots is None else row.snapshots,
    "age": lambda row: row.claim.created,
    "state": lambda row: row.state,
    "event": lambda row: row.last.last if row.last else "",
}
SORTS = tuple(_KEYS)
FILTERS = ("namespace", "class", "array", "node", "state")


class Wanted(NamedTuple):
    """What of the table is to be shown. `sort` is a column, with "-" before it for the other way round."""

    search: str = ""
    namespace: str = ""
    storage_class: str = ""
    array: str = ""
    node: str = ""
    state: str = ""
    sort: str = "namespace"
    page: int = 1
    rows: int = PAGE

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def query(self, **changes: Any) -> str:
        """As a query string; defaults are left out, so addresses stay short."""
        changed = self._replace(**changes)._asdict()
        return urlencode({_NAMES.get(key, key): value for key, value in changed.items()
                          if value != Wanted._field_defaults[key]})

    def sorted_by(self, column: str) -> str:
        """The query string of a click on a column's head: that column, or its other way round."""
        return self.query(sort=f"-{column}" if self.sort == column else column, page=1)


class Table(NamedTuple):
    """One page of rows; `found` of `all` fit the search and the filters."""

    rows: Sequence[ClaimRow]
    found: int
    all: int
    page: int
    pages: int
    choices: Mapping[str, Sequence[str]]        # filter -> values there are


_NAMES = {"search": "q", "storage_class": "class"}


def parse(query: Mapping[str, str]) -> Wanted:
    """A query string as the table's wish; what cannot be read has its default."""
    sort, column = query.get("sort", ""), query.get("sort", "").removeprefix("-")
    rows = _number(query.get("rows", ""), PAGE)
    return Wanted(query.get("q", "").strip()[:200], query.get("namespace", ""), query.get("class", ""),
                  query.get("array", ""), query.get("node", ""), query.get("state", ""),
                  sort if column in _KEYS else "namespace", _number(query.get("page", ""), 1),
                  rows if rows in PAGES else PAGE)


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text[:9]) else default


def table(rows: Sequence[ClaimRow], wanted: Wanted) -> Table:
    """The page of rows that is wanted; a page past the end is the last one."""
    found = [row for row in rows if _fits(row, wanted)]
    key = _KEYS[wanted.column]
    found.sort(key=lambda row: (row.claim.namespace, row.claim.name))
    found.sort(key=key, reverse=wanted.descending)
    pages = max(1, -(-len(found) // wanted.rows))
    page = min(wanted.page, pages)
    return Table(found[(page - 1) * wanted.rows:page * wanted.rows], len(found), len(rows), page, pages, _choices(rows))


def _fits(row: ClaimRow, wanted: Wanted) -> bool:
    return (wanted.namespace in ("", row.claim.namespace) and wanted.storage_class in ("", row.claim.class_name)
            and wanted.array in ("", row.array) and (not wanted.node or wanted.node in row.nodes)
            and wanted.state in ("", row.state)
            and all(word in _text(row) for word in wanted.search.lower().split()))


def _text(row: ClaimRow) -> str:
    """What a search looks at: every word of the search has to be somewhere in it."""
    return " ".join((row.claim.key, row.claim.class_name, row.claim.volume_name, row.volume, row.array, row.state,
                     *(f"{pod.name} {pod.node}" for pod in row.pods), row.last.message if row.last else "")).lower()


def _choices(rows: Sequence[ClaimRow]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {name: set() for name in FILTERS}
    for row in rows:
        for name, value in (("namespace", row.claim.namespace), ("class", row.claim.class_name), ("array", row.array),
                            ("state", row.state)):
            found[name].add(value)
        found["node"].update(row.nodes)
    return {name: sorted(values - {""}) for name, values in found.items()}
