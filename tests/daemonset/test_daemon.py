"""The loop: Secret changes, problems an operator can act on, orderly ends."""

import json
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemonset import health
from daemonset.daemon import Daemon, Status, remove
from daemonset.settings import Settings, read
from flex import state
from flex.paths import Paths
from flex.state import Record
from tests.daemonset.conftest import ARRAYS


def installed(daemon: Daemon, name: str) -> bytes:
    return (daemon.settings.plugin_dir / "pure~flex" / name).read_bytes()


def test_a_changed_secret_reaches_the_node_within_a_turn(daemon: Daemon) -> None:
    """AT-11, AT-49: a new array or token needs no restart."""
    daemon.turn()
    changed = {"FlashArrays": [*ARRAYS["FlashArrays"], {"MgmtEndPoint": "1.2.3.5", "APIToken": "b526a4c6-0000"}]}
    daemon.settings.arrays.write_text(json.dumps(changed))
    daemon.turn()
    assert json.loads(installed(daemon, ".pure.json")) == changed
    assert daemon.status.ready


@pytest.mark.parametrize(("content", "says"), [
    (b'{"FlashArrays": [', "pure.json"), (b"\xff\xfe", "not UTF-8"), (b"", "pure.json"), (b"[]", "pure.json"),
])
def test_an_unusable_secret_keeps_the_last_good_fleet(daemon: Daemon, content: bytes, says: str) -> None:
    """A slip in the Secret is reported and costs no node its arrays."""
    daemon.turn()
    before = installed(daemon, ".pure.json")
    daemon.settings.arrays.write_bytes(content)
    daemon.turn()
    assert installed(daemon, ".pure.json") == before
    assert any(says in problem for problem in daemon.status.problems)


def test_a_new_pod_without_secret_keeps_what_the_old_one_installed(daemon: Daemon) -> None:
    daemon.turn()
    daemon.settings.arrays.unlink()
    successor = Daemon(daemon.settings, Status())
    successor.turn()
    assert json.loads(installed(successor, ".pure.json")) == ARRAYS
    assert "mount the Secret" in successor.status.problems[0]


def test_settings_of_the_chart_reach_the_driver(daemon: Daemon) -> None:
    daemon.turn()
    assert json.loads(installed(daemon, ".settings.json")) == {"PURE_K8S_NAMESPACE": "k8s"}


def test_debug_reaches_the_driver() -> None:
    """AT-25: app.debug turns on the driver's own log file, nothing on its streams."""
    assert json.loads(read("/x", debug=True, environment={}).driver_settings) == {"PURE_FLEX_DEBUG": "true"}


def test_a_directory_that_cannot_be_written_names_the_way_out(settings: Settings, tmp_path: Path) -> None:
    """AT-23: not ready, with flexPath and the usual alternative, and the loop lives on."""
    (tmp_path / "file").write_text("")
    daemon = Daemon(replace(settings, plugin_dir=tmp_path / "file/exec"), Status())
    daemon.turn()
    assert not daemon.status.ready
    assert "flexPath" in daemon.status.problems[0] and "/etc/kubernetes/volumeplugins/" in daemon.status.problems[0]


def test_a_driver_that_does_not_start_is_a_problem(daemon: Daemon, settings: Settings) -> None:
    (settings.bundle / ".flex-rt-1/lib/answer").write_text('{"status": "Failure"}\n')
    daemon.turn()
    assert "`flex init` answers" in daemon.status.problems[0]


def test_a_driver_that_answers_rubbish_is_a_problem_and_no_end(daemon: Daemon, settings: Settings) -> None:
    """The daemon of that node is what can put a better one there."""
    (settings.bundle / "flex").write_text("#!/bin/sh\nprintf '\\377\\376'\n")
    daemon.turn()
    assert "`flex init` answers" in daemon.status.problems[0]


