"""PVs and claims of the cluster, read once for a report: who holds which volume."""

from typing import NamedTuple, Self

from arrays.names import base_name
from provisioner.kube import CLAIMS, PVS, Kube
from provisioner.objects import Raw
from provisioner.orphans import held_by
from provisioner.settings import Settings
from provisioner.start import access
from provisioner.stores import Found

PAGE = 500


class Inventory(NamedTuple):
    """`pvs`: volume (base name) -> the PV that stands for it; `claims`: UID -> "ns/name"."""

    pvs: dict[str, Raw]
    claims: dict[str, str]

    @property
    def held(self) -> set[str]:
        return set(self.pvs)

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """List PVs and claims from the API, page by page."""
        kube = Kube(access(settings), agent="pure")
        pvs = {name: _slim(pv) for pv in _all(kube, PVS) for name in held_by(pv, settings.prefix)}
        claims = {claim["metadata"]["uid"]: f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
                  for claim in _all(kube, CLAIMS)}
        return cls(pvs, claims)

    def row(self, array: str, found: Found) -> dict[str, object]:
        """One volume as `pure volumes` lists it."""
        pv = self.pvs.get(base_name(found.name))
        return {"array": array, "volume": found.name, "size": found.size, "pv": pv["name"] if pv else None,
                "claim": pv["claim"] if pv else None, "phase": pv["phase"] if pv else "no PV"}


def _slim(pv: Raw) -> Raw:
    claim = (pv.get("spec") or {}).get("claimRef") or {}
    return {"name": pv["metadata"]["name"], "phase": (pv.get("status") or {}).get("phase", ""),
            "claim": f"{claim.get('namespace')}/{claim.get('name')}" if claim else None}


def _all(kube: Kube, path: str) -> list[Raw]:
    found: list[Raw] = []
    token = ""
    while True:
        page = kube.list_page(path, PAGE, token)
        found += page.get("items") or ()
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return found
