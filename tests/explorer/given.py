"""Objects the pure tests begin with, and a cluster's worth of them."""

from typing import Any

from arrays.records import Activity, Snapshot
from explorer.cluster import Seen
from explorer.fleet import ArraySeen, VolumeSeen
from explorer.records import ClaimSeen, EventSeen, PodSeen, PvSeen
from provisioner.objects import ClassRecord
from provisioner.stores import Found, Measure

GiB, TiB = 2**30, 2**40
OURS = frozenset(("pure-provisioner",))
AT = "2026-01-31T08:15:00Z"


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def claim(number: int, **changes: Any) -> ClaimSeen:
    """Claim `data-<number>` of 10Gi in one of ten namespaces, bound."""
    return ClaimSeen(uid(number), f"team-{number % 10}", f"data-{number:05}", "pure", f"pvc-{uid(number)}", "Bound",
                     "10Gi", "10Gi", ("ReadWriteOnce",), f"2026-01-{number % 28 + 1:02}T08:15:00Z", "",
                     True)._replace(**changes)


def pv(of: ClaimSeen, array: str = "fa1", **changes: Any) -> PvSeen:
    volume = f"k8s-{of.volume_name}"
    return PvSeen(of.volume_name, "Bound", of.class_name, of.capacity, "Delete", of.key, of.uid, of.created, "", True,
                  "block", volume, array, "", {volume: array})._replace(**changes)


def pod(of: ClaimSeen, node: str = "node1", **changes: Any) -> PodSeen:
    return PodSeen(of.namespace, f"web-{of.name}", node, "Running", of.created, of.created, (of.name,))._replace(**changes)


def event(of: ClaimSeen, reason: str = "ProvisioningSucceeded", message: str = "done", **changes: Any) -> EventSeen:
    return EventSeen("PersistentVolumeClaim", of.namespace, of.name, False, reason, message, 1, of.created,
                     of.created)._replace(**changes)


def volume(of: ClaimSeen, size: int = 10 * GiB, used: int = GiB, snapshots: int = 0,
           hosts: tuple[str, ...] = ()) -> VolumeSeen:
    name = f"k8s-{of.volume_name}"
    return VolumeSeen(Found(name, size, False, "", of.created), used,
                      tuple(Snapshot(f"{name}.{number}", name, "0", size, AT) for number in range(snapshots)), hosts,
                      Activity(1, 2, 3, 4, 5, 6))


def array(name: str, *volumes: VolumeSeen, **changes: Any) -> ArraySeen:
    return ArraySeen(**{"name": name, "backend": "block", "kind": "FlashArray", "labels": {"env": "dev"}, "title": name,
                        "version": "6.1.0", "measure": Measure(100 * TiB, 10 * TiB, len(volumes)), "data_reduction": 4.2,
                        "total_reduction": 9.9, "volumes": {one.found.name: one for one in volumes}, "at": 1.0, **changes})


def seen(claims: list[ClaimSeen], pvs: list[PvSeen] = [], pods: list[PodSeen] = [], events: list[EventSeen] = []) -> Seen:
    return Seen({one.uid: one for one in claims}, {one.name: one for one in pvs}, {one.key: one for one in pods},
                {f"{one.namespace}/{number}": one for number, one in enumerate(events)},
                {"pure": ClassRecord("pure", "1", "pure-provisioner", {"backend": "block"}, "Delete", False, (), ())})


def many(number: int) -> tuple[Seen, dict[str, ArraySeen]]:
    """So many bound claims with PV, pod, event and volume, over two arrays."""
    claims = [claim(one) for one in range(number)]
    halves = [claims[::2], claims[1::2]]
    arrays = {name: array(name, *(volume(one, hosts=("node1",)) for one in half))
              for name, half in zip(("fa1", "fa2"), halves)}
    pvs = [pv(one, name) for name, half in zip(arrays, halves) for one in half]
    return seen(claims, pvs, [pod(one, f"node{number % 7}") for number, one in enumerate(claims)],
                [event(one) for one in claims]), arrays