def test_a_driver_that_does_not_start_stays_a_problem_until_it_does(daemon: Daemon, settings: Settings) -> None:
    """Nothing is written in the second turn; were it ready then, a rolling update would go on to the next node."""
    (settings.bundle / "flex").write_text('#!/bin/sh\n[ -e "${0%/*}/../cured" ] && echo \'{"status": "Success"}\'\n')
    for _ in range(3):
        daemon.turn()
        assert not daemon.status.ready and "`flex init` answers" in daemon.status.problems[0]
    (settings.plugin_dir / "cured").touch()
    daemon.turn()
    assert daemon.status.ready


def test_stopping_leaves_the_driver(daemon: Daemon) -> None:
    """SIGTERM sets `stopping`: a rolling update never leaves a node without the executable (C-16)."""
    loop = threading.Thread(target=daemon.run)
    loop.start()
    assert daemon.status.alive.wait(10)
    daemon.stopping.set()
    loop.join(10)
    assert not loop.is_alive() and (daemon.settings.plugin_dir / "pure~flex/flex").exists()


MOUNTED = ("436 29 253:0 / /var/lib/kubelet/pods/8a5/volumes/pure~flex/pvc-1 rw,relatime shared:1 - xfs "
           "/dev/mapper/3624a9370f92a1da2f8c9429700011010 rw\n")


def test_uninstall_waits_for_mounted_volumes(daemon: Daemon, tmp_path: Path) -> None:
    """Without the driver nobody could unmount them."""
    daemon.turn()
    (tmp_path / "mountinfo").write_text(MOUNTED)
    assert remove(daemon.settings) is False
    assert (daemon.settings.plugin_dir / "pure~flex/flex").exists()

    (tmp_path / "mountinfo").write_text("")
    assert remove(daemon.settings) is True
    assert os.listdir(daemon.settings.plugin_dir) == []
    assert remove(daemon.settings) is True


def put_record(tmp_path: Path, record: Record) -> None:
    """As the driver writes it down on the node."""
    state.save(Paths(str(tmp_path / "node")), record)
    shutil.copytree(tmp_path / "node/var/lib/pure-flex", tmp_path / "state", dirs_exist_ok=True)


