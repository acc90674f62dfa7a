"""One pod on one node: its volumes are mounted side by side, its container runs, and all is taken down again.

A pod worker is one thread; each volume of the pod has one operation at a time, repeated with back-off, in a thread of
its own (flexvolume-protocol.md section 6). A pod that is deleted while a mount still runs waits for that call, then
unmounts.
"""
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from simulator.kubelet.backoff import Backoff
from simulator.kubelet.driver import DriverFailed
from simulator.kubelet.options import expand_options, mount_options
from simulator.kubelet.volumes import Volumes
from simulator.kubernetes import KubeApi, quantity
from simulator.kubernetes.controller import CLAIMS, PODS, PVS
from simulator.kubernetes.recorder import Recorder
from simulator.kubernetes.status import ApiError

Object = dict[str, Any]


class Container(Protocol):
    """What runs in a pod."""

    def stop(self, grace: float) -> None:
        """SIGTERM, at most `grace` seconds, then SIGKILL; returns when nothing runs any more."""

    def kill(self) -> None:
        """Power is gone."""


StartContainer = Callable[[Object, dict[str, Path]], Container]   # pod, directories by volume name


class NoContainer:
    """A pod that does nothing."""

    def stop(self, grace: float) -> None:
        """Nothing runs."""

    def kill(self) -> None:
        """Nothing runs."""


def no_container(pod: Object, directories: dict[str, Path]) -> Container:
    """Start nothing."""
    return NoContainer()


