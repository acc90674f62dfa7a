"""What runs in the demo's pods: a journal that appends a numbered line again and again, each on the volume before the next.

It stands for the container: it starts when the volume is mounted and, told to stop, takes its time before it does,
writing all the while, as databases do.
"""
import threading
from pathlib import Path
from typing import Protocol

PAUSE = 0.05                             # seconds between two lines
LAST_WORDS = 1.2                         # seconds it goes on after SIGTERM
FILE = "journal"


class Disk(Protocol):
    """How a pod of one node reaches its files."""

    def write(self, path: str, data: str) -> None:
        """Replace a file; on the volume when it returns."""

    def read(self, path: str) -> str:
        """The whole file."""


class Journal:
    """One life of the journal; `lines` are those known to be on the volume."""

    def __init__(self, life: str, directory: Path, disk: Disk) -> None:
        self.life = life
        self.lines = 0
        self.error = ""
        self._path = str(directory / FILE)
        self._disk = disk
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name=f"journal-{life}", daemon=True)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """SIGTERM: it writes on for a while, then ends."""
        if not self._stop.is_set() and not self.error:
            threading.Event().wait(min(LAST_WORDS, grace))
        self.kill()

    def kill(self) -> None:
        """It ends now."""
        self._stop.set()
        self._thread.join(10.0)

    def _write(self) -> None:
        try:
            try:
                text = self._disk.read(self._path)
            except FileNotFoundError:
                text = ""
            while not self._stop.is_set():
                text += f"life {self.life} line {self.lines + 1}\n"
                self._disk.write(self._path, text)
                self.lines += 1
                self._stop.wait(PAUSE)
        except OSError as error:
            self.error = str(error)


class Idle:
    """A pod that only has its volumes mounted."""

    def stop(self, grace: float) -> None:
        """Nothing runs."""

    def kill(self) -> None:
        """Nothing runs."""


def lines_of(text: str, life: str) -> list[int]:
    """The numbers of a life's lines in a journal, in order."""
    words = [line.split() for line in text.splitlines()]
    return [int(number) for _, name, _, number in (found for found in words if len(found) == 4) if name == life]


def whole(text: str, life: str, at_least: int) -> bool:
    """Whether a life's lines are all there, without gap, and at least so many."""
    numbers = lines_of(text, life)
    return len(numbers) >= at_least and numbers == list(range(1, len(numbers) + 1))
