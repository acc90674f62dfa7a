"""Data planes: where bytes are, who is told what, and what the monitors make of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.counters import Counters, LoopCounters, parse_stat
from simulator.fabric import LocalFabric
from simulator.fleet import Simulator
from simulator.planes import FilePlane, NoPlane, Plane, copy_file
from tests.simulator.arrayclient import GiB, IQN, Rest

MiB = 1 << 20
SERIAL = "F92A1DA2F8C942970001101D"


class Recorder(Plane):
    """A plane that only notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Any, ...]] = []

    def know(self, array: str, initiator: str) -> None:
        self.told.append(("know", initiator))

    def chap(self, array: str, initiator: str, secrets: Any) -> None:
        self.told.append(("chap", initiator, secrets["host_user"]))

    def show(self, array: str, initiator: str, lun: int, serial: str) -> None:
        self.told.append(("show", initiator, lun, serial))

    def hide(self, array: str, initiator: str, lun: int, serial: str) -> None:
        self.told.append(("hide", initiator, lun, serial))

    def portal(self, array: str, portal: str, state: str) -> None:
        self.told.append(("portal", portal, state))

    def news(self) -> list[tuple[Any, ...]]:
        """What was told since the last look, in order of kind."""
        told, self.told = sorted(self.told), []
        return told


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Simulator]:
    """A simulator whose volumes are files."""
    with Simulator(tmp_path / "sim", FilePlane(tmp_path / "data"), sampling_interval=0) as sim:
        yield sim


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[tuple[Simulator, Recorder]]:
    """A simulator whose plane notes what it is told."""
    plane = Recorder()
    with Simulator(tmp_path, plane, sampling_interval=0) as sim:
        yield sim, plane


def test_a_plane_is_told_who_sees_what(recorder: tuple[Simulator, Recorder]) -> None:
    """By initiator, at every change of connections, hosts, groups and initiators."""
    sim, plane = recorder
    array = sim.add_flash_array("fa1")
    serials = [array.add_volume(name, GiB).serial for name in ("v1", "v2")]
    array.add_host("h1", iqns=[IQN(1), IQN(2)])
    assert plane.news() == [("know", IQN(1)), ("know", IQN(2))]
    array.connect("h1", "v1")
    assert plane.news() == [("show", IQN(1), 1, serials[0]), ("show", IQN(2), 1, serials[0])]
    rest = Rest(array, sim.ca)
    rest.ok("PUT", "host/h1", {"remiqnlist": [IQN(2)], "addiqnlist": [IQN(3)]})
    assert [each for each in plane.news() if each[0] != "know"] == [
        ("hide", IQN(2), 1, serials[0]), ("show", IQN(3), 1, serials[0])]
    rest.ok("POST", "hgroup/g1")
    rest.ok("POST", "hgroup/g1/volume/v2")
    assert plane.news() == []
    rest.ok("PUT", "hgroup/g1", {"hostlist": ["h1"]})
    assert plane.news() == [("show", IQN(1), 254, serials[1]), ("show", IQN(3), 254, serials[1])]
    rest.ok("DELETE", "host/h1/volume/v1")
    rest.ok("DELETE", "hgroup/g1/volume/v2")
    assert [each[:3] for each in plane.news()] == [
        ("hide", IQN(1), 1), ("hide", IQN(1), 254), ("hide", IQN(3), 1), ("hide", IQN(3), 254)]


def test_a_plane_is_told_of_chap_and_portals(recorder: tuple[Simulator, Recorder]) -> None:
    """Also for initiators that come later."""
    sim, plane = recorder
    array = sim.add_flash_array("fa1")
    array.add_host("h1", iqns=[IQN(1)])
    array.set_chap("h1", host_user="node", host_password="not-a-secret1")
    Rest(array, sim.ca).ok("PUT", "host/h1", {"addiqnlist": [IQN(2)]})
    told = plane.news()
    assert ("chap", IQN(1), "node") in told and ("chap", IQN(2), "node") in told
    array.set_portal(array.portals[0], "dark")
    assert plane.news() == [("portal", array.portals[0], "dark")]
    assert LocalFabric(sim).chap(IQN(1), array.iqn) == {"host_user": "node", "host_password": "not-a-secret1"}
    assert LocalFabric(sim).chap(IQN(9), array.iqn) == {}


def test_a_reused_lun_is_hidden_before_it_is_shown(recorder: tuple[Simulator, Recorder]) -> None:
    sim, plane = recorder
    array = sim.add_flash_array("fa1")
    one, two = (array.add_volume(name, GiB).serial for name in ("v1", "v2"))
    array.add_host("h1", iqns=[IQN(1)])
    array.connect("h1", "v1", 5)
    array.disconnect("h1", "v1")
    array.connect("h1", "v2", 5)
    assert plane.told[1:] == [("show", IQN(1), 5, one), ("hide", IQN(1), 5, one), ("show", IQN(1), 5, two)]


