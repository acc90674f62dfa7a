"""SCSI devices of a pretend node: scan, identity, size, delete, reused LUNs, dead paths (node-attach.md 2.1, 2.2, 2.7)."""

import os
import threading
import time

import pytest

from simulator.node.scsi import parse_scan
from tests.simulator.node.bench import Bench, GiB, a_bench, until


def device(bench: Bench, hctl: str) -> str:
    """A LUN's directory as the driver looks it up: below its host's device."""
    host = hctl.partition(":")[0]
    found = list(bench.sys(f"class/scsi_host/host{host}/device").glob(f"session*/target*/{hctl}"))
    return str(found[0].relative_to(bench.node.root / "sys")) if found else ""


def hctl(bench: Bench, lun: int, session: int = 0) -> str:
    return f"{bench.node.sessions[session].host}:0:0:{lun}"


def appeared(bench: Bench, lun: int, session: int = 0) -> str:
    return str(until(lambda: device(bench, hctl(bench, lun, session))))


# Scan

def test_connecting_a_volume_shows_nothing_until_the_lun_is_scanned(bench: Bench) -> None:
    wwid = bench.volume("v1")
    bench.login()
    assert bench.node.paths == []
    bench.scan("0 0 1")
    until(lambda: len(bench.node.paths) == 2)
    assert {path.wwid for path in bench.node.paths} == {wwid}


