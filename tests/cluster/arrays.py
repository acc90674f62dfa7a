"""The pretend arrays of the cluster: the simulator as a process beside the control plane, on its address.

Nodes and pods reach them over the bridge; the storage network (portals, LUNs, exports) is the pretend nodes' affair.
"""

import json
import sys
from pathlib import Path
from typing import Any

from simulator.fabric import RemoteFabric
from tests.cluster import processes
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside

CHECKOUT = Path(__file__).resolve().parents[2]
FLEET = ["--flash-array", "fa1,label.env=prod,label.rack=rack-1", "--flash-array", "fa2,label.env=dev,label.rack=rack-2",
         "--flash-blade", "fb1,label.env=dev"]
CA_IN_PODS = "/etc/pure/ca.pem"      # beside pure.json in the Secret; nodes have it at the same place


class Arrays:
    """Two FlashArrays and a FlashBlade; `state` is what they hold now."""

    def __init__(self, work: Path) -> None:
        self.directory = work / "arrays"
        self._work = work
        self._fabric = RemoteFabric(self.directory)

    def start(self) -> None:
        """Start them and wait until they serve."""
        processes.start(self._work, "arrays", [
            *inside(CONTROL), sys.executable, "-m", "simulator", "--directory", str(self.directory), "--plane", "files",
            "--listen", CONTROL_ADDRESS, *FLEET], {"PYTHONPATH": str(CHECKOUT)})
        processes.wait("the pretend arrays", (self.directory / "pure.json").exists, 30)

    @property
    def ca(self) -> str:
        """PEM of the CA that signed the arrays' certificates."""
        return (self.directory / "ca.pem").read_text()

    def pure_json(self) -> dict[str, Any]:
        """The fleet as users configure it, certificates verified."""
        fleet: dict[str, Any] = json.loads((self.directory / "pure.json").read_text())
        for entry in [*fleet["FlashArrays"], *fleet["FlashBlades"]]:
            entry["VerifyTLS"] = CA_IN_PODS
        return fleet

    def volumes(self) -> dict[str, dict[str, Any]]:
        """All volumes of all FlashArrays by name: array, size, destroyed, connections {host: lun}."""
        return {volume["name"]: {**volume, "array": array["name"]} for array in self._state()["flash_arrays"]
                for volume in array["volumes"]}

    def alive(self) -> dict[str, dict[str, Any]]:
        """Volumes that nobody destroyed."""
        return {name: volume for name, volume in self.volumes().items() if not volume["destroyed"]}

    def file_systems(self) -> dict[str, dict[str, Any]]:
        """All file systems by name."""
        return {system["name"]: system for blade in self._state()["flash_blades"] for system in blade["file_systems"]}

    def requests(self, array: str) -> list[Any]:
        """Every request an array has answered."""
        return list(self._fabric.ask("GET", "/requests", {"array": array}))

    def break_it(self, array: str, **fault: Any) -> None:
        """Let requests fail or hang until `mend`: fields of simulator.faults."""
        self._fabric.ask("POST", "/faults", {"array": array, **fault})

    def mend(self, array: str) -> None:
        """Clear all faults of an array."""
        self._fabric.ask("DELETE", "/faults", {"array": array})

    def _state(self) -> dict[str, Any]:
        return dict(self._fabric.ask("GET", "/state", {}))
