"""Imports point one way, and each kind of effect has one door. Read with ast, so nothing is run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("arrays", "flex", "provisioner", "daemonset", "explorer", "simulator")

# Which rooms a room may import beside itself.
ALLOWED = {
    "arrays": set(),
    "simulator": set(),
    "flex": {"arrays"},
    "provisioner": {"arrays"},
    "daemonset": {"arrays"},
    "explorer": {"arrays", "provisioner"},
}

# The only modules that may import these.
DOORS = {
    "subprocess": {"flex/node/command.py"},
    "purestorage": {"arrays/flasharray.py", "arrays/purestorage_session.py"},
    "kubernetes": {"provisioner/kube.py"},
    "flask": {"explorer/pages.py"},
    "waitress": {"explorer/serve.py"},
}
PROCESSES = {"flex/node/command.py", "flex/node/aside.py"}


# Starts the driver inside the bundle: part of what nodes run, not of the builder beside it.
SHIPPED = ROOT / "daemonset/bundle/main.py"


def modules(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*.py")) if path != SHIPPED]


@cache
def nodes(path: Path) -> list[ast.Import | ast.ImportFrom | ast.Attribute]:
    """What a module imports and which attributes it names: all that the tests below look at."""
    kinds = (ast.Import, ast.ImportFrom, ast.Attribute)
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def imports(path: Path) -> Iterator[str]:
    """Full dotted names of all that a module imports, wherever in it the import stands."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield node.module or ""


@cache
def attributes(path: Path) -> set[str]:
    return {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_lies_below_them(room: str) -> None:
    for path in modules(room):
        used = {name.split(".")[0] for name in imports(path)} & {*ROOMS, "tests"}
        extra = used - {room} - ALLOWED[room]
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}"


@pytest.mark.parametrize("library", sorted(DOORS))
def test_effects_have_one_door(library: str) -> None:
    for room in ("arrays", "flex", "provisioner", "explorer"):
        for path in modules(room):
            name = str(path.relative_to(ROOT))
            if library in {used.split(".")[0] for used in imports(path)}:
                assert name in DOORS[library], f"{name} imports {library}: go through {sorted(DOORS[library])}"


@pytest.mark.parametrize("call", ["posix_spawn", "posix_spawnp", "fork", "system", "popen", "execve", "execvp"])
def test_processes_begin_in_one_place(call: str) -> None:
    """aside.py forks without exec: the child only writes one sysfs file, which may block it for minutes."""
    for room in ("arrays", "flex", "provisioner", "explorer"):
        for path in modules(room):
            name = str(path.relative_to(ROOT))
            assert call not in attributes(path) or name in PROCESSES, f"{name} uses os.{call}"


def test_environment_is_read_in_settings_only() -> None:
    allowed = {"flex/settings.py", "flex/node/command.py", "provisioner/settings.py", "daemonset/settings.py"}
    for room in ("arrays", "flex", "provisioner", "daemonset", "explorer"):
        for path in modules(room):
            name = str(path.relative_to(ROOT))
            reads = {"environ", "getenv"} & attributes(path)
            assert not reads or name in allowed, f"{name} reads the environment: that is settings.py's"
