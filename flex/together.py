"""Several calls side by side: an array's answers are milliseconds of waiting, and most do not depend on each other."""

from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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
