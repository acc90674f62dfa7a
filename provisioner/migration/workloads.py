"""Deployments and StatefulSets that have to stand still for a migration, and the replicas to give back. Pure."""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from provisioner.migration.volumes import claims_of
from provisioner.objects import Raw


class Workload(NamedTuple):
    """What is scaled to 0 and back."""

    kind: str                   # Deployment or StatefulSet
    namespace: str
    name: str
    replicas: int

    @property
    def path(self) -> str:
        """Of the object in the API."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind.lower()}s/{self.name}"

    def scale(self, replicas: int) -> str:
        """The command for a person."""
        return f"kubectl -n {self.namespace} scale {self.kind.lower()}/{self.name} --replicas={replicas}"


def workloads(objects: Iterable[Raw], kind: str, claims: Collection[str]) -> list[Workload]:
    """Those of `objects`, all of one kind, whose pods use one of the claims ("ns/name")."""
    return [_workload(one, kind) for one in objects if _uses(one, claims)]


def merged(recorded: Iterable[Workload], seen: Iterable[Workload]) -> list[Workload]:
    """All workloads once, with the highest number of replicas ever seen: a second look may find them scaled down."""
    most: dict[tuple[str, str, str], Workload] = {}
    for one in (*recorded, *seen):
        before = most.get(one[:3])
        if before is None or before.replicas < one.replicas:
            most[one[:3]] = one
    return sorted(most.values())


def _workload(one: Raw, kind: str) -> Workload:
    replicas = (one.get("spec") or {}).get("replicas")
    return Workload(kind, one["metadata"]["namespace"], one["metadata"]["name"], 1 if replicas is None else replicas)


def _uses(one: Raw, claims: Collection[str]) -> bool:
    namespace, spec = one["metadata"]["namespace"], one.get("spec") or {}
    mounted = claims_of((spec.get("template") or {}).get("spec") or {})
    if any(f"{namespace}/{claim}" in claims for claim in mounted):
        return True
    made = [re.compile(re.escape(f"{namespace}/{template['metadata']['name']}-{one['metadata']['name']}-") + r"[0-9]+")
            for template in spec.get("volumeClaimTemplates") or ()]
    return any(pattern.fullmatch(claim) for pattern in made for claim in claims)
