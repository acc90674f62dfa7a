"""QEMU as Debian 13 has it, whatever this machine has: unpacked into .cache/lab, never installed.

Version 10 emulates what a node spends most of its time with, the start of programs, with a sixth of the CPU time that
Debian 12's version 7.2 takes (30 forks and execs 0.15 s for 0.9 s, a start of Python 0.07 s for 0.13 s).
"""

import fcntl
import shutil
from functools import cache
from pathlib import Path

from tests.lab.guest import build

SUITE = "trixie"
PACKAGES = ("qemu-system-x86", "seabios")


@cache
def command() -> list[str]:
    """The beginning of QEMU's command line: its own loader and libraries, for the machine's may be older."""
    root = _unpacked()
    usr = root / "usr"
    firmware = [part for name in ("qemu", "seabios") for part in ("-L", str(usr / "share" / name))]
    return [str(usr / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(usr / "lib/x86_64-linux-gnu"),
            str(usr / "bin/qemu-system-x86_64"), *firmware]


def _unpacked() -> Path:
    """Where the packages and all they need are unpacked; two callers at once do it once."""
    home = build.CACHE / f"qemu-{SUITE}"
    build.CACHE.mkdir(parents=True, exist_ok=True)
    with (build.CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.is_dir():
            build.need_tools()
            print(f"unpacking the emulator of Debian {SUITE}", flush=True)
            making = home.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            build.run("mmdebstrap", "--quiet", "--variant=extract", "--mode=root", f"--include={','.join(PACKAGES)}",
                      '--aptopt=APT::Install-Recommends "false"', SUITE, str(making), *build.sources(SUITE))
            making.rename(home)
    return home
