"""pure migrate: from FlexVolume to the CSI driver, a step a command, each safe to cut and to repeat.

    plan -> (scale down) -> retain -> snapshot -> delete -> export -> (install CSI, apply) -> verify -> restore-scale

Everything a step needs is in the record, which `plan` or `retain` begins. Run it with an administrator's KUBECONFIG: the
provisioner's account may not delete claims.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from arrays.errors import ConfigError, PureError

_RECORD = click.option("--record", "path", type=click.Path(path_type=Path, dir_okay=False), show_default=True,
                       default=Path("pure-migration.json"), help="The file a migration is resumed from. Keep it.")
_NAMESPACE = click.option("-n", "--namespace", default="", help="Claims of this namespace only.")
_TABLE_OR_JSON = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table",
                              help="A table for people or JSON for programs.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.group()
def migrate() -> None:
    """Move FlexVolume PVs to the CSI driver (pure-csi 5.2.0 or later). Volumes and their data stay as they are."""


@migrate.command("list")
@_NAMESPACE
@_TABLE_OR_JSON
def list_volumes(namespace: str, output: str) -> int:
    """List the PVs of this driver, and who uses them."""
    from provisioner.migration import steps
    kube, _, prefix = world()
    _print([_row(one) for one in steps.survey(kube, prefix, namespace)], output, "no FlexVolume PVs")
    return 0


@migrate.command()
@_RECORD
@_NAMESPACE
@_TABLE_OR_JSON
def plan(path: Path, namespace: str, output: str) -> int:
    """Say what to scale down, and note the replicas to give back. Status 1 while pods use the volumes."""
    from provisioner.migration import steps
    from provisioner.migration.csi import OLDEST
    from provisioner.migration.record import Record
    kube, _, prefix = world()
    found = steps.survey(kube, prefix, namespace)
    record = Record.begin(path, prefix)
    steps.remember(record, steps.movers(kube, found))
    rows = [{"kind": one.kind, "namespace": one.namespace, "name": one.name, "replicas": one.replicas,
             "scale_down": one.scale(0)} for one in record.workloads]
    _print(rows, output, "no Deployment or StatefulSet uses these volumes")
    pods = sorted({pod for one in found for pod in one.pods})
    for pod in pods:
        _tell(f"still uses a volume: pod {pod}")
    _tell(f"{len(found)} volumes; next: {'scale down, plan again' if pods else f'pure migrate retain --record {path}'}. "
          f"The CSI driver must be {OLDEST} or later")
    return 1 if pods else 0


@migrate.command()
@_RECORD
@_NAMESPACE
@_DRY_RUN
@_YES
def retain(path: Path, namespace: str, dry_run: bool, yes: bool) -> int:
    """Save PVs, claims and volumes in the record, then set every PV to Retain, so that no deletion reaches a volume."""
    from provisioner.migration import steps
    from provisioner.migration.record import Record
    kube, fleet, prefix = world()
    found = steps.survey(kube, prefix, namespace)
    steps.refuse_users(found)
    record = Record.begin(path, prefix)
    if not dry_run:
        steps.remember(record, steps.movers(kube, found))
    if not _agreed([f"set {one.pv} ({one.claim}) to Retain" for one in found if one.policy != "Retain"
                    or one.pv not in record.volumes], dry_run, yes):
        return 0 if dry_run else 2
    return _each(found, lambda one: one.pv, lambda one: steps.retain(kube, fleet, record, one))


@migrate.command()
@_RECORD
@click.option("--cleanup", is_flag=True, help="Destroy exactly the snapshots of the record, at the very end.")
@_DRY_RUN
@_YES
def snapshot(path: Path, cleanup: bool, dry_run: bool, yes: bool) -> int:
    """Take a safety snapshot of each FlashArray volume before anything is deleted."""
    from provisioner.migration import steps
    kube, fleet, record = _resumed(path)
    if cleanup:
        pvs = [pv for pv, entry in record.volumes.items() if entry["snapshot"]]
        words = [f"destroy snapshot {record.volumes[pv]['snapshot']}" for pv in pvs]
    else:
        pvs = [pv for pv, entry in record.volumes.items() if entry["backend"] == "block"]
        words = [f"keep snapshot {entry['snapshot']} of an earlier run, with its data: for a new one --cleanup first"
                 if entry["snapshot"] else f"take snapshot {entry['volume']}.{steps.SUFFIX}-…"
                 for entry in map(record.volumes.__getitem__, pvs)]
    if not _agreed(words, dry_run, yes or not cleanup):
        return 0 if dry_run else 2
    act = steps.drop_snapshot if cleanup else steps.snapshot
    return _each(pvs, str, lambda pv: act(fleet, record, pv))


@migrate.command()
@_RECORD
@_DRY_RUN
@_YES
def delete(path: Path, dry_run: bool, yes: bool) -> int:
    """Delete claims and PVs from Kubernetes, claim first. Before and after each the array must show the volume."""
    from provisioner.migration import steps
    kube, fleet, record = _resumed(path)
    steps.refuse_users(one for one in steps.survey(kube, record.prefix) if one.pv in record.volumes)
    left = [pv for pv, entry in record.volumes.items() if not (entry["claim_deleted"] and entry["pv_deleted"])]
    words = [f"delete claim {_claim_of(record.volumes[pv]) or '(none)'} and PV {pv}; volume "
             f"{record.volumes[pv]['volume']} stays" for pv in left]
    if not _agreed(words, dry_run, yes):
        return 0 if dry_run else 2
    return _each(left, str, lambda pv: steps.delete(kube, fleet, record, pv))


@migrate.command()
@_RECORD
@click.option("--to", type=click.File("w"), default="-", help="Where to; stdout, unless given.")
def export(path: Path, to: Any) -> int:
    """Write PVs and claims for the CSI driver: same names, same volumes."""
    import yaml
    from provisioner import settings as settings_module
    from provisioner.migration import csi
    from provisioner.migration.record import Record
    record, fs_type = Record.load(path), settings_module.read().fs_type
    to.write(csi.NOTE + "".join(f"---\n{yaml.safe_dump(one, sort_keys=False)}"
                                for entry in record.volumes.values() for one in csi.manifests(entry, fs_type)))
    return 0


@migrate.command()
@_RECORD
@_TABLE_OR_JSON
def verify(path: Path, output: str) -> int:
    """Check that each volume is on its array, and its PV and claim are the CSI driver's. Status 1 until all are."""
    from provisioner.migration import steps
    kube, fleet, record = _resumed(path)
    rows = []
    for pv, entry in record.volumes.items():
        good, said = steps.state(kube, fleet, entry)
        rows.append({"pv": pv, "claim": _claim_of(entry), "volume": entry["volume"], "ok": "yes" if good else "no",
                     "says": said})
    _print(rows, output, "the record has no volumes")
    return 0 if rows and all(row["ok"] == "yes" for row in rows) else 1


