"""The steps of a migration that change something, each of which may be cut and repeated.

Before and after each deletion the array is asked for the volume; a record of what is to be deleted is on disk before.
Whatever was listed or read a moment ago may be gone, on its way out, or changed: controllers and people work on it too.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

from arrays.entries import FlashArrayEntry, FlashBladeEntry
from arrays.errors import Busy, ConfigError, NeverHappened, NotFound, PureError, Refused, VolumeDiffers
from arrays.fleet import Fleet
from provisioner import wellknown
from provisioner.apierrors import Conflict, NotThere
from provisioner.backends import new_store
from provisioner.inventory import each
from provisioner.kube import PVS, Kube, in_namespace, named
from provisioner.migration.record import Record, trimmed
from provisioner.migration.volumes import FlexVolume, flex_volumes
from provisioner.migration.workloads import Workload, merged, workloads
from provisioner.objects import Raw
from provisioner.stores import Found
from provisioner.survey import users_elsewhere

PODS = "/api/v1/pods"
CONNECT, READ = 5.0, 30.0           # seconds; a person waits for it
SUFFIX = "flex-migration"
PATIENCE = 120.0                    # seconds for Kubernetes to let go of a claim or PV
_TRIES = 5                          # at a PV that controllers change at the same moment


def survey(kube: Kube, prefix: str, namespace: str = "") -> list[FlexVolume]:
    """All FlexVolume PVs with their users, now."""
    return flex_volumes(each(kube, PVS), each(kube, PODS), prefix, namespace)


def movers(kube: Kube, volumes: Iterable[FlexVolume]) -> list[Workload]:
    """Deployments and StatefulSets that use these volumes."""
    claims = {one.claim for one in volumes if one.claim}
    return [found for kind in ("Deployment", "StatefulSet")
            for found in workloads(each(kube, f"/apis/apps/v1/{kind.lower()}s"), kind, claims)]


def refuse_users(volumes: Iterable[FlexVolume]) -> None:
    """ConfigError while a pod has one of the volumes."""
    if users := sorted({pod for one in volumes for pod in one.pods}):
        raise ConfigError(f"pods use these volumes: {', '.join(users)}: scale them down first, `pure migrate plan` says how")


def locate(fleet: Fleet, backend: str, hint: str, volume: str) -> tuple[str, Found]:
    """The array that has a live volume, and what it says of it; the hinted one is asked first.

    NotFound when no array has it; an array that gives no answer is an error, unless another one has the volume.
    """
    entries: Sequence[FlashArrayEntry | FlashBladeEntry] = (
        fleet.flash_arrays if backend == wellknown.BLOCK else fleet.flash_blades)
    trouble: PureError | None = None
    for entry in sorted(entries, key=lambda entry: entry.name != hint):
        store = new_store(entry, CONNECT, READ)
        try:
            found = store.find(volume)
        except PureError as error:
            trouble = trouble or error
            continue
        finally:
            store.close()
        if found is not None and not found.destroyed:
            return entry.name, found
    raise trouble or NotFound(f"the fleet ({', '.join(entry.name for entry in entries) or 'no array of that kind'})",
                              f"volume {volume}", "it is not there, or is destroyed")


def prove(fleet: Fleet, entry: dict[str, Any]) -> tuple[str, Found]:
    """The array that has the very volume of the record, alive, and what it says of it; refuses to go on otherwise."""
    array, found = locate(fleet, entry["backend"], entry["array"], entry["volume"])
    if found.created != entry["created"]:
        raise VolumeDiffers(f"array {array}", f"volume {found.name}", f"the one of {entry['created']}",
                            f"another of {found.created}")
    return array, found


# Retain, and the record

def retain(kube: Kube, fleet: Fleet, record: Record, volume: FlexVolume) -> None:
    """Note a volume in the record, with all that is needed to make PV and claim anew, then set its PV to Retain.

    A PV that went since the survey, as one does whose deletion was cut short, has nothing left to retain. One that
    somebody deletes at this moment is not taken into the record.
    """
    pv = _get(kube, named(PVS, volume.pv))
    if pv is None:
        return
    if volume.pv not in record.volumes:
        _refuse_leaving(pv)
        array, found = locate(fleet, volume.backend, volume.array, volume.volume)
        record.volumes[volume.pv] = {
            "pv": trimmed({"kind": "PersistentVolume", **pv}), "claim": _claim(kube, volume), "array": array,
            "volume": found.name, "backend": volume.backend, "created": found.created, "size": found.size,
            "policy": volume.policy, "snapshot": "", "claim_deleted": False, "pv_deleted": False}
        record.save()
    if pv["spec"].get("persistentVolumeReclaimPolicy") != "Retain":
        try:
            kube.merge(named(PVS, volume.pv), {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        except NotThere:
            prove(fleet, record.volumes[volume.pv])     # it went before it was retained, perhaps with its volume


def _refuse_leaving(live: Raw) -> None:
    metadata = live["metadata"]
    if since := metadata.get("deletionTimestamp"):
        raise Refused("pure migrate", f"retain {metadata['name']}",
                      f"somebody deleted it at {since}, and it is held by {_holders(live)}: it can only go")


def _holders(live: Raw) -> str:
    return ", ".join(live["metadata"].get("finalizers") or ["nothing that is known"])


def remember(record: Record, found: Iterable[Workload]) -> None:
    """Keep the replicas to give back; those seen first count, for later they are 0."""
    record.workloads = merged(record.workloads, found)
    record.save()


def _claim(kube: Kube, volume: FlexVolume) -> Raw:
    if not volume.claim:
        return {}
    namespace, _, name = volume.claim.partition("/")
    try:
        claim = kube.get(in_namespace(namespace, "persistentvolumeclaims", name))
    except NotThere:
        return {}
    _refuse_leaving(claim)
    return trimmed({"kind": "PersistentVolumeClaim", **claim})


# Safety snapshots

def snapshot(fleet: Fleet, record: Record, pv: str, suffix: str = "") -> str:
    """Take a snapshot of a FlashArray volume and note it; its name. File systems have none: "".

    Its suffix has the time in it: one that an earlier migration left is neither taken for ours nor cleaned up with it.
    """
    from arrays.flasharray import FlashArray
    entry = record.volumes[pv]
    if entry["backend"] != wellknown.BLOCK:
        return ""
    name = entry["snapshot"] or f"{entry['volume']}.{suffix or time.strftime(f'{SUFFIX}-%Y%m%dT%H%M%SZ', time.gmtime())}"
    record.mark(pv, snapshot=name)              # before it exists: a cleanup must find it after a cut
    client = FlashArray(_flash_array(fleet, entry["array"]), connect_timeout=CONNECT, read_timeout=READ)
    try:
        client.snapshot(entry["volume"], name.rpartition(".")[2])
    finally:
        client.close()
    return str(name)


def drop_snapshot(fleet: Fleet, record: Record, pv: str) -> None:
    """Destroy the snapshot that the record names, and no other."""
    from arrays.flasharray import FlashArray
    entry = record.volumes[pv]
    client = FlashArray(_flash_array(fleet, entry["array"]), connect_timeout=CONNECT, read_timeout=READ)
    try:
        client.destroy_snapshot(entry["snapshot"])
    finally:
        client.close()
    record.mark(pv, snapshot="")


def _flash_array(fleet: Fleet, name: str) -> Any:
    found = fleet.flash_array(name)
    if found is None:
        raise ConfigError(f"array {name} of the record is not in pure.json any more: put it back")
    return found


# Deletion: claim, then PV, with the volume looked at around each

def delete(kube: Kube, fleet: Fleet, record: Record, pv: str, wait: Callable[[float], None] = time.sleep) -> None:
    """Delete a volume's claim and PV from Kubernetes. The volume stays, which is proved before and after each deletion."""
    entry = record.volumes[pv]
    _refuse_connected(fleet, entry["backend"], *prove(fleet, entry))
    live = _get(kube, named(PVS, pv))
    if live is not None:
        _refuse_unless_kept(live, entry)
    if not entry["claim_deleted"]:
        if entry["claim"]:
            _delete_claim(kube, entry["claim"], pv, wait)
            prove(fleet, entry)
        record.mark(pv, claim_deleted=True)
    if not entry["pv_deleted"]:
        if live is not None:
            _delete_pv(kube, entry, wait)
            prove(fleet, entry)
        record.mark(pv, pv_deleted=True)


