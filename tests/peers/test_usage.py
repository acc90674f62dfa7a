"""What /proc says of a process."""

import os

from tests.peers import usage

STAT = ("4242 (csi (old) prov) S 1 4242 4242 0 -1 4194560 9 0 0 0 250 50 7 7 20 0 16 0 100 1283457024 17000 "
        "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
STATUS = "Name:\tcsi-provisioner\nVmHWM:\t   80000 kB\nVmRSS:\t   70000 kB\nRssAnon:\t   40000 kB\n"


def test_cpu_is_user_and_system_time_whatever_the_program_is_called() -> None:
    """Names may have brackets and spaces; children's time (7 + 7) is not counted."""
    assert usage.parse_cpu(STAT) == 300 / os.sysconf("SC_CLK_TCK")


def test_memory_is_what_is_resident_in_millions_of_bytes() -> None:
    assert usage.parse_memory(STATUS) == 71.68


def test_this_process_is_alive_and_uses_something() -> None:
    assert usage.is_alive(os.getpid()) and usage.cpu(os.getpid()) > 0 and usage.memory(os.getpid()) > 1


def test_nobody_is_alive_at_a_pid_that_no_process_has() -> None:
    assert not usage.is_alive(2**22 + 1)
