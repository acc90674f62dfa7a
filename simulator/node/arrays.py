"""What the arrays show this node: asked of the fabric before each step that could notice a change.

Beside the fabric's arrays there may be foreign ones, which only this node knows: machines boot from them, or other
people's volumes are on them.
"""

import http.client
import os
from dataclasses import dataclass, field

from simulator.fabric import Row
from simulator.node.machine import Machine
from simulator.node.scsi import Unit

SILENT = (OSError, http.client.HTTPException)       # the simulator is in another process, and does not answer


def plain(wwn: str) -> str:
    """"52:4A:93:…" or "0x524a93…" -> "524a93…"."""
    return wwn.lower().replace(":", "").removeprefix("0x")


@dataclass
class Foreign:
    """A target that is none of the fabric's."""

    portals: list[str]
    units: dict[int, Unit] = field(default_factory=dict)


class Arrays:
    """The last answer of the fabric; `refresh` with the machine's lock held."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.foreign: dict[str, Foreign] = {}
        self.initiators = [machine.iqn]                     # and the WWNs of an FC node
        self._own = os.path.dirname(machine.tree.root) + "/volumes"
        self._units: dict[tuple[str, str], dict[int, Unit]] = {}      # (initiator, IQN or WWN) -> LUN -> unit
        self._states: dict[str, dict[str, str]] = {}                  # target -> portal -> state

    def refresh(self) -> None:
        """Ask again; while the fabric does not answer, the last answer stands."""
        try:
            units: dict[tuple[str, str], dict[int, Unit]] = {}
            for initiator in self.initiators:
                for lun in self._machine.fabric.luns(initiator):
                    unit = self._unit(lun)
                    for port in (lun["target"], *map(plain, lun["wwns"])):
                        units.setdefault((initiator, port), {})[unit.lun] = unit
            states: dict[str, dict[str, str]] = {}
            for row in self._machine.fabric.portals():
                states.setdefault(row["target"], {})[row["portal"]] = row["state"]
        except SILENT:
            return
        self._units, self._states = units, states

    def _unit(self, lun: Row) -> Unit:
        """Read one row of the fabric's `luns`."""
        serial = lun["serial"]
        file = lun["file"] or self._own_file(serial, lun["size"])
        return Unit(lun["lun"], "naa.624a9370" + serial.lower(), lun["size"], file, serial, volume=lun["volume"],
                    array=lun["array"])

    def _own_file(self, serial: str, size: int) -> str:
        """Bytes for a volume of a simulator that keeps none."""
        os.makedirs(self._own, exist_ok=True)
        file = f"{self._own}/{serial}"
        if not os.path.exists(file):
            with open(file, "wb"):
                os.truncate(file, size)
        return file

    def units(self, initiator: str, target: str) -> dict[int, Unit]:
        if foreign := self.foreign.get(target):
            return foreign.units
        return self._units.get((initiator, target), {})

    def portals(self, target: str) -> dict[str, str]:
        """Portal -> "up", "dark", "refused" or "absent"; empty when nobody knows the target."""
        if foreign := self.foreign.get(target):
            return dict.fromkeys(foreign.portals, "up")
        return self._states.get(target, {})
