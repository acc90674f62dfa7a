"""PVs and claims of the cluster, read once for a report: who holds which volume."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from arrays.names import base_name
from provisioner.kube import CLAIMS, PVS, Kube
from provisioner.objects import Raw
from provisioner.orphans import held_by
from provisioner.stores import Found

PAGE = 500


class Inventory(NamedTuple):
    """`pvs`: volume (base name) -> the PV that stands for it; `claims`: UID -> "ns/name"."""

    pvs: dict[str, "Holder"]
    claims: dict[str, str]

    @property
    def held(self) -> dict[str, str]:
        """Volume (base name) -> the array its PV names."""
        return {volume: pv.array for volume, pv in self.pvs.items()}

    @classmethod
    def read(cls, kube: Kube, prefix: str) -> Self:
        """List PVs and claims from the API, keeping little of each page."""
        pvs = {volume: _holder(pv, array) for pv in each(kube, PVS) for volume, array in held_by(pv, prefix).items()}
        claims = {claim["metadata"]["uid"]: f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
                  for claim in each(kube, CLAIMS)}
        return cls(pvs, claims)

    def row(self, array: str, found: Found) -> dict[str, object]:
        """One volume as `pure volumes` lists it."""
        pv = self.pvs.get(base_name(found.name))
        return {"array": array, "volume": found.name, "size": found.size, "pv": pv.name if pv else None,
                "claim": pv.claim if pv else None, "phase": pv.phase if pv else "no PV"}


class Holder(NamedTuple):
    """A PV, as far as reports show it."""

    name: str
    phase: str
    claim: str | None           # "ns/name"
    array: str


def _holder(pv: Raw, array: str) -> Holder:
    claim = (pv.get("spec") or {}).get("claimRef") or {}
    return Holder(pv["metadata"]["name"], (pv.get("status") or {}).get("phase", ""),
                  f"{claim.get('namespace')}/{claim.get('name')}" if claim else None, array)


def each(kube: Kube, path: str) -> Iterator[Raw]:
    """All objects of a kind, page by page."""
    token = ""
    while True:
        page = kube.list_page(path, PAGE, token)
        yield from page.get("items") or ()
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return
