"""Maps: found by WWID whatever they are called, made in every mode of find_multipaths, removed when udev lets go."""

from pathlib import Path
from typing import Any

import pytest

from arrays.errors import Busy, NeverHappened
from flex import device
from flex.node import blockdev, multipath, scsi
from flex.paths import Paths
from flex.trouble import NodeLacks, NotTheVolume
from flex.wait import Deadline, wait_for


@pytest.fixture
def paths(node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """The files of a node that is logged in to an array and has volume v at LUN 7, without a map."""
    for name, value in node.environment().items():
        monkeypatch.setenv(name, value)
    array.add_volume("v", 1 << 30)
    array.add_host("node1", iqns=[node.iqn])
    array.connect("node1", "v", 7)
    node.refresh()
    return Paths(str(node.root))


def scanned(paths: Paths, array: Any, timeout: float = 20.0) -> str:
    """Bring the paths of v in; returns its WWID."""
    from flex.node import iscsi
    up = iscsi.log_in(paths, array.iqn, array.portals, timeout)
    wwid = wwid_of(array)
    assert len(device.find_paths(paths, [session.nexus for session in up], 7, wwid, Deadline(20))) == 2
    return wwid


def wwid_of(array: Any) -> str:
    return f"3624a9370{array.volume('v').serial.lower()}"


@pytest.mark.parametrize("mode", ["strict", "yes", "smart", "no", "greedy"])
def test_a_map_is_made_in_every_mode_without_changing_the_configuration(paths: Paths, node: Any, array: Any,
                                                                        mode: str) -> None:
    node.settings.find_multipaths = mode
    wwid = scanned(paths, array)
    found = multipath.add(paths, wwid, ["sdb", "sdc"], 10)
    assert (found.wwid, found.node, found.number) == (wwid, "dm-0", "253:0")
    assert multipath.add(paths, wwid, ["sdb", "sdc"], 10) == found


@pytest.mark.parametrize("called", ["friendly", "alias", "wwid"])
def test_a_map_is_found_by_wwid_whatever_its_name(paths: Paths, node: Any, array: Any, called: str) -> None:
    """AT-59; and commands about it use its name, for some take nothing else."""
    node.settings.user_friendly_names = called == "friendly"
    node.settings.aliases = {wwid_of(array): "my-data"} if called == "alias" else {}
    wwid = scanned(paths, array)
    found = multipath.add(paths, wwid, ["sdb", "sdc"], 10)
    assert found.name == {"friendly": "mpatha", "alias": "my-data", "wwid": wwid}[called]
    multipath.remove(paths, found, 10)
    assert multipath.find(paths, wwid) is None and node.maps == []


def test_a_fresh_path_is_asked_for_until_multipathd_has_seen_it(paths: Paths, node: Any, array: Any) -> None:
    node.faults.map_fails, node.faults.map_timeout = 3, 1
    assert multipath.add(paths, scanned(paths, array), ["sdb", "sdc"], 10).node == "dm-0"


def test_older_multipathd_is_asked_through_its_command(paths: Paths, node: Any, array: Any,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """Their socket has another name, and they exit 0 when they say fail."""
    node.settings.fail_exits_0 = True
    node.faults.map_fails = 2
    wwid = scanned(paths, array)
    monkeypatch.setattr(Paths, "multipathd_socket", "\0nobody-listens-here")
    assert multipath.add(paths, wwid, ["sdb", "sdc"], 10).wwid == wwid
    assert ("multipathd", "add", "map", wwid) in [command.argv for command in node.commands]


@pytest.mark.parametrize("state, words", [("stopped", "systemctl enable --now multipathd"),
                                          ("absent", "multipath-tools .*device-mapper-multipath")])
def test_a_node_without_multipathd_says_what_to_do(paths: Paths, node: Any, array: Any, state: str, words: str,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a single path in its place: multipathd could not take it over when it starts."""
    wwid = scanned(paths, array)
    node.settings.multipathd = state
    node.refresh()
    if state == "absent":
        (node.bin / "multipathd").unlink()
        monkeypatch.setattr("flex.node.command.FOLDERS", ())
        monkeypatch.setenv("PATH", str(node.bin))
    monkeypatch.setattr(Paths, "multipathd_socket", "\0nobody-listens-here")
    with pytest.raises(NodeLacks, match=words):
        multipath.add(paths, wwid, ["sdb", "sdc"], 5)


def test_a_blacklisted_volume_is_named_and_the_file_to_change(paths: Paths, node: Any, array: Any) -> None:
    node.settings.blacklist = {wwid_of(array)}
    with pytest.raises(NodeLacks, match="blacklist in /etc/multipath.conf"):
        multipath.add(paths, scanned(paths, array), ["sdb", "sdc"], 0.3)


def test_a_path_that_multipathd_has_not_seen_yet_is_no_blacklisted_one(paths: Paths, node: Any, array: Any,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """On a node that is very busy udev's events come late: seen on a real one."""
    wwid = scanned(paths, array)
    answers = {"show devices": "available block devices:\n    sdb devnode whitelisted, unmonitored\n"}
    monkeypatch.setattr(multipath, "ask", lambda paths, request, timeout=0: answers.get(request, "fail"))
    with pytest.raises(NeverHappened, match="has not taken in sdb: it is busy, or"):
        multipath.add(paths, wwid, ["sdb", "sdc"], 0.3)


def test_multipathd_is_not_pestered(paths: Paths, node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request makes it look at all of its paths; twenty call-outs that ask at once kept a real one from its work."""
    wwid = scanned(paths, array)
    asked = []
    monkeypatch.setattr(multipath, "ask", lambda paths, request, timeout=0: asked.append(request) or "fail")
    with pytest.raises(NeverHappened):
        multipath.add(paths, wwid, ["sdb", "sdc"], 1.0)
    assert 3 < asked.count(f"add map {wwid}") < 15


def test_multipathd_is_asked_at_once_when_udev_has_dealt_with_a_path(
        paths: Paths, node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wwid = scanned(paths, array)
    monkeypatch.setattr(multipath, "FIRST_PAUSE", 50.0)
    monkeypatch.setattr(multipath, "LONGEST_PAUSE", 50.0)
    node.faults.map_fails = 1
    name = scsi.of_wwid(paths, wwid)[0].name
    asking = multipath._Asking(paths, wwid, [name])
    assert asking.look() is None and asking.look() is None
    wait_for(lambda: wwid in multipath.ask(paths, 'show paths raw format "%w"'), "multipathd to see the path", 10)
    database = Path(paths.at(f"/run/udev/data/b{blockdev.number_of(paths, name)}"))
    database.parent.mkdir(parents=True)
    database.write_text("S:disk/by-id/scsi-x\n")
    wait_for(asking.look, "the map", 10)


def test_a_map_that_never_comes_says_what_multipathd_said(paths: Paths, node: Any, array: Any) -> None:
    node.faults.map_never = True
    with pytest.raises(NeverHappened, match="multipathd says 'fail'"):
        multipath.add(paths, scanned(paths, array), ["sdb", "sdc"], 0.3)


def test_a_map_that_udev_still_holds_is_removed_when_it_lets_go(paths: Paths, node: Any, array: Any) -> None:
    """node-attach.md, fact 10: "map in use" right after use means little."""
    found = multipath.add(paths, scanned(paths, array), ["sdb", "sdc"], 10)
    node.faults.map_in_use = 4
    multipath.remove(paths, found, 10)
    assert node.maps == []


def test_a_map_in_use_stays_and_its_users_are_named(paths: Paths, node: Any, array: Any) -> None:
    found = multipath.add(paths, scanned(paths, array), ["sdb", "sdc"], 10)
    holder = Path(f"{paths.sys_block}/dm-0/holders/dm-9")
    holder.mkdir()
    node.faults.map_in_use = 10 ** 6
    with pytest.raises(Busy, match="device dm-9"):
        multipath.remove(paths, found, 0.3)
    holder.rmdir()


def test_a_map_that_stands_on_another_volume_is_refused(paths: Paths, node: Any, array: Any) -> None:
    """node-attach.md 2.7: a LUN reused under an old device; the next write would be to somebody else's data."""
    wwid = scanned(paths, array)
    found = multipath.add(paths, wwid, ["sdb", "sdc"], 10)
    path, _ = scsi.of_wwid(paths, wwid)
    (Path(path.directory) / "wwid").write_text(f"naa.624a9370{'0' * 24}\n")
    with pytest.raises(NotTheVolume, match=f"{path.name}.*a LUN was reused"):
        multipath.check_slaves(paths, found)


def test_whether_a_path_carries_io_is_multipathds_to_say(paths: Paths, node: Any, array: Any) -> None:
    wwid = scanned(paths, array)
    multipath.add(paths, wwid, ["sdb", "sdc"], 10)
    assert multipath.has_usable_path(paths, wwid)
    node.settings.no_path_retry = "queue"
    assert not multipath.is_queueing(paths, wwid)       # it was made before that setting
    array.disconnect("node1", "v")
    node.refresh()
    wait_for(lambda: not multipath.has_usable_path(paths, wwid), "the checker", 10)


def test_older_multipathd_is_asked_again_without_raw(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {'show paths raw format "%w %d %t %T"': "fail",
               'show paths format "%w %d %t %T"': "uuid dev dm_st chk_st\n3624a93701 sdb failed faulty"}
    monkeypatch.setattr(multipath, "ask", lambda paths, request, timeout=0: answers[request])
    assert not multipath.has_usable_path(paths, "3624a93701")


def test_when_multipathd_cannot_tell_a_path_that_is_there_counts(paths: Paths, node: Any, array: Any,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    wwid = scanned(paths, array)
    node.settings.multipathd = "stopped"
    monkeypatch.setattr(Paths, "multipathd_socket", "\0nobody-listens-here")
    assert multipath.has_usable_path(paths, wwid) and not multipath.has_usable_path(paths, "3624a93700")
    assert multipath.is_queueing(paths, wwid)


# Answers

def test_show_paths_is_read_with_and_without_a_header() -> None:
    text = "uuid dev dm_st chk_st\n3624a93701 sdb active ready\n3624a93701 sdc failed faulty\n 3624a93702 sdd undef ready\n"
    rows = [("3624a93701", "active"), ("3624a93701", "failed"), ("3624a93702", "undef")]
    assert multipath.parse_paths(text) == multipath.parse_paths(text.partition("\n")[2]) == rows


def test_show_devices_tells_what_is_left_out() -> None:
    text = ("available block devices:\n    sda devnode whitelisted, monitored\n    sdb devnode blacklisted, unmonitored\n"
            "    sdc devnode whitelisted, unmonitored\n    dm-0 devnode blacklisted, unmonitored\n")
    assert multipath.parse_devices(text, "blacklisted") == {"sdb", "dm-0"}
    assert multipath.parse_devices(text, "unmonitored") == {"sdb", "sdc", "dm-0"}


def test_show_maps_tells_who_queues() -> None:
    assert multipath.parse_queueing("3624a on\n3624b off\n3624c -\n3624d 12 chk\n") == {
        "3624a": "on", "3624b": "off", "3624c": "-", "3624d": "12 chk"}
