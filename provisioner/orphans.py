"""Volumes that carry our name and belong to nobody: no PV, no claim that waits for them. Pure but for `held_by`.

Only names of the form `<prefix>-pvc-<uid>` are looked at, so that volumes of other clusters (`k8s2-pvc-…`), of people
and of other products never appear. A PV of any kind holds the volume it names: after a migration that is the CSI driver's,
or one of plain NFS.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from arrays import names
from provisioner.objects import Raw
from provisioner.stores import Found

_OURS = re.compile(r"pvc-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class Orphan(NamedTuple):
    """A volume that nobody stands for, and why that is thought."""

    array: str
    volume: str
    size: int                   # bytes
    created: str                # as the array tells, "" if it does not
    why: str
    waiting: bool               # a claim still waits for it, so it is no orphan yet


def claim_uid(volume: str, prefix: str) -> str:
    """The UID of the claim a volume was made for, "" when the name is not of that form."""
    found = _OURS.fullmatch(names.base_name(volume).removeprefix(f"{prefix}-"))
    return found[1] if found and names.is_ours(volume, prefix) else ""


def orphans(holdings: Mapping[str, Iterable[Found]], held: Mapping[str, str], claims: Mapping[str, str],
            prefix: str) -> list[Orphan]:
    """Those of each array's volumes that no PV stands for.

    `held`: base name of each PV's volume -> the array the PV names, "" if it names none. `claims`: UID -> "ns/name" of
    all claims that live. A second volume of the same name on another array (a twin) is one too; one that two arrays show,
    as those of a stretched pod do, or one array by two addresses, is no second: it has the same serial.
    """
    everywhere: dict[tuple[str, str], list[Found]] = {}
    for array, volumes in holdings.items():
        for found in volumes:
            everywhere.setdefault((array, names.base_name(found.name)), []).append(found)
    return [Orphan(array, found.name, found.size, found.created, why, why.startswith(_WAITING))
            for (array, name), same_named in sorted(everywhere.items()) if (uid := claim_uid(name, prefix))
            for found in same_named if (why := _why(found, uid, array, everywhere, held, claims))]


_WAITING = "no PV yet"
GONE = "no PV, and its claim is gone"


def _why(found: Found, uid: str, array: str, everywhere: Mapping[tuple[str, str], Iterable[Found]],
         held: Mapping[str, str], claims: Mapping[str, str]) -> str:
    name = names.base_name(found.name)
    if name not in held:
        return f"{_WAITING}: claim {claims[uid]} waits" if uid in claims else GONE
    home = held[name]
    serials = {one.serial for one in everywhere.get((home, name), ())}
    if home not in ("", array) and serials and not (found.serial and found.serial in serials):
        return f"twin: its PV uses the one on {home}"
    return ""


def held_by(pv: Raw, prefix: str) -> dict[str, str]:
    """Base names of the volumes that a PV of any driver may stand for, with the array it names or ""."""
    spec = pv.get("spec") or {}
    options, csi = (spec.get("flexVolume") or {}).get("options") or {}, spec.get("csi") or {}
    exported = ((spec.get("nfs") or {}).get("path") or "").strip("/").partition("/")[0]
    said = {f"{prefix}-{pv['metadata']['name']}", options.get("volume") or "", csi.get("volumeHandle") or "", exported}
    return {names.base_name(name): options.get("array") or "" for name in said if name}
