"""Multipath maps of a pretend node (node-attach.md 2.4, 2.6, 2.8, 2.9)."""

import time

import pytest

from tests.simulator.node.bench import Bench, GiB, a_bench, until


def connected(bench: Bench, portals: int = 2, name: str = "v1") -> str:
    """A volume whose paths are there and known to multipathd, without asking for a map; returns its WWID."""
    wwid = bench.volume(name)
    if not bench.node.sessions:
        bench.login(portals)
    bench.scan("- - -")
    known = 'show paths raw format "%w"'
    until(lambda: bench.ask(known).split().count(wwid) == len(bench.node.sessions))
    return wwid


# Who makes a map

@pytest.mark.parametrize("mode, portals, made", [
    ("strict", 1, False), ("strict", 2, False), ("yes", 1, False), ("yes", 2, True), ("smart", 1, False),
    ("smart", 2, True), ("no", 1, True), ("no", 2, True)])
def test_what_find_multipaths_makes_by_itself(bench: Bench, mode: str, portals: int, made: bool) -> None:
    bench.node.settings.find_multipaths = mode
    wwid = connected(bench, portals)
    time.sleep(2 * bench.node.settings.udev_delay / bench.node.settings.speed)
    assert bool(bench.map(wwid)) == made
    assert bench.ask(f"add map {wwid}") == "ok\n"
    assert len(bench.map(wwid).paths) == portals


def test_add_map_fails_until_multipathd_has_seen_a_path(bench: Bench) -> None:
    bench.node.settings.udev_delay = 20.0
    wwid = bench.volume("v1")
    bench.login(portals=1)
    bench.scan("0 0 1")
    until(lambda: bench.node.paths)
    assert bench.ask(f"add map {wwid}") == "fail\n"
    until(lambda: bench.ask(f"add map {wwid}") == "ok\n")
    assert bench.ask(f"add map {wwid}") == "ok\n"
    assert (bench.node.root / "etc/multipath/wwids").read_text() == f"/{wwid}/\n"


def test_a_wwid_in_the_wwids_file_is_assembled_by_itself_with_one_path(bench: Bench) -> None:
    wwid = connected(bench, portals=1)
    bench.ask(f"add map {wwid}")
    until(lambda: bench.ask(f"del map {wwid}") == "ok\n")
    for path in bench.node.paths:
        bench.sys(f"bus/scsi/devices/{path.hctl}/delete").write_text("1")
    until(lambda: not bench.node.paths)
    bench.scan("0 0 1")
    until(lambda: bench.map(wwid))


def test_the_second_path_joins_by_itself(bench: Bench) -> None:
    bench.array.set_portal(bench.portals[1], "dark")
    wwid = bench.volume("v1")
    bench.login(portals=1)
    bench.scan("0 0 1")
    until(lambda: bench.ask(f"add map {wwid}") == "ok\n")
    bench.array.set_portal(bench.portals[1], "up")
    bench.iscsiadm("-p", bench.portals[1], "-o", "new")
    bench.iscsiadm("-p", bench.portals[1], "--login")
    bench.scan("0 0 1")
    until(lambda: len(bench.map(wwid).paths) == 2)


def test_add_path_alone_makes_no_map(bench: Bench) -> None:
    wwid = connected(bench)
    assert bench.ask("add path sdb") == "ok\n"
    assert bench.map(wwid) is None


def test_a_blacklisted_wwid_never_gets_a_map(bench: Bench) -> None:
    wwid = bench.volume("v1")
    bench.node.settings.blacklist.add(wwid)
    bench.login(portals=1)
    bench.scan("0 0 1")
    until(lambda: bench.ask('show paths raw format "%d"'))
    assert bench.ask(f"add map {wwid}") == "fail\n"
    assert wwid in bench.ask("show blacklist")
    assert "sdb devnode blacklisted, unmonitored" in bench.ask("show devices")


# What a map shows

