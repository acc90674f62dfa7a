"""The executables of a pretend node: words go in, an answer comes out, or a real program runs in their place."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.node.executables import NO_PERL, script
from simulator.node.server import Client, Server, address_of

Serve = Callable[[Client], None]


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """An executable that asks at the address of tmp_path; nobody listens there yet."""
    made = tmp_path / "mkfs.xfs"
    made.write_text(script(address_of(str(tmp_path))))
    made.chmod(0o755)
    return made


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[Serve], None]]:
    """listen(function) answers the executable."""
    servers: list[Server] = []

    def start(serve: Serve) -> None:
        servers.append(Server(address_of(str(tmp_path)), serve))
        servers[-1].start()
    yield start
    for server in servers:
        server.stop()


def test_words_go_in_and_an_answer_comes_out_on_both_streams(tool: Path, listen: Callable[[Serve], None]) -> None:
    """Whatever bytes the words have; the working directory and the tool's name go with them."""
    heard: list[list[str]] = []

    def serve(client: Client) -> None:
        heard.append(client.request())
        client.answer(32, "größer\n" * 20_000, "a warning\n")
    listen(serve)
    done = subprocess.run([tool, "-f", "", "zwei Wörter", b"\xff\n"], capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (32, "größer\n" * 20_000, b"a warning\n")
    (_, *words), = heard
    assert words == ["mkfs.xfs", "-f", "", "zwei Wörter", "\udcff\n"]


@pytest.mark.parametrize("gone", [False, True])
def test_it_tells_where_it_was_called(tool: Path, listen: Callable[[Serve], None], tmp_path: Path, gone: bool) -> None:
    """In a directory that is no more, it was called in /."""
    listen(lambda client: client.answer(0, client.request()[0], ""))
    here = tmp_path / "here"
    here.mkdir()
    words = ["sh", "-c", 'cd "$1"; $2 rmdir "$1"; exec "$0"', tool, here, "" if gone else "test -d "]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == ("/" if gone else str(here))


@pytest.mark.parametrize("program,status", [("exit 3", 3), ("kill -9 $$", 137), ("exit 0", 0)])
def test_it_runs_a_real_program_under_its_own_name_and_reports_the_status(
        tool: Path, listen: Callable[[Serve], None], program: str, status: int) -> None:
    """The program has the executable's streams."""
    told: list[int | None] = []

    def serve(client: Client) -> None:
        client.request()
        told.append(client.run(["/bin/sh", "-c", f"echo $0; {program}"]))
    listen(serve)
    done = subprocess.run([tool], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("mkfs.xfs\n", "", status)
    assert told == [-9 if status == 137 else status]


def test_a_node_that_is_off_runs_nothing(tool: Path) -> None:
    done = subprocess.run([tool], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "mkfs.xfs: this node is switched off\n"


def test_a_node_whose_power_is_cut_meanwhile_ends_its_tools(tool: Path, listen: Callable[[Serve], None]) -> None:
    def serve(client: Client) -> None:
        client.request()
    listen(serve)
    assert subprocess.run([tool], capture_output=True, check=False).returncode == 127


def test_a_machine_without_perl_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Debian calls it and as Red Hat does, before anything has begun."""
    words = [sys.executable, "-m", "simulator.node", "--directory", tmp_path / "node", "--fabric", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, "", [])
    assert done.stderr == f"node1: {NO_PERL}\n" and "perl-base" in NO_PERL
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="written in Perl"):
        script(address_of(str(tmp_path)))
