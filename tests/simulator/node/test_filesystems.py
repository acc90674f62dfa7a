"""blkid, mkfs, mount, umount, fsck and grow on a pretend node (node-attach.md 2.5, 2.6, 2.8, 2.9)."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from simulator.node.formats import lvm_label, partition_table
from simulator.planes import copy_file
from tests.simulator.node.bench import Bench, GiB, a_node, until

KINDS = ("xfs", "ext4", "btrfs")


def put(bench: Bench, name: str, at: int, data: bytes) -> None:
    """Write to a volume behind everybody's back."""
    with open(bench.array.volume(name).file, "r+b") as volume:
        volume.seek(at)
        volume.write(data)


# blkid

@pytest.mark.parametrize("content, probed, plain", [
    ("zeros", 2, 2), ("xfs", 0, 0), ("ext4", 0, 0), ("btrfs", 0, 0), ("partition", 0, 0), ("lvm", 0, 0),
    ("two", 8, 2), ("random", 2, 2), ("ext4 without its first block", 2, 2), ("io error", 2, 2)])
def test_what_blkid_says(bench: Bench, content: str, probed: int, plain: int) -> None:
    """The table of node-attach.md 2.5."""
    wwid = bench.volume("v1")
    device = bench.attach(wwid, portals=1)
    first = content.split()[0]
    if first in KINDS:
        bench.run(f"mkfs.{first}", device)
    match content:
        case "two":
            bench.run("mkfs.ext4", device)
            put(bench, "v1", 0, b"XFSB" + bytes(122))
        case "partition":
            put(bench, "v1", 0, partition_table())
        case "lvm":
            put(bench, "v1", 0, lvm_label())
        case "random":
            put(bench, "v1", 0, b"\x8e\x11" * 65536)
        case "ext4 without its first block":
            put(bench, "v1", 0, bytes(4096))
        case "io error":
            bench.node.faults.io_error.add(wwid)
    assert bench.run("blkid", "-p", device).status == probed
    done = bench.run("blkid", device)
    assert done.status == plain
    assert (f'TYPE="{content}"' in done.out) == (content in KINDS)


def test_forms_of_blkids_output(bench: Bench) -> None:
    device = bench.made("v1")
    assert bench.run("blkid", "-p", "-o", "value", "-s", "TYPE", device).out == "xfs\n"
    assert "TYPE=xfs\n" in bench.run("blkid", "-p", "-o", "export", device).out
    assert bench.run("blkid", "-p", "-s", "PTTYPE", device).status == 2
    assert bench.run("blkid", "-p", "/dev/none").status == 2


@pytest.mark.skipif(not shutil.which("blkid"), reason="no blkid on this machine to compare with")
@pytest.mark.parametrize("kind", ["xfs", "ext2", "ext3", "ext4", "btrfs"])
def test_the_real_blkid_agrees_about_pretend_file_systems(bench: Bench, kind: str) -> None:
    device = bench.made("v1", kind)
    said = subprocess.run(["blkid", "-p", "-o", "value", "-s", "TYPE", device], capture_output=True, text=True, check=True)
    assert said.stdout == f"{kind}\n"


# mkfs

@pytest.mark.parametrize("kind, refused", [("xfs", True), ("btrfs", True), ("ext4", False)])
def test_mkfs_and_a_signature(bench: Bench, kind: str, refused: bool) -> None:
    """xfs and btrfs refuse without -f; ext4 overwrites without asking."""
    device = bench.made("v1", "ext3")
    done = bench.run(f"mkfs.{kind}", device)
    assert (done.status == 1) == refused
    assert ("-f" in done.err) == refused
    assert bench.run(f"mkfs.{kind}", "-f" if refused else "-F", device).status == 0
    assert bench.run("blkid", "-p", "-o", "value", "-s", "TYPE", device).out == f"{kind}\n"


@pytest.mark.parametrize("kind", KINDS)
def test_mkfs_refuses_a_mounted_device(bench: Bench, kind: str) -> None:
    device, _ = bench.mounted("v1")
    done = bench.run(f"mkfs.{kind}", "-F" if kind == "ext4" else "-f", device)
    assert done.status == 1 and "mounted" in done.err


