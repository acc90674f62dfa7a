"""Fibre Channel is read from sysfs alone: adapters, the array's ports, and which pairs of them work."""

from pathlib import Path

import pytest

from flex.node import fc
from flex.paths import Paths
from flex.trouble import NodeLacks

ARRAY = ["52:4A:93:7B:25:8B:4D:00", "52:4A:93:7B:25:8B:4D:10"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A machine with two adapters, the second one without a cable."""
    paths = Paths(str(tmp_path))
    for host, name, state in (("host3", "0x21000024ff3c5c2a", "Online"), ("host4", "0x21000024ff3c5c2b", "Linkdown")):
        put(Path(paths.fc_hosts) / host, port_name=name, port_state=state)
    return paths


def put(directory: Path, **attributes: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in attributes.items():
        (directory / name).write_text(f"{value}\n")


def rport(paths: Paths, name: str, port: str, **attributes: str) -> None:
    put(Path(paths.fc_remote_ports) / name, **{"port_name": port, "port_state": "Online", "roles": "FCP Target",
                                               "scsi_target_id": "0", **attributes})


def test_initiators_are_the_adapters_that_are_online(paths: Paths) -> None:
    assert fc.initiators(paths) == ["21000024FF3C5C2A"]


def test_a_node_without_adapters_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NodeLacks, match="PURE_FLASHARRAY_SAN_TYPE"):
        fc.initiators(Paths(str(tmp_path)))


def test_a_node_whose_adapters_are_all_down_says_so(paths: Paths) -> None:
    put(Path(paths.fc_hosts) / "host3", port_state="Linkdown")
    with pytest.raises(NodeLacks, match="online"):
        fc.initiators(paths)


def test_each_pair_of_adapter_and_array_port_is_a_way(paths: Paths) -> None:
    """Channel from the remote port's name, target from scsi_target_id; other arrays' ports are not ours to scan."""
    rport(paths, "rport-3:0-7", "0x524a937b258b4d00", scsi_target_id="2")
    rport(paths, "rport-4:1-9", "0x524a937b258b4d10", scsi_target_id="5")
    rport(paths, "rport-3:0-8", "0x500a09821234abcd", scsi_target_id="3")
    ways = fc.usable(fc.ports(paths, ARRAY))
    assert [(way.place, way.via) for way in ways] == [((3, 0, 2), "524A937B258B4D00"), ((4, 1, 5), "524A937B258B4D10")]


@pytest.mark.parametrize("attributes", [{"port_state": "Blocked"}, {"roles": "FCP Initiator"}],
                         ids=["blocked", "no target"])
def test_a_port_that_does_not_work_is_known_and_not_used(paths: Paths, attributes: dict[str, str]) -> None:
    """Its devices are this array's all the same."""
    rport(paths, "rport-3:0-7", "0x524a937b258b4d00", **attributes)
    seen = fc.ports(paths, ARRAY)
    assert [port.nexus.place for port in seen] == [(3, 0, 0)]
    with pytest.raises(NodeLacks, match="offline"):
        fc.usable(seen)


def test_without_zoning_there_is_nothing_and_the_error_says_so(paths: Paths) -> None:
    rport(paths, "rport-3:0-7", "0x524a937b258b4d00", scsi_target_id="-1")
    with pytest.raises(NodeLacks, match="zoning"):
        fc.ports(paths, ARRAY)


@pytest.mark.parametrize("name, place", [("rport-3:0-7", (3, 0)), ("rport-12:1-0", (12, 1)), ("rport-x", None)])
def test_rport_names(name: str, place: tuple[int, int] | None) -> None:
    assert fc.parse_rport(name) == place
