"""Our own product on the cluster: the image, built once for each state of the sources, and the manifests of daemonset/."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from daemonset.image import oci
from tests.cluster import processes
from tests.cluster.arrays import CHECKOUT, Arrays
from tests.cluster.cluster import Cluster
from tests.cluster.components import CACHE

Object = dict[str, Any]
NAMESPACE = "pure-flex"
IMAGE = "purestorage/k8s:3.0.0"
NEXT_IMAGE = "purestorage/k8s:3.0.1"
SOURCES = ("arrays", "flex", "provisioner", "daemonset", "explorer")
# Quick answers: what takes a minute in production takes seconds here.
DAEMON = {"PURE_PREEMPT_RWO_GRACE": "8", "PURE_DAEMON_INTERVAL": "1"}
PROVISIONER = {"PURE_RETRY_LONGEST": "5", "PURE_MEASURE_EVERY": "5"}


def images() -> list[Path]:
    """Archives of the product's image and of one that stands for the next release: same code, another runtime name."""
    folder = CACHE / f"image-{_sources()}"
    archives = [folder / "pure-flex-image.tar", folder / "pure-flex-next.tar"]
    if not all(archive.exists() for archive in archives):
        print("building the product's image …", flush=True)
        for old in CACHE.glob("image-*"):
            shutil.rmtree(old)
        for program in ("daemonset.bundle", "daemonset.image"):
            subprocess.run([sys.executable, "-m", program, "--output", str(folder)], cwd=CHECKOUT, check=True)
        _next_release(folder / "rootfs", archives[1])
    return archives


def root() -> Path:
    """The root file system of the product's image. Do not write to it; its driver's runtime is the next release's."""
    return images()[0].parent / "rootfs"


def _next_release(root: Path, archive: Path) -> None:
    """Rename the bundle's runtime, in the folder and in the launcher that names it."""
    bundle = root / "opt/pure-flex"
    runtime = next(bundle.glob(".flex-rt-*"))
    renamed = f".flex-rt-{'0' * 11}1"
    (bundle / "flex").write_bytes((bundle / "flex").read_bytes().replace(runtime.name.encode(), renamed.encode()))
    runtime.rename(bundle / renamed)
    oci.write(root, archive, f"docker.io/{NEXT_IMAGE}", os.uname().machine, {}, ["/pure-flex-daemon", "--help"])


def _sources() -> str:
    total = hashlib.sha256()
    for path in sorted(path for room in SOURCES for path in (CHECKOUT / room).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            total.update(f"{path}\0".encode() + path.read_bytes())
    return total.hexdigest()[:12]


class Product:
    """The product as installed by `kubectl apply` of daemonset/, with our settings."""

    def __init__(self, cluster: Cluster, arrays: Arrays) -> None:
        self._cluster = cluster
        self._arrays = arrays

    def install(self, image: str = IMAGE) -> None:
        """Apply everything and wait until it runs on every node."""
        self._cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._cluster.apply(secret(self._arrays), *manifests(image))
        self.wait()

    def wait(self) -> None:
        """Until DaemonSet and Deployment are complete."""
        for workload in ("daemonset/pure-flex", "deployment/pure-provisioner"):
            self._cluster.kubectl("-n", NAMESPACE, "rollout", "status", workload, "--timeout=60s")
        # What the API says of a node that was away a moment ago is old: ask the pods themselves.
        processes.wait("every pod of the DaemonSet", lambda: all(map(self._answers, self.pods("app=pure-flex"))), 60)

        # Running is not working: without a readiness probe a Deployment is complete before its program has begun.
        processes.wait("the provisioner at work", lambda: " start provisioner=" in self.provisioner_log(), 60)

    def _answers(self, pod: str) -> bool:
        return "version" in self._cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "/pure-flex-daemon", "--version",
                                                  check=False)

    def uninstall(self) -> None:
        """Run the uninstaller on every node, as the published chart's preStop hook does, and delete what was applied."""
        for pod in self.pods("app=pure-flex"):
            self._cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "/uninstaller")
        # Workloads first: a provisioner that has lost its rights cannot give its lock up.
        self._cluster.kubectl("-n", NAMESPACE, "delete", "daemonset,deployment", "--all", "--timeout=60s")
        self._cluster.kubectl("-n", NAMESPACE, "wait", "--for=delete", "pods", "--all", "--timeout=60s")
        self._cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", "-f", "-",
                              stdin=as_list([*manifests(IMAGE), secret(self._arrays)]))

    def pods(self, selector: str = "") -> list[str]:
        """Names of the product's pods, those that are ending left out."""
        found = json.loads(self._cluster.kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "json"))
        return [pod["metadata"]["name"] for pod in found["items"] if not pod["metadata"].get("deletionTimestamp")]

    def provisioner_log(self) -> str:
        """What the provisioner has said since it was started."""
        return self._cluster.kubectl("-n", NAMESPACE, "logs", "deployment/pure-provisioner", "--tail=-1", check=False)

    def restart_provisioner(self) -> None:
        """Delete its pod and wait for the next one."""
        self._cluster.kubectl("-n", NAMESPACE, "delete", "pod", "-l", "app=pure-provisioner", "--wait=true")
        self.wait()


def secret(arrays: Arrays) -> Object:
    """The Secret with the fleet, and with the CA its certificates are checked against."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pure-provisioner-secret", "namespace": NAMESPACE},
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in (
                ("pure.json", json.dumps(arrays.pure_json())), ("ca.pem", arrays.ca))}}


def manifests(image: str) -> list[Object]:
    """daemonset/*.yaml with our settings."""
    found = [document for file in sorted((CHECKOUT / "daemonset").glob("*.yaml"))
             for document in yaml.safe_load_all(file.read_text())]
    for document in found:
        if document["kind"] in ("DaemonSet", "Deployment"):
            container = document["spec"]["template"]["spec"]["containers"][0]
            container["image"] = image
            container.get("readinessProbe", {})["periodSeconds"] = 1
            more = DAEMON if document["kind"] == "DaemonSet" else PROVISIONER
            container["env"] = [entry for entry in container["env"] if entry["name"] not in more]
            container["env"] += [{"name": name, "value": value} for name, value in more.items()]
    return found


def as_list(documents: list[Object]) -> str:
    """Manifests as kubectl reads them."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
