"""Fibre Channel on this node: its WWPNs, and the array's ports that it sees. No login, no program: sysfs tells all.

There is nothing to configure: zoning shows the array's ports to the host adapters, and a targeted scan of one LUN of one
port brings in one path. Wildcard scans and `issue_lip` are never used: the one brings in every LUN of every array, the
other disturbs running I/O (node-attach.md 2.3).
"""

from collections.abc import Iterable

from arrays.tuples import NamedTuple
from flex.node import sysfs
from flex.node.scsi import Nexus
from flex.paths import Paths
from flex.trouble import NodeLacks


def initiators(paths: Paths) -> list[str]:
    """The WWPNs of the adapters that are online, 16 hex digits each; NodeLacks when there is none."""
    adapters = sysfs.entries(paths.fc_hosts, "host")
    online = [wwpn(sysfs.read(f"{paths.fc_hosts}/{host}/port_name")) for host in adapters
              if sysfs.read(f"{paths.fc_hosts}/{host}/port_state") == "Online"]
    if not adapters:
        raise NodeLacks("this node has no Fibre Channel adapter (nothing in /sys/class/fc_host): set "
                        "PURE_FLASHARRAY_SAN_TYPE=ISCSI, or check the adapter's driver")
    if not online:
        raise NodeLacks("no Fibre Channel adapter of this node is online: check cables and switch")
    return online


def known(paths: Paths) -> list[str]:
    """The WWPNs of all adapters, those among them whose cable is out."""
    return [wwpn(sysfs.read(f"{paths.fc_hosts}/{host}/port_name")) for host in sysfs.entries(paths.fc_hosts, "host")]


def wwpn(text: str) -> str:
    """A port name without "0x" and colons, in upper case: "0x21000024FF3C5C2A" and "21:00:…" are the same."""
    return text.strip().lower().removeprefix("0x").replace(":", "").upper()


class Port(NamedTuple):
    """One of an array's ports as one adapter of this node sees it."""

    nexus: Nexus
    online: bool


def ports(paths: Paths, array_ports: Iterable[str]) -> list[Port]:
    """Every pair of an adapter of this node and a port of the array, online or not; NodeLacks when there is none."""
    wanted = {wwpn(port) for port in array_ports}
    found = (_port(paths, name, wanted) for name in sysfs.entries(paths.fc_remote_ports, "rport-"))
    seen = [port for port in found if port]
    if not seen:
        raise NodeLacks("this node sees none of the array's Fibre Channel ports "
                        f"({', '.join(sorted(wanted)) or 'it has none'}): check the zoning")
    return seen


def usable(seen: Iterable[Port]) -> list[Nexus]:
    """The ways that work now; NodeLacks when none does."""
    online = [port.nexus for port in seen if port.online]
    if not online:
        raise NodeLacks("all of the array's Fibre Channel ports that this node knows are offline: check cables and switch")
    return online


def _port(paths: Paths, name: str, wanted: set[str]) -> Port | None:
    directory = f"{paths.fc_remote_ports}/{name}"
    port, place = wwpn(sysfs.read(f"{directory}/port_name")), parse_rport(name)
    target = sysfs.number(sysfs.read(f"{directory}/scsi_target_id"))
    if port not in wanted or place is None or target is None or target < 0:
        return None             # scsi_target_id is -1 for a port that was registered as an initiator only
    online = (sysfs.read(f"{directory}/port_state") == "Online"
              and "target" in sysfs.read(f"{directory}/roles").lower())
    return Port(Nexus(*place, target, port), online)


def parse_rport(name: str) -> tuple[int, int] | None:
    """(host, channel) of "rport-3:0-7"."""
    host, _, channel = name.removeprefix("rport-").rpartition("-")[0].partition(":")
    return (int(host), int(channel)) if host.isdigit() and channel.isdigit() else None
