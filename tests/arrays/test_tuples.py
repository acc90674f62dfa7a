"""Our NamedTuple is typing's in all that programs do with one; of each class statement both make one here."""

import copy
import pickle
from collections.abc import Callable
from types import new_class
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays import tuples

NAMES = ("name", "size", "index", "count", "new", "cls", "self", "made", "values")
VALUES = st.none() | st.integers() | st.text(max_size=3)
FIELDS = st.lists(st.sampled_from(NAMES), unique=True, max_size=7)
CHANGES = st.dictionaries(st.sampled_from((*NAMES, "unknown")), VALUES, max_size=4)


class Disk(tuples.NamedTuple):
    """A device."""

    name: str
    size: int = 1

    @property
    def is_large(self) -> bool:
        return self.size > 9

    def __str__(self) -> str:
        return f"disk {self.name}, but {super().__repr__()}"        # typing's cannot say super()


class Loud(Disk):
    """A subclass is an ordinary class: it adds no fields."""

    def __new__(cls, name: str) -> "Loud":
        return super().__new__(cls, name.upper(), 20)


def statement(base: Any, fields: list[str], defaults: dict[str, Any]) -> Any:
    """class Made(base): with these fields."""
    return new_class("Made", (base,), {}, lambda body: body.update(
        defaults, __module__=__name__, __annotations__=dict.fromkeys(fields, object)))


def outcome(call: Callable[[], Any]) -> tuple[Any, str]:
    """What a call returns with its repr, or how it fails."""
    try:
        found = call()
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    return found, repr(found)


@given(FIELDS, st.lists(VALUES, max_size=7), st.lists(VALUES, max_size=8), CHANGES, CHANGES)
def test_it_is_made_and_changed_and_refuses_as_typings_does(
        fields: list[str], given_defaults: list[Any], values: list[Any], named: dict[str, Any],
        changes: dict[str, Any]) -> None:
    """Positions, names and defaults in any mixture, the first instance and a later one, the very words of each error."""
    defaults = dict(zip(reversed(fields), given_defaults))
    ordered = {field: defaults[field] for field in fields if field in defaults}
    theirs, ours = (statement(base, fields, ordered) for base in (NamedTuple, tuples.NamedTuple))
    for _ in range(2):
        assert outcome(lambda: ours(*values, **named)) == outcome(lambda: theirs(*values, **named))
    assert outcome(lambda: ours._make(values)) == outcome(lambda: theirs._make(values))
    assert (ours._fields, ours._field_defaults) == (theirs._fields, theirs._field_defaults)
    if len(values) == len(fields):
        one, other = ours(*values), theirs(*values)
        assert one == other == tuple(values) and hash(one) == hash(other)
        assert one._asdict() == other._asdict() == {field: getattr(one, field) for field in fields}
        assert outcome(lambda: one._replace(**changes)) == outcome(lambda: other._replace(**changes))


def test_it_has_what_the_class_statement_says() -> None:
    disk = Disk("sdb", size=10)
    assert (disk.is_large, Disk("sda").is_large, Disk.__doc__, Disk.__qualname__) == (True, False, "A device.", "Disk")
    assert str(disk) == "disk sdb, but Disk(name='sdb', size=10)"
    match disk:
        case Disk(name, size):
            assert (name, size) == disk


@pytest.mark.parametrize("name", ["name", "is_large", "other"])
def test_it_cannot_be_changed(name: str) -> None:
    disk = Disk("sdb")
    with pytest.raises(AttributeError):
        setattr(disk, name, "sdc")
    with pytest.raises(AttributeError):
        delattr(disk, name)
    assert disk == ("sdb", 1)


def test_a_subclass_may_have_its_own_way_of_being_made() -> None:
    assert (Loud("sdb"), Loud("sdc"), Disk("sdd")) == (("SDB", 20), ("SDC", 20), ("sdd", 1))
    assert type(Loud("sdb")._replace(size=2)) is Loud


def test_it_can_be_copied_and_sent() -> None:
    disk = Disk("sdb", 3)
    assert copy.copy(disk) == copy.deepcopy(disk) == pickle.loads(pickle.dumps(disk)) == disk
    assert type(pickle.loads(pickle.dumps(disk))) is Disk
