"""Paths of a LUN, read from small sysfs trees as kernels make them."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from flex.node import scsi, sysfs
from flex.node.aside import Aside
from flex.paths import Paths

SERIAL = "f92a1da2f8c9429700011010"
WWID, NAA = f"3624a9370{SERIAL}", f"naa.624a9370{SERIAL}"
FOREIGN = "naa.600508b1001c577e11dd042142a9d0b1"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A machine without SCSI hosts."""
    (tmp_path / "sys/class/scsi_host").mkdir(parents=True)
    return Paths(str(tmp_path))


def add(paths: Paths, address: str, wwid: str, name: str = "", below: str = "session1/") -> Path:
    """Make the sysfs directory of one path; `below` is what stands between host and target."""
    host, channel, target, _ = address.split(":")
    directory = Path(paths.scsi_hosts) / f"host{host}/device/{below}target{host}:{channel}:{target}/{address}"
    directory.mkdir(parents=True)
    (directory / "wwid").write_text(f"{wwid}\n")
    for file in ("rescan", "delete"):
        (directory / file).write_text("")
    if name:
        (directory / "block" / name).mkdir(parents=True)
    return directory


def test_paths_of_a_volume_are_found_over_iscsi_and_fibre_channel(paths: Paths) -> None:
    add(paths, "3:0:0:1", NAA, "sdb")
    add(paths, "4:0:7:1", NAA, "sdc", below="rport-4:0-2/")
    add(paths, "0:0:0:0", FOREIGN, "sda", below="")
    found = scsi.of_wwid(paths, WWID)
    assert [(path.address, path.name) for path in found] == [("3:0:0:1", "sdb"), ("4:0:7:1", "sdc")]


def test_foreign_disks_keep_the_identity_they_have_in_sysfs(paths: Paths) -> None:
    add(paths, "0:0:0:0", FOREIGN, "sda", below="")
    assert [(path.wwid, path.name) for path in scsi.every(paths)] == [(FOREIGN, "sda")]


def test_a_path_may_be_there_before_its_block_device_and_its_wwid(paths: Paths) -> None:
    """node-attach.md, fact 9: sysfs entries come one after the other."""
    directory = add(paths, "3:0:0:1", "")
    (directory / "wwid").unlink()
    found, = scsi.every(paths)
    assert (found.wwid, found.name) == ("", "")


@pytest.mark.parametrize("shown", [300, 300 + 0x4000], ids=["plain", "flat addressing"])
def test_a_lun_above_255_is_known_in_either_form(paths: Paths, shown: int) -> None:
    add(paths, f"3:0:0:{shown}", NAA, "sdb")
    found, = scsi.at_lun(paths, scsi.Nexus(3, 0, 0, "192.0.2.11:3260"), 300)
    assert found.wwid == WWID and scsi.plain_lun(found.lun) == 300


def test_only_the_target_asked_for_is_looked_at(paths: Paths) -> None:
    """An FC adapter leads to several arrays: the same LUN of another target is another array's."""
    add(paths, "4:0:1:5", FOREIGN, "sdb", below="rport-4:0-1/")
    add(paths, "4:0:2:5", NAA, "sdc", below="rport-4:0-2/")
    assert [path.name for path in scsi.at_lun(paths, scsi.Nexus(4, 0, 2, "5001500150015080"), 5)] == ["sdc"]


def test_a_path_that_went_away_is_none_and_a_changed_one_is_seen(paths: Paths) -> None:
    directory = add(paths, "3:0:0:1", NAA, "sdb")
    path, = scsi.every(paths)
    (directory / "wwid").write_text(f"naa.624a9370{'0' * 24}\n")
    now = scsi.refreshed(path)
    assert now and now.wwid != path.wwid
    directory.rename(directory.with_name("gone"))
    assert scsi.refreshed(path) is None


