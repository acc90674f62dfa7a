"""The mount table: read from mountinfo, never by looking at a mount point."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import CommandFailed
from flex.node import mounts
from flex.paths import Paths

LINES = r"""
20 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 20 0:26 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
36 20 98:0 /mnt1 /mnt/a\040b rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue
40 20 0:60 / /pods/u/pvc-1 rw,relatime - nfs4 192.0.2.7:/k8s-pvc-1 rw,vers=4.1,addr=192.0.2.7
41 40 253:0 / /pods/u/pvc-1 ro,relatime shared:9 - xfs /dev/mapper/mpatha rw,attr2
42 20 0:61 / /empty rw - tmpfs  rw,size=1k
43 20 253:0 / /pods/v/pvc-1 rw,relatime shared:9 - xfs /dev/mapper/mpatha rw,attr2
44 20 0:62 / /pods/u/pvc-1\134x rw - tmpfs a\040source rw
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(LINES.lstrip())
    return Paths(str(tmp_path))


def test_the_table_is_in_the_kernels_order(paths: Paths) -> None:
    assert [mount.id for mount in mounts.table(paths)] == [20, 31, 36, 40, 41, 42, 43, 44]


def test_one_line(paths: Paths) -> None:
    mount = mounts.table(paths)[2]
    assert (mount.parent, mount.device, mount.root, mount.mount_dir, mount.fstype, mount.source, mount.options) == (
        20, "98:0", "/mnt1", "/mnt/a b", "ext3", "/dev/root", "rw,noatime,rw,errors=continue")


def test_an_empty_source_does_not_shift_the_rest(paths: Paths) -> None:
    mount = mounts.table(paths)[5]
    assert (mount.source, mount.options) == ("", "rw,rw,size=1k")


def test_stacked_mounts_the_oldest_first(paths: Paths) -> None:
    found = mounts.at(paths, "/pods/u/pvc-1")
    assert [(mount.fstype, mount.is_nfs, mount.read_only) for mount in found] == [
        ("nfs4", True, False), ("xfs", False, True)]
    assert mounts.at(paths, "/pods/u/pvc-1/") and mounts.at(paths, "//pods/u/../u/pvc-1")


def test_a_directory_that_only_begins_alike_is_another(paths: Paths) -> None:
    assert mounts.at(paths, "/pods/u/pvc") == []
    assert [mount.source for mount in mounts.at(paths, "/pods/u/pvc-1\\x")] == ["a source"]


def test_a_kubelet_folder_behind_a_link_is_found(tmp_path: Path) -> None:
    """/var/lib/kubelet may be a link to a larger disk; mountinfo has the place it leads to."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "kubelet").symlink_to(tmp_path / "disk")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(f"40 20 0:60 / {tmp_path}/disk/pvc-1 rw - nfs x:/y rw\n")
    assert len(mounts.at(Paths(str(tmp_path)), str(tmp_path / "kubelet/pvc-1"))) == 1


@pytest.mark.parametrize("line", [
    "", "x", "1 2 3", "a b 0:1 / / rw - ext4 x rw", "1 2 0:1 / / rw ext4 x rw", "1 2 0:1 / / rw - ext4"])
def test_what_is_no_line_is_passed_over(line: str) -> None:
    assert mounts.parse(line) is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), st.sampled_from(["\\ \t\n", "\\ \t\n#"]))
def test_escapes_come_back(text: str, letters: str) -> None:
    """seq_path() of the kernel escapes these; whether "#" too depends on the field and the release."""
    escaped = "".join(f"\\{ord(letter):03o}" if letter in letters else letter for letter in text)
    assert mounts.unescape(escaped) == text


@given(st.text())
def test_any_backslashes_are_survived(text: str) -> None:
    mounts.unescape(text.replace("0", "\\"))


def test_backslashes_that_escape_nothing_stay() -> None:
    assert mounts.unescape(r"a\04 b\999\ ") == r"a\04 b\999\ "


def test_who_keeps_a_mount_busy(tmp_path: Path) -> None:
    process = tmp_path / "proc/42"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("tail\n")
    (process / "cwd").symlink_to("/")
    (process / "fd/3").symlink_to("/pods/u/pvc-1/log (deleted)")
    other = tmp_path / "proc/43"
    (other / "fd").mkdir(parents=True)
    (other / "fd/3").symlink_to("/pods/u/pvc-10/log")
    (tmp_path / "proc/44").mkdir()
    assert mounts.users(Paths(str(tmp_path)), "/pods/u/pvc-1") == ["tail (pid 42)"]


@pytest.mark.host
def test_a_real_tmpfs_is_seen_and_taken_away(tmp_path: Path) -> None:
    """mount(8), umount(8) and mountinfo of this machine, with a name that has to be escaped."""
    assert os.geteuid() == 0, "needs root"
    place = tmp_path / "a b\\c\t#d"
    place.mkdir()
    paths = Paths("/")
    mounts.mount("first", str(place), "tmpfs", ["size=64k"], timeout=10)
    mounts.mount("second", str(place), "tmpfs", ["size=64k", "ro"], timeout=10)
    try:
        assert [mount.source for mount in mounts.at(paths, str(place))] == ["first", "second"]
        assert mounts.at(paths, str(place))[-1].read_only
    finally:
        while mounts.at(paths, str(place)):
            mounts.umount(str(place), timeout=10)
    with pytest.raises(CommandFailed):
        mounts.umount(str(place), timeout=10)


@pytest.mark.host
def test_a_busy_mount_says_so(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    place = tmp_path / "busy"
    place.mkdir()
    mounts.mount("busy", str(place), "tmpfs", [], timeout=10)
    try:
        with open(place / "file", "w"):
            with pytest.raises(CommandFailed) as refusal:
                mounts.umount(str(place), timeout=10)
            assert mounts.is_busy(refusal.value)
            assert f"(pid {os.getpid()})" in ", ".join(mounts.users(Paths("/"), str(place)))
    finally:
        mounts.umount(str(place), timeout=10)


@pytest.mark.host
def test_a_bind_shows_the_same_files(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "needs root"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/file").write_text("x")
    mounts.bind(str(tmp_path / "a"), str(tmp_path / "b"), ["ro"], timeout=10)
    try:
        assert (tmp_path / "b/file").read_text() == "x"
        assert mounts.at(Paths("/"), str(tmp_path / "b"))[-1].read_only
    finally:
        mounts.umount(str(tmp_path / "b"), timeout=10)


def test_a_table_whose_readings_never_agree_is_all_that_was_seen(hidden: Callable[..., None], tmp_path: Path) -> None:
    """Each may lack a line; what is asked is whether something may still be used."""
    (tmp_path / "proc/self").mkdir(parents=True)
    table = tmp_path / "proc/self/mountinfo"
    table.write_text("36 35 253:0 / /a rw - xfs /dev/dm-0 rw\n37 35 253:1 / /b rw - xfs /dev/dm-1 rw\n")
    hidden("/a", 1)
    assert [mount.mount_dir for mount in mounts.certain(Paths(str(tmp_path)))] == ["/a", "/b"]
