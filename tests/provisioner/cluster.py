"""A small cluster with arrays for the provisioner's tests: stand-in API, binder, pretend arrays, and the provisioner itself.

The provisioner's account has exactly the published chart's role. It runs on a thread, or as a process that can be
killed.
"""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from provisioner.objects import Raw
from provisioner.program import run
from provisioner.settings import Settings
from simulator.flasharray import FlashArray
from simulator.fleet import Simulator
from simulator.kubernetes import Binder, KubeApi
from simulator.kubernetes.access import Rule, User, published_chart
from tests.provisioner.waiting import PATIENCE, until

T = TypeVar("T")

CLAIMS, PVS, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["provisioner.program", "arrays.flasharray", "arrays.purestorage_session"])


class Cluster:
    """Everything a test touches. `provisioner()` runs one; the rest looks and waits."""

    def __init__(self, directory: Path, api: KubeApi, sim: Simulator) -> None:
        self.directory, self.api, self.sim = directory, api, sim
        self.pure_json = directory / "pure.json"
        self.user = self.account()

    def account(self, *more: Rule) -> User:
        """A user with the published chart's role, and more."""
        return self.api.add_user(f"provisioner-{time.monotonic_ns()}", (*published_chart("pure"), *more))

    def write_fleet(self) -> None:
        """pure.json as the arrays are now."""
        self.sim.write_pure_json(self.pure_json)

    def settings(self, **changes: Any) -> Settings:
        """Settings of a pod, in which nothing takes long."""
        account = self.directory / "account"
        found = self.api.service_account(account, self.user, "pure")
        quick: dict[str, Any] = {
            "pure_json": str(self.pure_json), "account": account, "api_host": found["KUBERNETES_SERVICE_HOST"],
            "api_port": found["KUBERNETES_SERVICE_PORT"], "pod": "pod-1",
            "retry_first": 0.05, "retry_longest": 0.4, "measure_every": 0.2, "array_timeout": 2.0, "drain": 5.0,
            "tick": 0.05, "namespace": "pure", "leader_election": False, "health_port": 0, "sweep_every": 0.0}
        return Settings(**{**quick, **changes})

    @contextlib.contextmanager
    def provisioner(self, **settings: Any) -> Iterator[threading.Event]:
        """The provisioner on a thread of this process, until the end of the block; it must end well."""
        stopping, ended = threading.Event(), []
        chosen = self.settings(**settings)
        thread = threading.Thread(target=lambda: ended.append(run(chosen, stopping)), name="provisioner")
        thread.start()
        try:
            yield stopping
        finally:
            stopping.set()
            thread.join(PATIENCE)
        assert ended == [0], "the provisioner did not end well"

    @contextlib.contextmanager
    def process(self, **settings: Any) -> Iterator[Any]:
        """The provisioner as a process of its own: `.kill()` it, or it is killed in the end."""
        process = _processes.Process(target=run_process, args=(self.settings(**settings),), daemon=True)
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join(PATIENCE)

    # Making

    def storage_class(self, name: str = "pure", backend: str = "block", **more: Any) -> Raw:
        parameters = {"backend": backend, **more.pop("parameters", {})}
        return self.api.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
                                "provisioner": "pure-provisioner", "parameters": parameters,
                                "allowVolumeExpansion": True, **more})

    def claim(self, name: str = "data", storage_class: str | None = "pure", *, mode: str = "ReadWriteOnce",
              size: str = "10Gi", annotations: dict[str, str] | None = None, **spec: Any) -> Raw:
        wanted = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **spec}
        if storage_class is not None:
            wanted["storageClassName"] = storage_class
        return self.api.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                                "metadata": {"name": name, "annotations": annotations or {}}, "spec": wanted})

    def delete_claim(self, name: str = "data") -> None:
        self.api.delete(CLAIMS, name)

    # Looking

    def pv_name(self, claim: str = "data") -> str:
        found = self.api.get(CLAIMS, claim)
        assert found, f"no claim {claim}"
        return f"pvc-{found['metadata']['uid']}"

    def pv(self, claim: str = "data") -> Raw:
        """The PV of a bound claim."""
        found = self.api.get(PVS, self.pv_name(claim))
        assert found, f"claim {claim} has no PV"
        return found

    def options(self, claim: str = "data") -> dict[str, str]:
        """What the driver on the node will read."""
        found: dict[str, str] = self.pv(claim)["spec"]["flexVolume"]["options"]
        return found

    def volume(self, claim: str = "data") -> str:
        return f"k8s-{self.pv_name(claim)}"

    def live(self) -> dict[str, str]:
        """All volumes and file systems that are not destroyed, with the name of their array."""
        found = {}
        for array in self.sim.arrays:
            holdings = array.volumes if isinstance(array, FlashArray) else array.file_systems
            for name, view in holdings.items():
                if not view.destroyed:
                    assert name not in found, f"{name} is on two arrays"
                    found[name] = array.name
        return found

    # Waiting

    def until(self, look: Callable[[], T | None], what: str, timeout: float = PATIENCE) -> T:
        return until(look, what, timeout)

    def bound(self, claim: str = "data") -> Raw:
        """Wait until a claim is bound; its PV."""
        def look() -> bool:
            found = self.api.get(CLAIMS, claim)
            return bool(found and found["status"].get("phase") == "Bound")
        self.until(look, f"claim {claim} bound")
        return self.pv(claim)

    def event(self, reason: str, about: str = "", text: str = "") -> Raw:
        """Wait for an event of ours; the first of them."""
        def look() -> Raw | None:
            return next((event for event in self.api.events(about, reason)
                         if event["source"]["component"].startswith("pure-provisioner") and text in event["message"]),
                        None)
        return self.until(look, f"event {reason} about {about or 'anything'} with {text!r}")

    def ordered(self, claim: str = "data") -> None:
        """Wait until the binder asks the provisioner to serve the claim."""
        def look() -> bool:
            found = self.api.get(CLAIMS, claim)
            return bool(found and "volume.beta.kubernetes.io/storage-provisioner" in (
                found["metadata"].get("annotations") or {}))
        self.until(look, f"claim {claim} ordered")

    def settled(self) -> None:
        """Wait until a provisioner just started has read what there is: what comes now is new to it."""
        until(lambda: all(self.api.asked("list", kind) for kind in (CLAIMS, PVS, CLASSES)), "all lists")
        self.claim("settled", "pure-file", mode="ReadWriteMany")
        self.bound("settled")
        self.delete_claim("settled")
        until(lambda: not self.api.objects(PVS), "the first claim's end")

    def gone(self, pv: str) -> None:
        """Wait until a PV is deleted."""
        self.until(lambda: self.api.get(PVS, pv) is None, f"{pv} gone")

    def asked(self, verb: str, resource: str) -> int:
        """How many such requests the provisioner made."""
        return sum(one.user == self.user.name for one in self.api.asked(verb, resource))


@contextlib.contextmanager
def cluster(directory: Path, binds: bool = True, **api: Any) -> Iterator[Cluster]:
    """FlashArrays fa1 (env=dev) and fa2 (env=prod), FlashBlade fb1, classes pure and pure-file, and a running binder."""
    with Simulator(directory / "arrays", sampling_interval=0) as sim, KubeApi(directory / "api", **api) as server:
        sim.add_flash_array("fa1", labels={"env": "dev", "rack": "22"})
        sim.add_flash_array("fa2", labels={"env": "prod"}, used=50 * 2**40)
        sim.add_flash_blade("fb1", labels={"env": "dev"})
        with Binder(server, resync=2.0) if binds else contextlib.nullcontext():
            server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pure"}})
            found = Cluster(directory, server, sim)
            found.write_fleet()
            found.storage_class()
            found.storage_class("pure-file", "file")
            yield found


def run_process(settings: Settings) -> None:
    """What the process does; its exit status is run's."""
    raise SystemExit(run(settings))
