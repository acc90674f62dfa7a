"""Which claims are ours to serve, and what exactly they ask for. Pure.

The rules are those of Kubernetes' binder: the storage-provisioner annotation is the order to work, and before it
appears nothing is done (kubernetes/kubernetes pkg/controller/volume/persistentvolume/pv_controller.go).
"""

from dataclasses import dataclass
from typing import NamedTuple

from arrays import names
from arrays.errors import ConfigError, PureError
from arrays.units import array_size
from provisioner.classes import VolumeClass
from provisioner.objects import ClaimRecord, ClassRecord
from provisioner.quantity import parse_quantity
from provisioner.selectors import Requirement, parse_selector
from provisioner.wellknown import BLOCK

_BLOCK_MODES = frozenset(("ReadWriteOnce", "ReadOnlyMany"))
_FILE_MODES = frozenset(("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"))


class ClassMissing(PureError):
    """A claim's StorageClass is not there; it may be created later."""

    retry = True


class LeftAlone(PureError):
    """The claim asks for content from a source that is not ours to copy; somebody else may serve it."""


class Source(NamedTuple):
    """Whose data a claim's volume shall have: one of `claim` (a name in the same namespace) or `snapshot` is set."""

    claim: str = ""
    snapshot: str = ""          # "k8s-pvc-<uid>.suffix"


@dataclass(frozen=True)
class Claim:
    """A claim ready to be served: everything checked, sizes in bytes."""

    uid: str
    namespace: str
    name: str
    version: str                                # metadata.resourceVersion
    size: int                                   # bytes an array can give, at least what was asked for
    access_modes: tuple[str, ...]
    volume_mode: str
    volume_class: VolumeClass
    requirements: tuple[Requirement, ...]       # on the array's labels
    node: str
    source: Source | None                       # None: an empty volume

    @property
    def pv_name(self) -> str:
        return names.pv_name(self.uid)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def why_skip(claim: ClaimRecord, storage_class: ClassRecord | None, provisioners: frozenset[str]) -> str:
    """Why nothing is to be done for a claim just now, "" when there is something; for the debug log.

    A missing class is not a reason here: the claim waits for it in parse.
    """
    if claim.volume_name:
        return f"bound to {claim.volume_name}"
    if claim.deleting:
        return "being deleted"
    if not claim.class_name:
        return "without a class"
    if storage_class is None:
        return ""
    if storage_class.provisioner not in provisioners:
        return f"class {claim.class_name} names provisioner {storage_class.provisioner}"
    if storage_class.waits and not claim.node:
        return "waiting for its first consumer"
    return ""


def parse(record: ClaimRecord, volume_class: VolumeClass) -> Claim:
    """Check what a claim asks for. ConfigError or LeftAlone when it cannot be served as it stands."""
    if record.volume_mode == "Block":
        raise ConfigError("volumeMode Block cannot be served: FlexVolume has no raw block volumes")
    _check_modes(record.access_modes, volume_class.backend)
    return Claim(record.uid, record.namespace, record.name, record.version,
                 array_size(parse_quantity(record.requested)), record.access_modes, record.volume_mode, volume_class,
                 parse_selector(record.selector), record.node, _source(record))


def _source(record: ClaimRecord) -> Source | None:
    """What is to be copied; LeftAlone when that is not ours to copy, for an empty volume would be the worst answer."""
    if record.source is None:
        return Source(snapshot=record.snapshot) if record.snapshot else None
    if record.snapshot:
        raise ConfigError(f"the claim asks for the data of {record.source[2]} and of {record.snapshot}: leave one out")
    group, kind, name, *elsewhere = record.source
    if (group, kind) == ("", "PersistentVolumeClaim") and elsewhere in ([], [record.namespace]):
        return Source(claim=name)
    what = "/".join(filter(None, (group, kind, name)))
    where = f" of namespace {elsewhere[0]}" if elsewhere else ""
    raise LeftAlone(f"data source {what}{where} is none that can be copied here, which are claims of the same namespace: "
                    "the claim is left to whoever serves it")


def _check_modes(modes: tuple[str, ...], backend: str) -> None:
    served = _BLOCK_MODES if backend == BLOCK else _FILE_MODES
    if not modes:
        raise ConfigError("the claim asks for no access mode")
    for mode in modes:
        if mode not in served:
            why = ("use a class with backend: file" if backend == BLOCK and mode == "ReadWriteMany"
                   else "only CSI drivers serve it" if mode == "ReadWriteOncePod" else "it is not known here")
            raise ConfigError(f"access mode {mode} cannot be served by backend {backend}: {why}")
