"""What the demo prints: chapters, commands a user would type, call-outs, and statements that were checked."""
import statistics
import sys
import threading
import time
from collections.abc import Iterable

import click

from simulator.kubelet import CallOut

_GOOD, _BAD = ("✓", "✗") if (sys.stdout.encoding or "").lower().startswith("utf") else ("ok", "FAILED")


class Screen:
    """Prints from any thread and remembers what was checked."""

    def __init__(self, verbose: bool = False) -> None:
        self.began = time.monotonic()
        self.calls: list[CallOut] = []
        self.checked: list[tuple[bool, str]] = []
        self._verbose = verbose
        self._lock = threading.Lock()
        self._chapter = 0

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self.began

    @property
    def failed(self) -> list[str]:
        """Statements that turned out false."""
        return [statement for held, statement in self.checked if not held]

    def title(self, text: str) -> None:
        """The first line."""
        self._print("", click.style(text, bold=True))

    def fact(self, name: str, text: str) -> None:
        """One line of the cast."""
        self._print(f"  {click.style(f'{name:<12}', fg='cyan')} {text}")

    def chapter(self, text: str) -> None:
        """A numbered heading, with the time so far."""
        self._chapter += 1
        time_so_far = click.style(f"{self.seconds:5.1f} s", dim=True)
        self._print("", f"{time_so_far}  {click.style(f'{self._chapter}. {text}', bold=True)}")

    def command(self, text: str) -> None:
        """What a user would type."""
        self._print(f"         {click.style('$', dim=True)} {text}")

    def note(self, text: str) -> None:
        """Something to know."""
        self._print(f"           {text}")

    def call_out(self, call: CallOut) -> None:
        """One run of the driver: node, call, what it is about, answer, milliseconds."""
        self.calls.append(call)
        good = not call.error
        about = _short(next((word for word in reversed(call.arguments) if word.startswith("/")), ""))
        answer = click.style(f"{call.status or 'no JSON':<8}", fg="green" if good else "yellow")
        lines = [f"           {click.style(call.node, fg='blue')}  flex {call.call:<9}{about:<22} {answer} "
                 f"{call.milliseconds:>7,.0f} ms"]
        if not good:
            lines.append(f"                  {call.message or call.error}")
        if self._verbose:
            lines += [click.style(f"                  {word}", dim=True) for word in (*call.arguments, call.output.strip())]
        self._print(*lines)

    def check(self, statement: str, held: bool, otherwise: str = "") -> bool:
        """Print a statement with what came of checking it; `otherwise` says what was found instead."""
        self.checked.append((bool(held), statement))
        mark = click.style(_GOOD, fg="green") if held else click.style(_BAD, fg="red", bold=True)
        self._print(f"         {mark} {statement}" + ("" if held or not otherwise else f"  (found: {otherwise})"))
        return bool(held)

    def detail(self, lines: Iterable[str]) -> None:
        """Lines that only --verbose shows."""
        if self._verbose:
            self._print(*(click.style(f"           {line}", dim=True) for line in lines))

    def problem(self, text: str) -> None:
        """The story cannot go on."""
        self.checked.append((False, text))
        self._print(click.style(f"         {_BAD} {text}", fg="red", bold=True))

    def summary(self) -> None:
        """Times by call, and whether everything held."""
        self._print("", click.style("Call-outs of the driver", bold=True))
        for name in dict.fromkeys(call.call for call in self.calls):
            times = [call.milliseconds for call in self.calls if call.call == name]
            self._print(f"  {name:<9} {len(times):>3} ×   median {statistics.median(times):>7,.0f} ms   "
                        f"slowest {max(times):>7,.0f} ms")
        held, false = len(self.checked) - len(self.failed), len(self.failed)
        verdict = (click.style(f"{_GOOD} all {held} statements held", fg="green", bold=True) if not false else
                   click.style(f"{_BAD} {false} of {held + false} statements did not hold", fg="red", bold=True))
        self._print("", f"{verdict}, {self.seconds:.1f} s", *(f"  {_BAD} {statement}" for statement in self.failed))

    def _print(self, *lines: str) -> None:
        with self._lock:
            for line in lines:
                click.echo(line)


def _short(directory: str) -> str:
    """The end of a mount directory that tells it apart: pvc-4f0c2a1b…"""
    name = directory.rpartition("/")[2]
    return f"{name[:12]}…" if len(name) > 13 else name
