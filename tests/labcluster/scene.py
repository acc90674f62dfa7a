"""All of it together: arrays, two guests as nodes, control plane, our product; and nothing of it afterwards."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cluster as clusters
from tests.cluster import components, control_plane, images, machine, processes, product
from tests.cluster.arrays import CHECKOUT
from tests.cluster.audit import Audit
from tests.cluster.namespaces import CONTROL, inside
from tests.cluster.product import NAMESPACE
from tests.cluster.world import Object, World
from tests.conformance import images as suites
from tests.lab.arrays import Arrays
from tests.lab.guest.machine import GuestFailed
from tests.lab.node import Node
from tests.labcluster import disk
from tests.labcluster.cluster import PLACES, GuestCluster
from tests.labcluster.guests import BridgedLab
from tests.labcluster.witness import Witness

SLOW = 240.0                                 # seconds; generous for anything that takes part of a minute in emulation
# Seconds of silence after which a volume is taken from a node: longer than an unmount takes in emulation.
DAEMON = {**product.DAEMON, "PURE_PREEMPT_RWO_GRACE": "30", "PURE_DAEMON_INTERVAL": "5"}
LOGS = ("/var/log/pure-flex.log", "/var/log/kubelet.log", "/var/log/containerd.log")


@dataclass(frozen=True)
class Told:
    """The fleet as the Secret has it."""

    fleet: Object
    ca: str

    def pure_json(self) -> Object:
        return self.fleet


@dataclass(frozen=True)
class Scene(World):
    """The questions of tests/cluster, asked of a cluster whose nodes are the lab's."""

    cluster: GuestCluster
    arrays: Arrays                           # type: ignore[assignment]
    storage: dict[str, Node]                 # type: ignore[assignment]
    product: None                            # type: ignore[assignment]
    lab: BridgedLab
    witness: Witness

    def volume(self, claim: str, namespace: str) -> str:
        """The array's name of a bound claim's volume."""
        return str(self.bound(claim, namespace, SLOW)["spec"]["flexVolume"]["options"]["volume"])

    def connections(self, volume: str) -> list[str]:
        """The hosts that an array's volume is connected to."""
        return sorted(self.arrays.flash_array.ask("connections", volume))

    def administrator(self, *argv: str) -> str:
        """One of our commands as an administrator runs it beside the control plane; its stdout."""
        done = subprocess.run([*inside(CONTROL), sys.executable, "-m", *argv], capture_output=True, text=True, timeout=120,
                              cwd=CHECKOUT, env={**os.environ, **outside(self.cluster)}, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def outside(cluster: GuestCluster) -> dict[str, str]:
    """What a program of ours finds in its environment outside the cluster."""
    return {"KUBECONFIG": str(cluster.work / "provisioner.kubeconfig"), "PYTHONPATH": str(CHECKOUT),
            "PURE_DISCOVERY_CONF": str(cluster.work / "pure.json"), "POD_NAMESPACE": NAMESPACE, "PURE_HEALTH_PORT": "0",
            **product.PROVISIONER}


@contextmanager
def played() -> Iterator[Scene]:
    """Everything up, both nodes with the driver; in the end all is removed, whatever happened."""
    machine.prepare()
    with clusters.reserved():
        cluster = GuestCluster()
        try:
            with _scene(cluster) as scene:
                yield scene
        finally:
            clusters.down()
        clusters.assert_nothing_left()


@contextmanager
def _scene(cluster: GuestCluster) -> Iterator[Scene]:
    say = _clock()
    suite = suites.archives(components.binaries(components.E2E))
    archives = [*images.busybox(_folder()), product.images()[0], *suite]
    image = disk.disk(cluster.programs / "kubelet", archives)
    say("components, images and the node's disk")
    audit = Audit(cluster.work)
    cluster.up_without_nodes({"kube-apiserver": audit.flags()})
    say("control plane")
    lab = BridgedLab(image)                  # made here: a guest dies with the thread that started it
    with lab:
        try:
            say("three guests booted")
            scene = Scene(cluster, Arrays(lab.arrays), audit, {}, None, lab, Witness(cluster.work))
            scene.storage.update({guest.name: Node(guest, number) for number, guest in enumerate(lab.nodes, 1)})
            furnish(scene, say)
            yield scene
        finally:
            with contextlib.suppress(OSError):
                lab.keep_consoles()


def furnish(scene: Scene, say: Callable[[str], None]) -> None:
    """Arrays, nodes, product."""
    nodes = list(scene.storage.values())
    scene.witness.start()
    with ThreadPoolExecutor(4) as pool:
        daemons = [pool.submit(node.prepare) for node in nodes]
        scene.arrays.prepare([node.iqn for node in nodes])
        told = scene.arrays.fleet("pure_json", ["fa1", "fb1"])
        say("arrays")
        joined = [pool.submit(_join, scene, node, ready, told["ca"]) for node, ready in zip(nodes, daemons)]
        install(scene, Told(told["json"], told["ca"]))
        for each in joined:
            each.result()
    say("containerd and kubelet started")
    scene.cluster.wait_ready(SLOW)
    say("both nodes Ready")
    scene.cluster.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/pure-flex", f"--timeout={SLOW:g}s", seconds=SLOW)
    say("the driver on both nodes")


def _join(scene: Scene, node: Node, ready: Any, ca: str) -> None:
    ready.result()
    scene.cluster.join(node, PLACES[node.number - 1], ca)


def install(scene: Scene, told: Told) -> None:
    """Apply daemonset/ as `make cluster` does; the provisioner runs outside, at native speed, under its own account."""
    cluster, work = scene.cluster, scene.cluster.work
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    documents = [each for each in product.manifests(product.IMAGE) if each["kind"] != "Deployment"]
    for each in documents:
        if each["kind"] == "DaemonSet":
            container = each["spec"]["template"]["spec"]["containers"][0]
            container["readinessProbe"]["periodSeconds"] = 3
            container["env"] = [entry for entry in container["env"] if entry["name"] not in DAEMON]
            container["env"] += [{"name": name, "value": value} for name, value in DAEMON.items()]
    cluster.apply(product.secret(told), *documents)          # type: ignore[arg-type]

    (work / "arrays-ca.pem").write_text(told.ca)
    (work / "pure.json").write_text(json.dumps(told.fleet).replace("/etc/pure/ca.pem", str(work / "arrays-ca.pem")))
    (work / "pure.json").chmod(0o600)
    token = cluster.kubectl("-n", NAMESPACE, "create", "token", "pure", "--duration=3h").strip()
    (work / "provisioner.kubeconfig").write_text(json.dumps(control_plane.kubeconfig(work, token)))
    processes.start(work, "provisioner", [*inside(CONTROL), sys.executable, "-m", "provisioner"], outside(cluster))


def report(scene: Scene) -> list[tuple[str, str]]:
    """What a failed test should show: pods, events, and the ends of the logs."""
    found = [("pods", scene.cluster.kubectl("get", "pods,pvc,pv", "-A", "-o", "wide", check=False)),
             ("events", scene.cluster.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", check=False)[-6000:]),
             ("provisioner", (scene.cluster.work / "logs/provisioner.log").read_text()[-3000:])]
    for node in scene.storage.values():
        for log in LOGS:
            with contextlib.suppress(GuestFailed):     # it may be switched off
                found.append((f"{node.name}: {log}", node.guest.run("tail", "-c", "5000", log, timeout=10, allow=None).text))
    return found


def _folder() -> Path:
    folder = disk.CACHE / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _clock() -> Callable[[str], None]:
    began = time.monotonic()
    return lambda what: print(f"  {time.monotonic() - began:6.1f} s  {what}", flush=True)
