"""Kills the driver at one of its step boundaries, by the one documented hook in flex/node/command.py."""

import os
import signal

from flex.node import command

REPORT = "/run/pure-lab-cut"                 # the step at which the last call-out was cut; absent when it got through


def arm(number: int) -> None:
    """Let the `number`-th step be the last; its name is left in REPORT."""
    left = number
    if os.path.exists(REPORT):
        os.unlink(REPORT)

    def at_step(step: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            with open(REPORT, "w") as file:
                file.write(step)
            os.kill(os.getpid(), signal.SIGKILL)

    command.at_step = at_step
