"""A base for small immutable-by-custom values: what dataclasses give, without their import (half a start of Python)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Values:
    """Equal when all fields are; a subclass names its fields in __slots__ and takes each as a keyword."""

    __slots__: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()        # fields that no repr shows

    def fields(self) -> "dict[str, Any]":
        return {name: getattr(self, name) for name in self.__slots__}

    def but(self, **changes: "Any") -> "Self":
        """A copy with some fields changed."""
        return type(self)(**{**self.fields(), **changes})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Values) and other.fields() == self.fields()

    def __hash__(self) -> int:
        return hash(tuple(str(value) for value in self.fields().values()))

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.fields().items() if name not in self.secret)
        return f"{type(self).__name__}({', '.join(shown)})"
