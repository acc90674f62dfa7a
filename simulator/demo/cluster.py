"""The demo's cast, started in order and ended in reverse, whatever happens."""
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from simulator.demo.arrays import Arrays
from simulator.demo.nodes import CHECKOUT, Member
from simulator.demo.process import Process
from simulator.demo.screen import Screen
from simulator.kubernetes import Binder, KubeApi
from simulator.kubernetes.access import full
from simulator.kubernetes.controller import CLAIMS, PODS
from simulator.kubernetes.deployments import Deployments

T = TypeVar("T")
FLEET = ("--flash-array", "fa1,capacity=10T,used=6200G,label.env=dev,label.rack=rack-0",
         "--flash-array", "fa2,capacity=10T,used=1800G,label.env=dev,label.rack=rack-1",
         "--flash-blade", "fb1,capacity=50T,used=9T,label.env=dev,label.rack=rack-0")


class Cluster:
    """Arrays, API server, controllers, provisioner and two nodes; `deadline` bounds every wait."""

    def __init__(self, screen: Screen, *, real: bool, keep: bool, limit: float) -> None:
        self.screen = screen
        self.directory = _new_directory()
        self.real = real
        self.deadline = time.monotonic() + limit
        self._keep = keep
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._remove)
            place = self.directory
            self.simulator = stack.enter_context(Process(
                [sys.executable, "-m", "simulator", "--directory", str(place / "arrays"), "--plane", "files", *FLEET],
                place / "simulator.log", {"PYTHONPATH": str(CHECKOUT)}))
            self.api = stack.enter_context(KubeApi(place / "kubernetes"))
            self.binder = stack.enter_context(Binder(self.api))
            self.deployments = stack.enter_context(Deployments(self.api))
            self.simulator.wait_for("ready")
            self.arrays = Arrays(place / "arrays")
            self.provisioner = stack.enter_context(self._provisioner())
            self.nodes = [self._node(stack, name) for name in ("node1", "node2")]
            self.until(lambda: self.api.asked("list", CLAIMS), "the provisioner's first list of claims", 20)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def until(self, look: Callable[[], T | None], what: str, timeout: float = 15.0) -> T:
        """Look again and again until it is true; TimeoutError names what never came."""
        end = min(time.monotonic() + timeout, self.deadline)
        while not (found := look()):
            if time.monotonic() >= end:
                raise TimeoutError(f"{what}: not within {timeout:g} s")
            self.provisioner.check()
            self.simulator.check()
            time.sleep(0.02)
        return found

    def apply(self, *files: str) -> None:
        """kubectl apply -f FILE …"""
        self.screen.command("kubectl apply " + " ".join(f"-f {file}" for file in files))
        for file in files:
            for manifest in yaml.safe_load_all((CHECKOUT / file).read_text()):
                self.api.apply(manifest)

    def claim(self, name: str) -> dict[str, Any]:
        """A claim as it is now; {} when it is gone."""
        return self.api.get(CLAIMS, name) or {}

    def bound(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Wait until a claim is bound; the claim and its PV."""
        self.until(lambda: self.claim(name)["status"]["phase"] == "Bound", f"claim {name} Bound ({self._why(name)})")
        claim = self.claim(name)
        return claim, self.api.get("persistentvolumes", claim["spec"]["volumeName"]) or {}

    def running(self, deployment: str, node: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for a pod of a Deployment that runs on a node."""
        def look() -> dict[str, Any] | None:
            return next((pod for pod in self.deployments.pods(deployment) if pod["spec"]["nodeName"] == node
                         and pod["status"]["phase"] == "Running"), None)
        return self.until(look, f"a pod of {deployment} running on {node}", timeout)

    def gone(self, pod: str, timeout: float = 15.0) -> None:
        """Wait until a pod is no more."""
        self.until(lambda: self.api.get(PODS, pod) is None, f"the end of pod {pod}", timeout)

    def _node(self, stack: ExitStack, name: str) -> Member:
        member = Member(name, self.directory, self.arrays.fabric, self.api, self.screen, self.real)
        member.install(self.directory / "arrays/pure.json")
        return stack.enter_context(member)

    def _provisioner(self) -> Process:
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
        user = self.api.add_user("system:serviceaccount:pure:pure", full("pure"))
        return Process([sys.executable, "-m", "provisioner"], self.directory / "provisioner.log", {
            "PYTHONPATH": str(CHECKOUT), "KUBECONFIG": self.api.kubeconfig(user=user, namespace="pure"),
            "POD_NAMESPACE": "pure", "PURE_DISCOVERY_CONF": str(self.directory / "arrays/pure.json"),
            "PURE_RETRY_LONGEST": "1", "PURE_MEASURE_EVERY": "1"})

    def _why(self, name: str) -> str:
        events = self.api.events(name)
        return events[-1]["message"] if events else "no event"

    def _remove(self) -> None:
        """The last step: nothing of ours stays mounted, and nothing stays in /tmp unless asked for."""
        for directory in _mounted_below(self.directory):
            subprocess.run(["umount", "-l", directory], check=False, timeout=20, capture_output=True)
        if self._keep:
            self.screen.fact("kept", str(self.directory))
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def _new_directory() -> Path:
    """Below TMPDIR, or below /tmp when that name is too long for a pretend node's socket."""
    place = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="pure-flex-", dir=place if len(place) < 24 else "/tmp")).resolve()


def _mounted_below(directory: Path) -> list[str]:
    """Mount points below a directory, the innermost first: what an interrupted story may leave in the real form."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{directory}/")), key=len, reverse=True)