def test_a_map_in_sysfs(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    assert bench.read("block/dm-0/dm/uuid") == f"mpath-{wwid}"
    assert bench.read("block/dm-0/dm/name") == wwid
    assert sorted(path.name for path in bench.sys("block/dm-0/slaves").iterdir()) == ["sdb", "sdc"]
    assert int(bench.read("block/dm-0/size")) * 512 == GiB
    assert bench.read(f"dev/block/{bench.read('block/dm-0/dev')}/dm/uuid") == f"mpath-{wwid}"
    assert [path.name for path in bench.sys("block/sdb/holders").iterdir()] == ["dm-0"]
    assert (bench.node.root / "dev/dm-0").exists()
    until((bench.node.root / f"dev/mapper/{wwid}").exists)


@pytest.mark.parametrize("friendly", [True, False])
def test_friendly_names_and_aliases(bench: Bench, friendly: bool) -> None:
    """add map takes the WWID; orders about a map want its name."""
    wwid, name = connected(bench), "mpatha" if friendly else "data"
    bench.node.settings.user_friendly_names = friendly
    if not friendly:
        bench.node.settings.aliases[wwid] = name
    assert bench.ask(f"add map {wwid}") == "ok\n"
    assert bench.read("block/dm-0/dm/name") == name
    for order in ("resize", "disablequeueing", "del"):
        until(lambda order=order: bench.ask(f"{order} map {wwid}") == "fail\n")
        until(lambda order=order: bench.ask(f"{order} map {name}") == "ok\n")
    assert bench.map(wwid) is None


def test_show_commands(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    assert bench.ask('show paths format "%w %t %T"').splitlines()[1:] == [f"{wwid} active ready"] * 2
    assert bench.ask('show paths raw format "%d %t"') == "sdb active\nsdc active\n"
    assert bench.ask("show maps").splitlines()[1].split() == [wwid, "dm-0", wwid]
    assert bench.ask('show maps raw format "%w %Q"') == f"{wwid} off\n"
    assert bench.run("multipathd", "show", "paths", "format", "%w %t %T").out == bench.ask('show paths format "%w %t %T"')
    topology = bench.run("multipath", "-ll").out
    assert wwid in topology and topology.count("active ready running") == 2
    assert bench.ask("make tea") == "fail\n"


# multipathd as a process

def test_the_command_says_what_the_socket_says(bench: Bench) -> None:
    wwid = connected(bench)
    bench.node.faults.map_fails = 1
    assert bench.run("multipathd", "add", "map", wwid)[:2] == (1, "fail\n")
    bench.node.faults.map_fails, bench.node.settings.fail_exits_0 = 1, True
    assert bench.run("multipathd", "add", "map", wwid)[:2] == (0, "fail\n")
    bench.node.faults.map_timeout = 1
    assert bench.run("multipathd", "add", "map", wwid)[:2] == (0, "timeout\n")
    assert bench.run("multipathd", "add", "map", wwid)[:2] == (0, "ok\n")
    assert bench.map(wwid)


def test_a_stopped_multipathd_keeps_maps_and_answers_nobody(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    bench.node.settings.multipathd = "stopped"
    assert bench.run("multipathd", "show", "paths").status == 1
    with pytest.raises(ConnectionRefusedError):
        until(lambda: not bench.ask("show paths"))
    assert bench.map(wwid)
    other = bench.volume("v2")
    bench.scan("0 0 2")
    until(lambda: len(bench.node.paths) == 4)
    assert bench.run("multipath", "-v1", other).status == 0
    assert len(bench.map(other).paths) == 2


def test_a_multipathd_that_is_started_again_looks_at_the_paths_there_are(bench: Bench) -> None:
    bench.node.settings.multipathd = "stopped"
    wwid = bench.volume("v1")
    bench.login()
    bench.scan("0 0 1")
    until(lambda: len(bench.node.paths) == 2)
    time.sleep(2 * bench.node.settings.udev_delay / bench.node.settings.speed)
    bench.node.settings.multipathd = "running"
    until(lambda: bench.run("multipathd", "add", "map", wwid).out == "ok\n")
    assert len(bench.map(wwid).paths) == 2


def test_faults_of_multipathd(bench: Bench) -> None:
    wwid = connected(bench)
    bench.node.faults.map_never = True
    assert bench.ask(f"add map {wwid}") == "fail\n"
    bench.node.faults.map_never = False
    assert bench.ask(f"add map {wwid}") == "ok\n"
    bench.node.faults.map_in_use = 2
    assert [bench.run("multipath", "-f", wwid).status for _ in range(2)] == [1, 1]
    until(lambda: bench.run("multipath", "-f", wwid).status == 0)


def test_without_multipath_tools_there_is_no_executable(bench: Bench) -> None:
    bench.node.settings.multipathd = "absent"
    until(lambda: not (bench.node.bin / "multipathd").exists())
    assert not (bench.node.bin / "multipath").exists()
    bench.node.settings.multipathd = "running"
    until((bench.node.bin / "multipathd").exists)


# Paths fail and return

def test_failed_paths_are_reinstated_when_the_volume_is_back(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    bench.array.disconnect("node1", "v1")
    states = 'show paths raw format "%t %T"'
    until(lambda: bench.ask(states) == "failed faulty\nfailed faulty\n")
    bench.array.connect("node1", "v1", 1)
    until(lambda: bench.ask(states) == "active ready\nactive ready\n")


def test_with_queueing_io_waits_until_a_path_is_back_or_queueing_is_off(bench: Bench) -> None:
    bench.node.settings.no_path_retry = "queue"
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    for end in ("path", "queueing"):
        bench.array.disconnect("node1", "v1")
        bench.node.refresh()
        with bench.start("blkid", "-p", f"{bench.node.root}/dev/dm-0") as blkid:
            until(lambda: bench.node.commands[-1].argv[0] == "blkid")
            time.sleep(0.05)
            assert blkid.poll() is None
            if end == "path":
                bench.array.connect("node1", "v1", 1)
            else:
                assert bench.ask(f"disablequeueing map {wwid}") == "ok\n"
            assert blkid.wait(10) == 2


# Removing

def test_a_map_is_in_use_while_mounted_and_for_a_moment_after(bench: Bench) -> None:
    bench.node.settings.map_held = 10.0
    _, directory = bench.mounted("v1")
    name = bench.node.maps[0].alias
    time.sleep(0.11)
    done = bench.run("multipath", "-f", name)
    assert done.status == 1 and "map in use" in done.out + done.err
    assert bench.ask(f"del map {name}") == "fail\n"
    bench.run("umount", directory)
    assert bench.ask(f"del map {name}") == "fail\n"
    until(lambda: bench.run("multipath", "-f", name).status == 0)
    assert bench.node.maps == [] and not bench.sys("block/dm-0").exists()
    assert not list(bench.sys("block/sdb/holders").iterdir())
    assert bench.run("multipath", "-f", name).status == 1


def test_a_map_without_paths_vanishes_unless_something_has_it_open(bench: Bench) -> None:
    _, directory = bench.mounted("v1")
    idle = connected(bench, name="v2")
    bench.ask(f"add map {idle}")
    for path in bench.node.paths:
        bench.sys(f"bus/scsi/devices/{path.hctl}/delete").write_text("1")
    until(lambda: not bench.node.paths)
    assert [each.paths for each in bench.node.maps] == [()]
    assert bench.map(idle) is None
    bench.scan("0 0 1")
    until(lambda: len(bench.node.maps[0].paths) == 2)
    bench.node.write(f"{directory}/revived", "yes")


def test_dm_numbers_are_reused(bench: Bench) -> None:
    first, second = connected(bench, name="v1"), connected(bench, name="v2")
    bench.ask(f"add map {first}")
    until(lambda: bench.ask(f"del map {first}") == "ok\n")
    bench.ask(f"add map {second}")
    assert bench.read("block/dm-0/dm/uuid") == f"mpath-{second}"


def test_forgetting_a_wwid(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    assert bench.run("multipath", "-w", wwid).status == 0
    assert wwid not in (bench.node.root / "etc/multipath/wwids").read_text()


# Resizing

def test_a_map_takes_a_new_size_when_all_its_paths_have_it(bench: Bench) -> None:
    wwid = connected(bench)
    bench.ask(f"add map {wwid}")
    bench.array.resize_volume("v1", 2 * GiB)
    first, second = (bench.sys(f"bus/scsi/devices/{path.hctl}/rescan") for path in bench.node.paths)
    first.write_text("1")
    until(lambda: bench.node.paths[0].size == 2 * GiB)
    assert bench.ask(f"resize map {wwid}") == "fail\n"
    assert bench.map(wwid).size == GiB
    second.write_text("1")
    until(lambda: bench.node.paths[1].size == 2 * GiB)
    assert bench.ask(f"resize map {wwid}") == "ok\n"
    assert int(bench.read("block/dm-0/size")) * 512 == 2 * GiB


def test_twenty_volumes_at_once(sim: object) -> None:
    with a_bench(sim) as bench:                              # type: ignore[arg-type]
        wwids = [bench.volume(f"v{number}") for number in range(20)]
        bench.login()
        bench.scan("- - -")
        for wwid in wwids:
            until(lambda wwid=wwid: bench.ask(f"add map {wwid}") == "ok\n")
        assert {each.wwid for each in bench.node.maps} == set(wwids)
        until(lambda: all(len(each.paths) == 2 for each in bench.node.maps))
