"""The entries of pure.json as the programs carry them: immutable, named by their endpoint, silent about their token.

Written by hand instead of with dataclasses: that import alone costs a call-out of the driver half an interpreter start.
"""

from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Entry:
    """What every array of the fleet has. Immutable; the token is in no repr.

    `endpoint`: management address or name, with a port if one was written, IPv6 in brackets; also the array's `name`.
    `labels`: compared as text, so `rack: 22` is "22". `verify`: False (the default: arrays come with certificates they
    signed themselves), True (the public authorities) or the path of a CA file.
    """

    __slots__ = ("endpoint", "token", "labels", "verify")
    endpoint: str
    token: str
    labels: Mapping[str, str]
    verify: bool | str

    def __init__(self, endpoint: str, token: str, labels: Mapping[str, str] | None = None,
                 verify: bool | str = False) -> None:
        self._put(endpoint=endpoint, token=token, labels=dict(labels or {}), verify=verify)

    @property
    def name(self) -> str:
        return self.endpoint

    def _put(self, **values: "Any") -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _values(self) -> "tuple[Any, ...]":
        return (self.endpoint, self.token, tuple(sorted(self.labels.items())), self.verify)

    def __setattr__(self, name: str, value: "Any") -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.endpoint!r}, labels={dict(self.labels)!r}, verify={self.verify!r})"


class FlashArrayEntry(Entry):
    """One element of "FlashArrays"; `replication_pods` are the pods new volumes may go to."""

    __slots__ = ("replication_pods",)
    replication_pods: tuple[str, ...]

    def __init__(self, endpoint: str, token: str, labels: Mapping[str, str] | None = None,
                 verify: bool | str = False, replication_pods: Sequence[str] = ()) -> None:
        super().__init__(endpoint, token, labels, verify)
        self._put(replication_pods=tuple(replication_pods))

    def _values(self) -> "tuple[Any, ...]":
        return (*super()._values(), self.replication_pods)


class FlashBladeEntry(Entry):
    """One element of "FlashBlades"; `nfs_endpoint` is the address nodes mount from."""

    __slots__ = ("nfs_endpoint",)
    nfs_endpoint: str

    def __init__(self, endpoint: str, token: str, nfs_endpoint: str, labels: Mapping[str, str] | None = None,
                 verify: bool | str = False) -> None:
        super().__init__(endpoint, token, labels, verify)
        self._put(nfs_endpoint=nfs_endpoint)

    def _values(self) -> "tuple[Any, ...]":
        return (*super()._values(), self.nfs_endpoint)
