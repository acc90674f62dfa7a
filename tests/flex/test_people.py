"""What people type, in process; that kubelet never gets here is test_cli's."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from arrays import __version__
from flex import people, verbs
from flex.node import command
from tests.flex.driver import Driver


def typed(*words: str) -> Result:
    return CliRunner().invoke(people._group("/nowhere/flex"), words, prog_name="flex")


def test_help_names_each_call_and_says_what_it_does() -> None:
    shown = typed("--help").output
    for name in verbs.TABLE:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("verb", verbs.TABLE.values(), ids=lambda verb: verb.name)
def test_each_call_has_help_with_its_arguments(verb: Any) -> None:
    shown = typed(verb.name, "--help").output
    assert all(argument in shown for argument in verb.arguments)
    assert ("PURE_FLEX_ATTACH=true" in shown) == verb.attach_family


@pytest.mark.parametrize("words", [["help"], ["-h"]])
def test_help_has_several_names(words: list[str]) -> None:
    assert typed(*words).output == typed("--help").output


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_the_version_is_told(words: list[str]) -> None:
    assert typed(*words).output == f"flex {__version__}\n"


@pytest.mark.parametrize("words, complaint", [
    (["moutn"], "No such command 'moutn'"), (["mount", "/x"], "Missing argument 'OPTIONS'"),
    (["unmount", "/x", "/y"], "unexpected extra argument (/y)"), (["--loud"], "No such option")])
def test_slips_are_named(words: list[str], complaint: str) -> None:
    told = typed(*words)
    assert (told.exit_code, complaint in told.output) == (2, True)


def doctor(flex: Driver, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """`flex doctor` on the node of a driver."""
    flex.install()
    for name, value in flex.environment.items():
        monkeypatch.setenv(name, value)
    group = people._group(str(flex.executable))
    return CliRunner().invoke(group, ["doctor", *words], prog_name="flex")


def test_the_doctor_tells_what_a_node_lacks_one_line_each(flex: Driver, node: Any, array: Any,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    (node.bin / "mkfs.xfs").unlink()
    monkeypatch.setattr(command, "FOLDERS", ())
    flex.environment["PATH"] = str(node.bin)
    told = doctor(flex, monkeypatch)
    line, = [line for line in told.output.splitlines() if line.split()[1] == "mkfs.xfs"]
    assert line.startswith("problem") and "xfsprogs" in line.partition(" -> ")[2]
    assert told.exit_code == 1
    assert array.token not in told.output


def test_the_doctor_tells_programs_everything(flex: Driver, node: Any, array: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(doctor(flex, monkeypatch, "-o", "json").output)
    assert {"level": "ok", "subject": "initiator", "text": node.iqn, "remedy": ""} in found
    shown = doctor(flex, monkeypatch, "--all").output
    assert len(shown.splitlines()) == len(found)
    assert any(line.split()[:2] == ["ok", "initiator"] for line in shown.splitlines())


def test_the_doctor_of_a_node_without_config_says_so(bare: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    told = doctor(bare, monkeypatch)
    assert "pure.json" in told.output and told.exit_code == 1


def test_a_call_typed_in_clicks_way_is_answered_like_kubelets(capfd: pytest.CaptureFixture[str]) -> None:
    """`flex -- init` and the like are not kubelet's, so they come through click."""
    people.main(["init"], "/nowhere/flex")
    assert json.loads(capfd.readouterr().out)["status"] == "Success"


def test_the_exit_status_is_clicks(capsys: pytest.CaptureFixture[str]) -> None:
    assert people.main(["version"], "/nowhere/flex") == 0
    assert people.main(["moutn"], "/nowhere/flex") == 2