def test_a_scan_names_one_channel_one_target_and_one_lun(paths: Paths) -> None:
    """A wildcard would bring in every LUN of every array, those about to be taken away included."""
    scan = Path(paths.scsi_hosts) / "host3/scan"
    scan.parent.mkdir()
    scan.write_text("")
    for aside in scsi.scan(paths, scsi.Nexus(3, 0, 0, "portal"), 7):
        aside.result(5)
    assert scan.read_text() == "0 0 7\n"


def test_a_write_that_blocks_holds_nobody_up(paths: Paths) -> None:
    """node-attach.md, fact 5: a scan on a dying session blocks for up to 82 s, and its process cannot exit."""
    scan = Path(paths.scsi_hosts) / "host3/scan"
    scan.parent.mkdir()
    os.mkfifo(scan)
    aside, = scsi.scan(paths, scsi.Nexus(3, 0, 0, "portal"), 7)
    assert not aside.done()
    reader = os.open(scan, os.O_RDONLY)
    assert os.read(reader, 100) == b"0 0 7\n"
    aside.result(5)
    os.close(reader)


def test_a_write_that_fails_raises_what_the_kernel_said(paths: Paths) -> None:
    aside, = scsi.scan(paths, scsi.Nexus(9, 0, 0, "portal"), 7)
    with pytest.raises(FileNotFoundError):
        aside.result(5)


def test_work_aside_keeps_no_stream_and_no_lock_of_ours(tmp_path: Path) -> None:
    """kubelet reads until the last holder of the streams closes them; a lock must end with its call."""
    with open(tmp_path / "lock", "w", encoding="utf-8") as held:
        held.flush()
        open_files = Aside(lambda: " ".join(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)).encode()
                           + b"|" + str(sorted(map(int, os.listdir("/proc/self/fd")))).encode(), "looking").result(5)
    streams, _, numbers = open_files.partition(b"|")
    assert streams == b"/dev/null /dev/null /dev/null"
    assert numbers == b"[0, 1, 2, 3, 4]"         # 3 is the pipe for the answer, 4 the listing's own


LEFT_BEHIND = """
import os, sys
from flex.node import aside
try:
    print(aside.write(sys.argv[1], "0 0 7")._child, flush=True)
except OSError:
    open(sys.argv[2], "w").close()      # the child again, as a second call-out that undoes what the first has done
os._exit(0)
"""


def test_work_that_ends_after_its_call_out_tells_nobody_and_ends(tmp_path: Path) -> None:
    scan, undone = tmp_path / "scan", tmp_path / "undone"
    os.mkfifo(scan)
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND, scan, undone], capture_output=True, check=True, timeout=60)
    child = os.pidfd_open(int(done.stdout))
    with open(scan, encoding="ascii") as reader:
        assert reader.read() == "0 0 7"
    assert select.select([child], [], [], 60)[0], "the child lives on"
    os.close(child)
    assert not undone.exists()


CUT_AT_THE_FORK = """
import os, signal, sys
from flex.node.aside import Aside
class Cut(BaseException): pass
def cut(*_): raise Cut
signal.signal(signal.SIGTERM, cut)
fork = os.fork
def hurried():
    child = fork()
    if not child:
        os.kill(os.getpid(), signal.SIGTERM)
    return child
os.fork = hurried
parent = os.getpid()
try:
    work = Aside(lambda: b"", "nothing")
    try:
        work.result(30)
    except OSError:
        print("ended")
except Cut:
    if os.getpid() != parent:
        open(sys.argv[1], "w").close()      # a second call-out
"""


def test_a_signal_at_the_fork_ends_the_child_and_not_its_copy_of_the_call_out(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT_AT_THE_FORK, tmp_path / "second"], capture_output=True, text=True,
                          timeout=60)
    assert (done.stdout, done.stderr) == ("ended\n", "")
    assert not (tmp_path / "second").exists()


def test_reading_what_is_not_there_is_an_empty_answer(tmp_path: Path) -> None:
    assert sysfs.read(f"{tmp_path}/none") == "" and sysfs.entries(f"{tmp_path}/none") == []
    assert sysfs.number("12") == 12 and sysfs.number("x") is None
