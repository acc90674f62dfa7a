"""`python -m simulator` as a stranger uses it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from purestorage import FlashArray as Client

from simulator.__main__ import main
from simulator.fabric import RemoteFabric

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The simulator in a process of its own, ready; with the lines it said."""
    process = subprocess.Popen([sys.executable, "-m", "simulator", *arguments], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    lines: list[str] = []
    try:
        while not (lines and lines[-1].startswith("ready")):
            line = process.stdout.readline()
            assert line, (lines, process.stderr and process.stderr.read())
            lines.append(line.rstrip())
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ends(process: "subprocess.Popen[str]", number: int) -> tuple[int, str, str]:
    """Send a signal; (status, rest of stdout, stderr)."""
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    return process.returncode, out, err


def test_it_serves_what_it_was_asked_for_until_sigterm(tmp_path: Path) -> None:
    with running("--directory", str(tmp_path), "--plane", "files",
                 "--flash-array", "fa1,capacity=10T,used=2T,label.env=dev,label.rack=22,safe_mode=true",
                 "--flash-array", "fa2,portal=192.0.2.31:3260,portal=[2001:db8::1]:3260,versions=1.7+1.8",
                 "--flash-blade", "fb1,nfs=192.0.2.77") as (process, lines):
        fleet = json.loads((tmp_path / "pure.json").read_text())
        first, second = fleet["FlashArrays"]
        assert first["Labels"] == {"env": "dev", "rack": "22"} and fleet["FlashBlades"][0]["NfsEndPoint"] == "192.0.2.77"
        assert lines[0].startswith(f"FlashArray fa1  https://{first['MgmtEndPoint']}  env=dev  rack=22")
        assert f"pure.json  {tmp_path / 'pure.json'}" in lines
        assert not any(entry["APIToken"] in "\n".join(lines) for entry in (first, second, *fleet["FlashBlades"]))
        client = Client(first["MgmtEndPoint"], api_token=first["APIToken"],
                        request_kwargs={"verify": first["VerifyTLS"], "timeout": 5})
        assert client.get(space=True)[0]["capacity"] == 10 << 40
        client.create_volume("v1", "1G")
        client.create_host("h1", iqnlist=["iqn.1993-08.org.debian:01:abc"])
        client.connect_host("h1", "v1")
        (lun,) = RemoteFabric(tmp_path).luns("iqn.1993-08.org.debian:01:abc")
        assert Path(lun["file"]).stat().st_size == 1 << 30
        assert Client(second["MgmtEndPoint"], api_token=second["APIToken"], request_kwargs={
            "verify": second["VerifyTLS"], "timeout": 5}).get_rest_version() == "1.8"
        assert {row["portal"] for row in RemoteFabric(tmp_path).portals() if row["array"] == "fa2"} == {
            "192.0.2.31:3260", "[2001:db8::1]:3260"}
        assert ends(process, signal.SIGTERM) == (0, "ended\n", "")
    assert not (tmp_path / "control.sock").exists()


def test_without_arguments_there_is_one_of_each_kind(tmp_path: Path) -> None:
    """In a directory of its own, which is gone afterwards; Ctrl-C ends it."""
    with running() as (process, lines):
        assert [line.split()[:2] for line in lines[:2]] == [["FlashArray", "fa1"], ["FlashBlade", "fb1"]]
        place = Path(next(line for line in lines if line.startswith("pure.json")).split(maxsplit=1)[1])
        assert place.exists()
        assert ends(process, signal.SIGINT) == (0, "ended\n", "")
    assert not place.parent.exists()


def test_help_tells_everything() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for word in ("--directory", "--flash-array", "--flash-blade", "--plane", "pure.json", "control.sock", "capacity"):
        assert word in text


@pytest.mark.parametrize("arguments, words", [
    (["--flash-array", "fa1,colour=red"], "fa1: there is no setting colour"),
    (["--flash-array", "fa1,used=1.5"], "fa1: '1.5' is no size"),
    (["--flash-array", "fa1,capacity"], "fa1: 'capacity' is no key=value"),
    (["--flash-array", ",capacity=1T"], "give the array a name"),
    (["--flash-array", "fa1,safe_mode=perhaps"], "neither true nor false"),
    (["--flash-array", "fa1,port=x"], "fa1: "),
    (["--flash-array", "fa/1"], "no name for an array"),
    (["--flash-array", "fa1", "--flash-blade", "fa1"], "there is an array fa1 already"),
    (["--plane", "tape"], "tape"),
    (["--directory", "/dev/null/x"], "/dev/null")])
def test_mistakes_are_told_in_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Exit status 1 or 2 and no traceback."""
    result = CliRunner().invoke(main, ["--directory", str(tmp_path), *arguments])
    assert result.exit_code in (1, 2) and words in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("setting, name, value", [
    ("session_seconds=1.5", "session_seconds", 1.5), ("volume_limit=7", "volume_limit", 7),
    ("purity=6.1.0", "purity", "6.1.0"), ("wwn=5001500150015080", "wwns", ["5001500150015080"])])
def test_switches_are_read_by_their_type(setting: str, name: str, value: object) -> None:
    option = next(each for each in main.params if each.name == "flash_arrays")
    assert option.type.convert(f"fa1,{setting}", None, None)[name] == value
