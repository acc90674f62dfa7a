"""Logging in once for many threads, and choosing a version."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from arrays.errors import Unreachable, Unusable
from arrays.login import Logins, newest, number

FA = "FlashArray 1.2.3.4"
SPOKEN = [f"1.{minor}" for minor in range(20)]


class Gate:
    """A log-in that waits until it is let through, and counts how often it was tried."""

    def __init__(self, fails: bool = False) -> None:
        self.open = threading.Event()
        self.tries = 0
        self.fails = fails

    def log_in(self) -> tuple[str, str]:
        self.tries += 1
        assert self.open.wait(10)
        if self.fails:
            raise Unreachable(FA, "no answer in 30 s")
        return "1.19", f"secret-{self.tries}"


def test_a_crowd_logs_in_once() -> None:
    gate = Gate()
    logins = Logins(gate.log_in)
    with ThreadPoolExecutor(16) as crowd:
        found = [crowd.submit(logins.current) for _ in range(16)]
        gate.open.set()
        assert {each.result().secret for each in found} == {"secret-1"}
    assert gate.tries == 1


def test_a_crowd_that_finds_its_log_in_stale_logs_in_once_more() -> None:
    gate = Gate()
    gate.open.set()
    logins = Logins(gate.log_in)
    stale = logins.current()
    with ThreadPoolExecutor(16) as crowd:
        found = {each.secret for each in crowd.map(lambda _: logins.current(stale=stale), range(16))}
    assert found == {"secret-2"} and gate.tries == 2
    assert logins.current().secret == "secret-2"


def test_a_crowd_shares_one_failure() -> None:
    """An array that is away costs them one time limit together, not one each in turn."""
    gate = Gate(fails=True)
    logins = Logins(gate.log_in)
    together = threading.Barrier(16)

    def current() -> None:
        together.wait(10)
        logins.current()

    with ThreadPoolExecutor(16) as crowd:
        found = [crowd.submit(current) for _ in range(16)]
        threading.Timer(0.3, gate.open.set).start()
        errors = [each.exception() for each in found]
    assert {str(each) for each in errors} == {f"{FA} cannot be reached: no answer in 30 s"}
    assert len({id(each) for each in errors}) == 16         # each thread raises its own
    assert gate.tries <= 2                                  # a thread may have come just after the first failure


def test_after_a_failure_the_next_call_tries_again() -> None:
    gate = Gate(fails=True)
    gate.open.set()
    logins = Logins(gate.log_in)
    for _ in range(2):
        with pytest.raises(Unreachable):
            logins.current()
    gate.fails = False
    assert logins.current().secret == "secret-3"


def test_a_refreshed_secret_belongs_to_its_log_in() -> None:
    gate = Gate()
    gate.open.set()
    logins = Logins(gate.log_in)
    first = logins.current()
    logins.refresh(first, "fresher")
    assert logins.current().secret == "fresher"
    second = logins.current(stale=first)
    logins.refresh(first, "late")           # an answer to a request of the log-in before
    assert logins.current() == second


def test_a_login_does_not_show_its_secret() -> None:
    gate = Gate()
    gate.open.set()
    assert repr(Logins(gate.log_in).current()) == "Login(0, '1.19')"


@pytest.mark.parametrize("offered, chosen", [
    (SPOKEN, "1.19"), (["1.9", "1.10", "1.2"], "1.10"), ([*SPOKEN, "2.0", "2.26"], "1.19"), (["1.7"], "1.7"),
    (["1.19", "1.20"], "1.19")])
def test_the_newest_common_version_is_spoken(offered: list[str], chosen: str) -> None:
    assert newest(FA, offered, SPOKEN, "1.7") == chosen


@pytest.mark.parametrize("offered, words", [
    (["2.0", "2.1", "2.26"], "it offers only REST 2.0 to 2.26, and this program speaks REST 1.x"),
    (["2.0"], "it offers only REST 2.0, and"), ([], "it offers no version of REST, and this program speaks REST 1.x"),
    (["1.0", "1.6"], "its newest version of REST is 1.6, and 1.7 is needed: upgrade Purity")])
def test_an_array_without_a_usable_version_is_told_so(offered: list[str], words: str) -> None:
    with pytest.raises(Unusable, match=words):
        newest(FA, offered, SPOKEN, "1.7")


def test_versions_compare_as_numbers() -> None:
    assert number("1.19") > number("1.9") > number("1.2") and number("2.X") == (2,)
