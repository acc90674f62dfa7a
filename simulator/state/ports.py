"""Target ports of a FlashArray: iSCSI portals, FC and NVMe ports, and who is logged in at them.

A portal is "up"; "dark" (a pulled cable: it is listed, but nothing answers); "refused" (listed, connections refused);
or "absent" (not even listed). The array's REST does not tell the first three apart.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.state.array import ArrayState

STATES = ("up", "dark", "refused", "absent")


class Ports:
    """The ports of one array; all iSCSI portals share its IQN."""

    def __init__(self, array: "ArrayState", portals: Sequence[str], wwns: Sequence[str],
                 nvme_portals: Sequence[str]) -> None:
        self._array = array
        self.portals = dict.fromkeys(portals, "up")
        self.wwns = dict.fromkeys((wwn.replace(":", "").upper() for wwn in wwns), "up")
        self.nvme_portals = list(nvme_portals)
        self.logins: dict[tuple[str, str], None] = {}        # (initiator, portal) in order of login

    def set(self, port: str, state: str) -> None:
        """Change the state of a portal or of an FC port."""
        if state not in STATES:
            raise ValueError(f"a portal is one of {', '.join(STATES)}, not {state!r}")
        kind = self.portals if port in self.portals else self.wwns
        if port not in kind:
            raise KeyError(f"{self._array.name} has no port {port}")
        kind[port] = state
        self._array.plane.portal(self._array.name, port, state)

    def rows(self, *, nqn: bool) -> list[dict[str, Any]]:
        """`GET port`: every key on every row, the key `nqn` from REST 1.16."""
        found = [_row(f"CT{index % 2}.ETH{8 + index // 2}", iqn=self._array.iqn, portal=portal)
                 for index, portal in enumerate(self._listed(self.portals))]
        found += [_row(f"CT{index % 2}.FC{index // 2}", wwn=wwn) for index, wwn in enumerate(self._listed(self.wwns))]
        if nqn:
            found += [_row(f"CT{index % 2}.ETH{18 + index // 2}", portal=portal, nqn=self._array.nqn)
                      for index, portal in enumerate(self.nvme_portals)]
        else:
            for row in found:
                del row["nqn"]
        return found

    @staticmethod
    def _listed(ports: dict[str, str]) -> list[str]:
        return [port for port, state in ports.items() if state != "absent"]

    def initiator_rows(self) -> list[dict[str, Any]]:
        """`GET port?initiators=true`: who is logged in where, as a pretend node or data plane told."""
        return [{"iqn": initiator, "wwn": None, "portal": None, "target": None, "target_iqn": self._array.iqn,
                 "target_portal": portal, "target_wwn": None} for initiator, portal in self.logins]

    def network_rows(self) -> list[dict[str, Any]]:
        """`GET network`: one interface a portal, and the management one."""
        rows = [_interface(f"ct{index % 2}.eth{8 + index // 2}", portal.rpartition(":")[0].strip("[]"), "iscsi", index)
                for index, portal in enumerate(self._listed(self.portals))]
        return [*rows, _interface("vir0", "127.0.0.1", "management", len(rows))]


def _row(name: str, *, iqn: str | None = None, portal: str | None = None, wwn: str | None = None,
         nqn: str | None = None) -> dict[str, Any]:
    return {"name": name, "iqn": iqn, "portal": portal, "wwn": wwn, "nqn": nqn, "failover": None}


def _interface(name: str, address: str, service: str, number: int) -> dict[str, Any]:
    return {"name": name, "address": address, "netmask": "255.255.255.0", "gateway": None, "enabled": True,
            "services": [service], "mtu": 9000 if service == "iscsi" else 1500, "speed": 10_000_000_000,
            "hwaddr": f"24:a9:37:00:00:{number:02x}", "slaves": [], "subnet": None}
