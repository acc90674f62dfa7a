"""Waiting ends, says for what it waited, and does not sleep longer than it must. Locks are waits too."""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from arrays.errors import Busy, NeverHappened
from flex import locks
from flex.paths import Paths
from flex.wait import Deadline, wait_for


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_what_is_there_already_is_not_waited_for() -> None:
    own = Time()
    assert wait_for(lambda: "map", "the map", 5, clock=own.clock, sleep=own.sleep) == "map"
    assert own.slept == []


def test_what_comes_is_returned_soon_after() -> None:
    own = Time()
    assert wait_for(lambda: own.now >= 101 and "map", "the map", 5, clock=own.clock, sleep=own.sleep) == "map"
    assert 101 <= own.now < 101.2


def test_looks_are_dense_at_first_and_five_a_second_later() -> None:
    own = Time()
    with pytest.raises(NeverHappened):
        wait_for(lambda: None, "the map", 10, clock=own.clock, sleep=own.sleep)
    assert own.slept[0] == pytest.approx(0.02)
    assert max(own.slept) == pytest.approx(0.2)
    assert sum(own.slept) == pytest.approx(10)


def test_what_never_comes_is_named_with_the_time_it_got() -> None:
    own = Time()
    with pytest.raises(NeverHappened, match="waited 3 s in vain for the map of 3624a9370"):
        wait_for(lambda: None, "the map of 3624a9370", 3, clock=own.clock, sleep=own.sleep)


def test_without_time_there_is_still_one_look() -> None:
    own = Time()
    assert wait_for(lambda: "map", "the map", 0, clock=own.clock, sleep=own.sleep) == "map"
    with pytest.raises(NeverHappened):
        wait_for(lambda: None, "the map", 0, clock=own.clock, sleep=own.sleep)


def test_a_deadline_counts_down_to_nothing() -> None:
    own = Time()
    deadline = Deadline(10, own.clock)
    own.sleep(4)
    assert (deadline.left(), deadline.within(2), deadline.within(20), deadline.passed()) == (6, 2, 6, False)
    deadline.check("the map")
    own.sleep(7)
    assert (deadline.left(), deadline.within(2), deadline.passed()) == (0, 0, True)
    with pytest.raises(NeverHappened, match="waited 10 s in vain for the map"):
        deadline.check("the map")


# Locks

HOLD = "import sys, time; from flex import locks; from flex.paths import Paths\n" \
       "with locks.volume_lock(Paths(sys.argv[1]), sys.argv[2], 5): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def test_two_volumes_do_not_wait_for_each_other(paths: Paths) -> None:
    with locks.volume_lock(paths, "k8s-pvc-1", 0), locks.volume_lock(paths, "k8s-pvc-2", 0):
        with locks.target_lock(paths, "iqn.2010-06.com.purestorage:flasharray.1", 0):
            pass


def test_a_volume_is_had_by_one_call_at_a_time(paths: Paths) -> None:
    with locks.volume_lock(paths, "k8s-pvc-1", 0):
        began = time.monotonic()
        with pytest.raises(Busy, match="volume k8s-pvc-1 is busy: another call of this node"):
            with locks.volume_lock(paths, "k8s-pvc-1", 0.1):
                pass
        assert 0.1 <= time.monotonic() - began < 5
    with locks.volume_lock(paths, "k8s-pvc-1", 0):
        pass


def test_as_many_devices_are_made_at_once_as_the_cpus_are_good_for(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds all turns taken waits for any of them."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    turns = [locks.device_turn(paths, 0) for _ in range(locks.TURNS)]
    with contextlib.ExitStack() as held:
        for turn in turns:
            held.enter_context(turn)
        with pytest.raises(Busy, match=f"this node is busy: {locks.TURNS} other volumes are being attached"):
            with locks.device_turn(paths, 0):
                pass
        threading.Timer(0.3, turns[-1].__exit__).start()
        with locks.device_turn(paths, 10):
            pass
        turns[-1].__enter__()


def test_a_killed_process_holds_nothing(paths: Paths) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, paths.root, "k8s-pvc-1"], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(Busy):
        with locks.volume_lock(paths, "k8s-pvc-1", 0):
            pass
    holder.kill()
    holder.wait(10)
    with locks.volume_lock(paths, "k8s-pvc-1", 1):
        pass


def test_a_child_that_must_keep_the_lock_keeps_it(paths: Paths) -> None:
    """A child stuck on a device outlives its call: the next call must find the volume busy."""
    with locks.volume_lock(paths, "k8s-pvc-1", 0) as lock:
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fd,))
    try:
        with pytest.raises(Busy):
            with locks.volume_lock(paths, "k8s-pvc-1", 0):
                pass
    finally:
        child.kill()
        child.wait()


def test_lock_files_stay(paths: Paths) -> None:
    """Whoever waits on a file that is removed meanwhile holds a lock that nobody else sees."""
    with locks.volume_lock(paths, "pod1::k8s-pvc-1", 0):
        pass
    assert [name.startswith("volume.pod1--k8s-pvc-1.") for name in os.listdir(paths.lock_dir)] == [True]


def test_names_that_look_alike_are_different_locks(paths: Paths) -> None:
    with locks.volume_lock(paths, "a::b", 0), locks.volume_lock(paths, "a--b", 0):
        pass


def test_lock_files_are_not_handed_to_children(paths: Paths) -> None:
    with locks.volume_lock(paths, "x", 0) as lock:
        assert fcntl.fcntl(lock.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
