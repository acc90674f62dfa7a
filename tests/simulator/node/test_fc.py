"""Fibre Channel on a pretend node (node-attach.md 2.1, 2.3)."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from simulator.fleet import Simulator
from tests.simulator.node.bench import Bench, a_bench, until

WWNS = ("52:00:00:00:00:00:00:a1", "52:00:00:00:00:00:00:a2")
NUMBERS = count(1)                  # the arrays of one simulator each have ports of their own


@pytest.fixture
def bench(sim: Simulator) -> Iterator[Bench]:
    """A node with two FC ports, zoned to two ports of an array that knows it."""
    number = next(NUMBERS)
    ports = [f"52:4A:93:70:00:00:{number:02X}:0{port}" for port in (1, 2)]
    with a_bench(sim, array={"wwns": ports}, wwns=WWNS) as made:
        made.array.delete_host("node1")
        made.array.add_host("node1", wwns=list(WWNS))
        made.node.zone(made.array.wwns)
        yield made


def ports(bench: Bench) -> list[Path]:
    return sorted(bench.sys("class/fc_remote_ports").iterdir())


def test_hosts_and_remote_ports_in_sysfs(bench: Bench) -> None:
    hosts = [bench.sys(f"class/fc_host/{host.name}") for host in sorted(bench.sys("class/fc_host").iterdir())]
    assert [host.joinpath("port_name").read_text().strip() for host in hosts] == [
        "0x" + wwn.replace(":", "") for wwn in WWNS]
    assert len(ports(bench)) == 4
    names = {port.joinpath("port_name").read_text().strip() for port in ports(bench)}
    assert names == {"0x" + wwn.replace(":", "").lower() for wwn in bench.array.wwns}
    assert {port.joinpath("roles").read_text() for port in ports(bench)} == {"FCP Target\n"}


def test_a_targeted_scan_finds_the_lun_below_its_remote_port(bench: Bench) -> None:
    wwid = bench.volume("v1")
    for port in ports(bench):
        target = port.joinpath("scsi_target_id").read_text().strip()
        host = port.name.partition(":")[0].removeprefix("rport-")
        bench.sys(f"class/scsi_host/host{host}/scan").write_text(f"0 {target} 1\n")
        until(lambda: list(bench.sys(f"class/scsi_host/host{host}/device/{port.name}").glob(f"target*/{host}:0:{target}:1")))
    assert {path.wwid for path in bench.node.paths} == {wwid}
    assert len(bench.node.paths) == 4
    until(lambda: bench.ask(f"add map {wwid}") == "ok\n")
    until(lambda: len(bench.map(wwid).paths) == 4)


def test_luns_come_back_by_themselves_at_boot(bench: Bench) -> None:
    bench.volume("v1")
    bench.node.reboot()
    assert len(bench.node.paths) == 4


def test_a_pulled_cable_blocks_then_fails_the_paths_and_they_return(bench: Bench) -> None:
    wwid = bench.volume("v1")
    bench.node.scan_everything()
    until(lambda: bench.ask(f"add map {wwid}") == "ok\n")
    until(lambda: len(bench.map(wwid).paths) == 4)
    bench.node.set_link(WWNS[0], up=False)
    assert [port.joinpath("port_state").read_text() for port in ports(bench)] == ["Blocked\n"] * 2 + ["Online\n"] * 2
    until(lambda: sorted(path.state for path in bench.node.paths) == ["running"] * 2 + ["transport-offline"] * 2)
    until(lambda: bench.ask('show paths raw format "%t"').split().count("failed") == 2)
    bench.node.set_link(WWNS[0], up=True)
    until(lambda: bench.ask('show paths raw format "%t"').split() == ["active"] * 4)
