"""A program that runs beside the demo: started in a session of its own, ended in order, its output in a file."""
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self


class Process:
    """Started when entered, sent SIGTERM when left, SIGKILL if that is not enough."""

    def __init__(self, argv: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self._argv = argv
        self._environment = {**os.environ, **environment}
        self.log = log

    def __enter__(self) -> Self:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             env=self._environment, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        """Until it has printed `text`; RuntimeError with its last words when it ends or takes too long."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            self.check()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self._argv[:4])} did not print {text!r} within {timeout:g} s: "
                                   f"{self.output[-500:]}")
            time.sleep(0.02)

    def check(self) -> None:
        """RuntimeError when it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{' '.join(self._argv[:4])} ended with status {self._process.returncode}: "
                               f"{self.output[-1000:]}")