@migrate.command("restore-scale")
@_RECORD
@_DRY_RUN
@_YES
def restore_scale(path: Path, dry_run: bool, yes: bool) -> int:
    """Scale Deployments and StatefulSets back to the replicas of the record."""
    from provisioner.migration import steps
    kube, _, record = _resumed(path)
    wanted = [one for one in record.workloads if one.replicas]
    if not _agreed([one.scale(one.replicas) for one in wanted], dry_run, yes):
        return 0 if dry_run else 2
    return _each(wanted, lambda one: f"{one.namespace}/{one.name}", lambda one: steps.give_back(kube, one))


# Shared

def world() -> tuple[Any, Any, str]:
    """The API, the fleet, and the prefix of volume names."""
    from arrays import fleet
    from provisioner import settings as settings_module
    from provisioner.kube import Kube
    from provisioner.start import access
    settings = settings_module.read()
    return (Kube(access(settings), agent="pure"), fleet.load(settings.pure_json, settings_module.environment()),
            settings.prefix)


def _resumed(path: Path) -> tuple[Any, Any, Any]:
    """The API, the fleet, and the record, which must be there."""
    from provisioner.migration.record import Record
    record = Record.load(path)
    kube, fleet, prefix = world()
    if prefix != record.prefix:
        raise ConfigError(f"{path} is of volumes with prefix {record.prefix}, and PURE_K8S_NAMESPACE is {prefix}")
    return kube, fleet, record


def _agreed(words: list[str], dry_run: bool, yes: bool) -> bool:
    """Tell what will be done, and whether a person wants it."""
    for line in words or ["nothing is left to do"]:
        _tell(f"would {line}" if dry_run and words else line)
    if dry_run:
        return False
    return yes or not words or click.confirm("Go on?", err=True)


def _each(things: Iterable[Any], name: Callable[[Any], str], act: Callable[[Any], object]) -> int:
    """Do one after the other, with progress; one that fails does not stop the others. The exit status."""
    every = list(things)
    failed = 0
    for number, thing in enumerate(every, 1):
        try:
            act(thing)
            click.echo(f"[{number}/{len(every)}] {name(thing)}: done")
        except PureError as error:
            failed += 1
            click.echo(f"[{number}/{len(every)}] {name(thing)}: {error}", err=True)
    if failed:
        _tell(f"{failed} of {len(every)} are not done: run the same command again when the reason is gone")
    return 1 if failed else 0


def _row(one: Any) -> dict[str, object]:
    return {**one._asdict(), "pods": ",".join(one.pods)}


def _claim_of(entry: dict[str, Any]) -> str:
    metadata = entry["claim"].get("metadata") or {}
    return f"{metadata['namespace']}/{metadata['name']}" if metadata else ""


def _print(rows: list[dict[str, object]], output: str, nothing: str) -> None:
    from provisioner.table import rendered
    click.echo(rendered(rows, output == "json", nothing))


def _tell(line: str) -> None:
    click.echo(line, err=True)