class PodWorker:
    """Follows one pod from its arrival on this node to its end."""

    def __init__(self, pod: Object, api: KubeApi, volumes: Volumes, start: StartContainer, *, host: str,
                 backoff: float, minor: int) -> None:
        self.uid: str = pod["metadata"]["uid"]
        self._pod = pod
        self._api = api
        self._volumes = volumes
        self._start = start
        self._events = Recorder(api.registry, "kubelet", host)
        self._backoff = backoff
        self._minor = minor
        self._terminating = threading.Event()
        self._halted = threading.Event()         # the machine is off: no step more
        self._mounted: dict[str, Path] = {}      # PV name: directory
        # Directories the driver was asked to mount, those of before a restart or reboot included.
        self._touched = {name: volumes.directory(uid, name) for uid, name in volumes.found() if uid == self.uid}
        self._container: Container = NoContainer()
        self._thread = threading.Thread(target=self._live, name=f"pod-{pod['metadata']['name']}", daemon=True)

    def begin(self) -> None:
        """Start the worker's thread."""
        self._thread.start()

    def terminate(self) -> None:
        """The pod has been deleted."""
        self._terminating.set()

    def halt(self) -> None:
        """Power off: the container dies with the machine, nothing is unmounted, nobody is told."""
        self._halted.set()
        self._terminating.set()
        self._container.kill()

    def leave(self) -> None:
        """kubelet stops; containers and mounts stay, as they do when kubelet is restarted."""
        self._halted.set()
        self._terminating.set()

    def join(self, timeout: float) -> bool:
        """Wait for the worker's end; whether it came."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def expand(self, claim: str) -> None:
        """Finish the growth of a claim of this pod while its volume is mounted, with back-off."""
        backoff = Backoff(self._backoff)
        while not self._terminating.is_set():
            try:
                self._grow(claim)
                return
            except DriverFailed as error:
                self._events.record(self._pod, "Warning", "VolumeResizeFailed", str(error))
                self._terminating.wait(backoff.failed())

    # --- the life of the pod

    def _live(self) -> None:
        wanted = self._wait_for_claims()
        self._in_parallel(lambda name: self._mount(wanted[name]), list(wanted))
        if set(wanted) <= set(self._mounted) and not self._terminating.is_set():
            self._run_container(wanted)
            self._terminating.wait()
        if self._halted.is_set():
            return
        self._container.stop(float(self._grace()))
        self._in_parallel(self._unmount, list(self._touched))
        if not self._halted.is_set():
            self._volumes.forget_pod(self.uid)
            self._tell_gone()

    def _wait_for_claims(self) -> dict[str, tuple[Object, Object]]:
        """(volume of the pod, PV) by PV name, as soon as all claims are bound."""
        while not self._terminating.is_set():
            found = [self._volume(volume) for volume in self._pod["spec"].get("volumes") or []
                     if "persistentVolumeClaim" in volume]
            if all(found):
                return {pv["metadata"]["name"]: (volume, pv) for volume, pv in filter(None, found)}
            with self._api.store.changed:
                self._api.store.changed.wait(0.2)
        return {}

    def _volume(self, volume: Object) -> tuple[Object, Object] | None:
        claim = self._api.get(CLAIMS, volume["persistentVolumeClaim"]["claimName"], self._namespace)
        if claim is None or claim["status"].get("phase") != "Bound" or claim["metadata"].get("deletionTimestamp"):
            return None
        pv = self._api.get(PVS, claim["spec"]["volumeName"])
        return (volume, pv) if pv and "flexVolume" in pv["spec"] else None

    def _in_parallel(self, act: Callable[[str], None], names: list[str]) -> None:
        threads = [threading.Thread(target=act, args=(name,), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _mount(self, wanted: tuple[Object, Object]) -> None:
        volume, pv = wanted
        name = pv["metadata"]["name"]
        directory = self._volumes.directory(self.uid, name)
        backoff = Backoff(self._backoff)
        while not self._terminating.is_set():
            try:
                if pv["spec"].get("mountOptions"):
                    raise DriverFailed("Mount options are not supported for this volume type")
                read_only = bool(volume["persistentVolumeClaim"].get("readOnly"))
                options = mount_options(pv, self._pod, read_only=read_only, minor=self._minor, secrets=self._secrets(pv))
                self._touched[name] = directory
                self._volumes.set_up(directory, options, group=None if read_only else self._group())
                self._mounted[name] = directory
                self._grow(volume["persistentVolumeClaim"]["claimName"])
                return
            except DriverFailed as error:
                if self._halted.is_set():
                    return
                self._events.record(self._pod, "Warning", "FailedMount",
                                    f'MountVolume.SetUp failed for volume "{name}" : {error}')
                self._terminating.wait(backoff.failed())

    def _grow(self, name: str) -> None:
        """Call expandfs when the PV is larger than the claim's status says, and finish the status."""
        claim = self._api.get(CLAIMS, name, self._namespace)
        pv = self._api.get(PVS, claim["spec"]["volumeName"]) if claim else None
        directory = self._mounted.get(pv["metadata"]["name"]) if pv else None
        if claim is None or pv is None or directory is None:
            return
        new, old = pv["spec"]["capacity"]["storage"], claim["status"]["capacity"]["storage"]
        if quantity.parse(new) <= quantity.parse(old):
            return
        try:
            self._volumes.expand(directory, expand_options(pv), int(quantity.parse(new)), int(quantity.parse(old)))
        except DriverFailed as error:
            raise DriverFailed(f'NodeExpandVolume failed for volume "{pv["metadata"]["name"]}" : {error}') from None
        self._api.patch(CLAIMS, name, {"status": {"capacity": {"storage": new}, "conditions": None}}, self._namespace,
                        status=True)
        self._events.record(self._pod, "Normal", "FileSystemResizeSuccessful",
                            f'MountVolume.NodeExpandVolume succeeded for volume "{pv["metadata"]["name"]}"')

    def _unmount(self, name: str) -> None:
        backoff = Backoff(self._backoff)
        while not self._halted.is_set():
            try:
                self._volumes.tear_down(self._touched[name])
                self._mounted.pop(name, None)
                return
            except DriverFailed as error:
                if not self._halted.is_set():
                    self._events.record(self._pod, "Warning", "FailedUnmount",
                                        f'UnmountVolume.TearDown failed for volume "{name}" : {error}')
                self._halted.wait(backoff.failed())

    def _run_container(self, wanted: dict[str, tuple[Object, Object]]) -> None:
        directories = {volume["name"]: self._mounted[name] for name, (volume, _) in wanted.items()}
        self._container = self._start(self._pod, directories)
        if self._halted.is_set():
            self._container.kill()
        try:
            self._api.patch(PODS, self._name, {"status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True"}]}}, self._namespace, status=True)
        except ApiError:
            return                       # the pod went away meanwhile; the end of its life follows

    def _tell_gone(self) -> None:
        try:
            self._api.delete(PODS, self._name, self._namespace, gracePeriodSeconds=0, preconditions={"uid": self.uid})
        except ApiError:
            return                       # somebody else removed it, or a namesake is there by now

    def _secrets(self, pv: Object) -> dict[str, bytes]:
        """The values of the PV's secretRef; kubelet insists on the type being the driver's name."""
        ref = pv["spec"]["flexVolume"].get("secretRef")
        if not ref:
            return {}
        secret = self._api.get("secrets", ref["name"], ref.get("namespace") or self._namespace)
        if secret is None or secret.get("type") != self._volumes.driver.name:
            raise DriverFailed(f"Couldn't get secret {ref['name']}: it must exist with type {self._volumes.driver.name}")
        return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}

    def _group(self) -> int | None:
        group: int | None = (self._pod["spec"].get("securityContext") or {}).get("fsGroup")
        return group

    def _grace(self) -> int:
        current = self._api.get(PODS, self._name, self._namespace)
        asked = (current or self._pod)["metadata"].get("deletionGracePeriodSeconds")
        return int(self._pod["spec"]["terminationGracePeriodSeconds"] if asked is None else asked)

    @property
    def _name(self) -> str:
        name: str = self._pod["metadata"]["name"]
        return name

    @property
    def _namespace(self) -> str:
        namespace: str = self._pod["metadata"]["namespace"]
        return namespace