def test_a_scan_brings_the_lun_that_was_asked_for_and_a_wildcard_all(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.volume(f"v{number}")
    bench.login(portals=1)
    bench.scan("0 0 2\n")
    until(lambda: [path.hctl[-1] for path in bench.node.paths] == ["2"])
    bench.scan("- - -")
    until(lambda: len(bench.node.paths) == 3)


def test_a_scan_of_a_lun_that_is_not_mapped_adds_nothing(bench: Bench) -> None:
    bench.login(portals=1)
    bench.scan("0 0 9")
    until(lambda: bench.node.sysfs_writes)
    assert bench.node.paths == []


def test_scans_written_at_once_are_told_apart() -> None:
    """Two writers without newlines meet in the FIFO."""
    assert parse_scan("0 0 1") == [("0", "0", "1")]
    assert parse_scan("0 0 10 0 2") == [("0", "0", "1"), ("0", "0", "2")]
    assert parse_scan("0 0 300- - -0 0 7") == [("0", "0", "300"), ("-", "-", "-"), ("0", "0", "7")]
    assert parse_scan("rubbish") == []


@pytest.mark.parametrize("flat, shown", [(False, 300), (True, 300 + 0x4000)])
def test_a_lun_above_255_is_plain_or_flat(bench: Bench, flat: bool, shown: int) -> None:
    bench.node.settings.flat_luns = flat
    bench.volume("v300", lun=300)
    bench.login(portals=1)
    bench.scan("0 0 300")
    assert bench.read(f"{appeared(bench, shown)}/vendor") == "PURE"


# What a device shows

def test_a_device_shows_identity_size_and_block_device(bench: Bench) -> None:
    wwid = bench.volume("v1", 3 * GiB)
    bench.login(portals=1)
    bench.scan("0 0 1")
    found = appeared(bench, 1)
    assert bench.read(f"{found}/wwid") == f"naa.{wwid[1:]}"
    assert (bench.read(f"{found}/vendor"), bench.read(f"{found}/model")) == ("PURE", "FlashArray")
    assert bench.read(f"{found}/state") == "running"
    until(bench.sys("block/sdb").exists)
    assert int(bench.read("block/sdb/size")) * 512 == 3 * GiB
    assert bench.sys(f"dev/block/{bench.read('block/sdb/dev')}").resolve() == bench.sys("block/sdb").resolve()
    assert bench.sys("block/sdb/device").resolve() == bench.sys(found).resolve()
    page = bench.sys(f"{found}/vpd_pg83").read_bytes()
    assert page[8:].hex() == wwid[1:]


def test_a_device_has_the_volumes_true_bytes(bench: Bench) -> None:
    device_file = bench.attach(bench.volume("v1"), portals=1)
    with open(bench.array.volume("v1").file, "r+b") as volume:
        volume.write(b"these bytes")
    fd = os.open(f"{bench.node.root}/dev/sdb", os.O_RDONLY)
    assert os.read(fd, 11) == b"these bytes"
    os.close(fd)
    with open(device_file, "rb") as opened:
        assert opened.read(11) == b"these bytes"


def test_a_delete_removes_the_device_and_a_scan_brings_it_back(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    bench.scan("0 0 1")
    found = appeared(bench, 1)
    bench.sys(f"{found}/delete").write_text("1")
    until(lambda: not bench.sys(found).exists())
    assert not bench.sys("block/sdb").is_symlink() and not (bench.node.root / "dev/sdb").exists()
    bench.scan("0 0 1")
    appeared(bench, 1)


def test_a_grown_volume_shows_its_size_after_a_rescan_of_the_path(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    bench.scan("0 0 1")
    found = appeared(bench, 1)
    bench.array.resize_volume("v1", 2 * GiB)
    bench.scan("0 0 1")
    assert int(bench.read(f"{found}/block/sdb/size")) * 512 == GiB
    bench.sys(f"{found}/rescan").write_text("1")
    until(lambda: int(bench.read(f"{found}/block/sdb/size")) * 512 == 2 * GiB)


# What becomes of them

def test_a_disconnected_volume_leaves_its_devices_and_reads_fail(bench: Bench) -> None:
    wwid = bench.volume("v1")
    device_file = bench.attach(wwid)
    bench.array.disconnect("node1", "v1")
    bench.node.refresh()
    bench.scan("0 0 1")
    assert [path.state for path in bench.node.paths] == ["running", "running"]
    for file in (f"{bench.node.root}/dev/sdb", device_file):
        with pytest.raises(OSError, match="Input/output error"), open(file, "rb") as opened:
            opened.read(512)
    until(lambda: "failed faulty" in bench.ask('show paths format "%w %t %T"'))


def test_a_reused_lun_is_the_old_device_until_it_is_rescanned(bench: Bench) -> None:
    old = bench.volume("old", GiB, lun=1)
    bench.login(portals=1)
    bench.scan("0 0 1")
    found = appeared(bench, 1)
    bench.array.disconnect("node1", "old")
    new = bench.volume("new", 2 * GiB, lun=1)
    bench.scan("0 0 1")
    bench.node.refresh()
    assert bench.read(f"{found}/wwid") == f"naa.{old[1:]}"
    assert int(bench.read(f"{found}/block/sdb/size")) * 512 == GiB
    bench.sys(f"{found}/rescan").write_text("1")
    until(lambda: bench.read(f"{found}/wwid") == f"naa.{new[1:]}")
    assert int(bench.read(f"{found}/block/sdb/size")) * 512 == 2 * GiB


def test_the_old_map_is_reinstated_on_the_new_volume(bench: Bench) -> None:
    """The trap of node-attach.md 2.7: after the rescan the map of the old volume reads the new one."""
    old = bench.volume("old", lun=1)
    device_file = bench.attach(old)
    bench.array.disconnect("node1", "old")
    until(lambda: bench.ask('show paths raw format "%T"').split() == ["faulty", "faulty"])
    bench.volume("new", lun=1)
    with open(bench.array.volume("new").file, "r+b") as volume:
        volume.write(b"new")
    bench.node.refresh()
    with pytest.raises(OSError, match="Input/output error"), open(device_file, "rb") as opened:
        opened.read(3)
    for session in (0, 1):
        bench.sys(f"{device(bench, hctl(bench, 1, session))}/rescan").write_text("1")
    until(lambda: bench.ask('show paths raw format "%T"').split() == ["ready", "ready"])
    with open(device_file, "rb") as opened:
        assert opened.read(3) == b"new"
    assert bench.read("block/dm-0/dm/uuid") == f"mpath-{old}"


# Sessions that die

def test_a_scan_of_a_dying_session_blocks_until_it_is_given_up(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    scan = bench.sys(f"class/scsi_host/host{bench.node.sessions[0].host}/scan")
    bench.array.set_portal(bench.portals[0], "dark")
    bench.node.refresh()
    assert bench.node.sessions[0].state == "LOGGED_IN"
    ended = threading.Event()

    def write() -> None:
        scan.write_text("0 0 1")
        ended.set()

    start = time.monotonic()
    threading.Thread(target=write, daemon=True).start()
    assert not ended.wait(0.05)
    assert ended.wait(10)
    assert time.monotonic() - start >= 120 / bench.node.settings.speed
    assert bench.node.sessions[0].state == "FAILED"


def test_a_scan_that_hangs_or_finds_nothing(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    bench.node.faults.scan_lost = 1
    bench.scan("0 0 1")
    until(lambda: bench.node.faults.scan_lost == 0)
    assert bench.node.paths == []
    bench.node.faults.scan_hangs.add(bench.portals[0])
    bench.node.refresh()
    scan = bench.sys(f"class/scsi_host/host{bench.node.sessions[0].host}/scan")
    with pytest.raises(OSError, match="No such device"):          # no reader: whoever opens it without this flag waits
        os.open(scan, os.O_WRONLY | os.O_NONBLOCK)
    bench.node.faults.scan_hangs.clear()
    bench.node.refresh()
    bench.scan("0 0 1")
    until(lambda: bench.node.paths)


def test_a_device_with_errors_works_again_when_they_are_gone(bench: Bench) -> None:
    wwid = bench.volume("v1")
    device_file = bench.attach(wwid)
    bench.node.faults.io_error.add(wwid)
    bench.node.refresh()
    with pytest.raises(OSError, match="Input/output error"), open(device_file, "rb") as opened:
        opened.read(1)
    bench.node.faults.io_error.clear()

    def readable() -> bool:
        try:
            with open(device_file, "rb") as opened:
                return opened.read(1) == b"\0"
        except OSError:
            return False
    until(readable)


def test_a_dark_portal_stalls_its_path_then_fails_it_and_comes_back_by_itself(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    bench.scan("0 0 1")
    state = f"{appeared(bench, 1)}/state"
    bench.array.set_portal(bench.portals[0], "dark")
    until(lambda: bench.read(state) == "blocked")
    until(lambda: bench.read(state) == "transport-offline")
    bench.array.set_portal(bench.portals[0], "up")
    until(lambda: bench.read(state) == "running")
    assert bench.node.sessions[0].state == "LOGGED_IN"


def test_a_lun_added_while_a_path_was_down_is_not_there_when_it_returns(bench: Bench) -> None:
    bench.login()
    bench.array.set_portal(bench.portals[1], "refused")
    until(lambda: bench.node.sessions[1].state == "FAILED")
    bench.volume("v1")
    bench.scan("0 0 1")
    until(lambda: bench.node.paths)
    bench.array.set_portal(bench.portals[1], "up")
    until(lambda: bench.node.sessions[1].state == "LOGGED_IN")
    assert [path.portal for path in bench.node.paths] == bench.portals[:1]


def test_a_simulator_without_bytes_gets_files_of_the_node(tmp_path: str) -> None:
    from simulator.fleet import Simulator
    with Simulator(tmp_path) as sim, a_bench(sim) as bench:
        device_file, directory = bench.mounted("v1")
        bench.node.write(f"{directory}/a", "b")
        assert bench.node.read(f"{directory}/a") == "b"
        assert device_file
