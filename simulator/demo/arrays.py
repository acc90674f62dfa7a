"""What the pretend arrays know, asked past their REST interface: for checking what the demo claims."""
from pathlib import Path
from typing import Any

from simulator.fabric import RemoteFabric

Row = dict[str, Any]


class Arrays:
    """Looks at the simulator that runs in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.fabric = RemoteFabric(directory)

    @property
    def flash_arrays(self) -> list[Row]:
        """State of each FlashArray."""
        rows: list[Row] = self.fabric.ask("GET", "/state", {})["flash_arrays"]
        return rows

    @property
    def flash_blades(self) -> list[Row]:
        """State of each FlashBlade."""
        rows: list[Row] = self.fabric.ask("GET", "/state", {})["flash_blades"]
        return rows

    def volume(self, name: str) -> tuple[str, Row]:
        """(array, volume); ("", {}) when no array has it."""
        for array in self.flash_arrays:
            for volume in array["volumes"]:
                if volume["name"] == name:
                    return array["name"], volume
        return "", {}

    def file_system(self, name: str) -> Row:
        """A file system of any FlashBlade; {} when there is none."""
        return next((system for blade in self.flash_blades for system in blade["file_systems"]
                     if system["name"] == name), {})

    def connected(self, name: str) -> set[str]:
        """IQNs of the hosts a volume is connected to."""
        for array in self.flash_arrays:
            for volume in array["volumes"]:
                if volume["name"] == name:
                    return {iqn for host in array["hosts"] if host["name"] in volume["connections"]
                            for iqn in host["iqns"]}
        return set()
