"""Lists: whole or in pages, from a snapshot that stays the same however much is written in between."""
import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import NamedTuple

from simulator.kubernetes import selectors
from simulator.kubernetes.resources import Resource
from simulator.kubernetes.status import ApiError, bad_request, expired
from simulator.kubernetes.store import Store, Stored
from simulator.kubernetes.version import Version

_TOO_OLD = ("The provided continue parameter is too old to display a consistent list result. You can start a new list "
            "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
            "the results. Continuing with the provided token results in an inconsistent list - objects that were "
            "created, modified, or deleted between the time the first chunk was returned and now may show up in "
            "the list.")


class _Snapshot(NamedTuple):
    revision: int
    items: list[Stored]
    born: float                          # monotonic


class Lists:
    """Answers LIST. Continue tokens expire after `token_life` seconds or with the next compaction."""

    def __init__(self, store: Store, version: Version, token_life: float = 300.0) -> None:
        self._store = store
        self._version = version
        self.token_life = token_life
        self._snapshots: dict[str, _Snapshot] = {}

    def answer(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> bytes:
        """The List object; 410 for an expired token, 504 for a revision from the future."""
        token = query.get("continue", "") if self._version.paged_lists else ""
        wanted = query.get("resourceVersion", "")
        if token:
            if wanted not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            snapshot, start, name = self._continued(resource, token)
        else:
            snapshot, start, name = self._fresh(resource, namespace, query, wanted), 0, ""
        limit = _number(query, "limit") if self._version.paged_lists else 0
        if wanted == "0":                # the watch cache answers this one, and it does not page
            limit = 0
        page = snapshot.items[start:start + limit] if limit else snapshot.items[start:]
        left = len(snapshot.items) - start - len(page)
        metadata: dict[str, object] = {"resourceVersion": str(snapshot.revision)}
        if left:
            name = name or self._remember(snapshot)
            metadata["continue"] = _token(name, start + len(page), page[-1].key)
            if self._version.remaining_item_count and not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = left
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return json.dumps(head)[:-1].encode() + b',"items":[' + b",".join(item.raw for item in page) + b"]}"

    def forget(self) -> None:
        """Expire all continue tokens."""
        self._snapshots.clear()

    def _fresh(self, resource: Resource, namespace: str, query: Mapping[str, str], wanted: str) -> _Snapshot:
        with self._store.lock:
            revision, items = self._store.revision, self._store.list(resource, namespace)
        if wanted and _number(query, "resourceVersion") > revision:
            raise ApiError(504, "Timeout", f"Too large resource version: {wanted}, current: {revision}",
                           details={"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource "
                                                "version"}], "retryAfterSeconds": 1}, retry_after=1)
        if query.get("resourceVersionMatch") == "Exact" and _number(query, "resourceVersion") < revision:
            raise expired(f"The provided resource version is too old: {wanted}")   # honest: no old revisions are kept
        return _Snapshot(revision, _filtered(resource, items, query), time.monotonic())

    def _continued(self, resource: Resource, token: str) -> tuple[_Snapshot, int, str]:
        try:
            name, start, namespace, after = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise bad_request("continue key is not valid: invalid token") from None
        if name == "":                   # the inconsistent token of a 410
            with self._store.lock:
                items = [item for item in self._store.list(resource) if item.key > (namespace, after)]
                return _Snapshot(self._store.revision, items, time.monotonic()), 0, ""
        snapshot = self._snapshots.get(name)
        if (snapshot is None or time.monotonic() - snapshot.born > self.token_life
                or snapshot.revision < self._store.oldest(resource)):
            self._snapshots.pop(name, None)
            raise expired(_TOO_OLD, **{"continue": _token("", 0, (namespace, after))})
        return snapshot, start, name

    def _remember(self, snapshot: _Snapshot) -> str:
        name = secrets.token_hex(8)
        while len(self._snapshots) >= 64:
            del self._snapshots[next(iter(self._snapshots))]
        self._snapshots[name] = snapshot
        return name


def _filtered(resource: Resource, items: list[Stored], query: Mapping[str, str]) -> list[Stored]:
    for test in tests(resource, query):
        items = [item for item in items if test(item.object)]
    return items


def tests(resource: Resource, query: Mapping[str, str]) -> list[selectors.Test]:
    """The selectors of a query as tests of objects; 400."""
    found = []
    if text := query.get("labelSelector"):
        found.append(selectors.labels(text))
    if text := query.get("fieldSelector"):
        found.append(selectors.fields(text, resource.plural))
    return found


def _token(name: str, start: int, key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, start, *key]).encode()).decode()


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "") or "0"
    if not text.isdigit():
        raise bad_request(f'Invalid value: "{text}": {name} must be a number')
    return int(text)
