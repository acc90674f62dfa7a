"""The driver's folder on a node: what kubelet sees at any instant, and what stays when nothing changed."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemonset import installer
from daemonset.installer import Bundle, Wanted


def answer(plugin_dir: Path) -> str:
    done = subprocess.run([plugin_dir / "pure~flex/flex", "init"], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and change time of everything below: any write shows."""
    return {str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in [folder, *folder.rglob("*")]}


def test_first_install_into_an_empty_directory(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """AT-18: the driver is there, executable, and answers; its configuration is for root's eyes only."""
    installer.install(plugin_dir, wanted("1"))

    assert answer(plugin_dir) == '{"status": "Success", "message": "1"}\n'
    assert (plugin_dir / "pure~flex/flex").stat().st_mode & 0o777 == 0o755
    for name in (".pure.json", ".settings.json"):
        assert (plugin_dir / "pure~flex" / name).stat().st_mode & 0o777 == 0o600


def test_find_shows_one_driver(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """AT-19: `find DIR -name flex | xargs dirname` prints exactly one directory."""
    installer.install(plugin_dir, wanted("1"))
    installer.install(plugin_dir, wanted("2"))
    assert list(plugin_dir.rglob("flex")) == [plugin_dir / "pure~flex/flex"]


def test_nothing_is_written_when_nothing_changed(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """AT-21, second half: a turn without drift leaves every inode and time stamp alone."""
    desired = wanted("1")
    installer.install(plugin_dir, desired)
    before = snapshot(plugin_dir)
    assert installer.install(plugin_dir, desired, thorough=True) == []
    assert snapshot(plugin_dir) == before


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "flex").unlink(),
    lambda folder: (folder / "flex").write_text("#!/bin/sh\nrm -rf /nowhere\n"),
    lambda folder: (folder / "flex").chmod(0o644),
    lambda folder: (folder / ".pure.json").write_text("{}"),
    lambda folder: (folder / ".pure.json").chmod(0o644),
    lambda folder: (folder / ".settings.json").unlink(),
    lambda folder: (folder / ".flex-rt-1/lib/answer").unlink(),
    lambda folder: (folder / ".flex-rt-1/lib/answer").write_text("half"),
    lambda folder: (folder / ".flex-rt-1/lib/foreign").write_text("x"),
], ids=["no driver", "other driver", "not executable", "other fleet", "readable fleet", "no settings", "runtime file lost",
        "runtime file cut", "foreign runtime file"])
def test_drift_is_mended(plugin_dir: Path, wanted: Callable[[str], Wanted], damage: Callable[[Path], None]) -> None:
    """AT-21: whatever somebody did to the folder, the next turn puts it right."""
    desired = wanted("1")
    installer.install(plugin_dir, desired)
    damage(plugin_dir / "pure~flex")

    assert installer.install(plugin_dir, desired)
    assert answer(plugin_dir) == '{"status": "Success", "message": "1"}\n'
    assert installer.install(plugin_dir, desired, thorough=True) == []


def test_same_size_damage_is_found_by_a_thorough_look(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    desired = wanted("1")
    installer.install(plugin_dir, desired)
    file = plugin_dir / "pure~flex/.flex-rt-1/lib/answer"
    file.write_text(file.read_text().replace("Success", "Failure"))

    assert installer.install(plugin_dir, desired) == []
    assert installer.install(plugin_dir, desired, thorough=True) == ["wrote .flex-rt-1"]


def test_upgrades_while_calls_run(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """AT-20: versions change under load and no call finds the driver missing, half or busy."""
    versions = [wanted("1"), wanted("2")]
    installer.install(plugin_dir, versions[0])
    stop, failures, calls = threading.Event(), [], 0

    def kubelet() -> None:
        nonlocal calls
        while not stop.is_set():
            done = subprocess.run([plugin_dir / "pure~flex/flex", "init"], capture_output=True, text=True, check=False)
            calls += 1
            if done.returncode or "Success" not in done.stdout or done.stderr:
                failures.append(done)

    caller = threading.Thread(target=kubelet)
    caller.start()
    for turn in range(40):
        installer.install(plugin_dir, versions[turn % 2])
    stop.set()
    caller.join()
    assert calls > 0 and failures == []


def test_the_runtime_before_stays_for_calls_that_still_run(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    for version in ("1", "2", "3"):
        installer.install(plugin_dir, wanted(version))
    runtimes = sorted(path.name for path in (plugin_dir / "pure~flex").glob(".flex-rt-*"))
    assert runtimes == [".flex-rt-2", ".flex-rt-3"]


def test_an_install_cut_short_is_completed(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """Staging left by a killed install is cleared and never taken for a driver."""
    plugin_dir.mkdir(parents=True)
    for left in (".pure-flex-new", ".pure-flex-runtime", ".pure-flex-gone"):
        (plugin_dir / left / "lib").mkdir(parents=True)
    installer.install(plugin_dir, wanted("1"))
    installer.install(plugin_dir, wanted("2"))
    assert sorted(os.listdir(plugin_dir)) == ["pure~flex"]


def test_uninstall_takes_the_folder_and_nothing_else(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """No empty folder stays (kubelet would log about it for ever), a neighbour's driver does."""
    neighbour = plugin_dir / "other~driver/driver"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_text("x")
    installer.install(plugin_dir, wanted("1"))

    assert installer.uninstall(plugin_dir) is True
    assert installer.uninstall(plugin_dir) is False
    assert os.listdir(plugin_dir) == ["other~driver"]


def test_a_folder_without_bundle_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="holds no driver bundle"):
        Bundle.at(tmp_path)


def test_configuration_is_for_root_alone_and_goes_with_the_driver(plugin_dir: Path, wanted: Callable[[str], Wanted]) -> None:
    """AT-85: the token is in one file of the node, 0600 from its first byte, and uninstalling leaves no copy of it."""
    desired = wanted("1")
    token = json.loads(desired.arrays)["FlashArrays"][0]["APIToken"].encode()

    def holders() -> dict[str, int]:
        return {path.name: path.stat().st_mode & 0o777 for path in plugin_dir.rglob("*")
                if path.is_file() and token in path.read_bytes()}

    installer.install(plugin_dir, desired)
    installer.install(plugin_dir, Wanted(desired.bundle, desired.arrays + b"\n", desired.settings))
    assert holders() == {".pure.json": 0o600}
    installer.uninstall(plugin_dir)
    assert holders() == {}