def test_volumes_are_sparse_files(files: Simulator, tmp_path: Path) -> None:
    array = files.add_flash_array("fa1")
    volume = array.add_volume("v1", 10 * GiB)
    path = Path(str(volume.file))
    assert path == tmp_path / "data/fa1" / volume.serial
    assert path.stat().st_size == 10 * GiB and path.stat().st_blocks == 0
    array.resize_volume("v1", 20 * GiB)
    assert path.stat().st_size == 20 * GiB
    array.destroy_volume("v1")
    assert path.exists()
    array.eradicate_volume("v1")
    assert not path.exists()


def test_snapshots_and_clones_have_the_bytes_of_their_time(files: Simulator) -> None:
    array = files.add_flash_array("fa1")
    path = Path(str(array.add_volume("v1", 64 * MiB).file))
    with path.open("r+b") as file:
        file.seek(32 * MiB)
        file.write(b"then")
    array.snapshot("v1", "s1")
    with path.open("r+b") as file:
        file.seek(32 * MiB)
        file.write(b"now!")
    rest = Rest(array, files.ca)
    rest.ok("POST", "volume/v2", {"source": "v1.s1"})
    copy = Path(str(array.volume("v2").file))
    assert copy.stat().st_size == 64 * MiB and copy.stat().st_blocks * 512 < MiB
    with copy.open("rb") as file:
        file.seek(32 * MiB)
        assert file.read(4) == b"then"
    rest.ok("POST", "volume/v1", {"source": "v1.s1", "overwrite": True})
    with path.open("rb") as file:
        file.seek(32 * MiB)
        assert file.read(4) == b"then"


def test_an_overwrite_keeps_the_file_that_others_have_open(files: Simulator) -> None:
    """A loop device holds the file, not its name."""
    array = files.add_flash_array("fa1")
    path = Path(str(array.add_volume("v1", MiB).file))
    inode = path.stat().st_ino
    array.add_volume("v2", 2 * MiB)
    Rest(array, files.ca).ok("POST", "volume/v1", {"source": "v2", "overwrite": True})
    assert path.stat().st_ino == inode and path.stat().st_size == 2 * MiB


def test_used_space_can_follow_the_writes(files: Simulator) -> None:
    array = files.add_flash_array("fa1", used_follows_writes=True)
    path = Path(str(array.add_volume("v1", GiB).file))
    rest = Rest(array, files.ca)
    assert rest.ok("GET", "array?space=true")[0]["total"] == 0
    path.open("r+b").write(b"x" * MiB)
    assert rest.ok("GET", "array?space=true")[0]["total"] >= MiB
    assert rest.ok("GET", "volume/v1?space=true")["volumes"] >= MiB


def test_file_systems_are_directories(files: Simulator, tmp_path: Path) -> None:
    blade = files.add_flash_blade("fb1")
    system = blade.add_file_system("f1", GiB)
    directory = Path(str(system.directory))
    assert directory == tmp_path / "data/fb1/f1" and directory.is_dir()
    (row,) = LocalFabric(files).exports()
    assert (row["server"], row["path"], row["directory"]) == (blade.nfs_endpoint, "/f1", str(directory))
    blade.destroy_file_system("f1")
    assert directory.exists() and LocalFabric(files).exports() == []
    blade.clock.advance(90_000)
    assert blade.file_systems == {} and not directory.exists()


def test_luns_name_the_file(files: Simulator) -> None:
    array = files.add_flash_array("fa1", wwns=["5001500150015080"])
    volume = array.add_volume("v1", GiB)
    array.add_host("h1", iqns=[IQN(1)], wwns=["50:01:50:01:50:01:50:81"])
    array.connect("h1", "v1", 300)
    array.set_portal(array.portals[1], "refused")
    expected = [{"array": "fa1", "target": array.iqn, "wwns": ["5001500150015080"], "lun": 300, "volume": "v1",
                 "serial": volume.serial, "size": GiB, "file": volume.file,
                 "portals": [{"portal": array.portals[0], "state": "up"},
                             {"portal": array.portals[1], "state": "refused"}]}]
    fabric = LocalFabric(files)
    assert fabric.luns(IQN(1)) == expected == fabric.luns("5001500150015081")
    assert fabric.luns(IQN(2)) == []


def test_no_plane_counts_what_it_is_told() -> None:
    plane = NoPlane()
    plane.count(SERIAL, writes=2, written_bytes=100)
    plane.count(SERIAL, writes=1)
    assert plane.counters(SERIAL) == Counters(writes=3, written_bytes=100)
    assert plane.counters("other") == Counters()
    plane.remove(SERIAL)
    assert plane.activity() == {}


