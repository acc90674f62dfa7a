"""pure: what an administrator asks of arrays and volumes. Only what says so, and asks first, changes anything.

Runs wherever pure.json (PURE_DISCOVERY_CONF) is, for PVs and claims also with access to the Kubernetes API: in the
provisioner's pod (`kubectl exec`), or with KUBECONFIG. Exit status: 0 fine, 1 something is not, 2 it could not be asked.
"""

from importlib.metadata import entry_points
from typing import Any

import click

from arrays import fleet as fleets
from arrays.errors import NoArrayFits
from arrays.fleet import Fleet
from provisioner.admin_import import import_volume
from provisioner.admin_migrate import migrate
from provisioner.console import end
from provisioner.snapshot import snapshot

_TABLE_OR_JSON = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table",
                              help="A table for people or JSON for programs.")


def main() -> None:
    """The console script; exits."""
    end(pure, "pure")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def pure() -> None:
    """Ask about the arrays of pure.json and the volumes made for Kubernetes."""


for _found in entry_points(group="pure.commands"):      # of rooms above this one: `explore`
    pure.add_command(_found.load())
pure.add_command(migrate)
pure.add_command(import_volume)
pure.add_command(snapshot)


@pure.group()
def arrays() -> None:
    """The arrays themselves."""


@arrays.command()
@_TABLE_OR_JSON
def show(output: str) -> int:
    """Show capacity, reduction and load of each array."""
    from provisioner import survey
    from provisioner.table import rendered
    answers = survey.each(_fleet(), survey.figures)
    rows = [{"array": answer.entry.name, "kind": survey.kind(answer.entry), **(answer.said or {}),
             "labels": dict(answer.entry.labels), "url": f"https://{answer.entry.endpoint}/"}
            for answer in answers if not answer.error]
    click.echo(rendered(rows if output == "json" else [survey.for_people(row) for row in rows], output == "json",
                        "no array answered"))
    return _complain(answers)


@arrays.command()
@click.option("--backend", type=click.Choice(["block", "file"]), default="block", help="FlashArrays or FlashBlades.")
@click.option("--size", default="1Gi", help="Room that is needed, as a claim writes it.")
@click.option("--selector", "-l", multiple=True, metavar="KEY=VALUE", help="A label the array must have.")
@_TABLE_OR_JSON
def best(backend: str, size: str, selector: tuple[str, ...], output: str) -> int:
    """Tell which array a new volume would go to, and why not to the others."""
    from provisioner import survey
    from provisioner.placement import ArrayState, choose_array, refusal
    from provisioner.table import rendered
    claim = _imagined_claim(backend, size, selector)
    states = []
    for answer in survey.each(_fleet(), survey.measured):
        found = answer.said
        states.append(ArrayState(answer.entry.name, survey.backend(answer.entry), answer.entry.labels,
                                 found.capacity if found else 0, found.used if found else 0,
                                 found.volumes if found else 0, answer.error, pods=found.pods if found else {}))
    try:
        chosen = choose_array(states, claim)
    except NoArrayFits as error:
        click.echo(f"pure: {error}", err=True)
        return 1
    entry = next(answer for answer in _entries() if answer.name == chosen.name)
    row = {"use_url": f"https://{entry.endpoint}/", "use_name": chosen.name, "use_api": masked(entry.token),
           "used_percent": round(chosen.used_percent, 1), "volumes": chosen.volumes}
    click.echo(rendered([row], output == "json", ""))
    for state in states:
        if state.backend == backend and (why := refusal(state, claim)):
            click.echo(f"not {state.name}: {why}", err=True)
    return 0


@arrays.command()
@_TABLE_OR_JSON
def check(output: str) -> int:
    """Log in to each array and say what is wrong with it or with its entry in pure.json."""
    from provisioner import survey
    from provisioner.table import rendered
    fleet = _fleet()
    answers = survey.each(fleet, survey.figures)
    rows = [{"array": answer.entry.name, "kind": survey.kind(answer.entry), "ok": "no" if answer.error else "yes",
             "says": answer.error or f"{answer.said['array_name']} {answer.said['version']}"} for answer in answers]
    rows += [{"array": "-", "kind": "pure.json", "ok": "no", "says": complaint} for complaint in fleet.complaints]
    click.echo(rendered(rows, output == "json", "pure.json names no array"))
    return 1 if any(row["ok"] == "no" for row in rows) else 0


