"""Power, reboots, other people's disks, and nodes in processes of their own (node-attach.md 2.14)."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from simulator.fleet import Simulator
from simulator.node import PretendNode
from simulator.node.remote import RemoteNode
from tests.simulator.node.bench import Bench, until


# Power

def test_a_reboot_leaves_records_state_and_directories(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/saved", "still there")
    for path in ("var/lib/pure-flex", "run/pure-flex"):
        (bench.node.root / path).mkdir(parents=True)
    bench.node.reboot()
    assert (bench.node.sessions, bench.node.paths, bench.node.maps, bench.node.mounts) == ([], [], [], [])
    assert not (bench.node.root / "run/pure-flex").exists() and (bench.node.root / "var/lib/pure-flex").exists()
    assert Path(directory).is_dir()
    assert bench.iscsiadm().status == 0
    assert bench.array.connections("v1") == {"node1": 1}
    assert bench.iscsiadm("--login").status == 0
    device = bench.attach(bench.node.root.joinpath("etc/multipath/wwids").read_text().strip("/\n"))
    assert bench.run("mount", device, directory).status == 0
    assert bench.node.read(f"{directory}/saved") == "still there"


def test_what_was_not_synced_is_lost_with_the_power(bench: Bench) -> None:
    device, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/unsaved", "in memory", sync=False)
    bench.node.reboot()
    device = bench.attach("3624a9370" + bench.array.volume("v1").serial.lower())
    bench.run("mount", device, directory)
    with pytest.raises(FileNotFoundError):
        bench.node.read(f"{directory}/unsaved")


def test_records_with_automatic_start_log_in_at_boot(bench: Bench) -> None:
    bench.login(portals=1)
    bench.iscsiadm("-o", "update", "-n", "node.startup", "-v", "automatic")
    bench.node.reboot()
    assert [session.portal for session in bench.node.sessions] == bench.portals[:1]


def test_a_node_without_power_runs_nothing(bench: Bench) -> None:
    bench.mounted("v1")
    bench.node.power_off()
    assert bench.run("iscsiadm", "-m", "session").status == 127
    assert bench.node.mounts == [] and not list(bench.sys("").iterdir())
    with pytest.raises(ConnectionRefusedError):
        bench.ask("show maps")
    bench.node.power_on()
    assert bench.run("iscsiadm", "-m", "session").status == 21


def test_a_tool_that_was_at_work_when_the_power_went_writes_nothing_more(bench: Bench) -> None:
    device = bench.attach(bench.volume("v1"))
    bench.node.faults.slow["mkfs.ext4"] = 5.0
    with bench.start("mkfs.ext4", device) as mkfs:
        until(lambda: bench.node.commands[-1].argv[0] == "mkfs.ext4")
        bench.node.reboot()
        assert mkfs.wait(3) != 0
    device = bench.attach("3624a9370" + bench.array.volume("v1").serial.lower())
    assert bench.run("blkid", "-p", device).status == 2


def test_every_tool_and_every_write_to_sysfs_is_on_record(bench: Bench) -> None:
    bench.login(portals=1)
    bench.scan("0 0 7")
    until(lambda: bench.node.sysfs_writes)
    assert bench.node.commands[0].argv[:3] == ("iscsiadm", "-m", "node")
    assert [command.status for command in bench.node.commands] == [0, 0, 0]
    assert bench.node.sysfs_writes[0].text == "0 0 7"


def test_a_tool_that_a_test_breaks(bench: Bench) -> None:
    bench.node.faults.fail["mkfs.xfs"] = 9
    assert bench.run("mkfs.xfs", "/dev/none").status == 9


def test_a_directory_with_too_long_a_name_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="too long"):
        PretendNode("/tmp/" + "long" * 20, None, "node9")     # type: ignore[arg-type]


# Other people's disks

@pytest.mark.parametrize("mounted, content", [(True, "ext4"), (False, "partition"), (False, "lvm"), (False, "raw")])
def test_foreign_luns_are_there_with_paths_and_map_and_come_back_after_a_reboot(
        bench: Bench, mounted: bool, content: str) -> None:
    wwid = bench.node.add_foreign_lun(mounted, content=content)
    assert bench.node.touched() == []
    assert wwid in bench.run("multipath", "-ll").out
    assert len(bench.run("iscsiadm", "-m", "session").out.splitlines()) == 2
    assert ("foreign/mnt" in (bench.node.root / "proc/self/mountinfo").read_text()) == mounted
    bench.node.reboot()
    assert wwid in bench.run("multipath", "-ll").out
    assert bench.node.touched() == []
    assert bench.node.sessions == [] and bench.node.maps == []


def test_our_own_steps_do_not_touch_foreign_disks(bench: Bench) -> None:
    bench.node.add_foreign_lun(True)
    _, directory = bench.mounted("v1")
    bench.run("umount", directory)
    bench.iscsiadm("--logout")
    assert bench.node.touched() == []


@pytest.mark.parametrize("crime", ["logout all", "flush all", "delete", "rescan", "mkfs", "wildcard scan", "umount",
                                   "delete the boot disk"])
def test_what_touches_foreign_disks_is_told(bench: Bench, crime: str) -> None:
    wwid = bench.node.add_foreign_lun(crime == "umount")
    disks = {path.name: path for path in bench.sys("block").iterdir()}
    match crime:
        case "logout all":
            bench.run("iscsiadm", "-m", "session", "-u")
        case "flush all":
            bench.run("multipath", "-F")
        case "delete" | "rescan":
            (disks["sdb"] / "device" / crime).write_text("1")
        case "mkfs":
            bench.run("mkfs.ext4", f"{bench.node.root}/dev/mapper/{wwid}")
        case "wildcard scan":
            for host in bench.sys("class/scsi_host").iterdir():
                (host / "scan").write_text("- - -")
        case "umount":
            bench.run("umount", f"{bench.node.directory}/foreign/mnt")
        case "delete the boot disk":
            (disks["sda"] / "device/delete").write_text("1")
    until(bench.node.touched)


# In a process of its own

def test_a_node_in_its_own_process(sim: Simulator) -> None:
    array = sim.add_flash_array("far")
    with TemporaryDirectory(prefix="pn-") as folder:
        process = subprocess.Popen([sys.executable, "-m", "simulator.node", "--directory", folder, "--fabric",
                                    str(sim.directory), "--name", "node7", "--speed", "100"],
                                   stdout=subprocess.PIPE, text=True)
        assert process.stdout
        with process:
            assert process.stdout.readline().startswith("node7: iqn.1993-08.org.debian:01:node7 PURE_FLEX_ROOT=")
            node = RemoteNode(folder)
            array.add_host("node7", iqns=["iqn.1993-08.org.debian:01:node7"])
            array.add_volume("v7", 1 << 30)
            array.connect("node7", "v7")
            environment = {**os.environ, **node.environment()}
            target = ("iscsiadm", "-m", "node", "-T", array.iqn)
            for words in (("-p", array.portals[0], "-o", "new"), ("--login",)):
                subprocess.run([*target, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
            assert [session.portal for session in node.sessions] == array.portals[:1]
            assert until(lambda: node.paths)[0].size == 1 << 30
            node.power_off()
            node.power_on()
            assert (node.paths, node.maps, node.mounts, node.alarms, node.failures) == ([], [], [], [], [])
            with pytest.raises(RuntimeError, match="FileNotFoundError"):
                node.read(f"{folder}/none")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
