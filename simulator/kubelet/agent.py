"""Kubelet: a stand-in that follows the pods of one node in the stand-in API server and executes the real driver for them.

It does what kubelet does to a FlexVolume driver, no more: no sandboxes, no images, no probes. Containers are a function the
caller gives. Each call of the driver is recorded with its answer and its milliseconds.
"""
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from simulator.kubelet.driver import CallOut, Driver, DriverFailed
from simulator.kubelet.pods import PodWorker, StartContainer, no_container
from simulator.kubelet.volumes import Volumes, likely_mount_point
from simulator.kubernetes import KubeApi
from simulator.kubernetes.controller import CLAIMS, PODS
from simulator.kubernetes.protection import claims_of
from simulator.kubernetes.store import Event

Object = dict[str, Any]


class Kubelet:
    """The agent of node `node`, a context manager; leaving it is stopping kubelet: mounts and containers stay.

    `root` is its --root-dir, `plugin_dir` its --volume-plugin-dir, `environment` its own, which the driver inherits.
    `backoff` scales the pauses between retries. Unmounts what it finds of pods that are gone, as a restarted one does.
    """

    def __init__(self, api: KubeApi, node: str, root: Path | str, plugin_dir: Path | str, *,
                 environment: Mapping[str, str] | None = None, start: StartContainer = no_container,
                 is_mount_point: Callable[[Path], bool] = likely_mount_point, backoff: float = 1.0, limit: float = 600.0,
                 tell: Callable[[CallOut], None] = lambda _: None) -> None:
        self.node = node
        self.driver = Driver(plugin_dir, node, environment=environment, limit=limit, tell=tell)
        self.volumes = Volumes(root, self.driver, is_mount_point)
        self._api = api
        self._start = start
        self._backoff = backoff
        self._lock = threading.Lock()
        self._workers: dict[str, PodWorker] = {}
        self._expanding: set[str] = set()        # uids of claims
        self._unsubscribe: list[Callable[[], None]] = []
        self._off = False

    @property
    def calls(self) -> list[CallOut]:
        """All calls of the driver so far, init included."""
        return self.driver.calls

    def __enter__(self) -> Self:
        if self._api.get("nodes", self.node) is None:
            self._api.create({"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": self.node, "labels": {"kubernetes.io/hostname": self.node}}})
        self._clean_up()
        with self._api.store.lock:
            self._unsubscribe = [self._api.subscribe(PODS, self._pod_changed),
                                 self._api.subscribe(CLAIMS, self._claim_changed)]
            for pod in self._api.objects(PODS):
                self._follow(pod)
        return self

    def __exit__(self, *_: object) -> None:
        self._quit(PodWorker.leave)

    def power_off(self) -> None:
        """The machine is dead: calls are killed, containers die, the API server hears nothing any more."""
        self.driver.die()
        self._quit(PodWorker.halt)

    def idle(self, timeout: float = 30.0) -> bool:
        """Wait until no pod is left on this node; whether that came to be."""
        with self._lock:
            workers = list(self._workers.values())
        return all(worker.join(timeout) for worker in workers)

    def _quit(self, how: Callable[[PodWorker], None]) -> None:
        self._off = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            how(worker)
        for worker in workers:
            worker.join(self._backoff + 10.0)

    def _pod_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            with self._lock:
                worker = self._workers.pop(event.stored.object["metadata"]["uid"], None)
            if worker:
                worker.terminate()       # removed by force: take its volumes down all the same
            return
        self._follow(event.stored.copy())

    def _follow(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") != self.node or self._off:
            return
        uid, deleted = pod["metadata"]["uid"], bool(pod["metadata"].get("deletionTimestamp"))
        with self._lock:
            worker = self._workers.get(uid)
            known = worker is not None
            if worker is None:
                worker = PodWorker(pod, self._api, self.volumes, self._start, host=self.node, backoff=self._backoff,
                                   minor=self._api.version.minor)
                self._workers[uid] = worker
        if deleted:
            worker.terminate()           # before it begins: a pod that ends already mounts nothing any more
        if not known:
            worker.begin()

    def _claim_changed(self, event: Event) -> None:
        if event.type != "MODIFIED" or not (event.stored.object["status"].get("conditions") or []):
            return
        claim = event.stored.copy()
        with self._lock:
            if claim["metadata"]["uid"] in self._expanding:
                return
            self._expanding.add(claim["metadata"]["uid"])
        threading.Thread(target=self._expand, args=(claim,), daemon=True).start()

    def _expand(self, claim: Object) -> None:
        """Let the worker of a pod here that uses the claim finish the growth."""
        name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
        try:
            for pod in self._api.objects(PODS, namespace):
                worker = self._workers.get(pod["metadata"]["uid"])
                if worker and name in claims_of(pod):
                    worker.expand(name)
                    return
        finally:
            with self._lock:
                self._expanding.discard(claim["metadata"]["uid"])

    def _clean_up(self) -> None:
        """Unmount what is left of pods that are gone."""
        known = {pod["metadata"]["uid"] for pod in self._api.objects(PODS)}
        for uid, name in self.volumes.found():
            if uid not in known:
                try:
                    self.volumes.tear_down(self.volumes.directory(uid, name))
                    self.volumes.forget_pod(uid)
                except DriverFailed:
                    continue             # recorded in `calls`; an orphan stays, as it does under the real one
