"""The edge: one JSON object on stdout, nothing on stderr, whatever comes in or breaks."""

import json
import os
import pty
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flex import verbs
from tests.flex.driver import SCRIPT, Driver, checked, options

CAPABILITIES = {"attach": False, "selinuxRelabel": True, "supportsMetrics": True, "fsGroup": True, "requiresFSResize": True}


def test_init_tells_all_five_capabilities(bare: Driver) -> None:
    assert bare("init") == {"status": "Success", "capabilities": CAPABILITIES}


def test_init_tells_of_attach_when_it_is_set(bare: Driver) -> None:
    assert bare("init", PURE_FLEX_ATTACH="TRUE")["capabilities"] == {**CAPABILITIES, "attach": True}


@pytest.mark.parametrize("written", ["", "{", "[]", '{"PURE_FLEX_ATTACH": "perhaps"}', "\0"])
def test_init_works_whatever_is_written_beside_the_driver(bare: Driver, plugin: Path, written: str) -> None:
    (plugin / ".settings.json").write_text(written)
    assert bare("init") == {"status": "Success", "capabilities": CAPABILITIES}


def test_init_needs_no_config_and_writes_nothing(bare: Driver, plugin: Path, root: Path) -> None:
    before = sorted(root.rglob("*"))
    bare("init")
    assert [file.name for file in plugin.iterdir()] == ["flex"]
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("call", [
    "foo", "waitfordetach", "INIT", "Mount", "", " ", "getvolumename", "-x", "init\n", "\udcff"])
def test_unknown_calls_are_not_supported(bare: Driver, call: str) -> None:
    assert bare(call)["status"] == "Not supported"
    assert bare(call, "/some/dir", "{}")["status"] == "Not supported"


@pytest.mark.parametrize("words", [
    ["init", "x"], ["mount"], ["mount", "/a"], ["mount", "/a", "{}", "x"], ["unmount"], ["unmount", "/a", "b"],
    ["expandfs", "{}", "", "/a", "1"]], ids=" ".join)
def test_a_wrong_number_of_arguments_is_a_failure_that_says_the_right_one(bare: Driver, words: list[str]) -> None:
    told = bare(*words)
    assert told["status"] == "Failure"
    assert f"{len(verbs.TABLE[words[0]].arguments)} arguments" in told["message"]


def test_no_arguments_at_all_is_a_failure(bare: Driver) -> None:
    assert "which call?" in bare()["message"]


@pytest.mark.parametrize("text", ["", "x", "{", "[]", "null", '"x"', '{"a": 1} {}', '{"a": "1", "a": "2"}', '{"a": NaN}',
                                  '{"volume": {}}', '{"volume": null}', "[" * 100_000, '{"volume": "a\nb"}'])
def test_malformed_options_are_a_failure(bare: Driver, pod: Path, text: str) -> None:
    told = bare("mount", pod / "pvc-1", text)
    assert told["status"] == "Failure"
    assert not (pod / "pvc-1").exists()


@pytest.mark.parametrize("directory", ["", "relative", "/", "//", "-l"])
def test_what_is_no_directory_of_kubelets_is_a_failure(bare: Driver, directory: str) -> None:
    assert "directory" in bare("unmount", directory)["message"]
    assert "directory" in bare("mount", directory, options())["message"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.text(st.characters(exclude_characters="\0")) | st.sampled_from([*verbs.TABLE, "{}", "/x/y"]),
                      max_size=7))
def test_whatever_is_asked_the_answer_is_one_object(bare: Driver, words: list[str]) -> None:
    """Driver.__call__ checks the answer; which one it is is other tests' matter."""
    bare(*[word.encode("utf-8", "replace").decode() for word in words])


def test_no_fleet_is_a_failure_that_says_where_one_is_looked_for(bare: Driver, pod: Path, root: Path) -> None:
    told = bare("mount", pod / "pvc-1", options(backend="block", volume="k8s-pvc-1"))
    assert told["status"] == "Failure"
    assert f"{root}/etc/pure/pure.json" in told["message"]


