"""The real form of a pretend node: the machine's own file systems on loop devices, and nothing written by the dead."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from simulator.fleet import Simulator
from simulator.node import loops
from simulator.planes import copy_file
from tests.simulator.node.bench import Bench, GiB, a_bench, a_node, until

pytestmark = [pytest.mark.host, pytest.mark.skipif(bool(loops.why_not()), reason=f"real form: {loops.why_not()}")]

CAP_SYS_RESOURCE = 1 << 24          # ext4 wants it for growing


@pytest.fixture
def bench(sim: Simulator) -> Iterator[Bench]:
    """A node in its real form; afterwards none of its loops and mounts is left."""
    with a_bench(sim, real=True) as made:
        tag = made.node.tag
        yield made
    assert [loop for loop, _, owner in loops.loops() if owner.startswith(tag)] == []
    assert str(made.node.directory) not in open("/proc/self/mountinfo", encoding="utf-8").read()


def capable(bit: int) -> bool:
    with open("/proc/self/status", encoding="ascii") as status:
        return any(line.startswith("CapEff") and int(line.split()[1], 16) & bit for line in status)


def grow(bench: Bench, device: str, directory: str, kind: str) -> None:
    bench.array.resize_volume("v1", 2 * GiB)
    for path in bench.node.paths:
        bench.sys(f"bus/scsi/devices/{path.hctl}/rescan").write_text("1")
    until(lambda: bench.ask(f"resize map {bench.node.maps[0].alias}") == "ok\n" and bench.node.maps[0].size == 2 * GiB)
    tools = {"xfs": ("xfs_growfs", directory), "ext4": ("resize2fs", device),
             "btrfs": ("btrfs", "filesystem", "resize", "max", directory)}
    assert bench.run(*tools[kind]).status == 0


@pytest.mark.parametrize("kind", ["xfs", "ext4", "btrfs"])
def test_a_life_with_a_real_file_system(bench: Bench, kind: str) -> None:
    """Made, mounted, written, grown, unmounted, and found again."""
    if not shutil.which(f"mkfs.{kind}"):
        pytest.skip(f"mkfs.{kind} is not installed")
    device = bench.attach(bench.volume("v1"))
    assert bench.run("blkid", "-p", device).status == 2
    directory = bench.directory()
    assert bench.run(f"mkfs.{kind}", "-q", device).status == 0
    assert bench.run("mount", "-t", kind, "-o", "noatime", device, directory).status == 0
    assert os.path.ismount(directory)
    assert directory in (bench.node.root / "proc/self/mountinfo").read_text()
    assert [(mount.directory, mount.fstype) for mount in bench.node.mounts] == [(directory, kind)]
    before = bench.array.counters("v1").written_bytes
    bench.node.write(f"{directory}/hello", "world")
    assert bench.array.counters("v1").written_bytes > before
    if kind != "ext4" or capable(CAP_SYS_RESOURCE):
        grow(bench, device, directory, kind)
        assert os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize > 1.8 * GiB
    assert bench.ask(f"del map {bench.node.maps[0].alias}") == "fail\n"
    assert bench.run("umount", directory).status == 0
    until(lambda: bench.ask(f"del map {bench.node.maps[0].alias}") == "ok\n")


def test_a_node_without_power_writes_nothing_more(bench: Bench) -> None:
    """Synced data is there for the next node; what a pod of the dead one still tries, fails; the volume stays as it is."""
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/synced", "yes")
    pod = open(f"{directory}/unsynced", "w", encoding="ascii")
    pod.write("no")
    pod.flush()
    wwid = bench.node.maps[0].wwid
    bench.node.power_off()
    assert not os.path.ismount(directory)
    before = open(bench.array.volume("v1").file, "rb").read(64 << 20)
    with pytest.raises(OSError, match="Input/output error"):
        os.write(pod.fileno(), b"late")
    bench.array.disconnect("node1", "v1")
    with a_node(bench.sim, "node2", real=True) as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "v1")
        device = bench.attach(wwid, node=second)
        assert open(bench.array.volume("v1").file, "rb").read(64 << 20) == before
        assert bench.run("mount", device, directory, node=second).status == 0
        assert second.read(f"{directory}/synced") == "yes"
        pod.close()
        assert second.read(f"{directory}/synced") == "yes"
        assert bench.run("umount", directory, node=second).status == 0


def test_a_volume_that_was_taken_away_is_not_written_by_its_old_node(bench: Bench) -> None:
    """Preempted: the other node mounts it although this one still has it mounted, dead."""
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/synced", "yes")
    wwid = bench.node.maps[0].wwid
    with a_node(bench.sim, "node2", real=True) as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "v1")
        bench.array.disconnect("node1", "v1")
        other = bench.directory("other")
        device = bench.attach(wwid, node=second)
        assert bench.run("mount", "-t", "xfs", device, other, node=second).status == 0
        assert second.read(f"{other}/synced") == "yes"
        with pytest.raises(OSError, match="Input/output error"):
            bench.node.write(f"{directory}/late", "x")
        second.write(f"{other}/mine", "alone")
        assert bench.run("umount", directory).status == 0
        assert second.read(f"{other}/mine") == "alone"
        assert bench.run("umount", other, node=second).status == 0


def test_two_nodes_that_mount_one_volume_for_writing_raise_an_alarm(bench: Bench) -> None:
    bench.mounted("v1", "ext4")
    with a_node(bench.sim, "node2", real=True, alarms=1) as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "v1")
        device = bench.attach(bench.node.maps[0].wwid, node=second)
        assert bench.run("mount", device, bench.directory("other"), node=second).status == 32
        assert second.mounts == []


def test_a_clone_is_a_duplicate_on_its_own_node_and_none_on_another(bench: Bench) -> None:
    bench.mounted("v1")
    clone = bench.array.add_volume("clone", GiB)
    copy_file(Path(bench.array.volume("v1").file), Path(clone.file), GiB)
    wwid = "3624a9370" + clone.serial.lower()
    bench.array.connect("node1", "clone")
    device, directory = bench.attach(wwid), bench.directory("clone")
    assert bench.run("mount", "-t", "xfs", device, directory).status == 32
    assert bench.run("mount", "-t", "xfs", "-o", "nouuid", device, directory).status == 0
    bench.run("umount", directory)
    with a_node(bench.sim, "node2", real=True) as second:
        bench.array.add_host("node2", iqns=[second.iqn])
        bench.array.connect("node2", "clone")
        device = bench.attach(wwid, node=second)
        assert bench.run("mount", "-t", "xfs", device, directory, node=second).status == 0
        assert bench.run("umount", directory, node=second).status == 0


def test_an_export_is_bound_and_the_nodes_table_says_nfs(bench: Bench) -> None:
    blade = bench.sim.add_flash_blade("fbreal")
    blade.add_file_system("fs1", GiB)
    source, directory = f"{blade.nfs_endpoint}:/fs1", bench.directory()
    assert bench.run("mount", "-t", "nfs", "-o", "vers=4.1", source, directory).status == 0
    assert bench.run("mount", "-t", "nfs", "-o", "vers=4.1", source, directory).status == 0
    lines = [line for line in (bench.node.root / "proc/self/mountinfo").read_text().splitlines() if directory in line]
    assert len(lines) == 1 and f" - nfs4 {source} rw," in lines[0]
    bench.node.write(f"{directory}/hello", "world")
    assert open(f"{blade.file_system('fs1').directory}/hello", encoding="ascii").read() == "world"
    bench.node.faults.nfs_dark.add(blade.nfs_endpoint)
    assert bench.run("umount", directory).status == 16
    assert bench.run("umount", "-l", directory).status == 0
    assert bench.node.mounts == []


def test_mounting_twice(bench: Bench) -> None:
    """At one place 32, at a second fine; a mount that fails leaves the volume to others."""
    device, directory = bench.mounted("v1")
    assert bench.run("mount", device, directory).status == 32
    second = bench.directory("second")
    assert bench.run("mount", "-t", "xfs", device, second).status == 0
    bench.node.write(f"{directory}/hello", "world")
    assert bench.node.read(f"{second}/hello") == "world"
    for each in (directory, second):
        assert bench.run("umount", each).status == 0
    assert bench.run("mount", "-t", "ext4", device, directory).status == 32
    with a_node(bench.sim, "node2", real=True) as other:
        bench.array.add_host("node2", iqns=[other.iqn])
        bench.array.connect("node2", "v1")
        device = bench.attach(bench.node.maps[0].wwid, node=other)
        assert bench.run("mount", "-t", "xfs", device, directory, node=other).status == 0
        assert bench.run("umount", directory, node=other).status == 0


def test_exports_are_nfs_in_the_table_however_many_are_mounted_at_once(bench: Bench) -> None:
    blade = bench.sim.add_flash_blade("fbmany")
    for number in range(8):
        blade.add_file_system(f"fs{number}", GiB)
    mounts = [bench.start("mount", "-t", "nfs", f"{blade.nfs_endpoint}:/fs{number}", bench.directory(f"at{number}"))
              for number in range(8)]
    assert [mount.communicate() and mount.returncode for mount in mounts] == [0] * 8
    assert sorted(mount.source for mount in bench.node.mounts) == [f"{blade.nfs_endpoint}:/fs{number}"
                                                                   for number in range(8)]


def test_a_mount_that_somebody_uses_is_busy(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    with bench.node.writer(directory):
        assert bench.run("umount", directory).status == 32
    assert bench.run("umount", directory).status == 0


def test_a_foreign_lun_is_mounted_for_real_and_left_alone(bench: Bench) -> None:
    bench.node.add_foreign_lun(True)
    assert os.path.ismount(f"{bench.node.directory}/foreign/mnt")
    _, directory = bench.mounted("v1")
    bench.run("umount", directory)
    assert bench.node.touched() == []


def test_left_overs_of_a_killed_node_are_cleaned_up(sim: Simulator) -> None:
    with TemporaryDirectory(prefix="pn-") as folder:
        words = [sys.executable, "-m", "simulator.node", "--directory", folder, "--fabric", str(sim.directory), "--real"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout and "real file systems" in process.stdout.readline()
            left = [loop for loop, backing, _ in loops.loops() if backing.startswith(folder)]
            assert left
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert set(left) <= set(loops.clean_up())
        assert [loop for loop, backing, _ in loops.loops() if backing.startswith(folder)] == []
