"""Runs the driver as kubelet does, in this process or in one of its own, and holds every answer to the contract.

kubelet (pkg/volume/flexvolume/driver-call.go) takes stdout and stderr together for one JSON document; so whatever call a
test makes, these helpers fail it when anything else is printed, when a status is misspelt or a failure has no words.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flex import cli, log

SCRIPT = Path(sys.executable).with_name("flex")
SUCCESS = {"status": "Success"}
STATUSES = ("Success", "Failure", "Not supported")
PROMISED = 120.0        # seconds in which every call ends (cli.py), however busy the machine is

Answer = dict[str, Any]


class Driver:
    """One installed driver: `executable` is where kubelet finds it, `environment` what it runs with."""

    def __init__(self, executable: Path, environment: Mapping[str, str], secrets: tuple[str, ...] = ()) -> None:
        self.executable = executable
        self.environment = dict(environment)
        self.secrets = secrets              # words that no answer and no log may hold

    def install(self) -> None:
        """Put what belongs beside the executable there; called before each call."""

    def __call__(self, *words: object, **environment: str) -> Answer:
        """Make one call in this process; dicts among the words become kubelet's JSON."""
        self.install()
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as accident:
            with _environment({**self.environment, **environment}), _streams_into(accident.fileno()):
                status = cli.main([argument(word) for word in words], str(self.executable), answer.fileno())
                log.close_file()
            return self._checked(status, _content(answer), _content(accident))

    def process(self, *words: object, timeout: float = PROMISED, **environment: str) -> Answer:
        """Make one call in a process of its own, with exactly the environment given."""
        ended = self.start(*words, **environment)
        stdout, stderr = ended.communicate(timeout=timeout)
        return self._checked(ended.returncode, stdout, stderr)

    def start(self, *words: object, **environment: str) -> "subprocess.Popen[bytes]":
        """Begin one call in a process of its own."""
        self.install()
        return subprocess.Popen([self.executable, *map(argument, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd="/", env={**self.environment, **environment})

    def finish(self, call: "subprocess.Popen[bytes]", timeout: float = PROMISED) -> Answer:
        """Wait for a call that `start` began."""
        stdout, stderr = call.communicate(timeout=timeout)
        return self._checked(call.returncode, stdout, stderr)

    def _checked(self, status: int, stdout: bytes, stderr: bytes) -> Answer:
        assert stderr == b""
        told = checked(stdout)
        assert status == 0
        for secret in self.secrets:
            assert secret not in stdout.decode()
        return told


def checked(stdout: bytes) -> Answer:
    """The one JSON object that a call printed."""
    told = json.loads(stdout.decode("ascii"))
    assert isinstance(told, dict) and told["status"] in STATUSES
    assert told["status"] != "Failure" or told["message"]
    return told


def argument(word: object) -> str:
    """A word of argv. Options are written as Go's encoder does: keys sorted, <, > and & escaped."""
    if not isinstance(word, dict):
        return os.fspath(word) if isinstance(word, os.PathLike) else str(word)
    text = json.dumps(word, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def options(pv: str = "pvc-1", *, mode: str = "rw", fs_type: str = "", **own: str) -> dict[str, str]:
    """What kubelet 1.34 sends with `mount` for a pod that uses this PV (real-kubernetes.md section 4)."""
    return {"kubernetes.io/fsType": fs_type, "kubernetes.io/readwrite": mode, "kubernetes.io/pvOrVolumeName": pv,
            "kubernetes.io/pod.name": "web-0", "kubernetes.io/pod.namespace": "shop", "kubernetes.io/pod.uid": "uid-1",
            "kubernetes.io/serviceAccount.name": "default", **own}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _streams_into(accident: int) -> Iterator[None]:
    """Gather what is printed on either stream of this process: all of it is an accident."""
    for printed in (sys.stdout, sys.stderr):
        printed.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    for stream in (1, 2):
        os.dup2(accident, stream)
    try:
        yield
    finally:
        for printed in (sys.stdout, sys.stderr):
            printed.flush()
        for stream, fd in zip((1, 2), kept):
            os.dup2(fd, stream)
            os.close(fd)


def _content(file: Any) -> bytes:
    file.seek(0)
    content: bytes = file.read()
    return content
