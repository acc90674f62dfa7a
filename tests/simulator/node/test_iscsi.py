"""iscsiadm and sessions of a pretend node do what node-attach.md saw real ones do (2.2, 2.11, facts 2, 3, 4, 6)."""

import re
import time

import pytest

from tests.simulator.node.bench import Bench, until


def record(bench: Bench, portal: str) -> dict[str, str]:
    done = bench.iscsiadm("-p", portal)
    assert done.status == 0
    return dict(line.split(" = ", 1) for line in done.out.splitlines() if " = " in line)


# Node records

def test_a_record_that_is_not_there_exits_21(bench: Bench) -> None:
    assert bench.iscsiadm("-p", bench.portals[0]).status == 21
    assert bench.run("iscsiadm", "-m", "node").status == 21


def test_a_new_record_is_a_file_with_the_defaults_of_iscsid_conf(bench: Bench) -> None:
    portal = bench.portals[0]
    assert bench.iscsiadm("-p", portal, "-o", "new").status == 0
    assert record(bench, portal)["node.session.scan"] == "auto"
    assert record(bench, portal)["node.session.initial_login_retry_max"] == "8"
    file = bench.node.root / f"etc/iscsi/nodes/{bench.target}/{portal.replace(':', ',')}"
    assert file.is_file() and file.stat().st_mode & 0o777 == 0o600


def test_one_update_carries_several_settings(bench: Bench) -> None:
    portal = bench.portals[0]
    bench.iscsiadm("-p", portal, "-o", "new")
    assert bench.iscsiadm("-p", portal, "-o", "update", "-n", "node.session.scan", "-v", "manual",
                          "-n", "node.conn[0].timeo.login_timeout", "-v", "5").status == 0
    found = record(bench, portal)
    assert (found["node.session.scan"], found["node.conn[0].timeo.login_timeout"]) == ("manual", "5")


def test_an_unknown_setting_exits_7(bench: Bench) -> None:
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    assert bench.iscsiadm("-p", bench.portals[0], "-o", "update", "-n", "node.colour", "-v", "blue").status == 7


@pytest.mark.parametrize("reset", ["new", "discovery"])
def test_new_and_discovery_reset_a_record(bench: Bench, reset: str) -> None:
    portal = bench.portals[0]
    bench.iscsiadm("-p", portal, "-o", "new")
    bench.iscsiadm("-p", portal, "-o", "update", "-n", "node.session.scan", "-v", "manual")
    if reset == "new":
        bench.iscsiadm("-p", portal, "-o", "new")
    else:
        assert bench.run("iscsiadm", "-m", "discovery", "-t", "sendtargets", "-p", portal).status == 0
    assert record(bench, portal)["node.session.scan"] == "auto"


def test_discovery_brings_every_portal_and_keeps_records_in_directories(bench: Bench) -> None:
    done = bench.run("iscsiadm", "-m", "discovery", "-t", "st", "-p", bench.portals[0])
    assert done.out.splitlines() == [f"{portal},1 {bench.target}" for portal in bench.portals]
    folder = bench.node.root / f"etc/iscsi/nodes/{bench.target}/{bench.portals[1].replace(':', ',')},1"
    assert (folder / "default").is_file()


def test_discovery_at_a_silent_portal_exits_11(bench: Bench) -> None:
    bench.array.set_portal(bench.portals[0], "refused")
    assert bench.run("iscsiadm", "-m", "discovery", "-t", "st", "-p", bench.portals[0]).status == 11


def test_a_record_with_a_session_is_not_deleted(bench: Bench) -> None:
    bench.login(portals=1)
    assert bench.iscsiadm("-o", "delete").status == 15
    bench.iscsiadm("--logout")
    assert bench.iscsiadm("-o", "delete").status == 0
    assert bench.iscsiadm().status == 21


def test_a_locked_database_exits_6_once(bench: Bench) -> None:
    bench.node.faults.database_busy = 1
    assert bench.iscsiadm("-p", bench.portals[0], "-o", "new").status == 6
    assert bench.iscsiadm("-p", bench.portals[0], "-o", "new").status == 0


