"""`python -m daemonset.render -f values.yaml`: the objects of an installation as YAML, on stdout or in a folder."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from arrays.errors import ConfigError
from daemonset.render import changes, files, masked, objects, older
from daemonset.render.values import Values, checked
from daemonset.render.yamltext import written

NAMESPACE = "pure-flex"
EXPLORER = "pure-explorer"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-f", "--values", "paths", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="A values file of the chart, or a pure.json. Repeatable; later ones win.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE[,...]", help="As helm has it. Repeatable.")
@click.option("--image", metavar="NAME[:TAG]", help="The image of both workloads.")
@click.option("--node-selector", multiple=True, metavar="KEY=VALUE[,...]", help="Run the pods on nodes with these labels.")
@click.option("--namespace", default=NAMESPACE, show_default=True, help="The namespace of the workloads.")
@click.option("--kube-version", metavar="VERSION", help="Suit a server of this version; default: the newest.")
@click.option("--api-versions", type=click.Path(path_type=Path, exists=True), metavar="FILE",
              help="What `kubectl api-versions` says of the server.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write there instead of stdout: a file for each step of the installation, and `facts`.")
@click.option("--live", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER",
              help="What runs now (deployment.json, secret.json, pvs.json): what needs a person's word goes to `concerns`.")
@click.option("--mask", is_flag=True, help="For eyes: no token can be read.")
@click.option("--debug", is_flag=True, help="Print the merged values too, tokens masked.")
@click.option("--reach", "reaching", is_flag=True, help="Warn of arrays that take no connection from here.")
@click.option("--quiet", is_flag=True, help="No warnings: they were shown before.")
@click.option("--convert", is_flag=True, help="Print the arrays of the files as YAML for a values file, and no more.")
def main(paths: tuple[Path, ...], convert: bool, **wanted: Any) -> None:
    """Render the objects that install the FlexVolume driver and the provisioner."""
    try:
        if convert:
            found = files.merged(paths, wanted["assignments"])
            checked(found)
            click.echo(written({"arrays": found["arrays"]}), nl=False)
        else:
            _render(paths, **wanted)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _render(paths: tuple[Path, ...], assignments: tuple[str, ...], image: str | None, node_selector: tuple[str, ...],
            namespace: str, kube_version: str | None, api_versions: Path | None, output: Path | None, live: Path | None,
            mask: bool, debug: bool, quiet: bool, reaching: bool) -> None:
    merged = files.merged(paths, assignments)
    _options(merged, image, node_selector)
    values, warnings = checked(merged)
    for warning in [] if quiet else warnings + (_silent(values) if reaching else []):
        click.echo(f"warning: {warning}", err=True)
    known = api_versions.read_text().split() if api_versions else ()
    made = older.suit(objects.objects(values, namespace), older.parse_version(kube_version or "1.99"), known)
    if debug:
        click.echo("# values\n" + "".join(f"# {line}\n" for line in written(masked.without_tokens(merged)).splitlines()),
                   nl=False)
    if output is None:
        click.echo(masked.for_eyes(made) if mask else masked.text(made), nl=False)
    else:
        _write(output, made, values, live)


def _silent(values: Values) -> list[str]:
    from daemonset.render import reach      # threads and sockets, for one of two calls
    return reach.silent(changes.endpoints(values.arrays))


def _options(merged: dict[str, Any], image: str | None, node_selector: tuple[str, ...]) -> None:
    if image:
        name, colon, tag = image.rpartition(":")
        plain = "@" in image or "/" in tag or not colon         # a digest, a registry's port, or no tag at all
        merged["image"].update({"name": image, "tag": merged["image"].get("tag") if "@" not in image else ""} if plain
                               else {"name": name, "tag": tag})
    for text in node_selector:
        labels = [part.partition("=") for part in text.split(",")]
        if not all(key and equals for key, equals, _ in labels):
            raise ConfigError(f"--node-selector {text}: write KEY=VALUE, with commas between several")
        merged["nodeSelector"] = {**(merged.get("nodeSelector") or {}), **{key: value for key, _, value in labels}}


def _write(folder: Path, made: list[dict[str, Any]], values: Values, live: Path | None) -> None:
    """A file for each step of install.sh, readable by nobody else."""
    os.umask(0o077)
    for step in dict.fromkeys(map(_step, made)):
        (folder / step).write_text(masked.text(one for one in made if _step(one) == step))
    facts = {"service_account": values.service_account, "orchestrator": values.orchestrator, "flex_path": values.flex_path,
             "prefix": values.prefix, "image": values.image}
    (folder / "facts").write_text("".join(f"{key}={value}\n" for key, value in facts.items()))
    found = changes.concerns(values, _live(live)) if live else []
    (folder / "concerns").write_text("".join(f"{one}\n" for one in found))


def _step(one: dict[str, Any]) -> str:
    """The file an object is applied from; a class has one of its own, for another driver may own its name."""
    if one["kind"] == "StorageClass":
        return f"class-{one['metadata']['name']}.yaml"
    if one["metadata"]["name"] == EXPLORER:
        return "explorer.yaml"
    files_of = {"Secret": "secret.yaml", "DaemonSet": "daemon.yaml", "Deployment": "provisioner.yaml"}
    return files_of.get(one["kind"], "rights.yaml")


def _live(folder: Path) -> dict[str, dict[str, Any]]:
    """What kubectl wrote; an empty file means there is none."""
    return {name: json.loads((folder / f"{name}.json").read_text() or "{}") for name in ("deployment", "secret", "pvs")}


if __name__ == "__main__":
    main()
