"""Copies of file systems, as the tests of copies ask for them and look at them."""

from typing import Any

from simulator.flashblade import FlashBlade

FILES = {"storage_class": "pure-file", "mode": "ReadWriteMany"}


def of_claim(name: str, **more: str) -> dict[str, Any]:
    """What makes a claim a copy of another one."""
    return {"dataSource": {"kind": "PersistentVolumeClaim", "name": name, **more}}


def sources(blade: FlashBlade) -> dict[str, str]:
    """File system -> the one it is a copy of, for all live copies."""
    copies = [found for found in blade.state.all() if found.source and not found.destroyed]
    return {found.name: found.source.partition(".")[0] for found in copies}


def live_snapshots(blade: FlashBlade) -> list[str]:
    return [found.name for found in blade.state.snapshots() if not found.destroyed]