def test_long_options_and_joined_short_ones_mean_the_same(bench: Bench) -> None:
    assert bench.run("iscsiadm", "--mode", "node", f"--targetname={bench.target}", "--portal", bench.portals[0],
                     "--op", "new").status == 0
    assert bench.run("iscsiadm", "-mnode", f"-T{bench.target}").status == 0
    assert bench.run("iscsiadm", "-m", "node", "--colour").status == 7


# Login

def test_a_login_shows_in_sysfs(bench: Bench) -> None:
    bench.login()
    for number, portal in enumerate(bench.portals, 1):
        session, connection = f"class/iscsi_session/session{number}", f"class/iscsi_connection/connection{number}:0"
        assert bench.read(f"{session}/targetname") == bench.target
        assert bench.read(f"{session}/state") == "LOGGED_IN"
        assert f"{bench.read(f'{connection}/persistent_address')}:{bench.read(f'{connection}/persistent_port')}" == portal
        host = re.search(r"/host(\d+)/", str(bench.sys(session).resolve()))
        assert host and bench.sys(f"class/scsi_host/host{host[1]}/scan").exists()
    assert len(bench.run("iscsiadm", "-m", "session").out.splitlines()) == 2


def test_no_session_exits_21(bench: Bench) -> None:
    assert bench.run("iscsiadm", "-m", "session").status == 21
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    assert bench.iscsiadm("--logout").status == 21


def test_a_second_login_exits_15(bench: Bench) -> None:
    bench.login()
    assert bench.iscsiadm("--login").status == 15
    assert len(bench.node.sessions) == 2


def test_six_logins_at_once_make_one_session(bench: Bench) -> None:
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    attempts = [bench.start("iscsiadm", "-m", "node", "-T", bench.target, "--login") for _ in range(6)]
    for attempt in attempts:
        attempt.communicate()
    assert sorted(attempt.returncode for attempt in attempts) == [0, 15, 15, 15, 15, 15]
    assert len(bench.node.sessions) == 1


@pytest.mark.parametrize("state", ["dark", "refused"])
def test_a_dead_portal_takes_its_timeout_times_its_tries(bench: Bench, state: str) -> None:
    portal = bench.portals[0]
    bench.array.set_portal(portal, state)
    bench.iscsiadm("-p", portal, "-o", "new")
    bench.iscsiadm("-p", portal, "-o", "update", "-n", "node.conn[0].timeo.login_timeout", "-v", "5",
                   "-n", "node.session.initial_login_retry_max", "-v", "2")
    start = time.monotonic()
    assert bench.iscsiadm("-p", portal, "--login").status == 8
    assert time.monotonic() - start >= 12 / bench.node.settings.speed
    assert bench.node.sessions == []


def test_one_dead_portal_fails_the_command_although_the_other_is_logged_in(bench: Bench) -> None:
    bench.array.set_portal(bench.portals[1], "refused")
    for portal in bench.portals:
        bench.iscsiadm("-p", portal, "-o", "new")
    bench.iscsiadm("-o", "update", "-n", "node.session.initial_login_retry_max", "-v", "1")
    assert bench.iscsiadm("--login").status == 8
    assert [session.portal for session in bench.node.sessions] == bench.portals[:1]


def test_while_iscsid_is_still_trying_another_login_exits_15_and_nobody_is_logged_in(bench: Bench) -> None:
    portal = bench.portals[0]
    bench.node.faults.login_slow[portal] = 40.0
    bench.iscsiadm("-p", portal, "-o", "new")
    with bench.start("iscsiadm", "-m", "node", "-T", bench.target, "--login") as first:
        until(lambda: bench.node.commands[-1].argv[-1] == "--login")
        assert bench.iscsiadm("--login").status == 15
        assert bench.node.sessions == []
        first.communicate()
    assert len(bench.node.sessions) == 1


def test_a_killed_login_completes_later(bench: Bench) -> None:
    bench.node.faults.login_slow[bench.portals[0]] = 20.0
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    with bench.start("iscsiadm", "-m", "node", "-T", bench.target, "--login") as login:
        until(lambda: bench.node.commands[-1].argv[-1] == "--login")
        login.kill()
    until(lambda: bench.node.sessions)


