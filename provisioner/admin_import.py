"""pure import: an existing volume, file system or snapshot becomes a PV and a claim."""

from typing import Any

import click

from arrays.errors import ConfigError, NotFound, Refused


@click.command("import")
@click.argument("volume")
@click.option("--claim", required=True, help="Name of the claim to make.")
@click.option("-n", "--namespace", default="default", show_default=True, help="The claim's namespace.")
@click.option("--class", "storage_class", default="pure-block", show_default=True, help="Class written into both.")
@click.option("--backend", type=click.Choice(["block", "file"]), default="block", show_default=True,
              help="A FlashArray's volume or a FlashBlade's file system.")
@click.option("--array", default="", help="Its array's management address, when several have such a volume.")
@click.option("--mode", type=click.Choice(["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]), default="ReadWriteOnce",
              show_default=True, help="Access mode.")
@click.option("--fstype", default="xfs", show_default=True, help="The file system that is on it; never made anew.")
@click.option("--from-snapshot", is_flag=True, help="VOLUME is a snapshot (NAME.SUFFIX): import a copy of it, read-write.")
@click.option("--create", is_flag=True, help="Make PV and claim now, instead of printing them.")
def import_volume(volume: str, claim: str, namespace: str, storage_class: str, backend: str, array: str, mode: str,
                  fstype: str, from_snapshot: bool, create: bool) -> int:
    """Make a PV and a claim for VOLUME, which keeps its name, its data and its file system.

    They are printed for `kubectl apply`, unless --create. Deleting them later leaves the volume. One that a host has is
    refused, unless with --mode ReadOnlyMany.
    """
    import yaml

    from provisioner import imports
    kube, fleet, prefix = _world()
    if from_snapshot:
        if not create:
            raise ConfigError("--from-snapshot makes a volume at once: say --create")
        existing = _copy(kube, fleet, prefix, volume, claim, namespace, array)
    else:
        existing = _existing(fleet, backend, volume, array)
    _refuse_held(kube, prefix, existing.volume)
    if not from_snapshot and mode == "ReadWriteOnce" and not _is_imported(kube, existing.volume):
        _refuse_connected(fleet, existing)
    made = imports.manifests(imports.Wanted(claim, namespace, storage_class, mode, fstype), existing, prefix)
    if create:
        _create(kube, made, namespace)
        click.echo(f"volume {existing.volume} on {existing.array}: PV {made[0]['metadata']['name']}, "
                   f"claim {namespace}/{claim}")
    else:
        click.echo("".join(f"---\n{yaml.safe_dump(one, sort_keys=False)}" for one in made), nl=False)
    return 0


def _existing(fleet: Any, backend: str, volume: str, array: str) -> Any:
    """The live volume, on the one array that has it."""
    from provisioner import survey
    from provisioner.backends import new_store
    from provisioner.imports import Existing

    def ask(entry: Any) -> Any:
        store = new_store(entry, survey.CONNECT, survey.READ)
        try:
            found = store.find(volume)
            return found and Existing(entry.name, backend, found.name, found.size, store.export(found.name)), found
        finally:
            store.close()

    answers = [answer for answer in survey.each(fleet, lambda entry: ask(entry) if survey.backend(entry) == backend
                                                else (None, None)) if array in ("", answer.entry.name)]
    if errors := [answer.error for answer in answers if answer.error]:
        raise ConfigError(f"cannot tell whether another array has {volume} too: {errors[0]}; name the array with --array")
    found = [(made, seen) for made, seen in (answer.said for answer in answers) if seen is not None]
    if not found:
        raise NotFound("the fleet", f"{backend} volume {volume}")
    if len(found) > 1:
        raise ConfigError(f"{volume} is on {', '.join(made.array for made, _ in found)}: choose one with --array")
    if found[0][1].destroyed:
        raise ConfigError(f"{volume} is destroyed on {found[0][0].array}: recover it there first")
    return found[0][0]


def _copy(kube: Any, fleet: Any, prefix: str, snapshot: str, claim: str, namespace: str, array: str) -> Any:
    """A new volume with a snapshot's data; the same claim gets the same one, so a repeat makes no second."""
    import uuid

    from arrays import names
    from arrays.flasharray import FlashArray
    from provisioner.imports import Existing
    source = names.check_snapshot_name(snapshot).rpartition(".")[0]
    home = _existing(fleet, "block", source, array)
    copy = names.in_pod(names.pod_of(home.volume), names.volume_name(
        prefix, f"import-{uuid.uuid5(uuid.NAMESPACE_URL, f'{namespace}/{claim}/{snapshot}')}"))
    client = FlashArray(fleet.flash_array(home.array))
    try:
        if client.find_volume(copy) and not _is_imported(kube, copy):
            raise Refused(f"array {home.array}", f"copy {snapshot}", f"{copy} is there from an earlier import, with what "
                          f"was written to it since: take it as it is with `pure import {copy}`, or take another --claim")
        made = client.clone_volume(snapshot, copy)
    finally:
        client.close()
    return Existing(home.array, "block", made.name, made.size)


def _is_imported(kube: Any, volume: str) -> bool:
    """Whether the volume has its PV, as after an import that is only repeated."""
    from provisioner.apierrors import NotThere
    from provisioner.imports import pv_name
    from provisioner.kube import PVS, named
    try:
        return bool(kube.get(named(PVS, pv_name(volume))))
    except NotThere:
        return False


def _refuse_held(kube: Any, prefix: str, volume: str) -> None:
    """One volume under two PVs would be mounted twice."""
    from arrays.names import base_name
    from provisioner.imports import pv_name
    from provisioner.inventory import Inventory
    pvs = {name.lower(): pv for name, pv in Inventory.read(kube, prefix).pvs.items()}
    held = pvs.get(base_name(volume).lower())
    if held is not None and held.name != pv_name(volume):
        raise ConfigError(f"PV {held.name} (claim {held.claim}) stands for volume {volume} already")


def _refuse_connected(fleet: Any, existing: Any) -> None:
    """Whoever has it now is nothing that Kubernetes knows of, and a pod's mount would take it from there."""
    from provisioner import survey
    from provisioner.backends import new_store
    entry = next(one for one in (*fleet.flash_arrays, *fleet.flash_blades) if one.name == existing.array)
    store = new_store(entry, survey.CONNECT, survey.READ)
    try:
        hosts = store.users(existing.volume)
    finally:
        store.close()
    if hosts:
        raise ConfigError(f"volume {existing.volume} is connected to {', '.join(hosts)}: disconnect it there first")


def _create(kube: Any, made: list[Any], namespace: str) -> None:
    """PV first; what is there already from an interrupted try is taken as made."""
    from provisioner.apierrors import Conflict
    from provisioner.kube import PVS, in_namespace
    for path, one in zip((PVS, in_namespace(namespace, "persistentvolumeclaims")), made):
        try:
            kube.create(path, one)
        except Conflict as error:
            _refuse_another(kube, f"{path}/{one['metadata']['name']}", one, error)


def _refuse_another(kube: Any, path: str, one: Any, error: Exception) -> None:
    """Unless what has the name is the one that was to be made, and stays."""
    from arrays.errors import Busy
    from provisioner.apierrors import NotThere
    name = f"{one['kind']} {one['metadata']['name']}"
    try:
        live = kube.get(path)
    except NotThere:
        live = {"metadata": {"deletionTimestamp": "now"}}
    if live["metadata"].get("deletionTimestamp"):
        raise Busy(name, "somebody deleted one of that name, which is on its way out: run the same command again")
    mine = one["spec"]
    if (live["spec"].get("volumeName"), live["spec"].get("flexVolume")) != (mine.get("volumeName"), mine.get("flexVolume")):
        raise ConfigError(f"{name} is there already and is another: {error}") from None


def _world() -> tuple[Any, Any, str]:
    from provisioner.admin_migrate import world
    return world()
