"""What people type: help, `flex doctor`, `flex version`, and calls with something wrong in them. Built from verbs.TABLE.

click is imported here only: it takes longer than most calls of kubelet's (packaging.md section 4).
"""

import sys

import click

from arrays import __version__
from flex import cli, settings, verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from flex.doctor import Finding


def main(words: list[str], executable: str) -> int:
    """Serve one command line of a person; the exit status is click's: 0, 1 for findings, 2 for a wrong command line."""
    try:
        _group(executable).main(words, prog_name="flex")
        status: object = 0
    except SystemExit as end:
        status = end.code
    sys.stdout.flush()
    return status if isinstance(status, int) else 1


def _group(executable: str) -> click.Group:
    group = click.Group(
        "flex", help="FlexVolume driver for Pure Storage FlashArray and FlashBlade. kubelet runs it; each of its calls "
        "answers with one JSON object. `flex doctor` tells what this node lacks.",
        context_settings={"help_option_names": ["-h", "--help"]})
    for verb in verbs.TABLE.values():
        group.add_command(_command(verb, executable))
    group.add_command(_doctor(executable))
    group.add_command(click.Command("version", callback=lambda: click.echo(f"flex {__version__}"),
                                    help="Print the driver's version."))
    group.add_command(_help(group))
    group.params.append(click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False,
                                     callback=_print_version, help="Print the driver's version."))
    return group


def _command(verb: verbs.Verb, executable: str) -> click.Command:
    def call(**arguments: str) -> int:
        return cli.main([verb.name, *arguments.values()], executable)
    note = " (Only with PURE_FLEX_ATTACH=true.)" if verb.attach_family else ""
    return click.Command(verb.name, callback=call, help=verb.summary + note,
                         params=[click.Argument([name.lower()], metavar=name) for name in verb.arguments])


def _doctor(executable: str) -> click.Command:
    def look(output: str, everything: bool) -> int:
        from flex import doctor
        from flex.machine import Node
        if sys.stderr.isatty():
            click.echo("Looking at this node and at its arrays …", err=True)
        known = settings.read(executable)
        if output == "prom":
            from flex import prom
            click.echo(prom.page(Node(known.paths, known)), nl=False)
            return 0                    # a page that tells of problems is a good page
        found = doctor.findings(Node(known.paths, known))
        shown = found if everything or output == "json" else [one for one in found if one.level != doctor.OK]
        click.echo(_as_json(shown) if output == "json" else _as_table(shown))
        return 1 if any(one.level == doctor.PROBLEM for one in found) else 0
    return click.Command(
        "doctor", callback=lambda **given: sys.exit(look(**given)),
        help="Tell what this node lacks, one line each, with what to do about it. Changes nothing. Ends with 1 when a "
        "mount would fail. With -o prom: numbers for node_exporter's textfile collector, and always 0.",
        params=[click.Option(["-o", "--output"], type=click.Choice(["table", "json", "prom"]), default="table",
                             show_default=True, help="For people, for programs, for Prometheus."),
                click.Option(["--all", "everything"], is_flag=True, help="Show what is all right too.")])


def _as_json(found: "Sequence[Finding]") -> str:
    import json
    return json.dumps([one._asdict() for one in found], indent=1)


def _as_table(found: "Sequence[Finding]") -> str:
    """One line each: level, subject, text, and after an arrow what to do."""
    if not found:
        return "nothing is missing on this node"
    subjects = max(len(one.subject) for one in found)
    return "\n".join(f"{one.level:<8} {one.subject:<{subjects}}  {one.text}{one.remedy and f' -> {one.remedy}'}"
                     for one in found)


def _help(group: click.Group) -> click.Command:
    @click.pass_context
    def show(context: click.Context) -> None:
        click.echo(group.get_help(context.parent or context))
    return click.Command("help", callback=show, help="Print this.")


def _print_version(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        click.echo(f"flex {__version__}")
        context.exit()
