"""A shell script in the driver's place, and a kubelet in a hurry that calls it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.kubelet import Kubelet
from simulator.kubernetes import KubeApi

DRIVER = """#!/bin/sh
# Answers with the file named for the call, else with Success; "mounted" stands for the kernel's mount table.
cd {home}
echo "$@" >> calls
case "$1" in
mount) [ -e answer-mount ] || echo "$2" >> mounted ;;
unmount) [ -e answer-unmount ] || {{ grep -vxF "$2" mounted > kept; cat kept > mounted; }} ;;
esac
while [ -e "held-$1" ]; do sleep 0.02; done
[ -e "slow-$1" ] && sleep "$(cat "slow-$1")"
if [ -e "answer-$1" ]; then cat "answer-$1"; elif [ "$1" = init ]; then
echo '{{"status":"Success","capabilities":{{"attach":false,"requiresFSResize":true}}}}'; else
echo '{{"status":"Success"}}'; fi
"""


class Recorder:
    """A shell script in the driver's place, and what it was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.plugins = home / "exec"
        self.executable = self.plugins / "pure~flex" / "flex"
        self.executable.parent.mkdir(parents=True)
        self.executable.write_text(DRIVER.format(home=home))
        self.executable.chmod(0o755)
        (home / "mounted").touch()

    def answer(self, call: str, text: str | dict[str, Any] | None) -> None:
        """What the driver says to a call from now on; None: Success again."""
        path = self.home / f"answer-{call}"
        if text is None:
            path.unlink()
        else:
            path.write_text(text if isinstance(text, str) else json.dumps(text))

    def slow(self, call: str, seconds: float) -> None:
        """Let a call take its time."""
        (self.home / f"slow-{call}").write_text(str(seconds))

    @contextmanager
    def held(self, call: str) -> Iterator[None]:
        """Let a call take as long as the block."""
        (self.home / f"held-{call}").touch()
        yield
        (self.home / f"held-{call}").unlink()

    def asked(self, call: str) -> int:
        """How often a call has begun."""
        calls = self.home / "calls"
        return [line.partition(" ")[0] for line in calls.read_text().splitlines()].count(call) if calls.exists() else 0

    def is_mount_point(self, directory: Path) -> bool:
        """What the kernel would say."""
        os.stat(directory)
        return str(directory) in (self.home / "mounted").read_text().splitlines()


def started(api: KubeApi, recorder: Recorder, home: Path, **more: Any) -> Kubelet:
    """A kubelet whose retries come after 20 ms, 40 ms …"""
    return Kubelet(api, "node1", home / "kubelet", recorder.plugins, is_mount_point=recorder.is_mount_point, backoff=0.04,
                   **more)
