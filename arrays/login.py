"""Logging in once for many threads, and choosing the version of REST to speak."""

import threading
from collections.abc import Callable, Collection, Iterable

from arrays.errors import PureError, Unusable
from arrays.tuples import NamedTuple


class Login(NamedTuple):
    """One log-in: its number tells it from the one before, `secret` is what each request carries as proof."""

    number: int
    version: str
    secret: str

    def __repr__(self) -> str:
        return f"Login({self.number}, {self.version!r})"


class Logins:
    """The log-in in use. One thread logs in, the others wait for it and share how that ended.

    So an array that is away costs a crowd of threads one time limit, and not one each in turn.
    """

    def __init__(self, log_in: Callable[[], tuple[str, str]]) -> None:
        """`log_in` does it and returns version and secret."""
        self._log_in = log_in
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._tries = 0
        self._failure: PureError | None = None      # how the last try ended

    def current(self, stale: Login | None = None) -> Login:
        """The log-in to use: a new one when there is none yet, or when the one there is is the `stale` one."""
        tries = self._tries
        if login := self._usable(stale):
            return login
        with self._lock:
            if login := self._usable(stale):
                return login
            if self._tries != tries and self._failure:
                raise type(self._failure)(*self._failure.args)      # a copy: threads write tracebacks into theirs
            return self._renewed()

    def refresh(self, login: Login, secret: str) -> None:
        """Carry a new secret from now on, unless another log-in has taken the place of `login` meanwhile."""
        if secret != login.secret:
            with self._lock:
                if self._login and self._login.number == login.number:
                    self._login = login._replace(secret=secret)

    def _usable(self, stale: Login | None) -> Login | None:
        login = self._login
        return login if login and not (stale and stale.number == login.number) else None

    def _renewed(self) -> Login:
        self._login, self._failure = None, None
        try:
            version, secret = self._log_in()
            self._login = Login(self._tries, version, secret)
            return self._login
        except PureError as error:
            self._failure = error
            raise
        finally:
            self._tries += 1


def newest(who: str, offered: Iterable[str], spoken: Collection[str], oldest: str) -> str:
    """The newest version of REST that the array offers and we speak; Unusable when there is none from `oldest` on."""
    found = sorted(set(offered), key=number)
    common = [version for version in found if version in spoken]
    if not common:
        span = f"only REST {' to '.join(dict.fromkeys((found[0], found[-1])))}" if found else "no version of REST"
        raise Unusable(who, f"it offers {span}, and this program speaks REST 1.x, which newer Purity no longer has: "
                       "see README, Limits")
    if number(common[-1]) < number(oldest):
        raise Unusable(who, f"its newest version of REST is {common[-1]}, and {oldest} is needed: upgrade Purity")
    return common[-1]


def number(version: str) -> tuple[int, ...]:
    """(1, 14) of "1.14", so that versions compare as numbers."""
    return tuple(int(part) for part in version.split(".") if part.isascii() and part.isdecimal())
