"""A real Kubernetes on this machine: control plane and two nodes in namespaces of their own, made and unmade.

One cluster at a time, in WORK. `down` undoes everything, also what a killed run left: processes by recorded pid and by
namespace, mounts by what /proc/self/mountinfo shows below WORK, namespaces, cgroups, files.
"""

import contextlib
import fcntl
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from simulator.node import loops
from tests.cluster import components, control_plane, images, machine, namespaces, nodes, processes, remains
from tests.cluster.namespaces import CONTROL, Place, inside

WORK = Path("/var/tmp/pure-flex-cluster")
PLACES = [Place(1), Place(2)]


@contextlib.contextmanager
def reserved(seconds: float = 900.0) -> Iterator[None]:
    """Wait until no other run of the tests has the cluster; it is ours until the end of the block, or of the process.

    With 0 seconds, Lacking says that it is not free.
    """
    with open(f"{WORK}.lock", "w", encoding="ascii") as lock:
        def free() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True
        if not seconds and not free():
            raise machine.Lacking("a run of the tests has the cluster at the moment")
        if not free():
            print("another run has the cluster; waiting for its end …", flush=True)
            processes.wait("the end of another run's cluster", free, seconds)
        yield


class Cluster:
    """The cluster in WORK; `up` makes it, `down` removes it."""

    def __init__(self, version: str = "") -> None:
        self.work = WORK
        self.version = version
        kubernetes = components.kubernetes(version)
        minor = components.numbers(kubernetes.version("k8s.io/kubernetes"))[1]
        self.programs = components.binaries(kubernetes, components.ETCD, *components.runtime(minor))
        self.nodes = [nodes.Node(WORK, self.programs, place, minor) for place in PLACES]
        self.options: dict[str, list[str]] = {}

    def up(self, archives: list[Path] | None = None, options: dict[str, list[str]] | None = None,
           before_nodes: Callable[[], None] = lambda: None) -> None:
        """Start everything and wait until both nodes are Ready.

        `archives`: more images for the nodes; `options`: more flags by program; `before_nodes` runs when there is a
        network and a control plane, and no node yet.
        """
        machine.prepare()
        down()
        self.work.mkdir(parents=True)
        self.work.chmod(0o755)
        namespaces.make(PLACES)
        self.options = options or {}
        control_plane.start(self.work, self.programs, PLACES, self.options)
        before_nodes()
        own = images.busybox(self.work)
        for node in self.nodes:
            nodes.make_cgroups(node.place)
            node.start([*own, *(archives or [])])
        processes.wait("both nodes Ready", self.all_ready, 120)
        self.wrapper()
        processes.wait("the default service account", lambda: self.get("serviceaccounts", "default"), 60)

    def restart_api(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Kill the API server, do something, start it again and wait until it is ready."""
        control_plane.restart_api(self.work, self.programs, self.options, meanwhile)

    def all_ready(self) -> bool:
        """Whether every node reports Ready."""
        rows = self.get("nodes")
        return len(rows) == len(self.nodes) and all(
            condition["status"] == "True" for row in rows for condition in row["status"]["conditions"]
            if condition["type"] == "Ready")

    def kubectl(self, *argv: str, stdin: str = "", check: bool = True, seconds: float = 120.0) -> str:
        """Run kubectl as admin; its stdout."""
        done = subprocess.run([*self.kubectl_command(), *argv], input=stdin, capture_output=True, text=True,
                              timeout=seconds, check=False)
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def kubectl_command(self) -> list[str]:
        """kubectl in the control plane's namespace, as admin."""
        return [*inside(CONTROL), str(self.programs / "kubectl"), f"--kubeconfig={self.work}/admin.kubeconfig"]

    def wrapper(self) -> Path:
        """A script in WORK that is kubectl for people."""
        script = self.work / "kubectl"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self.kubectl_command())} "$@"\n')
        script.chmod(0o755)
        return script

    def get(self, resource: str, namespace: str = "") -> list[dict[str, Any]]:
        """All objects of a kind, in one namespace or in all."""
        scope = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", resource, *scope, "-o", "json"))["items"]
        return items

    def apply(self, *documents: dict[str, Any]) -> None:
        """Apply manifests given as data."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))


def down() -> None:
    """Undo everything; safe to call at any time and twice."""
    if WORK.exists():
        for place in PLACES:
            processes.stop(WORK, place.name, kill=True)      # a node's first process is a shell, which PID 1 makes deaf
        processes.stop_all(WORK)
    namespaces.remove()
    for place in PLACES:
        nodes.remove_cgroups(place)
    _unmount_below(WORK)
    _detach_below(WORK)
    shutil.rmtree(WORK, ignore_errors=True)


def assert_nothing_left() -> None:
    """After `down`: no process, mount, namespace, cgroup, loop device or file of ours; what is killed may take a moment."""
    try:
        processes.wait("nothing of the cluster left", lambda: not remains.found(WORK), 20)
    except RuntimeError:
        raise AssertionError(f"left on the machine: {'; '.join(remains.found(WORK))}") from None


def _unmount_below(folder: Path) -> None:
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    for line in reversed(table):
        point = line.split()[4].replace("\\040", " ")
        if Path(point).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _detach_below(folder: Path) -> None:
    """Loop devices over volumes of arrays that lived in the cluster."""
    for loop, backing, _ in list(loops.loops()):
        if Path(backing.removesuffix(" (deleted)")).is_relative_to(folder):
            loops.resize(loop, loops.DEAD_SIZE)
            with contextlib.suppress(OSError):
                loops.detach(loop)