def test_mkfs_refuses_a_path_of_a_map_a_failing_device_and_unknown_options(bench: Bench) -> None:
    wwid = bench.volume("v1")
    device = bench.attach(wwid)
    assert bench.run("mkfs.xfs", f"{bench.node.root}/dev/sdb").status == 1
    assert bench.run("mkfs.xfs", "--quickly", device).status == 1
    assert bench.run("mkfs.xfs", f"{bench.node.root}/dev/none").status == 1
    bench.node.faults.io_error.add(wwid)
    assert bench.run("mkfs.xfs", device).status == 1


def test_mkfs_xfs_refuses_less_than_300_mib(bench: Bench) -> None:
    device = bench.attach(bench.volume("v1", 100 << 20))
    assert bench.run("mkfs.xfs", device).status == 1
    assert bench.run("mkfs.ext4", device).status == 0


def test_mkfs_dash_t(bench: Bench) -> None:
    device = bench.attach(bench.volume("v1"))
    assert bench.run("mkfs", "-t", "xfs", "-q", device).status == 0
    assert bench.run("blkid", "-p", "-o", "value", "-s", "TYPE", device).out == "xfs\n"


@pytest.mark.parametrize("kind, signature, byte_126", [("xfs", "xfs", b"\1"), ("ext4", "", b"\0")])
def test_a_killed_mkfs_leaves_a_half_made_file_system(bench: Bench, kind: str, signature: str, byte_126: bytes) -> None:
    device = bench.attach(bench.volume("v1"))
    bench.node.faults.slow[f"mkfs.{kind}"] = 5.0
    with bench.start(f"mkfs.{kind}", device) as mkfs:
        until(lambda: open(bench.array.volume("v1").file, "rb").read(512 << 10).strip(b"\0"))
        mkfs.kill()
    until(lambda: bench.node.commands[-1].status is not None)
    assert bench.run("blkid", "-p", "-o", "value", "-s", "TYPE", device).out.strip() == signature
    with open(device, "rb") as opened:
        assert opened.read(127)[126:] == byte_126
        opened.seek(0)
        assert opened.read(1 << 20).strip(b"\0")
    assert bench.run("mount", device, bench.directory()).status == 32


# mount

def test_a_mount_shows_in_mountinfo(bench: Bench) -> None:
    device, directory = bench.made("v1"), bench.directory("a b")
    assert bench.run("mount", "-t", "xfs", "-o", "noatime,discard", device, directory).status == 0
    lines = (bench.node.root / "proc/self/mountinfo").read_text().splitlines()
    found = [line for line in lines if r"a\040b" in line]
    assert len(found) == 1
    left, right = found[0].split(" - ")
    assert left.split()[2] == bench.read("block/dm-0/dev")
    assert right.split()[:2] == ["xfs", device] and "discard" in right
    assert bench.run("mountpoint", "-q", directory).status == 0
    assert directory in bench.run("mount").out


def test_btrfs_shows_no_device_number(bench: Bench) -> None:
    """It may span devices, so mountinfo has an anonymous number; only the source tells the device."""
    device, _ = bench.mounted("v1", "btrfs")
    assert bench.node.mounts[0].device.startswith("0:")
    assert bench.node.mounts[0].source == device


def test_mounting_twice(bench: Bench) -> None:
    """At one place 32, at a second fine, and both are the same file system; another volume stacks on top."""
    device, directory = bench.mounted("v1")
    assert bench.run("mount", device, directory).status == 32
    second = bench.directory("second")
    assert bench.run("mount", device, second).status == 0
    bench.node.write(f"{directory}/hello", "world")
    assert bench.node.read(f"{second}/hello") == "world"
    other = bench.made("v2", "ext4")
    assert bench.run("mount", other, directory).status == 0
    with pytest.raises(FileNotFoundError):
        bench.node.read(f"{directory}/hello")
    assert bench.run("umount", directory).status == 0
    assert bench.node.read(f"{directory}/hello") == "world"


@pytest.mark.parametrize("words", [("-t", "ext4", "DEVICE", "DIRECTORY"), ("-o", "nonsense=1", "DEVICE", "DIRECTORY"),
                                   ("DEVICE", "/no/such/directory"), ("/dev/none", "DIRECTORY"),
                                   ("PATH", "DIRECTORY"), ("BLANK", "DIRECTORY")])