def test_a_bug_is_a_failure_without_its_traceback(bare: Driver, pod: Path, root: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback goes into the log, and the answer says so."""
    monkeypatch.setattr(verbs.TABLE["unmount"], "answer", lambda settings, directory: 1 // 0)
    told = bare("unmount", pod / "pvc-1")
    assert told["message"].startswith("unforeseen ZeroDivisionError in unmount")
    assert "Traceback" in (root / "var/log/pure-flex.log").read_text()


def test_every_call_that_works_ends_with_one_line_in_the_log(bare: Driver, pod: Path, root: Path) -> None:
    bare("init")
    bare("foo")
    bare("unmount", pod / "pvc-1")
    bare("mount", pod / "pvc-1", "{")
    lines = (root / "var/log/pure-flex.log").read_text().splitlines()
    assert [line.split("] ")[1].split(" seconds=")[0] for line in lines] == [
        "unmount ok nothing was mounted", f"mount failed {pod}/pvc-1"]


@pytest.mark.parametrize("place", ["a folder", "nowhere", "a full disk"])
def test_an_unwritable_log_changes_nothing(bare: Driver, pod: Path, root: Path, place: str) -> None:
    file = root / "var/log/pure-flex.log"
    if place == "nowhere":
        (root / "var").mkdir()
        (root / "var/log").write_text("")
    else:
        file.parent.mkdir(parents=True)
        file.mkdir() if place == "a folder" else file.symlink_to("/dev/full")
    assert bare("unmount", pod / "pvc-1") == {"status": "Success"}


# A process of its own

def test_a_process_with_an_empty_environment_and_no_path_answers(pod: Path) -> None:
    """kubelet adds nothing to the environment and may have none to give."""
    done = subprocess.run([SCRIPT, "init"], env={}, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert checked(done.stdout)["capabilities"] == CAPABILITIES
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", [[0], [2], [0, 2]], ids=str)
def test_closed_streams_do_no_harm(bare: Driver, pod: Path, closed: list[int]) -> None:
    """A file opened where stderr was would be written to by every library."""
    def close() -> None:
        for stream in closed:
            os.close(stream)
    done = subprocess.run([SCRIPT, "unmount", pod / "pvc-1"], env={**os.environ, **bare.environment}, timeout=30,
                          stdout=subprocess.PIPE, preexec_fn=close)
    assert checked(done.stdout) == {"status": "Success"}
    assert done.returncode == 0


def test_a_closed_stdout_is_not_confused_with_the_log(bare: Driver, pod: Path, root: Path) -> None:
    done = subprocess.run([SCRIPT, "unmount", pod / "pvc-1"], env={**os.environ, **bare.environment}, timeout=30,
                          stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    assert done.stderr == b""
    assert '"status"' not in (root / "var/log/pure-flex.log").read_text()


def test_an_answer_that_cannot_be_written_is_no_success(bare: Driver, pod: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SCRIPT, "init"], stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_disk_being_full_is_told(bare: Driver, pod: Path, root: Path) -> None:
    """What cannot be written down must not be mounted (RLIMIT_FSIZE stands in for the disk)."""
    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    done = subprocess.run([SCRIPT, "mount", pod / "pvc-1", json.dumps(options(backend="file", nfs="192.0.2.7:/k8s-pvc-1"))],
                          env={**os.environ, **bare.environment}, timeout=30, capture_output=True, preexec_fn=fill)
    assert "File too large" in checked(done.stdout)["message"]
    assert done.stderr == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_call_with_a_failure(bare: Driver, pod: Path, root: Path, tmp_path: Path, number: int) -> None:
    """kubelet ends calls with SIGTERM when it ends itself: the answer is whole, and nothing is left mounted."""
    began = tmp_path / "began"
    tool(tmp_path / "bin" / "mount", f"touch {began}; sleep 60")
    call = bare.start("mount", pod / "pvc-1", options(backend="file", nfs="192.0.2.7:/k8s-pvc-1"),
                      PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    until(began.exists)
    call.send_signal(number)
    told = bare.finish(call)
    assert told == {"status": "Failure", "message": f"mount was cut short: signal {int(number)}; it can be repeated"}
    assert not (pod / "pvc-1").exists()


def test_a_call_that_forgets_the_time_is_cut(bare: Driver, pod: Path, tmp_path: Path) -> None:
    """Should a deadline fail, the process has one of its own."""
    program = tmp_path / "late.py"
    program.write_text("from flex import cli, verbs\nfrom time import sleep\ncli.LONGEST_CALL = 0.3\n"
                       "verbs.TABLE['unmount'].answer = lambda *_: sleep(60)\ncli.run()\n")
    done = subprocess.run([SCRIPT.with_name("python"), program, "unmount", pod / "pvc-1"], capture_output=True, timeout=30,
                          env={**os.environ, **bare.environment})
    assert "cut short: no end after 0.3 s" in checked(done.stdout)["message"]


def test_what_libraries_print_reaches_the_log_and_not_kubelet(bare: Driver, pod: Path, root: Path, tmp_path: Path) -> None:
    program = tmp_path / "noisy.py"
    program.write_text("import os, sys, warnings\nfrom flex import cli, reply, verbs\n"
                       "def noisy(settings, directory):\n"
                       "    print('chatter'); warnings.warn('old'); os.write(1, b'x'); os.write(2, b'y')\n"
                       "    os.system('echo child; echo child >&2')\n"
                       "    return reply.success()\n"
                       "verbs.TABLE['unmount'].answer = noisy\ncli.run()\n")
    done = subprocess.run([SCRIPT.with_name("python"), program, "unmount", pod / "pvc-1"], capture_output=True, timeout=30,
                          env={**os.environ, **bare.environment})
    assert (done.stdout, done.stderr) == (b'{"status": "Success"}\n', b"")
    written = (root / "var/log/pure-flex.log").read_text()
    assert "UserWarning: old" in written and written.count("child\n") == 2


def test_fifty_inits_at_once(bare: Driver) -> None:
    calls = [bare.start("init") for _ in range(50)]
    assert all(bare.finish(call) == {"status": "Success", "capabilities": CAPABILITIES} for call in calls)


# People

def typed(*words: str) -> tuple[int, str]:
    """Run the driver at a terminal; exit status and all that it shows."""
    pid, terminal = pty.fork()
    if not pid:
        os.execv(SCRIPT, [str(SCRIPT), *words])
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:                 # EIO: the other end is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_person_who_types_nothing_but_the_name_sees_help() -> None:
    status, shown = typed()
    assert "Usage: flex" in shown and "unmount" in shown
    assert status in (0, 2)


def test_a_person_who_mistypes_is_told_so() -> None:
    status, shown = typed("moutn")
    assert (status, "No such command 'moutn'" in shown) == (2, True)
    status, shown = typed("mount", "/x")
    assert (status, "Missing argument 'OPTIONS'" in shown) == (2, True)


def test_a_well_formed_call_at_a_terminal_is_answered_as_kubelet_would_see_it() -> None:
    status, shown = typed("init")
    assert (status, checked(shown.encode())["status"]) == (0, "Success")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["mount", "--help"], ["unmount", "-h"]], ids=" ".join)
def test_help_can_be_piped(words: list[str]) -> None:
    done = subprocess.run([SCRIPT, *words], capture_output=True, timeout=30, text=True)
    assert done.stdout.startswith("Usage: flex")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("word", ["--version", "version"])
def test_the_version_is_told(word: str) -> None:
    done = subprocess.run([SCRIPT, word], capture_output=True, timeout=30, text=True)
    assert done.stdout.startswith("flex 3.")


def test_help_lists_every_call() -> None:
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, timeout=30, text=True)
    for name in verbs.TABLE:
        assert f"\n  {name} " in done.stdout


def tool(file: Path, script: str) -> None:
    """Put a shell script where the driver finds it as a program."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def until(look: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)
