"""NFS on a pretend node (node-attach.md 2.10)."""

import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from simulator.fleet import Simulator
from tests.simulator.node.bench import Bench, a_node

NUMBERS = count(1)


@pytest.fixture
def export(sim: Simulator) -> Iterator[str]:
    """An export for everybody: "192.0.2.31:/fs1"."""
    blade = sim.add_flash_blade(f"fb{next(NUMBERS)}")
    blade.add_file_system("fs1", 1 << 30)
    yield f"{blade.nfs_endpoint}:/fs1"


def blade_of(bench: Bench) -> Any:
    return bench.sim.flash_blades[-1]


@pytest.mark.parametrize("version, fstype", [("3", "nfs"), ("4.1", "nfs4")])
def test_a_mount_and_its_entry(bench: Bench, export: str, version: str, fstype: str) -> None:
    directory = bench.directory()
    assert bench.run("mount", "-t", "nfs", "-o", f"vers={version},hard", export, directory).status == 0
    found = bench.node.mounts[0]
    assert (found.source, found.fstype, found.directory) == (export, fstype, directory)
    assert {f"vers={version}", "hard", f"addr={export.split(':')[0]}"} <= set(found.options)
    assert bench.run("umount", directory).status == 0
    assert bench.node.mounts == []


def test_two_nodes_share_an_export(bench: Bench, export: str) -> None:
    directory = bench.directory()
    bench.run("mount", "-t", "nfs", export, directory)
    with a_node(bench.sim, "node2") as second:
        bench.run("mount.nfs", export, directory, "-o", "vers=3", node=second)
        bench.node.write(f"{directory}/hello", "world")
        assert second.read(f"{directory}/hello") == "world"


def test_the_same_export_twice_is_one_entry(bench: Bench, export: str) -> None:
    directory = bench.directory()
    for _ in range(2):
        assert bench.run("mount", "-t", "nfs", export, directory).status == 0
    assert len(bench.node.mounts) == 1


@pytest.mark.parametrize("version, words", [("3", "access denied"), ("4.1", "No such file or directory")])
def test_what_is_not_exported_to_the_node_exits_32(bench: Bench, export: str, version: str, words: str) -> None:
    blade_of(bench).add_file_system("fs2", rules="203.0.113.0/24(rw)")
    for wanted in (export + "x", export.replace("fs1", "fs2")):
        done = bench.run("mount", "-t", "nfs", "-o", f"vers={version}", wanted, bench.directory())
        assert done.status == 32 and words in done.err


def test_rules_name_addresses_and_networks(bench: Bench, export: str) -> None:
    blade_of(bench).add_file_system("fs2", rules="203.0.113.9(rw) 198.51.100.0/24(rw,no_root_squash)")
    assert bench.run("mount", "-t", "nfs", export.replace("fs1", "fs2"), bench.directory()).status == 0


def test_a_version_that_is_not_served_exits_32(bench: Bench, export: str) -> None:
    assert bench.run("mount", "-t", "nfs", "-o", "vers=2", export, bench.directory()).status == 32


def test_a_dark_server_is_tried_for_as_long_as_retry_says(bench: Bench, export: str) -> None:
    bench.node.faults.nfs_dark.add(export.split(":")[0])
    start = time.monotonic()
    assert bench.run("mount", "-t", "nfs", "-o", "vers=3,retry=0", export, bench.directory()).status == 32
    assert time.monotonic() - start >= 10 / bench.node.settings.speed
    with bench.start("mount", "-t", "nfs", export, bench.directory()) as mount:
        time.sleep(0.2)
        assert mount.poll() is None
        mount.kill()


def test_leaving_a_dark_server(bench: Bench, export: str) -> None:
    """Plain umount is busy (16); -f wakes those who wait, and works when repeated; -l always works."""
    first, second = bench.directory("first"), bench.directory("second")
    for directory in (first, second):
        bench.run("mount", "-t", "nfs", export, directory)
    bench.node.faults.nfs_dark.add(export.split(":")[0])
    assert bench.run("umount", first).status == 16
    assert bench.run("umount", "-f", first).status == 16
    assert bench.run("umount", "-f", first).status == 0
    assert bench.run("umount", "-l", second).status == 0


def test_a_read_only_export_mount(bench: Bench, export: str) -> None:
    directory = bench.directory()
    bench.run("mount", "-t", "nfs", "-o", "ro", export, directory)
    with pytest.raises(OSError, match="Read-only"):
        bench.node.write(f"{directory}/a", "b")


def test_the_helper_without_arguments_says_how(bench: Bench) -> None:
    assert bench.run("mount.nfs").status == 1
