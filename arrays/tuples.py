"""NamedTuple for short lives: typing's class statement without what importing typing and making each class costs.

A call-out of the driver pays 4 ms for that import and 0.06 ms for each class, which it may never make an instance of; these
take 0.01 ms, and the first instance 0.03 more. The others are made by a function like typing's, as fast as there. What a
class statement may not say is left to type checkers, who see typing's own.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter       # reads a field in C, as in collections.namedtuple

    class _Tuple(tuple):
        """What all named tuples can do; a subclass has `_fields`, and in `_field_defaults` the values of the last ones."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

        def __getnewargs__(self):               # for copies and pickles: each field is an argument
            return tuple(self)

    class _Statement(type):
        """Of a class statement it makes a plain subclass of tuple, whose annotations are its fields."""

        def __new__(meta, name, bases, body):
            made = type(name, (_Tuple,), {"__slots__": (), **body})
            made._fields = made.__match_args__ = tuple(made.__annotations__)
            made._field_defaults = {field: body[field] for field in made._fields if field in body}
            for place, field in enumerate(made._fields):
                setattr(made, field, _tuplegetter(place, f"Alias for field number {place}"))

            def first(cls, /, *values, **named):
                made.__new__ = _constructor(made)
                return made.__new__(cls, *values, **named)
            made.__new__ = first
            return made

    def _constructor(made):
        """A function whose parameters are the fields: one with *values took up to three times as long to call."""
        fields = "".join(f"{name}, " for name in made._fields)
        function = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}))", {"_new": tuple.__new__})
        function.__defaults__ = tuple(made._field_defaults.values())
        function.__qualname__ = f"{made.__name__}.__new__"
        return function

    NamedTuple = type.__new__(_Statement, "NamedTuple", (), {})
