"""What a process has used, as /proc tells it (proc(5))."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """User and system seconds so far, of all its threads."""
    return parse_cpu(Path(f"/proc/{pid}/stat").read_text())


def memory(pid: int) -> float:
    """MB that it holds in memory."""
    return parse_memory(Path(f"/proc/{pid}/status").read_text())


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not asked for its status yet does not."""
    try:
        return _fields(Path(f"/proc/{pid}/stat").read_text())[0] not in "ZX"
    except OSError:
        return False


def parse_cpu(stat: str) -> float:
    """Seconds from /proc/PID/stat: fields 14 and 15, in ticks."""
    fields = _fields(stat)
    return (int(fields[11]) + int(fields[12])) / TICKS


def parse_memory(status: str) -> float:
    """MB from /proc/PID/status, whose kB are 1,024 bytes:

        VmRSS:	   69484 kB
    """
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


def _fields(stat: str) -> list[str]:
    """Fields from the third on: the second, the program's name in brackets, may have spaces and brackets in it."""
    return stat.rpartition(")")[2].split()
