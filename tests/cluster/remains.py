"""What a cluster has left on the machine: processes, mounts, network namespaces, cgroups, loop devices, files."""

from collections.abc import Iterator
from pathlib import Path

from simulator.node import loops
from tests.cluster import machine
from tests.cluster.namespaces import PREFIX


def found(work: Path) -> list[str]:
    """One line for each thing of ours that is still there; `work` is the folder the cluster had."""
    return [*_files(work), *_processes(work), *_mounts(work), *_namespaces(), *_cgroups(), *_loops(work)]


def _files(work: Path) -> Iterator[str]:
    if work.exists():
        yield f"folder {work}"


def _processes(work: Path) -> Iterator[str]:
    """Those whose command line or root names the folder, and those in cgroups of ours."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, cgroup = (process / "cmdline").read_bytes(), (process / "cgroup").read_text()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue                        # it ended meanwhile
        if state != "Z" and (f"{work}/".encode() in command or f"/{PREFIX}node" in cgroup):
            yield f"process {process.name} {command.replace(bytes(1), b' ').decode(errors='replace')[:80]}"


def _mounts(work: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split()[4].startswith(f"{work}/"):
            yield f"mount {line.split()[4]}"


def _namespaces() -> Iterator[str]:
    folder = Path("/run/netns")
    for path in folder.glob(f"{PREFIX}*") if folder.is_dir() else []:
        yield f"network namespace {path.name}"


def _cgroups() -> Iterator[str]:
    for root in machine.controllers():
        for path in root.glob(f"{PREFIX}*"):
            yield f"cgroup {path}"


def _loops(work: Path) -> Iterator[str]:
    for loop, backing, _ in loops.loops():
        if backing.startswith(f"{work}/"):
            yield f"loop device {loop} over {backing}"
