"""Records and marks: written whole, found again by directory, of no consequence when they are broken."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flex import state
from flex.machine import Node
from flex.paths import Paths
from flex.settings import Settings
from flex.state import Record
from flex.trouble import RecordLost

DIRECTORY = "/var/lib/kubelet/pods/uid-1/volumes/pure~flex/pvc-1"
RECORD = Record(DIRECTORY, backend="block", pv="pvc-1", volume="pod1::k8s-pvc-1", array="1.2.3.4",
                wwid="3624a9370" + 24 * "0", host="node1", lun=0, access="ReadWriteOnce", device="dm-3", stage=state.MOUNTED)

WRITABLE = st.characters(exclude_characters="\0", exclude_categories=("Cs",))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def files(paths: Paths) -> list[str]:
    return sorted(file.name for file in Path(paths.state_dir).rglob("*") if file.is_file())


def test_what_is_saved_is_loaded(paths: Paths) -> None:
    state.save(paths, RECORD)
    assert state.load(paths, DIRECTORY) == RECORD
    assert state.records(paths) == [RECORD]


def test_nothing_is_known_at_first(paths: Paths) -> None:
    assert state.load(paths, DIRECTORY) is None
    assert state.records(paths) == []
    state.remove(paths, DIRECTORY)


def test_a_changed_record_replaces_the_old_one(paths: Paths) -> None:
    state.save(paths, RECORD)
    state.save(paths, RECORD.but(stage=state.RELEASING, lun=None))
    found = state.load(paths, DIRECTORY)
    assert found is not None and (found.stage, found.lun) == (state.RELEASING, None)
    assert len(files(paths)) == 1


def test_a_removed_record_is_gone(paths: Paths) -> None:
    state.save(paths, RECORD)
    state.remove(paths, DIRECTORY)
    assert state.records(paths) == []
    assert files(paths) == []


def test_people_can_tell_whose_record_a_file_is(paths: Paths) -> None:
    state.save(paths, RECORD)
    assert files(paths)[0].startswith("uid-1.pvc-1.")


def test_only_root_reads_records(paths: Paths) -> None:
    state.save(paths, RECORD)
    for file in Path(paths.state_dir).rglob("*"):
        assert file.stat().st_mode & 0o077 == 0


def test_the_same_pv_of_two_pods_has_two_records(paths: Paths) -> None:
    other = RECORD.but(mount_dir=DIRECTORY.replace("uid-1", "uid-2"))
    state.save(paths, RECORD)
    state.save(paths, other)
    assert state.load(paths, DIRECTORY) == RECORD
    assert state.load(paths, other.mount_dir) == other


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"stage": "mounted"}', '{"mount_dir": 1}', "\0" * 40, "\udcff"])
def test_a_broken_file_is_not_the_same_as_none(paths: Paths, content: str) -> None:
    """A disk may lose a file's content, and after a reboot nothing else tells what is still connected."""
    state.save(paths, RECORD)
    file = next(Path(paths.state_dir).rglob("*.json"))
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    check_lost(paths, file)


def test_a_file_that_cannot_be_read_is_not_the_same_as_none(paths: Paths) -> None:
    """The kernel says ELOOP here, where a dying disk says EIO."""
    state.save(paths, RECORD)
    file = next(Path(paths.state_dir).rglob("*.json"))
    unreadable(file)
    check_lost(paths, file)


