"""The same calls with real file systems: the machine's own mkfs, blkid, mount and fsck on loop devices (root only)."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from simulator.fabric import LocalFabric
from simulator.node import PretendNode, loops
from tests.flex.blocks import GiB, block, bytes_of, hurry, put_bytes, wwid
from tests.flex.conftest import InstalledDriver
from tests.flex.driver import SUCCESS

pytestmark = [pytest.mark.host, pytest.mark.skipif(bool(loops.why_not()), reason=f"real form: {loops.why_not()}")]


@pytest.fixture
def node(sim: Any) -> Iterator[Any]:
    """A node whose devices are loop devices over the array's files."""
    with TemporaryDirectory(prefix="node") as folder:
        with PretendNode(folder, LocalFabric(sim), name="node1", real=True) as machine:
            hurry(machine)
            yield machine
            assert (machine.alarms, machine.failures, machine.touched()) == ([], [], [])


@pytest.fixture
def flex(sim: Any, node: Any, plugin: Path) -> InstalledDriver:
    return InstalledDriver(plugin / "flex", node.environment(), sim)


@pytest.mark.parametrize("fs_type", ["xfs", "ext4", "btrfs"])
def test_a_life_with_a_real_file_system(flex: Any, node: Any, array: Any, pod: Path, fs_type: str) -> None:
    """Made, written, given back, found again, grown while mounted and while not, given back."""
    array.add_volume("k8s-pvc-1", GiB)
    place = pod / "pvc-1"
    assert flex("mount", place, block(fs_type=fs_type)) == SUCCESS
    (place / "hello").write_text("world")
    assert flex("unmount", place) == SUCCESS
    assert not (place / "hello").exists() and array.connections("k8s-pvc-1") == {} and node.maps == []
    assert flex("mount", place, block(fs_type=fs_type)) == SUCCESS
    assert (place / "hello").read_text() == "world"
    if fs_type == "ext4" and not may_grow_ext4():
        assert flex("unmount", place) == SUCCESS
        return                          # the kernel refuses to grow it here, and says so
    before = covered(place)
    assert flex("expandfs", block(fs_type=fs_type), "", place, 2 * GiB, GiB) == SUCCESS
    assert covered(place) > before + GiB // 2
    flex("unmount", place)
    array.resize_volume("k8s-pvc-1", 3 * GiB)
    assert flex("mount", place, block(fs_type=fs_type)) == SUCCESS
    assert covered(place) > before + 3 * GiB // 2 and (place / "hello").read_text() == "world"
    assert flex("unmount", place) == SUCCESS
    assert node.maps == [] and node.paths == []


def test_a_reader_beside_another_host_writes_not_one_byte(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """That host has written into the log since, which any kernel would replay at a mount, a read-only one too."""
    array.add_volume("k8s-pvc-1", GiB // 4)
    place, own = pod / "pvc-1", {"fs_type": "btrfs"}
    flex("mount", place, block(**own))
    subprocess.run(["sync", "-f", place], check=True)
    with open(place / "hello", "w") as file:
        file.write("world")
        file.flush()
        os.fsync(file.fileno())
    volume = array.volume("k8s-pvc-1").file
    subprocess.run(["cp", "--sparse=always", volume, f"{volume}.crashed"], check=True)
    flex("unmount", place)
    os.replace(f"{volume}.crashed", volume)
    array.add_host("builder", iqns=["iqn.2000-01.example:builder"])
    array.connect("builder", "k8s-pvc-1")
    before = digest(volume)
    assert flex("mount", place, block(access="ReadOnlyMany", **own)) == SUCCESS
    assert flex("unmount", place) == SUCCESS
    assert digest(volume) == before


def digest(file: str) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha1").hexdigest()


def may_grow_ext4() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which ext4 wants for growing while mounted."""
    with open("/proc/self/status", encoding="ascii") as status:
        return any(line.startswith("CapEff") and int(line.split()[1], 16) & 1 << 24 for line in status)


def covered(place: Path) -> int:
    """What the mounted file system covers."""
    found = os.statvfs(place)
    return found.f_blocks * found.f_frsize


def test_a_real_mount_is_read_only_when_asked(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    place, second = pod / "pvc-1", Path(str(pod).replace("uid-1", "uid-2")) / "pvc-1"
    flex("mount", place, block())
    assert flex("mount", second, block(mode="ro")) == SUCCESS
    with pytest.raises(OSError, match="Read-only"):
        (second / "hello").write_text("world")
    (place / "hello").write_text("world")
    assert (second / "hello").read_text() == "world"
    for one in (place, second):
        assert flex("unmount", one) == SUCCESS
    assert node.maps == [] and array.connections("k8s-pvc-1") == {}


def test_a_real_device_with_raw_data_is_left_alone(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    put_bytes(array, 4096, b"a raw data base")
    before = bytes_of(array)
    answer = flex("mount", pod / "pvc-1", block())
    assert answer["status"] == "Failure" and "not blank" in answer["message"]
    assert bytes_of(array) == before


def test_a_real_busy_mount_names_who_uses_it(flex: Any, node: Any, array: Any, pod: Path) -> None:
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    with open(pod / "pvc-1/log", "w", encoding="utf-8"):
        answer = flex("unmount", pod / "pvc-1")
    assert answer["status"] == "Failure" and "busy" in answer["message"]
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.maps == []


def test_a_real_clone_is_mounted_beside_its_source(flex: Any, node: Any, array: Any, pod: Path) -> None:
    """The kernel refuses a second xfs of the same UUID without nouuid."""
    from arrays import fleet
    from arrays.flasharray import FlashArray
    array.add_volume("k8s-pvc-1", GiB)
    flex("mount", pod / "pvc-1", block())
    (pod / "pvc-1/hello").write_text("world")
    flex("unmount", pod / "pvc-1")
    entry, = fleet.load(str(flex.executable.with_name(".pure.json"))).flash_arrays
    FlashArray(entry).clone_volume("k8s-pvc-1", "k8s-pvc-2")
    for pv in ("pvc-1", "pvc-2"):
        assert flex("mount", pod / pv, block(pv)) == SUCCESS
    assert (pod / "pvc-2/hello").read_text() == "world" and wwid(array) != wwid(array, "k8s-pvc-2")
    for pv in ("pvc-1", "pvc-2"):
        assert flex("unmount", pod / pv) == SUCCESS
