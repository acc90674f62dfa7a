"""Fibre Channel on a pretend node: fc_hosts, remote ports, and what scans see through them (node-attach.md 2.3).

There is no login. Zoning decides which of an array's ports a host sees; at link up and at boot the FC layer scans all
LUNs by itself, and there is no manual mode.
"""

from dataclasses import dataclass, field

from simulator.node.arrays import Arrays, plain
from simulator.node.machine import Machine
from simulator.node.scsi import Host, Scsi, Unit

PCI = "/sys/devices/pci0000:00/0000:00:05.0"
FAST_IO_FAIL = 10.0             # seconds from link down until I/O fails


@dataclass(eq=False)
class RemotePort:
    """One port of an array as one fc_host sees it."""

    name: str                   # "rport-1:0-0"
    portal: str                 # the array's WWPN: "524a937012345600"
    host: Host
    initiator: str
    arrays: Arrays
    number: int
    devices: str = "running"
    target: str = field(default="")
    down: int = 0               # how often the link went down: timers of an older time do nothing

    def state(self) -> str:
        return self.devices

    def units(self) -> dict[int, Unit]:
        return self.arrays.units(self.initiator, self.portal)


class FibreChannel:
    """The node's FC ports."""

    def __init__(self, machine: Machine, scsi: Scsi, arrays: Arrays, wwns: list[str]) -> None:
        self._machine, self._tree, self._scsi, self._arrays = machine, machine.tree, scsi, arrays
        self._wwns = [plain(wwn) for wwn in wwns]
        self._zoned: list[str] = []
        self._hosts: dict[str, Host] = {}
        self.ports: list[RemotePort] = []
        arrays.initiators += self._wwns

    def start(self) -> None:
        """Boot: hosts come up and scan what they are zoned to."""
        self.ports.clear()
        for wwn in self._wwns:
            host = self._scsi.add_host(PCI, "qla2xxx")
            here = f"{host.directory}/fc_host/host{host.number}"
            self._tree.put(here, {"port_name": f"0x{wwn}\n", "node_name": f"0x{wwn}\n", "port_state": "Online\n",
                                  "port_type": "NPort (fabric via point-to-point)\n", "speed": "16 Gbit\n"})
            self._tree.link(f"{here}/device", host.directory)
            self._tree.link(f"/sys/class/fc_host/host{host.number}", here)
            self._hosts[wwn] = host
        for port in self._zoned:
            self._see(port)

    def zone(self, wwns: list[str]) -> None:
        """From now on every FC port of this node sees these ports of arrays."""
        for port in [plain(wwn) for wwn in wwns if plain(wwn) not in self._zoned]:
            self._zoned.append(port)
            self._see(port)

    def _see(self, portal: str) -> None:
        for wwn, host in self._hosts.items():
            number = len(host.channels)
            port = RemotePort(f"rport-{host.number}:0-{number}", portal, host, wwn, self._arrays, number, target=portal)
            self.ports.append(port)
            below = f"{host.directory}/{port.name}"
            here = f"{below}/fc_remote_ports/{port.name}"
            self._tree.put(here, {"port_name": f"0x{portal}\n", "node_name": f"0x{portal}\n", "port_state": "Online\n",
                                  "roles": "FCP Target\n", "scsi_target_id": f"{number}\n", "dev_loss_tmo": "600\n",
                                  "fast_io_fail_tmo": f"{FAST_IO_FAIL:g}\n"})
            self._tree.link(f"{here}/device", below)
            self._tree.link(f"/sys/class/fc_remote_ports/{port.name}", here)
            host.channels[0, number] = (port, f"{below}/target{host.number}:0:{number}")
            self._scsi.scan(host, "0", str(number))

    def set_link(self, wwn: str, up: bool) -> None:
        """Pull or plug a cable: of one of this node's ports, or of an array's."""
        for port in self.ports:
            if plain(wwn) in (port.initiator, port.portal):
                port.down += 1
                if up:
                    self._set(port, "Online", "running")
                    self._scsi.scan(port.host, "0", str(port.number))
                else:
                    self._set(port, "Blocked", "blocked")
                    time = port.down
                    self._machine.later(FAST_IO_FAIL, lambda port=port, time=time: (  # type: ignore[misc]
                        self._set(port, "Blocked", "transport-offline") if port.down == time else None))

    def _set(self, port: RemotePort, state: str, devices: str) -> None:
        port.devices = devices
        self._tree.write(f"/sys/class/fc_remote_ports/{port.name}/port_state", f"{state}\n")
        self._scsi.refresh()
