"""Sessions: what a login leaves on a node, what it must not touch, and what it says when it does not come about."""

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError, Unreachable
from flex import lately
from flex.node import iscsi
from flex.paths import Paths
from flex.trouble import NodeLacks

TARGET = "iqn.2010-06.com.purestorage:flasharray.3a1b2c3d4e5f6071"


@pytest.fixture
def paths(node: Any, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """The pretend node's files, with its tools on PATH."""
    for name, value in node.environment().items():
        monkeypatch.setenv(name, value)
    return Paths(str(node.root))


def log_in(paths: Paths, array: Any, timeout: float = 20.0) -> list[str]:
    return sorted(session.portal for session in iscsi.log_in(paths, array.iqn, array.portals, timeout))


def ran(node: Any, word: str) -> list[tuple[str, ...]]:
    return [command.argv for command in node.commands if word in command.argv]


def record(node: Any, array: Any, portal: str) -> dict[str, str]:
    address, _, port = portal.rpartition(":")
    text = Path(f"{node.root}/etc/iscsi/nodes/{array.iqn}/{address},{port}").read_text()
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


# Login

def test_the_first_login_makes_a_record_and_a_session_for_each_portal(paths: Paths, node: Any, array: Any) -> None:
    assert log_in(paths, array) == sorted(array.portals)
    for portal in array.portals:
        kept = record(node, array, portal)
        assert kept["node.session.scan"] == kept["node.startup"] == "manual"
        assert kept["node.conn[0].timeo.login_timeout"] == "20" and kept["node.session.initial_login_retry_max"] == "1"
        assert 10 <= int(kept["node.session.timeo.replacement_timeout"]) <= 20


def test_a_first_login_runs_three_programs_for_a_portal(paths: Paths, node: Any, array: Any) -> None:
    """No database has a folder for the target, so nobody needs to ask iscsiadm for a record."""
    iscsi.log_in(paths, array.iqn, array.portals[:1], 20)
    did = [next(word for word in ("new", "update", "--login") if word in command.argv) for command in node.commands]
    assert did == ["new", "update", "--login"]


@pytest.mark.parametrize("folders, unknown", [
    ([], False),                                        # the database is somewhere else: iscsiadm has to tell
    (["etc/iscsi/nodes"], True), (["var/lib/iscsi/nodes"], True),
    (["etc/iscsi/nodes", f"var/lib/iscsi/nodes/{TARGET}"], False), ([f"etc/iscsi/nodes/{TARGET}"], False)])
def test_what_the_databases_tell_of_a_target(tmp_path: Path, folders: list[str], unknown: bool) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    assert iscsi.is_unknown(Paths(str(tmp_path)), TARGET) is unknown


def test_there_is_no_discovery_and_no_logout(paths: Paths, node: Any, array: Any) -> None:
    """Discovery resets the records of others and adds portals that the administrator excluded."""
    log_in(paths, array)
    modes = {command.argv[2] for command in node.commands}
    assert modes == {"node"} and not ran(node, "--logout")


def test_a_node_that_is_logged_in_runs_nothing(paths: Paths, node: Any, array: Any) -> None:
    log_in(paths, array)
    before = len(node.commands)
    assert log_in(paths, array) == sorted(array.portals)
    assert len(node.commands) == before


def test_a_record_that_is_there_is_updated_in_one_call_and_never_made_anew(paths: Paths, node: Any, array: Any) -> None:
    """`-o new` would reset what an administrator wrote into it."""
    for portal in array.portals:
        address, _, port = portal.rpartition(":")
        file = Path(f"{node.root}/etc/iscsi/nodes/{array.iqn}/{address},{port}")
        file.parent.mkdir(parents=True, exist_ok=True)
        iscsi_defaults = {"node.session.scan": "auto", "node.startup": "automatic", "node.session.auth.authmethod": "None",
                          "node.session.timeo.replacement_timeout": "120", "node.conn[0].timeo.login_timeout": "15",
                          "node.session.initial_login_retry_max": "8", "node.session.err_timeo.abort_timeout": "77"}
        file.write_text("".join(f"{name} = {value}\n" for name, value in iscsi_defaults.items()))
    log_in(paths, array)
    assert not ran(node, "new") and len(ran(node, "update")) == len(array.portals)
    assert {record(node, array, portal)["node.session.err_timeo.abort_timeout"] for portal in array.portals} == {"77"}


def test_records_of_portals_with_a_session_are_not_touched(paths: Paths, node: Any, array: Any) -> None:
    """The machine may have booted over that session: a changed record would keep it from booting again."""
    first, second = array.portals
    iscsi.log_in(paths, array.iqn, [first], 20)
    before = record(node, array, first)
    count = len(node.commands)
    log_in(paths, array)
    assert record(node, array, first) == before
    assert all(second in command.argv for command in node.commands[count:])


def test_a_busy_node_database_is_tried_again(paths: Paths, node: Any, array: Any) -> None:
    node.faults.database_busy = 3
    assert log_in(paths, array) == sorted(array.portals)


def test_a_dark_portal_does_not_hold_up_one_that_answers(paths: Paths, node: Any, array: Any) -> None:
    """AT-57; and it is left alone for a while, so that not each of twenty volumes waits for it."""
    dark, up = array.portals
    array.set_portal(dark, "dark")
    node.settings.speed = 1
    start = time.monotonic()
    assert log_in(paths, array) == [up]
    assert time.monotonic() - start < iscsi.STRAGGLERS + 2
    assert lately.failed(paths, f"portal {dark} of {array.iqn}", 60)
    start, count = time.monotonic(), len(node.commands)
    assert log_in(paths, array) == [up]
    assert time.monotonic() - start < 0.5 and len(node.commands) == count


def test_when_every_portal_is_silent_each_is_named_with_its_reason(paths: Paths, node: Any, array: Any) -> None:
    for portal in array.portals:
        array.set_portal(portal, "refused")
    node.settings.speed = 100
    with pytest.raises(Unreachable) as error:
        log_in(paths, array)
    assert all(portal in str(error.value) for portal in array.portals) and "no answer" in str(error.value)


def test_a_login_is_given_up_after_its_time_even_when_iscsiadm_never_ends(paths: Paths, node: Any, array: Any) -> None:
    """AT-57: PURE_ISCSI_LOGIN_TIMEOUT seconds for each."""
    for portal in array.portals:
        array.set_portal(portal, "dark")
        node.faults.login_slow[portal] = 1000.0
    node.settings.speed = 1
    start = time.monotonic()
    with pytest.raises(Unreachable, match="no answer in time"):
        log_in(paths, array, timeout=0.5)
    assert 0.4 < time.monotonic() - start < 5


def test_an_iscsiadm_that_hangs_after_its_login_is_success(paths: Paths, node: Any, array: Any) -> None:
    """open-iscsi 2.1.10 hangs in --login with manual scan: sysfs is believed, not the command."""
    node.faults.login_hangs = set(array.portals)
    start = time.monotonic()
    assert log_in(paths, array) == sorted(array.portals)
    assert time.monotonic() - start < iscsi.STRAGGLERS + 2


def test_status_15_alone_is_no_session(paths: Paths, node: Any, array: Any) -> None:
    """node-attach.md, fact 6: iscsid says "session exists" while it is still trying."""
    for portal in array.portals:
        node.faults.login_slow[portal] = 0.6 * node.settings.speed
    others = [Thread(target=log_in, args=(paths, array)) for _ in range(2)]
    for other in others:
        other.start()
    assert log_in(paths, array) == sorted(array.portals)
    for other in others:
        other.join()
    assert len(node.sessions) == len(array.portals)


def test_a_daemon_that_does_not_run_is_named(paths: Paths, node: Any, array: Any) -> None:
    node.settings.iscsid = "stopped"
    with pytest.raises(NodeLacks, match="systemctl enable --now iscsid"):
        log_in(paths, array)


def test_a_tool_that_is_not_installed_is_named_with_its_packages(paths: Paths, node: Any, array: Any,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    (node.bin / "iscsiadm").unlink()
    monkeypatch.setattr("flex.node.command.FOLDERS", ())
    monkeypatch.setenv("PATH", str(node.bin))
    with pytest.raises(NodeLacks, match="open-iscsi .*iscsi-initiator-utils"):
        log_in(paths, array)


def test_chap_that_iscsid_conf_holds_is_used_and_never_shown(paths: Paths, node: Any, array: Any) -> None:
    array.add_host("node1", iqns=[node.iqn])
    array.set_chap("node1", host_user="node1", host_password="obviously-fake-secret")
    with pytest.raises(Unreachable, match="CHAP") as error:
        log_in(paths, array)
    Path(f"{node.root}/etc/iscsi/iscsid.conf").write_text(
        "# comment\nnode.session.auth.authmethod = CHAP\nnode.session.auth.username = node1\n"
        "node.session.auth.password = obviously-fake-secret\n#node.session.auth.username_in = nobody\n")
    assert log_in(paths, array) == sorted(array.portals)
    assert "obviously-fake-secret" not in str(error.value)


# Reading

@pytest.mark.parametrize("text, iqn", [
    ("InitiatorName=iqn.1993-08.org.debian:01:abc\n", "iqn.1993-08.org.debian:01:abc"),
    ("## DO NOT EDIT\n#InitiatorName=iqn.old\n  InitiatorName = iqn.new \n", "iqn.new"),
    ("InitiatorName=iqn.a\nInitiatorName=iqn.b\n", "iqn.b"),
    ("InitiatorName=\nInitiatorAlias=x\n", ""),
    ("GenerateName=yes\n", ""),
])
def test_the_initiator_is_the_last_name_that_is_no_comment(text: str, iqn: str) -> None:
    assert iscsi.parse_initiatorname(text) == iqn


def test_a_node_without_an_initiator_name_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NodeLacks, match="open-iscsi"):
        iscsi.initiator(Paths(str(tmp_path)))


@pytest.mark.parametrize("portal, address, port", [
    ("192.0.2.11:3260", "192.0.2.11", "3260"),
    ("192.0.2.11", "192.0.2.11", "3260"),
    ("[2001:db8::1]:3261", "2001:db8::1", "3261"),
    ("[2001:db8::1]", "2001:db8::1", "3260"),
    ("2001:db8::1", "2001:db8::1", "3260"),
])
def test_portals_are_split_at_the_last_colon(portal: str, address: str, port: str) -> None:
    assert iscsi.split_portal(portal) == (address, port)


def test_one_portal_has_one_text() -> None:
    assert iscsi.portal_text("2001:0DB8:0::1", "3260") == "[2001:db8::1]:3260"


@given(st.ip_addresses(), st.integers(1, 65535))
def test_portals_survive_the_way_to_text_and_back(address: Any, port: int) -> None:
    text = iscsi.portal_text(str(address), str(port))
    assert iscsi.split_portal(text) == (address.compressed, str(port))
    assert iscsi.portal_text(*iscsi.split_portal(text)) == text


PORTALS = ["10.0.0.5:3260", "10.1.200.5:3260", "10.9.0.5:3260", "[fd00::5]:3260"]


@pytest.mark.parametrize("cidrs, left", [
    ((), PORTALS),
    (("10.0.0.0/24", "10.1.0.0/16"), PORTALS[:2]),
    (("::/0",), PORTALS[3:]),
    (("10.9.0.5/24",), PORTALS[2:3]),
    (("0.0.0.0/0", "fd00::/8"), PORTALS),
])
def test_only_portals_inside_the_allowed_networks_are_used(cidrs: tuple[str, ...], left: list[str]) -> None:
    assert iscsi.allowed(PORTALS, cidrs) == left


def test_no_portal_inside_is_a_configuration_error_naming_both() -> None:
    with pytest.raises(ConfigError, match="10.9.0.5:3260.*PURE_ISCSI_ALLOWED_CIDRS.*198.51.100.0/24"):
        iscsi.allowed(PORTALS, ("198.51.100.0/24",))


def test_a_network_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="10.0.0.0/33"):
        iscsi.allowed(PORTALS, ("10.0.0.0/33",))


def test_an_array_without_iscsi_ports_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="PURE_FLASHARRAY_SAN_TYPE=FC"):
        iscsi.allowed([], ())
