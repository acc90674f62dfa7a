"""The fleet: pure.json checked entry by entry.

    {"FlashArrays": [{"MgmtEndPoint": "1.2.3.4", "APIToken": "a526a4c6-…", "Labels": {"rack": "22"}}],
     "FlashBlades": [{"MgmtEndPoint": "1.2.3.6", "APIToken": "T-c4925090-…", "NfsEndPoint": "1.2.3.7"}]}

The same below a key "arrays" is accepted (that is how the chart's values.yaml has it), and "NFSEndPoint" for
"NfsEndPoint". Ours, optional: "VerifyTLS" (true, false or a CA file), "ReplicationPods", and an "APIToken" that only
says where the token is: {"file": "/path"} or {"env": "NAME"}.

A bad entry is left out and complained of by its place, so that one slip never takes the other arrays down.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from arrays import fields
from arrays.entries import Entry as Entry
from arrays.entries import FlashArrayEntry as FlashArrayEntry
from arrays.entries import FlashBladeEntry as FlashBladeEntry
from arrays.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    E = TypeVar("E", bound=Entry)

_COMMON_KEYS = ("MgmtEndPoint", "APIToken", "Labels", "VerifyTLS")
_ARRAY_KEYS = (*_COMMON_KEYS, "ReplicationPods")
_BLADE_KEYS = (*_COMMON_KEYS, "NfsEndPoint", "NFSEndPoint")


class Fleet:
    """All arrays of pure.json that can be used; `complaints` are sentences about what is wrong with the rest."""

    __slots__ = ("flash_arrays", "flash_blades", "complaints")

    def __init__(self, flash_arrays: Sequence[FlashArrayEntry] = (), flash_blades: Sequence[FlashBladeEntry] = (),
                 complaints: Sequence[str] = ()) -> None:
        self.flash_arrays = tuple(flash_arrays)
        self.flash_blades = tuple(flash_blades)
        self.complaints = tuple(complaints)

    def flash_array(self, name: str) -> FlashArrayEntry | None:
        """The FlashArray with this management endpoint, None when pure.json has none."""
        return next((entry for entry in self.flash_arrays if entry.name == name), None)

    def flash_blade(self, name: str) -> FlashBladeEntry | None:
        """The FlashBlade with this management endpoint, None when pure.json has none."""
        return next((entry for entry in self.flash_blades if entry.name == name), None)

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Fleet) and other.flash_arrays == self.flash_arrays
                and other.flash_blades == self.flash_blades and other.complaints == self.complaints)

    def __hash__(self) -> int:
        return hash((self.flash_arrays, self.flash_blades, self.complaints))

    def __repr__(self) -> str:
        return f"Fleet({self.flash_arrays!r}, {self.flash_blades!r}, {self.complaints!r})"


def load(path: str, environment: Mapping[str, str] | None = None) -> Fleet:
    """Read pure.json at `path`; a file that cannot be used at all raises ConfigError. `environment`: see parse."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")         # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: byte {error.start} is wrong") from None
    return parse(text, path, environment)


def parse(text: str, where: str = "pure.json", environment: Mapping[str, str] | None = None) -> Fleet:
    """Read the text of pure.json; `where` names it in complaints: "pure.json: FlashArrays[1]: add APIToken".

    `environment` is where {"env": NAME} tokens are looked up. ConfigError when the text is no JSON object, or when no
    entry in it can be used.
    """
    return check(_json(text, where), where, environment)


def check(data: object, where: str = "pure.json", environment: Mapping[str, str] | None = None) -> Fleet:
    """As parse, for what was read already: the "arrays" of a values.yaml, for example."""
    return _Reader(where, environment or {}).fleet(_lists(data, where))


# The text

class _Object(dict[str, "Any"]):
    """A JSON object that remembers which keys were written twice; json itself keeps the last one and says nothing."""

    twice: tuple[str, ...] = ()


def _object(pairs: "list[tuple[str, Any]]") -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        found.twice = tuple(sorted({key for key in keys if keys.count(key) > 1}))
    return found


def _json(text: str, where: str) -> "Any":
    if not text.strip():
        raise ConfigError(f"{where}: is empty: write the arrays into it")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: is not JSON: {error}") from None


def _lists(data: object, where: str) -> "Mapping[str, Any]":
    """The object that holds the two lists: the top one or the one below "arrays"."""
    top = _mapping(data, where)
    if top.get("arrays") is None:
        return top
    if "FlashArrays" in top or "FlashBlades" in top:
        raise ConfigError(f'{where}: has arrays both at the top and below "arrays": keep one of them')
    return _mapping(top["arrays"], f"{where}: arrays")


def _mapping(data: object, where: str) -> "Mapping[str, Any]":
    if not isinstance(data, Mapping):
        raise ConfigError(f'{where}: is {fields.kind(data)}, not an object with "FlashArrays" and "FlashBlades"')
    fields.refuse_twice(data, where)
    return data


