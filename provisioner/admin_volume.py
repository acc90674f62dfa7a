"""`pure volumes CLAIM`: one claim's volume as its array shows it now; nothing of other claims is told."""

from typing import Any

from arrays.errors import ConfigError
from provisioner import survey, wellknown
from provisioner.kube import PVS, Kube, in_namespace, named
from provisioner.migration import steps
from provisioner.migration.volumes import flex_volumes


def detail(kube: Kube, fleet: Any, prefix: str, namespace: str, claim: str) -> dict[str, object]:
    """Size, place, hosts and load of a claim's volume; bytes and microseconds. ConfigError when it has none of ours."""
    bound = kube.get(in_namespace(namespace, "persistentvolumeclaims", claim))["spec"].get("volumeName")
    if not bound:
        raise ConfigError(f"claim {namespace}/{claim} is not bound yet")
    found = flex_volumes([kube.get(named(PVS, bound))], (), prefix)
    if not found:
        raise ConfigError(f"claim {namespace}/{claim} is bound to {bound}, which is not of this driver")
    volume = found[0]
    array, seen = steps.locate(fleet, volume.backend, volume.array, volume.volume)
    row: dict[str, object] = {"claim": f"{namespace}/{claim}", "pv": bound, "array": array, "volume": seen.name,
                              "size": seen.size, "created": seen.created}
    ask = _block if volume.backend == wellknown.BLOCK else _file
    return {**row, **ask(fleet, array, seen.name)}


def _block(fleet: Any, array: str, volume: str) -> dict[str, object]:
    from arrays.flasharray import FlashArray
    client = FlashArray(fleet.flash_array(array), connect_timeout=survey.CONNECT, read_timeout=survey.READ)
    try:
        load, space = client.volume_activity(volume), client.space_of(volume)
        return {"used": space.used, "data_reduction": space.data_reduction, "total_reduction": space.total_reduction,
                "hosts": ",".join(sorted(one.host for one in client.connections(volume))),
                "iops": load.reads_per_sec + load.writes_per_sec if load else None,
                "bandwidth": load.read_bytes_per_sec + load.written_bytes_per_sec if load else None,
                "usec_per_read": load.usec_per_read if load else None,
                "usec_per_write": load.usec_per_write if load else None}
    finally:
        client.close()


def _file(fleet: Any, array: str, volume: str) -> dict[str, object]:
    from arrays.flashblade import FlashBlade
    client = FlashBlade(fleet.flash_blade(array), connect_timeout=survey.CONNECT, read_timeout=survey.READ)
    try:
        found = client.file_system(volume)
        return {"used": found.used, "export": client.export(volume)}
    finally:
        client.close()
