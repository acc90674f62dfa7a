"""Where the data of a copy comes from: another claim of the same namespace, or a snapshot of one.

Nobody may read another tenant's data by a name. So the original has to be a volume that was made for a claim of the same
Kubernetes namespace under our prefix, which its PV proves; the array's word for a name proves nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from arrays import names
from arrays.errors import ConfigError, NotFound, PureError
from arrays.units import human
from provisioner import volumes
from provisioner.apierrors import NotThere
from provisioner.claims import Claim
from provisioner.kube import Kube, in_namespace
from provisioner.objects import PvRecord
from provisioner.search import Search
from provisioner.settings import Settings
from provisioner.wellknown import BLOCK


class Origin(NamedTuple):
    """What is copied, and where it is."""

    array: str
    source: str                 # volume, or snapshot "volume.suffix"


class Origins:
    """Finds the original of a claim's copy."""

    def __init__(self, kube: Kube, pvs: Mapping[str, PvRecord], search: Search, settings: Settings) -> None:
        self._kube, self._pvs, self._search, self._settings = kube, pvs, search, settings

    def find(self, claim: Claim) -> Origin:
        """ConfigError when the claim may not have a copy of it, NotFound when it is not there (yet)."""
        if claim.source is None:
            raise ConfigError(f"claim {claim.key} asks for no copy")
        fs_type = claim.volume_class.fs_type or self._settings.fs_type
        if claim.volume_class.backend == BLOCK and fs_type == "btrfs":
            raise ConfigError("a copy of a btrfs has its original's identity, and a node that sees both would mix them up: "
                              "copy files instead")
        pv_name = (self._pv_of_claim(claim.namespace, claim.source.claim) if claim.source.claim
                   else self._pv_of_snapshot(claim.source.snapshot))
        pv = self._pvs.get(pv_name)
        if pv is None or pv.claim_namespace != claim.namespace:
            raise ConfigError(f"{_worded(claim)} is no volume that was made for a claim in namespace {claim.namespace}")
        if (pv.backend or BLOCK) != claim.volume_class.backend:
            raise ConfigError(f"{_worded(claim)} is on backend {pv.backend or BLOCK} and cannot be copied to "
                              f"{claim.volume_class.backend}")
        backend, found = self._search.find(pv, volumes.name_of(pv, self._settings.prefix))
        if backend is None or found is None or found.destroyed:
            raise Missing("the fleet", f"volume of {_worded(claim)}")
        if found.size > claim.size:
            raise ConfigError(f"{_worded(claim)} has {human(found.size)}, and {human(claim.size)} were asked for: a copy "
                              "cannot be smaller")
        suffix = claim.source.snapshot.rpartition(".")[2]
        return Origin(backend.name, f"{found.name}.{suffix}" if suffix else found.name)

    def _pv_of_claim(self, namespace: str, name: str) -> str:
        try:
            raw = self._kube.get(in_namespace(namespace, "persistentvolumeclaims", name))
        except NotThere:
            raise Missing(f"namespace {namespace}", f"claim {name}, which is to be copied") from None
        if not (pv_name := (raw.get("spec") or {}).get("volumeName")):
            raise Unbound(f"claim {namespace}/{name}")
        return str(pv_name)

    def _pv_of_snapshot(self, snapshot: str) -> str:
        names.check_snapshot_name(snapshot)
        volume = names.base_name(snapshot.rpartition(".")[0])
        return volume.removeprefix(f"{self._settings.prefix}-") if names.is_ours(volume, self._settings.prefix) else ""


class Missing(NotFound):
    """The original is not there, or not any more."""

    retry = True


class Unbound(PureError):
    """The original has no volume yet."""

    retry = True

    def __str__(self) -> str:
        return f"{self.args[0]}, which is to be copied, has no volume yet"


def _worded(claim: Claim) -> str:
    if claim.source and claim.source.claim:
        return f"claim {claim.namespace}/{claim.source.claim}"
    return f"snapshot {claim.source.snapshot if claim.source else ''}"
