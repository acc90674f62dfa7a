"""`python -m tests.labcluster [pytest arguments]`: tell the whole story once.

Ctrl-C and SIGTERM leave nothing behind. Guests die with this process even when it is killed; what then stays of the control
plane is removed by the next run, or by `make cluster-down`.
"""

import signal
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# The unit tests' settings leave this folder out and give a test a minute; -x: each test goes on where the last one ended.
OPTIONS = ["-o", "norecursedirs=__pycache__", "-o", "timeout=400", "-o", "timeout_func_only=true", "-p", "no:cacheprovider",
           "--durations=0", "--durations-min=0.5", "-v", "-x", "-s", "--color=no"]


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("lab-cluster: told to end"))
    began = time.monotonic()
    status = int(pytest.main([*OPTIONS, *argv, *([] if any("labcluster" in arg for arg in argv) else [str(HERE)])]))
    print(f"lab-cluster: ended after {time.monotonic() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