def test_mounts_that_are_refused_exit_32(bench: Bench, words: tuple[str, ...]) -> None:
    known = {"DEVICE": bench.made("v1"), "DIRECTORY": bench.directory(), "PATH": f"{bench.node.root}/dev/sdb",
             "BLANK": bench.attach(bench.volume("blank"))}
    assert bench.run("mount", *(known.get(word, word) for word in words)).status == 32
    assert bench.node.mounts == []


def test_a_read_only_mount(bench: Bench) -> None:
    device, directory = bench.made("v1"), bench.directory()
    assert bench.run("mount", "-o", "ro", device, directory).status == 0
    with pytest.raises(OSError, match="Read-only"):
        bench.node.write(f"{directory}/a", "b")
    assert bench.run("mount", device, bench.directory("rw")).status == 32


def test_remount_and_bind(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    assert bench.run("mount", "-o", "remount,ro", directory).status == 0
    assert "ro" in bench.node.mounts[0].options
    assert bench.run("mount", "-o", "remount,rw", directory).status == 0
    bench.node.write(f"{directory}/hello", "world")
    second = bench.directory("bound")
    assert bench.run("mount", "--bind", directory, second).status == 0
    assert bench.node.read(f"{second}/hello") == "world"
    third = bench.directory("third")
    assert bench.run("mount", "-o", "bind,ro", directory, third).status == 0
    with pytest.raises(OSError, match="Read-only"):
        bench.node.write(f"{third}/a", "b")
    assert bench.run("umount", third).status == 0
    assert bench.run("umount", directory).status == 0
    assert bench.node.read(f"{second}/hello") == "world"
    assert bench.run("mount", "-o", "remount,ro", directory).status == 32


def test_wipefs_lists_what_is_there(bench: Bench) -> None:
    device = bench.made("v1")
    assert "xfs" in bench.run("wipefs", device).out
    assert bench.run("wipefs", "/dev/none").status == 1


def test_a_clone_of_a_mounted_xfs_needs_nouuid(bench: Bench) -> None:
    bench.mounted("v1")
    copy_file(Path(bench.array.volume("v1").file), Path(bench.array.add_volume("clone", GiB).file), GiB)
    bench.array.connect("node1", "clone")
    device, directory = bench.attach("3624a9370" + bench.array.volume("clone").serial.lower()), bench.directory("clone")
    done = bench.run("mount", device, directory)
    assert done.status == 32 and "duplicate UUID" in done.err
    assert bench.run("mount", "-o", "nouuid", device, directory).status == 0


def test_data_moves_with_the_volume(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/hello", "world")
    assert bench.run("umount", directory).status == 0
    bench.array.disconnect("node1", "v1")
    with a_node(bench.sim, "node2") as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "v1")
        device = bench.attach("3624a9370" + bench.array.volume("v1").serial.lower(), node=second)
        assert bench.run("mount", device, directory, node=second).status == 0
        assert second.read(f"{directory}/hello") == "world"
        assert bench.run("umount", directory, node=second).status == 0


def test_two_nodes_that_write_to_one_volume_raise_an_alarm(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    with a_node(bench.sim, "node2", alarms=1) as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "v1")
        device = bench.attach("3624a9370" + bench.array.volume("v1").serial.lower(), node=second)
        done = bench.run("mount", device, directory, node=second)
        assert done.status == 32 and "two nodes" in done.err
        bench.array.disconnect("node1", "v1")                  # preempted: now it is node2's alone
        assert bench.run("mount", device, directory, node=second).status == 0
        with pytest.raises(OSError, match="Input/output error"):
            bench.node.write(f"{directory}/late", "write")
        assert bench.run("umount", directory).status == 0
        second.write(f"{directory}/mine", "alone")


def test_io_is_told_to_the_arrays_monitor(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    before = bench.array.counters("v1").writes
    bench.node.write(f"{directory}/a", "b")
    assert bench.array.counters("v1").writes > before


# umount

def test_umount_statuses(bench: Bench) -> None:
    device, directory = bench.mounted("v1")
    with bench.node.writer(f"{directory}/log"):
        done = bench.run("umount", directory)
        assert done.status == 32 and "busy" in done.err
        assert bench.run("umount", "-f", directory).status == 32
        opened = list((bench.node.root / "proc").glob("[0-9]*/fd/*"))
        assert [str(link.readlink()) for link in opened] == [f"{directory}/log"]
    bench.node.faults.umount_busy = 1
    assert bench.run("umount", directory).status == 32
    assert bench.run("umount", directory).status == 0
    assert bench.run("umount", directory).status == 32
    assert bench.run("mount", device, directory).status == 0


def test_a_lazy_umount_leaves_the_file_system_alive_and_the_map_in_use(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    name = bench.node.maps[0].alias
    with bench.node.writer(f"{directory}/log"):
        assert bench.run("umount", "-l", directory).status == 0
        assert bench.node.mounts == []
        assert bench.ask(f"del map {name}") == "fail\n"
    until(lambda: bench.ask(f"del map {name}") == "ok\n")


def test_with_queueing_and_no_path_umount_hangs_or_says_busy(bench: Bench) -> None:
    bench.node.settings.no_path_retry = "queue"
    _, directory = bench.mounted("v1")
    name = bench.node.maps[0].alias
    bench.array.disconnect("node1", "v1")
    bench.node.refresh()
    with bench.start("umount", directory) as umount:
        time.sleep(0.1)
        assert umount.poll() is None
        bench.ask(f"disablequeueing map {name}")
        assert umount.wait(10) == 0


def test_unsaved_data_makes_umount_busy_until_queueing_stops_and_is_lost(bench: Bench) -> None:
    bench.node.settings.no_path_retry = "queue"
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/unsaved", "data", sync=False)
    bench.array.disconnect("node1", "v1")
    bench.node.refresh()
    assert bench.run("umount", directory).status == 32
    bench.ask(f"disablequeueing map {bench.node.maps[0].alias}")
    assert bench.run("umount", directory).status == 0


# fsck, grow

def test_fsck(bench: Bench) -> None:
    device, directory = bench.mounted("v1", "ext4")
    assert bench.run("fsck.ext4", "-p", device).status == 8              # mounted
    bench.run("umount", directory)
    assert bench.run("fsck", "-p", device).status == 0
    for status in (1, 4):
        bench.node.faults.fail["fsck.ext4"] = status
        assert bench.run("fsck.ext4", "-p", device).status == status
    assert bench.run("fsck.ext4", "-p", f"{bench.node.root}/dev/none").status == 8


@pytest.mark.parametrize("kind", KINDS)
def test_growing_a_mounted_file_system(bench: Bench, kind: str) -> None:
    device, directory = bench.mounted("v1", kind)
    grow = {"xfs": ("xfs_growfs", directory), "ext4": ("resize2fs", device),
            "btrfs": ("btrfs", "filesystem", "resize", "max", directory)}[kind]
    assert bench.run(*grow).status == 0                                # nothing to do
    bench.array.resize_volume("v1", 2 * GiB)
    for path in bench.node.paths:
        bench.sys(f"bus/scsi/devices/{path.hctl}/rescan").write_text("1")
    until(lambda: bench.ask(f"resize map {bench.node.maps[0].alias}") == "ok\n" and bench.node.maps[0].size == 2 * GiB)
    assert bench.run(*grow).status == 0
    at, length, order = {"xfs": (8, 8, "big"), "ext4": (1028, 4, "little"), "btrfs": (0x10070, 8, "little")}[kind]
    with open(device, "rb") as opened:
        opened.seek(at)
        number = int.from_bytes(opened.read(length), order)            # type: ignore[arg-type]
    assert number * (1 if kind == "btrfs" else 4096) == 2 * GiB


def test_grow_tools_refuse_what_is_not_theirs(bench: Bench) -> None:
    device, directory = bench.mounted("v1", "ext4")
    assert bench.run("xfs_growfs", directory).status == 1
    assert bench.run("btrfs", "filesystem", "resize", "max", directory).status == 1
    assert bench.run("resize2fs", f"{bench.node.root}/dev/none").status == 1
    bench.run("umount", directory)
    assert bench.run("resize2fs", device).status == 0
