"""Unmounting exports: by the directory alone, repeated, stacked, busy, and from servers that are dead."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flex import file, state
from flex.paths import Paths
from tests.flex.driver import SUCCESS, Driver
from tests.flex.files import GiB, instead, record, spawned
from tests.flex.test_cli import tool


def test_unmount_needs_the_directory_only(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert (node.mounts, os.listdir(pod / "pvc-1"), record(node, pod / "pvc-1")) == ([], [], None)
    assert blade.requests == []
    assert spawned(node)[1:] == [f"umount {pod}/pvc-1"]


def test_unmount_ten_times(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    for _ in range(10):
        assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert len(node.commands) == 2


def test_unmount_after_a_reboot(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    node.reboot()
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert record(node, pod / "pvc-1") is None


def test_unmount_when_the_state_is_lost(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    state.remove(Paths(str(node.root)), str(pod / "pvc-1"))
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.mounts == []


def test_stacked_mounts_are_all_taken_away(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str]) -> None:
    """A driver before us may have mounted twice."""
    blade.add_file_system("k8s-pvc-2", GiB)
    flex("mount", pod / "pvc-1", wanted)
    on(node, "mount", "-t", "nfs", f"{blade.nfs_endpoint}:/k8s-pvc-2", str(pod / "pvc-1"))
    assert len(node.mounts) == 2
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.mounts == []


def on(node: Any, *argv: str) -> None:
    """Run a tool of the node, as an administrator."""
    import subprocess
    subprocess.run(argv, env=node.environment(), check=True, timeout=20)


def test_something_foreign_on_the_directory_is_unmounted_too(flex: Driver, node: Any, pod: Path) -> None:
    (pod / "pvc-1").mkdir()
    on(node, "mount", "-t", "tmpfs", "tmpfs", str(pod / "pvc-1"))
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.mounts == []


def test_files_in_the_unmounted_directory_are_left_and_reported(flex: Driver, node: Any, pod: Path,
                                                                wanted: dict[str, str]) -> None:
    (pod / "pvc-1").mkdir()
    (pod / "pvc-1" / "diary").write_text("mine")
    flex("mount", pod / "pvc-1", wanted)
    told = flex("unmount", pod / "pvc-1")
    assert told["status"] == "Failure" and "diary" in told["message"]
    assert (pod / "pvc-1" / "diary").read_text() == "mine"
    assert (node.mounts, record(node, pod / "pvc-1")) == ([], None)
    (pod / "pvc-1" / "diary").unlink()
    assert flex("unmount", pod / "pvc-1") == SUCCESS


def test_a_busy_mount_is_a_failure_until_it_is_free(flex: Driver, node: Any, pod: Path, wanted: dict[str, str]) -> None:
    """The server lives and somebody uses the files: nothing is forced."""
    flex("mount", pod / "pvc-1", wanted)
    node.faults.umount_busy = 1
    assert f"{pod}/pvc-1 is busy" in flex("unmount", pod / "pvc-1")["message"]
    assert len(node.mounts) == 1 and record(node, pod / "pvc-1") is not None
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert not any(word in line for line in spawned(node) for word in (" -f ", " -l "))


def test_a_slow_umount_of_a_server_that_lives_is_not_forced(flex: Driver, node: Any, pod: Path, wanted: dict[str, str],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy node, much to write back: `umount -f` would make fail what is being written, other pods' files too, for the
    mounts of one export share their connection."""
    monkeypatch.setattr(file, "UMOUNT", 0.3)
    flex("mount", pod / "pvc-1", wanted)
    executables = flex.environment["PATH"]
    instead(flex, node, "umount", f'case "$*" in -*) exec {node.bin}/umount "$@";; esac; exec sleep 60')
    answer = flex("unmount", pod / "pvc-1")
    assert answer["status"] == "Failure" and "no end after" in answer["message"]
    assert len(node.mounts) == 1 and record(node, pod / "pvc-1") is not None
    flex.environment["PATH"] = executables
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert not any(word in line for line in spawned(node) for word in (" -f ", " -l "))


@contextlib.contextmanager
def dark(node: Any, server: str) -> Iterator[None]:
    """A server that answers nothing: who looks at its mounts hangs (stat(1) is not among the node's tools)."""
    node.faults.nfs_dark.add(server)
    tool(node.bin / "stat", "exec sleep 60")
    yield
    (node.bin / "stat").unlink()


def test_a_dead_server_does_not_keep_the_pod(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str],
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Forced: the first makes waiting calls fail, the second works."""
    monkeypatch.setattr(file, "GLANCE", 0.2)
    flex("mount", pod / "pvc-1", wanted)
    with dark(node, blade.nfs_endpoint):
        assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert (node.mounts, record(node, pod / "pvc-1")) == ([], None)
    assert spawned(node)[-2:] == [f"umount -f {pod}/pvc-1"] * 2


def test_the_files_of_another_pod_are_not_made_to_fail(flex: Driver, node: Any, blade: Any, pod: Path,
                                                       wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pods of one node share an export, so force would fail what the one that stays is writing."""
    monkeypatch.setattr(file, "GLANCE", 0.2)
    other = Path(str(pod).replace("uid-1", "uid-2"))
    other.mkdir(parents=True)
    flex("mount", pod / "pvc-1", wanted)
    flex("mount", other / "pvc-1", wanted)
    with dark(node, blade.nfs_endpoint):
        assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert [mount.directory for mount in node.mounts] == [str(other / "pvc-1")]
    assert spawned(node)[-1] == f"umount -l {pod}/pvc-1" and not any(" -f " in line for line in spawned(node))


def test_a_dead_server_that_no_force_moves_is_unmounted_lazily(flex: Driver, node: Any, blade: Any, pod: Path,
                                                               wanted: dict[str, str],
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when umount(8) itself hangs."""
    monkeypatch.setattr(file, "GLANCE", 0.2)
    monkeypatch.setattr(file, "UMOUNT", 0.5)
    flex("mount", pod / "pvc-1", wanted)
    instead(flex, node, "umount", f'case "$*" in *-l*) exec {node.bin}/umount "$@";; *-f*) exit 16;; esac; exec sleep 60')
    with dark(node, blade.nfs_endpoint):
        assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.mounts == []


def test_a_stale_export_is_unmounted(flex: Driver, node: Any, blade: Any, pod: Path, wanted: dict[str, str]) -> None:
    flex("mount", pod / "pvc-1", wanted)
    blade.destroy_file_system("k8s-pvc-1")
    assert flex("unmount", pod / "pvc-1") == SUCCESS
    assert node.mounts == []