def _refuse_connected(fleet: Fleet, backend: str, array: str, found: Found) -> None:
    """Refused while a host has the volume: CSI knows nothing of it and would mount elsewhere. FlashBlades do not tell."""
    if backend != wellknown.BLOCK:
        return
    with closing(new_store(_flash_array(fleet, array), CONNECT, READ)) as store:
        users = [*store.users(found.name), *users_elsewhere(fleet, store, found)]
    if users:
        raise Refused(f"array {array}", f"let go of {found.name}", f"it is still connected to {', '.join(users)}: see that "
                      "it is unmounted there, which disconnects it; a node that is gone is disconnected on the array")


def _refuse_unless_kept(live: Raw, entry: dict[str, Any]) -> None:
    name, spec = live["metadata"]["name"], live["spec"]
    if live["metadata"]["uid"] != entry["pv"]["metadata"]["uid"]:
        raise Refused("pure migrate", f"delete {name}", "it is not the PV of the record: somebody made it anew")
    if spec.get("persistentVolumeReclaimPolicy") != "Retain":
        raise Refused("pure migrate", f"delete {name} or its claim",
                      "its policy is not Retain, so the volume would go with it: run `pure migrate retain`")


def _refuse_bound_anew(live: Raw, entry: dict[str, Any]) -> None:
    """Refused while a claim that the record does not know has the PV: it would be Lost."""
    holder, known = live["spec"].get("claimRef") or {}, (entry["claim"].get("metadata") or {}).get("uid")
    if (live.get("status") or {}).get("phase") == "Bound" and holder.get("uid") != known:
        raise Refused("pure migrate", f"delete {live['metadata']['name']}", f"claim {holder.get('namespace')}/"
                      f"{holder.get('name')} was made anew for it after the record: begin with a new --record")


