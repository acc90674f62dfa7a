"""Binder: plays what kube-controller-manager does around claims and PVs (provisioner.md 1.1).

Orders provisioning by annotation, binds, copies capacity, releases, marks what nobody can delete as Failed, has the
protection finalizers taken off (protection.py), and "grows" flexVolume claims the way the expand controller does: PV and
condition jump, nobody asks the array. It deletes no volume and no PV, and it schedules nothing: `select_node` stands for
the scheduler.
"""
from typing import Any

from simulator.kubernetes import matching, protection
from simulator.kubernetes.admission import class_name, default_class
from simulator.kubernetes.api import KubeApi
from simulator.kubernetes.controller import CLAIMS, CLASSES, PODS, PVS, Controller
from simulator.kubernetes.protection import claims_of
from simulator.kubernetes.recorder import Recorder
from simulator.kubernetes.store import Event, Key

Object = dict[str, Any]
COMPLETED = "pv.kubernetes.io/bind-completed"
BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


class Binder(Controller):
    """The PV, protection and expand controllers of one pretend cluster, in one thread."""

    watched = (CLAIMS, PVS, CLASSES, PODS)

    def __init__(self, api: KubeApi, *, annotations: tuple[str, ...] | None = None, resync: float = 15.0) -> None:
        super().__init__(api, resync=resync)
        self._annotations = api.version.provisioner_annotations if annotations is None else annotations
        self._events = Recorder(api.registry, "persistentvolume-controller")
        self._unbound: set[Key] = set()          # claims without bind-completed
        self._free: set[str] = set()             # PVs without a claimRef
        self._reserved: dict[Key, set[str]] = {}   # PVs by the claim their claimRef names

    def select_node(self, claim: str, node: str, namespace: str = "default") -> None:
        """What the scheduler does for WaitForFirstConsumer."""
        self.api.patch(CLAIMS, claim, {"metadata": {"annotations": {self.api.version.selected_node_annotation: node}}},
                       namespace)

    # --- what a change concerns; store locked, kept cheap: one index look-up each

    def changed(self, event: Event) -> None:
        """Keep the indexes and enqueue the object and its other half."""
        plural, key, found = event.stored.resource.plural, event.stored.key, event.stored.object
        if plural == CLAIMS:
            self._index_claim(key, found, gone=event.type == "DELETED")
            self.enqueue(CLAIMS, key)
            for name in {found["spec"].get("volumeName"), *self._reserved.get(key, ())} - {None, ""}:
                self.enqueue(PVS, ("", str(name)))
        elif plural == PVS:
            self._index_volume(event)
            self.enqueue(PVS, key)
            if found["spec"].get("claimRef"):
                self.enqueue(CLAIMS, _claim_key(found))
            elif event.type != "DELETED" and found["status"]["phase"] == "Available":
                self.resync()
        elif plural == CLASSES:
            self.resync()
        elif event.type == "DELETED" or found["status"].get("phase") in ("Succeeded", "Failed"):
            for name in claims_of(found):
                self.enqueue(CLAIMS, (key[0], name))

    def resync(self) -> None:
        """Look at all claims that wait."""
        for key in tuple(self._unbound):
            self.enqueue(CLAIMS, key)

    def _index_claim(self, key: Key, claim: Object, *, gone: bool) -> None:
        (self._unbound.discard if gone or COMPLETED in _annotations(claim) else self._unbound.add)(key)

    def _index_volume(self, event: Event) -> None:
        name = event.stored.key[1]
        if event.previous and event.previous.object["spec"].get("claimRef"):
            reserved = self._reserved.get(_claim_key(event.previous.object), set())
            reserved.discard(name)
            if not reserved:
                self._reserved.pop(_claim_key(event.previous.object), None)
        self._free.discard(name)
        if event.type == "DELETED":
            return
        if event.stored.object["spec"].get("claimRef"):
            self._reserved.setdefault(_claim_key(event.stored.object), set()).add(name)
        else:
            self._free.add(name)

    # --- the work

    def work(self, plural: str, key: Key) -> None:
        """Sync one claim or one PV."""
        found = self.get(plural, key)
        if found is None:
            return
        if plural == PVS:
            self._sync_volume(found)
        elif COMPLETED in _annotations(found):
            self._sync_bound(found)
        else:
            self._sync_unbound(found)

    def _sync_unbound(self, claim: Object) -> None:
        if protection.release_claim(self, claim):
            return
        if self.api.version.retroactive_default_class and class_name(claim) is None:
            if name := default_class(self.api.store):
                claim = self.put(CLAIMS, {**claim, "spec": {**claim["spec"], "storageClassName": name}})
        if claim["spec"].get("volumeName"):
            self._sync_asked_for(claim)
            return
        storage_class = self.get(CLASSES, ("", class_name(claim) or ""))
        delayed = bool(storage_class and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
                       and not _annotations(claim).get(self.api.version.selected_node_annotation))
        pv = matching.best(claim, self._candidates(claim), delayed=delayed)
        if pv is not None:
            self._bind(pv, claim)
        elif delayed:
            self._events.record(claim, "Normal", "WaitForFirstConsumer",
                                "waiting for first consumer to be created before binding")
        elif class_name(claim):
            self._order(claim, storage_class)
        else:
            self._events.record(claim, "Normal", "FailedBinding",
                                "no persistent volumes available for this claim and no storage class is set")

    def _candidates(self, claim: Object) -> list[Object]:
        with self.api.store.lock:
            names = [*self._reserved.get(_key(claim), ()), *self._free]
        return [pv for name in sorted(names) if (pv := self.get(PVS, ("", name)))]

    def _order(self, claim: Object, storage_class: Object | None) -> None:
        """Write the provisioner's name into the claim: the order to work."""
        name = class_name(claim)
        if storage_class is None:
            self._events.record(claim, "Warning", "ProvisioningFailed",
                                f'storageclass.storage.k8s.io "{name}" not found')
            return
        provisioner = storage_class["provisioner"]
        if provisioner.startswith("kubernetes.io/"):
            return
        wanted = {annotation: provisioner for annotation in self._annotations}
        if {key: _annotations(claim).get(key) for key in wanted} != wanted:
            claim = self.put(CLAIMS, _with_annotations(claim, wanted))
        self._events.record(claim, "Normal", "ExternalProvisioning", f"Waiting for a volume to be created either by "
                            f"the external provisioner '{provisioner}' or manually by the system administrator.")

    def _sync_asked_for(self, claim: Object) -> None:
        """The user named the PV."""
        pv = self.get(PVS, ("", claim["spec"]["volumeName"]))
        if pv is None:
            return
        if pv["spec"].get("claimRef") is None or matching.refers_to(pv, claim):
            if why := matching.mismatch(claim, pv):
                self._events.record(claim, "Warning", "VolumeMismatch", f'Cannot bind to requested volume '
                                    f'"{pv["metadata"]["name"]}": {why}')
            else:
                self._bind(pv, claim)

    def _bind(self, pv: Object, claim: Object) -> None:
        """Four writes in the real order: PV spec, PV phase, claim spec, claim status."""
        if not matching.refers_to(pv, claim):
            pv = _with_annotations(pv, {BY_CONTROLLER: "yes"})
        if (pv["spec"].get("claimRef") or {}).get("uid") != claim["metadata"]["uid"]:
            pv = self.put(PVS, {**pv, "spec": {**pv["spec"], "claimRef": _reference(claim)}})
        if pv["status"]["phase"] != "Bound":
            pv = self.put(PVS, {**pv, "status": {"phase": "Bound"}}, status=True)
        marks = {COMPLETED: "yes"}
        if claim["spec"].get("volumeName") != pv["metadata"]["name"]:
            marks[BY_CONTROLLER] = "yes"
        bound = _with_annotations(claim, marks)
        claim = self.put(CLAIMS, {**bound, "spec": {**claim["spec"], "volumeName": pv["metadata"]["name"]}})
        self._copy_status(claim, pv)

    def _copy_status(self, claim: Object, pv: Object) -> None:
        status = {**claim["status"], "phase": "Bound", "accessModes": pv["spec"]["accessModes"]}
        status.setdefault("capacity", pv["spec"]["capacity"])
        if status != claim["status"]:
            self.put(CLAIMS, {**claim, "status": status}, status=True)

    def _sync_bound(self, claim: Object) -> None:
        if protection.release_claim(self, claim):
            return
        pv = self.get(PVS, ("", claim["spec"].get("volumeName") or ""))
        if pv is None or not matching.refers_to(pv, claim):
            if claim["status"]["phase"] != "Lost":
                self.put(CLAIMS, {**claim, "status": {**claim["status"], "phase": "Lost"}}, status=True)
                self._events.record(claim, "Warning", "ClaimLost" if pv is None else "ClaimMisbound", "Bound claim has "
                                    "lost its PersistentVolume. Data on the volume is lost!")
            return
        if claim["status"]["phase"] != "Bound":
            self._copy_status(claim, pv)
        elif self.api.version.resize:
            self._grow(claim, pv)

    def _grow(self, claim: Object, pv: Object) -> None:
        """The expand controller with no plugin for flexVolume: claims success at once (provisioner.md 1.11)."""
        wanted = claim["spec"]["resources"]["requests"]["storage"]
        if matching.size(pv) < matching.size(claim):
            self.put(PVS, {**pv, "spec": {**pv["spec"], "capacity": {**pv["spec"]["capacity"], "storage": wanted}}})
        has = {"spec": {"capacity": claim["status"]["capacity"]}}
        if matching.size(has) < matching.size(claim):
            pending = {"type": "FileSystemResizePending", "status": "True", "message": "Waiting for user to (re-)start a "
                       "pod to finish file system resize of volume on node."}
            if pending not in claim["status"].get("conditions", []):
                self.put(CLAIMS, {**claim, "status": {**claim["status"], "conditions": [pending]}}, status=True)
                self._events.record(claim, "Normal", "FileSystemResizeRequired",
                                    "Require file system resize of volume on node")

    def _sync_volume(self, pv: Object) -> None:
        if protection.release_volume(self, pv):
            return
        claim_ref = pv["spec"].get("claimRef")
        if claim_ref is None or not claim_ref.get("uid"):
            self._set_phase(pv, "Available")
            return
        claim = self.get(CLAIMS, _claim_key(pv))
        if claim is None or claim["metadata"]["uid"] != claim_ref["uid"]:
            self._release(pv)
        elif not claim["spec"].get("volumeName"):
            if matching.mismatch(claim, pv) == "incompatible volumeMode":
                self._events.record(pv, "Warning", "VolumeMismatch", "Cannot bind PersistentVolume to requested "
                                    "PersistentVolumeClaim due to incompatible volumeMode.")
            self.enqueue(CLAIMS, _key(claim))
        elif claim["spec"]["volumeName"] == pv["metadata"]["name"]:
            self._set_phase(pv, "Bound")
        else:
            self._surplus(pv)

    def _surplus(self, pv: Object) -> None:
        """The claim took another PV: a provisioned one is released, any other is free again."""
        annotations = _annotations(pv)
        if PROVISIONED_BY in annotations and pv["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            self._release(pv)
            return
        spec = {key: value for key, value in pv["spec"].items() if key != "claimRef"}
        if BY_CONTROLLER not in annotations:
            spec["claimRef"] = {key: value for key, value in pv["spec"]["claimRef"].items() if key != "uid"}
        self.put(PVS, {**pv, "spec": spec})

    def _release(self, pv: Object) -> None:
        if pv["status"]["phase"] == "Failed":
            return
        pv = self._set_phase(pv, "Released")
        provisioner = _annotations(pv).get(PROVISIONED_BY, "")
        if pv["spec"]["persistentVolumeReclaimPolicy"] == "Delete" and (
                not provisioner or provisioner.startswith("kubernetes.io/")):
            why = (f'error getting deleter volume plugin for volume "{pv["metadata"]["name"]}": '
                   "no deletable volume plugin matched")
            self._set_phase(pv, "Failed", why)
            self._events.record(pv, "Warning", "VolumeFailedDelete", why)

    def _set_phase(self, pv: Object, phase: str, message: str = "") -> Object:
        if pv["status"]["phase"] == phase:
            return pv
        return self.put(PVS, {**pv, "status": {"phase": phase, **({"message": message} if message else {})}},
                        status=True)


def _annotations(found: Object) -> dict[str, str]:
    return found["metadata"].get("annotations") or {}


def _with_annotations(found: Object, more: dict[str, str]) -> Object:
    return {**found, "metadata": {**found["metadata"], "annotations": {**_annotations(found), **more}}}


def _key(claim: Object) -> Key:
    return claim["metadata"]["namespace"], claim["metadata"]["name"]


def _claim_key(pv: Object) -> Key:
    claim_ref = pv["spec"]["claimRef"]
    return claim_ref["namespace"], claim_ref["name"]


def _reference(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"],
            "name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
