"""What holds for every command of `pure` and `snapshot`: help, JSON for programs, a question before anything is deleted."""

import io
import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from provisioner.admin import pure
from provisioner.snapshot import snapshot
from simulator.flasharray import FlashArray
from tests.provisioner.cluster import Cluster
from tests.provisioner.commands import typed


def commands(group: click.Command, *above: str) -> Iterator[tuple[str, click.Command]]:
    """Every command line of a group, with what answers it."""
    if above:
        yield " ".join(above), group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, *above, name)


EVERY = dict(commands(pure))


@pytest.mark.parametrize("line", EVERY)
def test_each_command_explains_itself_and_each_option(line: str) -> None:
    """Without pure.json and without a cluster."""
    shown = CliRunner().invoke(pure, [*line.split(), "--help"])
    assert shown.exit_code == 0 and EVERY[line].get_short_help_str(), shown.output
    for option in EVERY[line].params:
        assert not isinstance(option, click.Option) or option.help and option.opts[-1] in shown.output, option.name


def test_what_lists_has_json_for_programs() -> None:
    """And nothing else takes -o."""
    listing = {line for line, command in EVERY.items()
               if any("-o" in option.opts for option in command.params if isinstance(option, click.Option))}
    assert {"arrays show", "arrays best", "arrays check", "volumes", "orphans", "migrate list", "migrate plan",
            "migrate verify"} <= listing


def test_what_deletes_asks_and_what_changes_much_can_be_tried_first() -> None:
    asks = {line for line, command in EVERY.items() if any(option.name == "yes" for option in command.params)}
    tries = {line for line, command in EVERY.items() if any(option.name == "dry_run" for option in command.params)}
    assert {"orphans", "snapshot delete", *tries} <= asks
    assert tries == {f"migrate {step}" for step in ("retain", "snapshot", "delete", "restore-scale")}


@pytest.mark.parametrize("line", ["volumes", "orphans", "migrate list"])
def test_nothing_is_an_empty_list_for_programs(cluster: Cluster, administrator: str, monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str], line: str) -> None:
    status, out, _ = typed(cluster, administrator, monkeypatch, capsys, "pure")(*line.split(), "-o", "json")
    assert (status, json.loads(out)) == (0, [])


class Terminal(io.StringIO):
    """A person's answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stdin", "status", "left"), [
    (Terminal("n\n"), 2, ("one",)), (Terminal("y\n"), 0, ()), (io.StringIO(), 0, ())], ids=["no", "yes", "no terminal"])
def test_a_terminal_is_asked_before_a_snapshot_is_destroyed(
        cluster: Cluster, fa1: FlashArray, monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO, status: int,
        left: tuple[str, ...]) -> None:
    """`kubectl exec` without a terminal goes on, as the original's users know it."""
    name = "k8s-pvc-bf1c9108-e4cd-11e7-ad7c-ecf4bbe57354"
    fa1.add_volume(name, 2**30)
    fa1.snapshot(name, "one")
    monkeypatch.setenv("PURE_DISCOVERY_CONF", str(cluster.pure_json))
    monkeypatch.setattr("sys.stdin", stdin)
    assert int(snapshot.main(["delete", f"{name}.one"], standalone_mode=False) or 0) == status
    assert fa1.volume(name).snapshots == left