def _delete_claim(kube: Kube, claim: Raw, pv: str, wait: Callable[[float], None]) -> None:
    path = in_namespace(claim["metadata"]["namespace"], "persistentvolumeclaims", claim["metadata"]["name"])
    live = _get(kube, path)
    if live is None or live["metadata"]["uid"] != claim["metadata"]["uid"]:
        return                                  # gone, or a new one of the same name, which is not ours to delete
    if live["spec"].get("volumeName") != pv:
        raise Refused("pure migrate", f"delete claim {claim['metadata']['name']}", f"it is not bound to {pv}")
    _delete(kube, path, live["metadata"]["uid"], wait)


def _delete_pv(kube: Kube, entry: dict[str, Any], wait: Callable[[float], None]) -> None:
    path = named(PVS, entry["pv"]["metadata"]["name"])
    for _ in range(_TRIES):
        live = _get(kube, path)
        if live is None:
            return
        _refuse_unless_kept(live, entry)        # once more: it may have been changed meanwhile
        _refuse_bound_anew(live, entry)
        try:
            _let_go(kube, path, live)
            return _delete(kube, path, live["metadata"]["uid"], wait)
        except NotThere:
            return
        except Conflict:                        # the PV controller says Released, now that the claim is gone
            continue
    raise Busy(f"PV {entry['pv']['metadata']['name']}", "it changes all the time")


def _let_go(kube: Kube, path: str, live: Raw) -> None:
    """Take our finalizer off: it is there to destroy the volume first, which Retain forbids."""
    finalizers = live["metadata"].get("finalizers") or []
    if wellknown.FINALIZER in finalizers:
        kube.merge(path, {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"],
                                       "finalizers": [one for one in finalizers if one != wellknown.FINALIZER] or None}})


def _delete(kube: Kube, path: str, uid: str, wait: Callable[[float], None]) -> None:
    try:
        kube.delete(path, uid)
    except NotThere:
        return
    except Conflict:                            # another object has the name by now, so that one is gone
        if (now := _get(kube, path)) is not None and now["metadata"]["uid"] == uid:
            raise
        return
    waited = 0.0
    while (live := _get(kube, path)) is not None and live["metadata"]["uid"] == uid:
        if waited >= PATIENCE:
            raise NeverHappened(f"{path.rpartition('/')[2]} deleted (held by {_holders(live)})", PATIENCE)
        wait(0.2)
        waited += 0.2


def _get(kube: Kube, path: str) -> Raw | None:
    try:
        return kube.get(path)
    except NotThere:
        return None


# Afterwards

def state(kube: Kube, fleet: Fleet, entry: dict[str, Any]) -> tuple[bool, str]:
    """Whether a volume is where it should be at this point, and in words where it is."""
    try:
        prove(fleet, entry)
    except PureError as error:
        return False, str(error)
    live = _get(kube, named(PVS, entry["pv"]["metadata"]["name"]))
    if live is None:
        return False, "volume is there; no PV: apply the exported manifests"
    if "csi" not in live["spec"]:
        return False, "volume is there; still a FlexVolume PV"
    if live["spec"]["csi"].get("volumeHandle") != entry["volume"]:
        return False, f"the PV of CSI names {live['spec']['csi'].get('volumeHandle')}, not {entry['volume']}"
    phase = (live.get("status") or {}).get("phase", "")
    if entry["claim"] and phase != "Bound":
        return False, f"PV of CSI is {phase}, its claim is not bound yet"
    return True, "migrated: volume, PV of CSI and claim belong together"


def give_back(kube: Kube, workload: Workload) -> bool:
    """Scale a workload to its recorded replicas; False when that was so already or it is gone."""
    live = _get(kube, workload.path)
    if live is None or (live.get("spec") or {}).get("replicas") == workload.replicas:
        return False
    try:
        kube.merge(workload.path, {"spec": {"replicas": workload.replicas}})
    except NotThere:
        return False
    return True
