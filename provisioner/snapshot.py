"""snapshot: take and delete snapshots of claims, for `kubectl exec` into the provisioner's pod.

    snapshot create -n shop data     prints k8s-pvc-<uid>.<suffix>
    snapshot delete NAME

A claim with the annotation snapshot.beta.purestorage.com/name: NAME gets a volume with the snapshot's data.
"""

import sys
from datetime import datetime, timezone
from typing import Any

import click

from arrays.errors import ConfigError, NotFound, Refused
from provisioner.console import end


def main() -> None:
    """The console script; exits."""
    end(snapshot, "snapshot")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def snapshot() -> None:
    """Snapshots of claims."""


@snapshot.command()
@click.option("-n", "--namespace", default="default", show_default=True, help="The claim's namespace.")
@click.option("--suffix", default="", help="End of the snapshot's name; the time, unless given.")
@click.argument("pvc")
def create(namespace: str, suffix: str, pvc: str) -> int:
    """Take a snapshot of the volume of claim PVC and print its name."""
    from arrays import names
    array, volume = _volume_of(namespace, pvc)
    wanted = names.check_suffix(suffix or datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ"))
    client = _client(array)
    try:
        # the client takes one of that name for the outcome of a lost answer; here it would be old data taken for new
        if any(found.name.lower() == f"{volume}.{wanted}".lower() for found in client.snapshots(volume)):
            raise Refused(f"array {array.name}", f"take snapshot {volume}.{wanted}",
                          "it is there already, with the data of its own time: choose another suffix")
        click.echo(client.snapshot(volume, wanted).name)
    finally:
        client.close()
    return 0


@snapshot.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Where there is no terminal (kubectl exec) nobody is asked.")
@click.argument("name")
def delete(name: str, yes: bool) -> int:
    """Delete snapshot NAME, as create printed it; it stays recoverable on the array for a day."""
    from arrays import names
    from provisioner import settings as settings_module
    settings = settings_module.read()
    names.check_snapshot_name(name)
    volume = name.rpartition(".")[0]
    if not names.is_ours(volume, settings.prefix):
        raise ConfigError(f"{name} is not a snapshot of a volume of this cluster: those begin with {settings.prefix}-")
    if not yes and sys.stdin.isatty() and not click.confirm(f"Destroy snapshot {name}?", err=True):
        return 2
    for entry in _entries(settings, "file" if "::" not in volume else "block", "block"):
        client = _client(entry)
        try:
            if any(found.name.lower() == name.lower() for found in client.snapshots(volume)):
                client.destroy_snapshot(name)
                return 0
        except NotFound:
            continue
        finally:
            client.close()
    raise NotFound("the fleet", f"snapshot {name}")


def _volume_of(namespace: str, pvc: str) -> tuple[Any, str]:
    """The FlashArray entry and the name there of a claim's volume."""
    from provisioner import settings as settings_module
    from provisioner.kube import PVS, Kube, in_namespace, named
    from provisioner.objects import pv_record
    from provisioner.start import access
    settings = settings_module.read()
    kube = Kube(access(settings), agent="snapshot")
    claim = kube.get(in_namespace(namespace, "persistentvolumeclaims", pvc))
    volume_name = (claim.get("spec") or {}).get("volumeName")
    if not volume_name:
        raise ConfigError(f"claim {namespace}/{pvc} is not bound yet")
    pv = pv_record(kube.get(named(PVS, volume_name)), settings.provisioners)
    if pv is None:
        raise ConfigError(f"claim {namespace}/{pvc} has no volume of ours, and only those have snapshots here")
    return _home(settings, pv.backend or "block", pv.array, pv.volume or f"{settings.prefix}-{pv.name}")


def _home(settings: Any, backend: str, hint: str, volume: str) -> tuple[Any, str]:
    """The array that has the volume; the one named in the PV is asked first."""
    for entry in sorted(_entries(settings, backend), key=lambda entry: bool(entry.name != hint)):
        client = _client(entry)
        try:
            if client.find_volume(volume) if backend == "block" else client.find_file_system(volume):
                return entry, volume
        finally:
            client.close()
    raise NotFound("the fleet", f"volume {volume}")


def _entries(settings: Any, *backends: str) -> list[Any]:
    """The arrays of these kinds."""
    from arrays import fleet
    from provisioner import settings as settings_module
    found = fleet.load(settings.pure_json, settings_module.environment())
    return [*(found.flash_arrays if "block" in backends else ()), *(found.flash_blades if "file" in backends else ())]


def _client(entry: Any) -> Any:
    from arrays.entries import FlashArrayEntry
    from arrays.flasharray import FlashArray
    from arrays.flashblade import FlashBlade
    return FlashArray(entry) if isinstance(entry, FlashArrayEntry) else FlashBlade(entry)


if __name__ == "__main__":
    main()
