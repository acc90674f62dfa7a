"""What a watch of PVs and claims tells, line by line."""

from pathlib import Path

from tests.peers.watching import Heard, moments, parse, parse_version

PV = b'{"type":"%s","object":{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"pvc-1","uid":"7","%s}}}\n'


def test_a_new_object_is_added() -> None:
    assert parse(PV % (b"ADDED", b'spec":{},"status":{"phase":"Pending"}')) == [("ADDED", "pvc-1")]


def test_one_that_was_bound_when_the_watch_began_is_both() -> None:
    assert parse(PV % (b"ADDED", b'spec":{},"status":{"phase":"Bound"}')) == [("ADDED", "pvc-1"), ("BOUND", "pvc-1")]


def test_a_change_counts_when_it_is_bound() -> None:
    assert parse(PV % (b"MODIFIED", b'status":{"phase":"Bound"}')) == [("BOUND", "pvc-1")]
    assert parse(PV % (b"MODIFIED", b'status":{"phase":"Pending"}')) == []


def test_what_is_deleted_is_not_bound_once_more() -> None:
    """The last state of a deleted claim still says Bound."""
    assert parse(PV % (b"DELETED", b'status":{"phase":"Bound"}')) == [("DELETED", "pvc-1")]


def test_bookmarks_and_errors_tell_of_nobody() -> None:
    assert parse(b'{"type":"BOOKMARK","object":{"kind":"PersistentVolume","metadata":{"resourceVersion":"9"}}}\n') == []
    assert parse(b'{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410}}\n') == []


def test_the_first_moment_of_each_object_counts_in_order() -> None:
    notes = ["3.0 BOUND c-1", "1.0 ADDED c-1", "4.0 BOUND c-1", "2.0 BOUND c-0", "1.5 BOUND warm-0"]
    assert moments(notes, "BOUND", "c-") == [2.0, 3.0]


def test_a_note_that_is_half_written_waits_for_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "heard"
    file.write_text("1.0 BOUND c-1\n2.0 BOUND c-")
    assert Heard(file).moments("BOUND", "c-") == [1.0]


def test_a_watch_goes_on_from_the_objects_own_version() -> None:
    """A PV has its claim's too."""
    line = b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"12"},"spec":{"claimRef":{"resourceVersion":"9"}}}}'
    assert parse_version(line) == "12" and parse_version(b'{"type":"ERROR","object":{"kind":"Status","metadata":{}}}') == ""
