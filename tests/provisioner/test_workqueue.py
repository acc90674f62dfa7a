"""The work queue: one worker a key, back-off a key (1.9)."""

import threading
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from provisioner.workqueue import Backoff, WorkQueue


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_added_twice_is_worked_on_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [queue.get(), queue.get()] == ["a", "b"] and len(queue) == 0


def test_a_key_added_while_worked_on_comes_again_afterwards_and_not_before() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0 and not queue.idle()
    queue.done("a")
    assert queue.get() == "a"
    queue.done("a")
    assert queue.idle()


def test_failures_wait_longer_and_longer_and_each_key_for_itself() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(Backoff(1.0, 8.0), clock)
    waits = [queue.retry("a") for _ in range(6)]
    assert all(0.75 * full <= wait <= full for wait, full in zip(waits, (1, 2, 4, 8, 8, 8)))
    assert queue.retry("b") <= 1.0
    assert queue.failures("a") == 6
    queue.forget("a")
    assert queue.failures("a") == 0 and queue.retry("a") <= 1.0


def test_a_delayed_key_comes_when_it_is_due() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add_after("a", 5)
    queue.add_after("b", 1)
    assert queue.get(block=False) is None
    clock.now += 1
    assert queue.get(block=False) == "b" and queue.get(block=False) is None
    clock.now += 4
    assert queue.get(block=False) == "a"


def test_the_earlier_of_two_delays_stands() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add_after("a", 5)
    queue.add_after("a", 1)
    queue.add_after("a", 9)
    clock.now += 1
    assert queue.get(block=False) == "a"
    queue.done("a")
    clock.now += 10
    assert queue.get(block=False) is None


def test_adding_a_delayed_key_does_not_wait_and_does_not_come_twice() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add_after("a", 5)
    queue.add("a")
    assert queue.get(block=False) == "a"
    queue.done("a")
    clock.now += 6
    assert queue.get(block=False) is None


def test_hurry_brings_everything_that_waits() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=Clock())
    for key in "abc":
        queue.add_after(key, 300)
    queue.hurry()
    assert {queue.get(), queue.get(), queue.get()} == set("abc")


def test_a_waiting_worker_wakes_up_for_a_delayed_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    worker = threading.Thread(target=lambda: got.append(queue.get()))
    worker.start()
    queue.add_after("a", 0.02)
    worker.join(5)
    assert got == ["a"]


def test_while_one_worker_is_busy_another_waits_for_the_next_due_key() -> None:
    """The one who waited for the due time may be the one who took other work."""
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []
    workers = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(2)]
    for worker in workers:
        worker.start()
    queue.add_after("later", 0.05)
    queue.add("now")
    for worker in workers:
        worker.join(5)
    assert got == ["now", "later"]


def test_a_closed_queue_hands_out_nothing() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.close()
    queue.add("b")
    assert queue.get() is None


def test_what_is_unfinished_is_ready_or_with_a_worker() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "ab":
        queue.add(key)
    queue.add_after("later", 60)
    queue.get()
    assert (len(queue), queue.unfinished()) == (1, 2)
    queue.done("a")
    assert queue.unfinished() == 1


def test_running_tells_how_long() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    queue.add("a")
    queue.get()
    clock.now += 7
    assert queue.running() == [7.0]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60))
def test_no_key_is_ever_with_two_workers_and_none_is_lost(keys: list[str]) -> None:
    queue: WorkQueue[str] = WorkQueue()
    inside: Counter[str] = Counter()
    crossed, seen, lock = [], set(), threading.Lock()

    def work() -> None:
        while (key := queue.get()) is not None:
            with lock:
                inside[key] += 1
                crossed.extend([key] if inside[key] > 1 else [])
                seen.add(key)
            with lock:
                inside[key] -= 1
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for key in keys:
        queue.add(key)
    deadline = time.monotonic() + 5
    while not queue.idle() and time.monotonic() < deadline:
        time.sleep(0.0005)
    queue.close()
    for worker in workers:
        worker.join(5)
    assert not crossed and seen == set(keys)
