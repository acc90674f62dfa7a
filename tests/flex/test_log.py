"""The log: one file, bounded, silent when it cannot be written."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flex import log


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var/log/pure-flex.log"
    log.close_file()


def lines(file: Path) -> list[str]:
    return [line.partition("] ")[2] for line in file.read_text().splitlines()]


def test_each_line_has_time_and_process(file: Path) -> None:
    log.open_file(str(file))
    log.info("mount ok pv=pvc-1")
    stamp, process, text = file.read_text().split(" ", 2)
    assert stamp.endswith("Z") and stamp[10] == "T"
    assert (process, text) == (f"[{os.getpid()}]", "mount ok pv=pvc-1\n")


def test_only_root_reads_it(file: Path) -> None:
    log.open_file(str(file))
    assert file.stat().st_mode & 0o777 == 0o600


def test_debugging_is_asked_for(file: Path) -> None:
    log.open_file(str(file))
    log.debug("ran umount")
    log.open_file(str(file), debug_too=True)
    log.debug("ran mount")
    assert lines(file) == ["ran mount"]


def test_several_lines_stay_one_entry(file: Path) -> None:
    log.open_file(str(file))
    log.info("Traceback\n  File")
    log.info("next")
    assert file.read_text().count("\n[") == 0
    assert file.read_text().splitlines()[1] == "      File"


def test_nothing_is_written_before_it_is_opened(file: Path) -> None:
    log.info("lost")
    log.close_file()
    assert not file.exists()


def test_it_does_not_grow_for_ever(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LARGEST", 200)
    for number in range(40):
        log.open_file(str(file))
        log.info(f"line {number:03d} {'x' * 20}")
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "pure-flex.log", "pure-flex.log.1", "pure-flex.log.2"]
    assert all(path.stat().st_size < 400 for path in file.parent.iterdir())
    last = [line for path in sorted(file.parent.iterdir(), reverse=True) for line in lines(path)]
    assert last == sorted(last) and "line 039" in last[-1]


def test_parallel_calls_lose_no_line(file: Path) -> None:
    log.open_file(str(file))
    threads = [threading.Thread(target=log.info, args=(f"line {number}",)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines(file)) == sorted(f"line {number}" for number in range(50))