@pytest.mark.parametrize("stage", [state.CONNECTING, state.MOUNTED, state.RELEASING, state.DISCONNECT_LEFT])
def test_uninstall_waits_for_what_is_owed_to_an_array(daemon: Daemon, tmp_path: Path, stage: str,
                                                      caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is mounted, and the array still shows the volume to this node: without the driver it would for ever."""
    daemon.turn()
    directory = "/var/lib/kubelet/pods/8a5/volumes/pure~flex/pvc-1"
    put_record(tmp_path, Record(directory, backend="block", volume="k8s-pvc-1", array="1.2.3.4", stage=stage,
                                wwid="3624a9370f92a1da2f8c9429700011010"))
    assert remove(daemon.settings) is False
    assert (daemon.settings.plugin_dir / "pure~flex/flex").exists()
    assert f"k8s-pvc-1 on array 1.2.3.4, {directory}" in caplog.text and "flex unmount" in caplog.text
    shutil.rmtree(tmp_path / "state")
    assert remove(daemon.settings) is True


def test_uninstall_waits_for_a_record_that_cannot_be_read(daemon: Daemon, tmp_path: Path) -> None:
    daemon.turn()
    (tmp_path / "state/mounts").mkdir(parents=True)
    (tmp_path / "state/mounts/uid.pvc-1.0.json").write_text("")
    assert remove(daemon.settings) is False


def test_uninstall_goes_on_where_the_driver_s_state_cannot_be_seen(daemon: Daemon, tmp_path: Path,
                                                                   caplog: pytest.LogCaptureFixture) -> None:
    """A published chart has no volume for it, and AppArmor may shut /proc/1/root."""
    daemon.turn()
    blind = replace(daemon.settings, states=(tmp_path / "none", tmp_path / "shut"))
    (tmp_path / "shut").symlink_to("y" * 300)        # ENAMETOOLONG, where AppArmor says EACCES
    assert remove(blind) is True and "The arrays tell" in caplog.text


def test_uninstall_does_not_wait_for_a_file_system(daemon: Daemon, tmp_path: Path) -> None:
    """Its record may outlive a reboot, and nothing is owed to a FlashBlade."""
    put_record(tmp_path, Record("/pods/1/volumes/pure~flex/pvc-2", backend="file", volume="k8s-pvc-2", stage=state.MOUNTED))
    assert remove(daemon.settings) is True


def test_uninstall_keeps_the_driver_when_the_node_cannot_be_seen(daemon: Daemon) -> None:
    """Without hostPID /proc/1 is our own container: it tells nothing, and nothing is removed."""
    daemon.turn()
    blind = replace(daemon.settings, mount_tables=(Path("/proc/self/mountinfo"),))
    assert remove(blind) is False
    assert (daemon.settings.plugin_dir / "pure~flex/flex").exists()


def test_nothing_is_put_back_after_an_uninstallation(daemon: Daemon, tmp_path: Path) -> None:
    """A preStop hook uninstalls while the loop still turns; a container that starts anew installs again."""
    driver = daemon.settings.plugin_dir / "pure~flex/flex"
    for _ in range(2):
        loop = threading.Thread(target=daemon.run)
        loop.start()
        wait_for(daemon, driver.exists)
        assert remove(daemon.settings) is True
        turns = daemon.status.turns
        wait_for(daemon, lambda: daemon.status.turns > turns + 2)
        assert not driver.exists() and "uninstalled" in daemon.status.problems[0]
        daemon.stopping.set()
        loop.join(10)
        daemon.stopping.clear()


def wait_for(daemon: Daemon, look: Callable[[], bool]) -> None:
    """Look until it is true, five seconds at most."""
    for _ in range(500):
        if look():
            return
        daemon.stopping.wait(0.01)
    raise AssertionError(f"{look}: it never came")


def test_older_charts_get_their_finish_flag(daemon: Daemon, tmp_path: Path) -> None:
    """Their preStop hook sets a flag and waits for another until the pod is killed."""
    (tmp_path / ".uninstall_start_flag").touch()
    loop = threading.Thread(target=daemon.run)
    loop.start()
    for _ in range(500):
        if (tmp_path / ".uninstall_finish_flag").exists():
            break
        daemon.stopping.wait(0.01)
    daemon.stopping.set()
    loop.join(10)
    assert (tmp_path / ".uninstall_finish_flag").exists()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_tells_the_last_turn(daemon: Daemon, settings: Settings, build: Callable[[str], Path]) -> None:
    server = health.serve(0, daemon.status, patience=60)
    port = server.port
    try:
        assert get(port, "/readyz")[0] == 503
        daemon.turn()
        assert get(port, "/readyz") == (200, "ok\n")
        assert get(port, "/healthz") == (200, "ok\n")
        assert "pure_flex_installed 1" in get(port, "/metrics")[1]
        assert get(port, "/other")[0] == 404
        settings.arrays.write_text("{")
        daemon.turn()
        assert get(port, "/readyz")[0] == 503 and "pure.json" in get(port, "/readyz")[1]
    finally:
        server.stop()


def test_health_notices_a_loop_that_stands_still(daemon: Daemon) -> None:
    server = health.serve(0, daemon.status, patience=0.0)
    try:
        get(server.port, "/healthz")
        assert get(server.port, "/healthz")[0] == 500
    finally:
        server.stop()


def test_a_mount_that_one_reading_of_the_table_lacks_keeps_the_driver(daemon: Daemon, tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 5.8 that happens while other pods of the node unmount."""
    daemon.turn()
    readings = iter(["", MOUNTED, MOUNTED])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", lambda *_, **__: next(readings))
        assert remove(daemon.settings) is False
