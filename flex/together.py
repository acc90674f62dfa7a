"""Several calls side by side: an array's answers are milliseconds of waiting, and most do not depend on each other."""

from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Ahead:
    """A call that is begun now, in a thread of its own, and whose result is wanted later."""

    def __init__(self, call: "Callable[[], Any]") -> None:
        self._call = call
        self._result: "Any" = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def __call__(self) -> "Any":
        """What the call returned, or its error, as soon as it has ended."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:      # carried over to the thread that asks
            self._error = error


def together(*calls: "Callable[[], Any]") -> "list[Any]":
    """The results of all calls, in order; when some fail, the first one's error is raised after all have ended."""
    results: "list[Any]" = [None] * len(calls)
    errors: list[BaseException | None] = [None] * len(calls)

    def run(number: int) -> None:
        try:
            results[number] = calls[number]()
        except BaseException as error:      # carried over to the thread that waits
            errors[number] = error

    threads = [Thread(target=run, args=(number,), daemon=True) for number in range(1, len(calls))]
    for thread in threads:
        thread.start()
    if calls:
        run(0)
    for thread in threads:
        thread.join()
    for error in errors:
        if error is not None:
            raise error
    return results