# The entries

class _Reader:
    """Turns the two lists into a fleet and collects what is wrong on the way."""

    def __init__(self, where: str, environment: Mapping[str, str]) -> None:
        self._where = where
        self._environment = environment
        self._complaints: list[str] = []
        self._places: dict[str, str] = {}       # endpoint, however written -> where it was written first

    def fleet(self, lists: "Mapping[str, Any]") -> Fleet:
        for key in lists:
            if key not in ("FlashArrays", "FlashBlades", "arrays"):
                self._complaints.append(f"{self._where}: {key} is not known here: arrays belong in FlashArrays and "
                                        "FlashBlades")
        arrays = self._entries(lists, "FlashArrays", self._flash_array)
        blades = self._entries(lists, "FlashBlades", self._flash_blade)
        if not arrays and not blades:
            raise ConfigError("; ".join(self._complaints)
                              or f"{self._where}: names no array: add one to FlashArrays or FlashBlades")
        return Fleet(arrays, blades, self._complaints)

    def _entries(self, lists: "Mapping[str, Any]", key: str,
                 read: "Callable[[Mapping[str, Any], str], E]") -> "list[E]":
        entries = []
        for place, found in self._elements(lists.get(key), f"{self._where}: {key}"):
            try:
                if not isinstance(found, Mapping):
                    raise ConfigError(f"{place}: is {fields.kind(found)}, not an object with MgmtEndPoint and APIToken")
                fields.refuse_twice(found, place)
                entry = read(found, place)
                self._refuse_repeated(entry, place)
                entries.append(entry)
            except ConfigError as error:
                self._complaints.append(error.message)
        return entries

    def _elements(self, found: object, where: str) -> Iterator[tuple[str, object]]:
        if found is None:                       # an absent or empty list: "FlashArrays:" in YAML is null
            return
        if not isinstance(found, list):
            self._complaints.append(f"{where}: is {fields.kind(found)}, not a list of arrays")
            return
        for index, element in enumerate(found):
            yield f"{where}[{index}]", element

    def _flash_array(self, entry: "Mapping[str, Any]", place: str) -> FlashArrayEntry:
        fields.check_present(entry, ("MgmtEndPoint", "APIToken"), place)
        fields.refuse_misspelt_verify(entry, place)
        token = self._token(entry, place)
        if token.startswith("T-"):
            self._complaints.append(f"{place}: APIToken has the form of a FlashBlade's (T-...): check that it was not "
                                    "swapped with another entry's")
        self._warn_of_unknown(entry, _ARRAY_KEYS, place)
        return FlashArrayEntry(fields.endpoint(entry["MgmtEndPoint"], f"{place}: MgmtEndPoint"), token,
                               fields.labels(entry.get("Labels"), f"{place}: Labels"),
                               fields.verify(entry.get("VerifyTLS"), f"{place}: VerifyTLS"),
                               fields.pods(entry.get("ReplicationPods"), f"{place}: ReplicationPods"))

    def _flash_blade(self, entry: "Mapping[str, Any]", place: str) -> FlashBladeEntry:
        nfs = fields.nfs_endpoint(entry, place)
        fields.check_present({**entry, "NfsEndPoint": nfs}, ("MgmtEndPoint", "APIToken", "NfsEndPoint"), place)
        fields.refuse_misspelt_verify(entry, place)
        token = self._token(entry, place)
        if not token.startswith("T-"):
            self._complaints.append(f"{place}: APIToken has not the form of a FlashBlade's (T-...): check that it was "
                                    "not swapped with another entry's")
        self._warn_of_unknown(entry, _BLADE_KEYS, place)
        return FlashBladeEntry(fields.endpoint(entry["MgmtEndPoint"], f"{place}: MgmtEndPoint"), token,
                               fields.endpoint(nfs, f"{place}: NfsEndPoint", port=False),
                               fields.labels(entry.get("Labels"), f"{place}: Labels"),
                               fields.verify(entry.get("VerifyTLS"), f"{place}: VerifyTLS"))

    def _token(self, entry: "Mapping[str, Any]", place: str) -> str:
        return fields.token(entry["APIToken"], f"{place}: APIToken", self._environment)

    def _warn_of_unknown(self, entry: "Mapping[str, Any]", known: Sequence[str], place: str) -> None:
        self._complaints += [f"{place}: {key} is not known here and was left out" for key in entry if key not in known]

    def _refuse_repeated(self, entry: Entry, place: str) -> None:
        first = self._places.setdefault(entry.name.lower().removesuffix(":443").rstrip("."), place)
        if first != place:
            raise ConfigError(f"{place}: MgmtEndPoint is that of {first.removeprefix(f'{self._where}: ')} already")
