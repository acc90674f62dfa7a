"""Volumes that carry our name and belong to nobody: no PV, no claim that waits for them. Pure but for `held_by`.

Only names of the form `<prefix>-pvc-<uid>` are looked at, so that volumes of other clusters (`k8s2-pvc-…`), of people and of
other products never appear. A PV of any driver holds the volume it names: after a migration that is the CSI driver's.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from arrays import names
from provisioner.objects import Raw
from provisioner.stores import Found

_OURS = re.compile(r"pvc-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class Orphan(NamedTuple):
    """A volume without PV; `claim` says what became of the claim it was made for."""

    array: str
    volume: str
    size: int                   # bytes
    created: str                # as the array tells, "" if it does not
    claim: str                  # "gone", or "ns/name" of one that still waits for it


def claim_uid(volume: str, prefix: str) -> str:
    """The UID of the claim a volume was made for, "" when the name is not of that form."""
    found = _OURS.fullmatch(names.base_name(volume).removeprefix(f"{prefix}-"))
    return found[1] if found and names.is_ours(volume, prefix) else ""


def orphans(holdings: Mapping[str, Iterable[Found]], held: Collection[str], claims: Mapping[str, str],
            prefix: str) -> list[Orphan]:
    """Those of each array's volumes that no PV holds. `claims`: UID -> "ns/name" of all claims that live."""
    return [Orphan(array, found.name, found.size, found.created, claims.get(uid, "gone"))
            for array, volumes in sorted(holdings.items()) for found in sorted(volumes)
            if (uid := claim_uid(found.name, prefix)) and names.base_name(found.name) not in held]


def held_by(pv: Raw, prefix: str) -> set[str]:
    """Base names of the volumes that a PV of any driver may stand for."""
    spec = pv.get("spec") or {}
    flex, csi = spec.get("flexVolume") or {}, spec.get("csi") or {}
    said = {f"{prefix}-{pv['metadata']['name']}", (flex.get("options") or {}).get("volume") or "",
            csi.get("volumeHandle") or ""}
    return {names.base_name(name) for name in said if name}