@pure.command()
@click.argument("claim", required=False)
@click.option("-n", "--namespace", default="default", show_default=True, help="Of CLAIM.")
@click.option("--array", help="Only of this array, by its management address.")
@_TABLE_OR_JSON
def volumes(claim: str | None, namespace: str, array: str | None, output: str) -> int:
    """List the volumes and file systems made for this cluster, or tell all about CLAIM's."""
    from provisioner import admin_volume, survey
    from provisioner.inventory import Inventory
    from provisioner.table import rendered
    settings = _settings()
    if claim:
        row = admin_volume.detail(_kube(settings), _fleet(), settings.prefix, namespace, claim)
        click.echo(rendered([row if output == "json" else survey.for_people(row)], output == "json", ""))
        return 0
    answers = survey.each(_fleet(), survey.holdings(settings.prefix))
    inventory = Inventory.read(_kube(settings), settings.prefix)
    rows = [inventory.row(answer.entry.name, found) for answer in answers if array in (None, answer.entry.name)
            for found in answer.said or ()]
    click.echo(rendered(rows if output == "json" else [survey.for_people(row) for row in rows], output == "json",
                        "no volume of ours"))
    return _complain(answers)


@pure.command()
@click.option("--delete", is_flag=True, help="Destroy them, recoverably for a day, after asking.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_TABLE_OR_JSON
def orphans(delete: bool, yes: bool, output: str) -> int:
    """List volumes with this cluster's prefix that no PV stands for."""
    from provisioner import admin_orphans, survey
    from provisioner.table import rendered
    found, answers = _orphans()
    rows = [{key: value for key, value in orphan._asdict().items() if key != "waiting"} for orphan in found]
    click.echo(rendered(rows if output == "json" else [survey.for_people(row) for row in rows], output == "json",
                        "no orphans"))
    status = _complain(answers)
    if delete:
        status = admin_orphans.delete(found, _fleet(), yes, lambda: _orphans()[0]) or status
    return status


def _orphans() -> tuple[list[Any], list[Any]]:
    """Orphans now, and what each array said."""
    from provisioner import orphans as orphanage
    from provisioner import survey
    from provisioner.inventory import Inventory
    settings = _settings()
    answers = survey.each(_fleet(), survey.holdings(settings.prefix))
    inventory = Inventory.read(_kube(settings), settings.prefix)
    return orphanage.orphans({answer.entry.name: answer.said or () for answer in answers}, inventory.held,
                             inventory.claims, settings.prefix), answers


def masked(token: str) -> str:
    """A token that can be told from another one and is good for nothing."""
    return f"{token[:4]}…{token[-2:]}" if len(token) > 16 else "…"


def _imagined_claim(backend: str, size: str, selector: tuple[str, ...]) -> Any:
    from provisioner.claims import parse
    from provisioner.classes import VolumeClass
    from provisioner.objects import ClaimRecord
    labels = dict(pair.partition("=")[::2] for pair in selector)
    mode = "ReadWriteOnce" if backend == "block" else "ReadWriteMany"
    record = ClaimRecord("0", "a", "new-volume", "", "any", "", False, size, "", (mode,),
                         selector={"matchLabels": labels})
    return parse(record, VolumeClass("any", backend, "Delete"))


def _settings() -> Any:
    from provisioner import settings
    return settings.read()


def _kube(settings: Any) -> Any:
    from provisioner.kube import Kube
    from provisioner.start import access
    return Kube(access(settings), agent="pure")


def _fleet() -> Fleet:
    from provisioner import settings
    return fleets.load(_settings().pure_json, settings.environment())


def _entries() -> list[Any]:
    fleet = _fleet()
    return [*fleet.flash_arrays, *fleet.flash_blades]


def _complain(answers: list[Any]) -> int:
    """Say on stderr which arrays gave no answer; the exit status."""
    for answer in answers:
        if answer.error:
            click.echo(f"pure: {answer.entry.name}: {answer.error}", err=True)
    return 1 if any(answer.error for answer in answers) else 0


if __name__ == "__main__":
    main()