def unreadable(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def check_lost(paths: Paths, file: Path) -> None:
    """Each reader learns of it, none is kept from the other records, and it can be written anew."""
    other = RECORD.but(mount_dir=DIRECTORY.replace("uid-1", "uid-2"))
    state.save(paths, other)
    with pytest.raises(RecordLost, match=file.name):
        state.load(paths, DIRECTORY)
    assert state.known(paths, DIRECTORY) is None
    assert state.records(paths) == [other] and len(state.lost(paths)) == 1
    state.save(paths, RECORD)
    assert state.load(paths, DIRECTORY) == RECORD


def test_a_mark_that_cannot_be_looked_at_is_not_the_same_as_none(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it an operator would be told that another node began the file system, and to wipe the volume; and one that
    cannot be removed lets a later call format."""
    state.begin_mkfs(paths, RECORD.wwid)
    monkeypatch.setattr(os, "lstat", bad_disk)
    for call in (state.mkfs_began, state.end_mkfs):
        with pytest.raises(OSError, match="Input/output error"):
            call(paths, RECORD.wwid)


def bad_disk(file: str) -> None:
    raise OSError(5, "Input/output error")


def test_keys_of_a_later_version_are_passed_over(paths: Paths) -> None:
    state.save(paths, RECORD)
    file = next(Path(paths.state_dir).rglob("*.json"))
    file.write_text(file.read_text().replace("{", '{"new": "x", ', 1))
    assert state.load(paths, DIRECTORY) == RECORD


def test_a_write_that_fails_leaves_the_old_record(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save(paths, RECORD)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError):
        state.save(paths, RECORD.but(stage=state.RELEASING))
    assert state.load(paths, DIRECTORY) == RECORD
    assert len(files(paths)) == 1


def no_space(fd: int) -> None:
    raise OSError(28, "No space left on device")


def test_an_interrupted_write_is_not_taken_for_a_record(paths: Paths) -> None:
    state.save(paths, RECORD)
    file = next(Path(paths.state_dir).rglob("*.json"))
    file.with_name(f".{file.name}.99").write_text('{"mount_dir": "/x"}')
    assert state.records(paths) == [RECORD]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(WRITABLE, min_size=1).map("/".__add__), st.text(WRITABLE), st.text(WRITABLE),
       st.none() | st.integers(0, 16383))
def test_any_text_survives(paths: Paths, directory: str, pv: str, source: str, lun: int | None) -> None:
    record = Record(directory, pv=pv, source=source, lun=lun)
    state.save(paths, record)
    assert state.load(paths, directory) == record
    state.remove(paths, directory)


def test_the_mkfs_mark_is_there_until_mkfs_is_done(paths: Paths) -> None:
    assert not state.mkfs_began(paths, "3624a9370abc")
    state.begin_mkfs(paths, "3624a9370abc")
    assert state.mkfs_began(paths, "3624a9370abc")
    assert not state.mkfs_began(paths, "3624a9370abd")
    state.end_mkfs(paths, "3624a9370abc")
    assert not state.mkfs_began(paths, "3624a9370abc")


def test_a_wait_is_counted_over_calls(paths: Paths) -> None:
    assert state.waited(paths, "held", "k8s-pvc-1 host5", 1000.0) == 0
    assert state.waited(paths, "held", "k8s-pvc-1 host5", 1030.0) == 30
    assert state.waited(paths, "held", "k8s-pvc-1 host6", 1031.0) == 0      # another host, another wait
    assert state.waited(paths, "held", "k8s-pvc-1 host5", 1090.0) == 90


def test_a_wait_that_ended_starts_anew(paths: Paths) -> None:
    state.waited(paths, "held", "x", 1000.0)
    state.stop_waiting(paths, "held", "x")
    state.stop_waiting(paths, "held", "x")
    assert state.waited(paths, "held", "x", 1100.0) == 0


def test_after_a_long_silence_it_is_another_wait(paths: Paths) -> None:
    """A node that met the host yesterday has not waited since yesterday."""
    state.waited(paths, "held", "x", 1000.0)
    assert state.waited(paths, "held", "x", 1000.0 + state.SILENCE + 1) == 0


def test_a_clock_that_was_put_back_starts_a_wait_anew(paths: Paths) -> None:
    state.waited(paths, "held", "x", 1000.0)
    assert state.waited(paths, "held", "x", 500.0) == 0
    assert state.waited(paths, "held", "x", 501.0) == 1


def test_setting_the_machines_clock_is_no_waiting(paths: Paths) -> None:
    """chrony steps it by minutes when a node comes up: unsaved data would be given up, or a volume taken, too soon."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= Node(paths, Settings({})).clock() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_broken_mark_starts_a_wait_anew(paths: Paths) -> None:
    state.waited(paths, "held", "x", 1000.0)
    next(Path(paths.state_dir, "marks").iterdir()).write_text("yesterday\n")
    assert state.waited(paths, "held", "x", 1010.0) == 0