def test_a_login_that_never_returns_may_be_logged_in(bench: Bench) -> None:
    """open-iscsi 2.1.10 with manual scan (open-iscsi#484)."""
    bench.node.faults.login_hangs.add(bench.portals[0])
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    with bench.start("iscsiadm", "-m", "node", "-T", bench.target, "--login") as login:
        until(lambda: bench.node.sessions)
        assert login.poll() is None
        login.kill()


def test_an_unknown_initiator_logs_in_and_sees_nothing_or_is_refused(bench: Bench) -> None:
    bench.array.delete_host("node1")
    bench.login(portals=1)
    assert bench.node.paths == []
    bench.iscsiadm("--logout")
    bench.node.settings.unknown_initiator = "refused"
    assert bench.iscsiadm("--login").status == 24


def test_chap_wants_the_hosts_name_and_secret(bench: Bench) -> None:
    bench.array.set_chap("node1", host_user="node1", host_password="twelve-chars-or-so")
    bench.iscsiadm("-p", bench.portals[0], "-o", "new")
    assert bench.iscsiadm("--login").status == 24
    auth = "node.session.auth"
    bench.iscsiadm("-o", "update", "-n", f"{auth}.authmethod", "-v", "CHAP", "-n", f"{auth}.username", "-v", "node1",
                   "-n", f"{auth}.password", "-v", "wrong")
    assert bench.iscsiadm("--login").status == 24
    bench.iscsiadm("-o", "update", "-n", f"{auth}.password", "-v", "twelve-chars-or-so")
    assert bench.iscsiadm("--login").status == 0
    assert "twelve" not in bench.iscsiadm("-p", bench.portals[0]).out


def test_without_iscsid_a_login_exits_20_and_records_still_work(bench: Bench) -> None:
    bench.node.settings.iscsid = "stopped"
    assert bench.iscsiadm("-p", bench.portals[0], "-o", "new").status == 0
    assert bench.iscsiadm("--login").status == 20


@pytest.mark.parametrize("scan, names", [("auto", ["sdb", "sdc"]), ("manual", [])])
def test_with_scan_auto_a_login_brings_every_lun(bench: Bench, scan: str, names: list[str]) -> None:
    bench.volume("v1")
    bench.volume("v2")
    bench.login(portals=1, scan=scan)
    assert [path.name for path in bench.node.paths] == names


def test_a_session_rescan_brings_every_lun_and_removes_none(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(portals=1)
    assert bench.run("iscsiadm", "-m", "session", "--rescan").status == 0
    assert [path.hctl.rpartition(":")[2] for path in bench.node.paths] == ["1"]
    bench.array.disconnect("node1", "v1")
    bench.run("iscsiadm", "-m", "session", "--rescan")
    assert len(bench.node.paths) == 1


# Logout

def test_a_logout_takes_host_and_devices_along(bench: Bench) -> None:
    bench.volume("v1")
    bench.login(scan="auto")
    until(lambda: len(bench.node.paths) == 2)
    assert bench.iscsiadm("--logout").status == 0
    assert bench.node.paths == []
    assert not list(bench.sys("class/iscsi_session").iterdir())


def test_a_logout_under_a_mounted_file_system_succeeds_and_destroys_it(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    bench.node.write(f"{directory}/saved", "on the volume")
    bench.node.write(f"{directory}/unsaved", "in memory", sync=False)
    assert bench.iscsiadm("--logout").status == 0
    with pytest.raises(OSError, match="Input/output error"):
        bench.node.read(f"{directory}/saved")
    assert [mount.directory for mount in bench.node.mounts] == [directory]
    assert bench.run("umount", directory).status == 0


def test_the_array_hears_of_logins(bench: Bench) -> None:
    bench.login()
    logins = bench.array.state.ports.logins
    assert set(logins) == {(bench.node.iqn, portal) for portal in bench.portals}
    bench.iscsiadm("--logout")
    assert not logins
