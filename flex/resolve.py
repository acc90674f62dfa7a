"""Old PVs say less than ours: what kind of volume they mean is known from an earlier call, or from the fleet."""

from flex import state
from flex.request import FILE, MountRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from flex.machine import Node


def complete(wanted: MountRequest, node: "Node") -> MountRequest:
    """`wanted` with its kind of volume known. Asks arrays only when neither the PV nor this node's record tells."""
    if wanted.backend:
        return wanted
    record = state.known(node.paths, wanted.mount_dir)
    if record is not None and record.backend and record.pv == wanted.pv:
        return wanted.but(backend=record.backend, volume=record.volume, array=record.array, nfs=record.source,
                          imported=wanted.imported and record.volume == wanted.volume)
    return _asked(wanted, node)


def _asked(wanted: MountRequest, node: "Node") -> MountRequest:
    from flex import find
    fleet = node.fleet()
    array, _ = find.anywhere(node, fleet, wanted.volume, wanted.array, wanted.pv)
    blade = fleet.flash_blade(array.name)
    if blade is None:
        return wanted.but(backend="block", array=array.name)
    from arrays import names
    return wanted.but(backend=FILE, array=array.name, nfs=names.export(blade.nfs_endpoint, wanted.volume),
                      mount_options=())