def test_a_side_file_counts_for_volumes_that_are_connected(files: Simulator) -> None:
    """A pretend node without loop devices writes it; half a line is not read."""
    array = files.add_flash_array("fa1")
    volume = array.add_volume("v1", GiB)
    array.add_host("h1", iqns=[IQN(1)])
    array.connect("h1", "v1")
    side = Path(f"{volume.file}.io")
    side.write_text("1 2 512 1024\n")
    assert array.counters("v1") == Counters(1, 2, 512, 1024)
    side.write_text("1 x")
    assert array.counters("v1") == Counters()
    array.disconnect("h1", "v1")
    array.destroy_volume("v1")
    array.eradicate_volume("v1")
    assert not side.exists()


def test_stat_of_a_block_device() -> None:
    """Documentation/block/stat.rst: sectors are 512 bytes, times milliseconds."""
    text = "     10   0   80   4     20   5   160   9   0   13   13   0 0 0 0 0 0\n"
    assert parse_stat(text) == Counters(10, 20, 40960, 81920, 4000, 9000)


@pytest.fixture
def loop(tmp_path: Path) -> Callable[..., None]:
    """Writes what sysfs says of loop0: (backing file or None, attach number, reads, writes)."""
    device = tmp_path / "sys/block/loop0"
    device.mkdir(parents=True)

    def say(path: str | None, attach: int, reads: int, writes: int) -> None:
        (device / "stat").write_text(f"{reads} 0 {reads * 8} 0 {writes} 0 {writes * 8} 0 0 0 0\n")
        (device / "diskseq").write_text(f"{attach}\n")
        if path:
            (device / "loop").mkdir(exist_ok=True)
            (device / "loop/backing_file").write_text(f"{path}\n")
        elif (device / "loop").exists():
            (device / "loop/backing_file").unlink()
    return say


def test_loop_counters_belong_to_the_file_that_was_attached(loop: Callable[..., None], tmp_path: Path) -> None:
    """The kernel's numbers go on counting when another file is attached."""
    counters = LoopCounters(tmp_path / "sys")
    loop("/data/a", 1, 100, 100)
    assert counters.read() == {"/data/a": Counters()}
    loop("/data/a", 1, 110, 105)
    assert counters.read()["/data/a"] == Counters(10, 5, 10 * 4096, 5 * 4096)
    loop("/data/b", 2, 130, 130)
    assert counters.read() == {"/data/a": Counters(10, 5, 10 * 4096, 5 * 4096)}
    loop("/data/b", 2, 131, 130)
    assert counters.read()["/data/b"].reads == 1
    loop(None, 3, 140, 140)
    assert counters.read()["/data/b"].reads == 10
    loop("/data/a", 4, 145, 140)
    assert counters.read()["/data/a"].reads == 15
    loop(None, 5, 145, 140)
    counters.read()
    counters.forget("/data/a")
    assert list(counters.read()) == ["/data/b"]


def test_no_sysfs_no_loops(tmp_path: Path) -> None:
    assert LoopCounters(tmp_path).read() == {}


def test_copies_of_odd_sizes(tmp_path: Path) -> None:
    """Data at the very end, data past the wanted size, an empty file."""
    source, target = tmp_path / "a", tmp_path / "b"
    for content, size in ((b"", 0), (b"x" * 5000, 4096), (b"y" * 100, 5000), (b"z" * (3 * MiB + 7), 3 * MiB + 7)):
        source.write_bytes(content)
        target.write_bytes(b"old" * 1000)
        copy_file(source, target, size)
        assert target.read_bytes() == content[:size].ljust(size, b"\0")


@pytest.mark.host
@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices")
def test_monitors_see_what_a_real_loop_device_did(files: Simulator) -> None:
    """I/O to a block device over the volume's file is the volume's I/O; a detached device's is not forgotten."""
    array = files.add_flash_array("fa1")
    volume = array.add_volume("v1", 16 * MiB)
    files.sample(1.0)
    device = subprocess.run(["losetup", "-f", "--show", str(volume.file)], check=True, capture_output=True,
                            text=True).stdout.strip()
    try:
        files.sample(1.0)
        subprocess.run(["dd", "if=/dev/zero", f"of={device}", "bs=1M", "count=4", "oflag=direct", "status=none"],
                       check=True)
        files.sample(2.0)
        row = Rest(array, files.ca).ok("GET", "volume?action=monitor")[0]
        assert row["input_per_sec"] == 2 * MiB and row["writes_per_sec"] >= 1
    finally:
        subprocess.run(["losetup", "-d", device], check=True)
    files.sample(1.0)
    assert array.counters("v1").written_bytes == 4 * MiB
