"""What runs in the demo's pods: a journal that appends a numbered line again and again, each on the volume before the next.

It stands for the container: it starts when the volume is mounted and, told to stop, takes its time before it does,
writing all the while, as databases do.
"""
import threading
from pathlib import Path
from typing import Protocol

PAUSE = 0.05                             # seconds between two lines
LAST_WORDS = 0.5                         # seconds it goes on after SIGTERM
FILE = "journal"


class Disk(Protocol):
    """How a pod of one node reaches its files."""

    def append(self, path: str, text: str) -> None:
        """Add to a file; it is on the volume when this returns. OSError."""


class Journal:
    """One life of the journal; `lines` of it are known to be on the volume, `error` is why it ended by itself.

    While `may_end` is cleared SIGTERM does not end it, until its grace period is over.
    """

    def __init__(self, life: str, directory: Path, disk: Disk) -> None:
        self.life = life
        self.lines = 0
        self.error = ""
        self.may_end = threading.Event()
        self.may_end.set()
        self._path = str(directory / FILE)
        self._disk = disk
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name=f"journal-{life}", daemon=True)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """SIGTERM: it writes on for a while, then ends."""
        if self.may_end.wait(grace):
            self._stop.wait(min(LAST_WORDS, grace))
        self.kill()

    def kill(self) -> None:
        """It ends now."""
        self._stop.set()
        self.may_end.set()
        self._thread.join(10.0)

    def _write(self) -> None:
        try:
            while not self._stop.is_set():
                self._disk.append(self._path, f"life {self.life} line {self.lines + 1}\n")
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


def whole(text: str, life: str, at_least: int) -> bool:
    """Whether a life's lines are all there, in order and without gap, and at least so many."""
    numbers = [int(words[3]) for words in map(str.split, text.splitlines()) if len(words) == 4 and words[1] == life]
    return len(numbers) >= at_least and numbers == list(range(1, len(numbers) + 1))
