"""What the tests of FlashBlade file systems say again and again: what is mounted, what ran, what is written down."""

from pathlib import Path
from typing import Any

from flex import state
from flex.paths import Paths
from tests.flex.driver import Driver
from tests.flex.test_cli import tool

GiB = 1 << 30


def mounted(node: Any) -> list[tuple[str, str]]:
    return [(mount.source, mount.directory) for mount in node.mounts]


def spawned(node: Any) -> list[str]:
    return [" ".join(command.argv) for command in node.commands]


def record(node: Any, directory: Path) -> state.Record | None:
    return state.load(Paths(str(node.root)), str(directory))


def instead(flex: Driver, node: Any, name: str, script: str) -> None:
    """Put a script in the place of one of the node's tools."""
    folder = Path(node.root) / "instead"
    tool(folder / name, script)
    flex.environment["PATH"] = f"{folder}:{node.environment()['PATH']}"
