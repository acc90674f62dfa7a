"""Running other programs: a deadline, English, streams of their own, and words for whatever goes wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from arrays.errors import CommandFailed
from flex import log
from flex.node import command


def test_output_and_errors_are_apart() -> None:
    done = command.run("sh", "-c", "echo out; echo err >&2")
    assert (done.status, done.output, done.errors) == (0, "out\n", "err\n")


def test_a_status_that_is_not_allowed_is_an_error_with_all_that_was_said() -> None:
    with pytest.raises(CommandFailed) as failure:
        command.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (failure.value.status, failure.value.output) == (3, "out\nerr\n")
    assert command.run("sh", "-c", "exit 3", allow=(0, 3)).status == 3


def test_a_signal_is_a_negative_status() -> None:
    assert command.run("sh", "-c", "kill -9 $$", allow=(-signal.SIGKILL,)).status == -9


def test_no_shell_looks_at_the_arguments() -> None:
    assert command.run("printf", "%s", "$(id) * ;").output == "$(id) * ;"


def test_stdin_is_empty() -> None:
    assert command.run("cat").output == ""


def test_children_speak_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("KEPT", "x")
    assert command.run("sh", "-c", "echo $LC_ALL $KEPT").output == "C x\n"


@pytest.mark.parametrize("given, first", [(None, "/usr/local/sbin"), ("", "/usr/local/sbin"), ("/opt/x:/usr/bin", "/opt/x")])
def test_the_administrators_folders_are_always_on_the_path(monkeypatch: pytest.MonkeyPatch, given: str | None,
                                                           first: str) -> None:
    if given is None:
        monkeypatch.delenv("PATH", raising=False)
    else:
        monkeypatch.setenv("PATH", given)
    folders = command.run("/bin/sh", "-c", "echo $PATH").output.strip().split(":")
    assert folders[0] == first
    assert {"/sbin", "/usr/sbin", "/bin", "/usr/bin"} <= set(folders)
    assert len(folders) == len(set(folders))


def test_what_is_not_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no-such-tool is not installed on this node") as failure:
        command.run("no-such-tool", "-x")
    assert failure.value.status == 127
    assert command.find("no-such-tool") == ""
    assert command.find("sh").endswith("/sh")


def test_what_cannot_be_started_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(CommandFailed, match="cannot be started"):
        command.run(str(broken))
    broken.write_text("no program\n")
    with pytest.raises(CommandFailed, match="Exec format error") as failure:
        command.run(str(broken))
    assert failure.value.status == 126


def test_a_command_that_outlives_its_limit_is_killed_with_all_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="no end after 0.2 s") as failure:
        command.run("sh", "-c", f"echo half; sleep 60 & echo $! > {tmp_path}/pid; wait", timeout=0.2)
    assert failure.value.status == 124
    assert "half" in failure.value.output
    assert time.monotonic() - began < 5
    child = int((tmp_path / "pid").read_text())
    assert gone(child)


def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_a_command_that_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs on a device is deaf to SIGKILL; here the kill is what fails."""
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda child, number: killed.append(child))
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="no end after"):
        command.run("sleep", "60", timeout=0.1)
    assert time.monotonic() - began < 5
    monkeypatch.undo()
    os.killpg(killed[0], signal.SIGKILL)
    os.waitpid(killed[0], 0)


def test_a_daemon_that_keeps_the_pipes_does_not_keep_us(tmp_path: Path) -> None:
    began = time.monotonic()
    done = command.run("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; echo started")
    assert done.output == "started\n"
    assert time.monotonic() - began < 5
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_much_output_does_not_block() -> None:
    talk = "import sys; [stream.write('x' * 3_000_000) for stream in (sys.stdout, sys.stderr)]"
    done = command.run(sys.executable, "-c", talk)
    assert 1 << 20 <= len(done.output) <= 2 << 20
    assert 1 << 20 <= len(done.errors) <= 2 << 20


def test_children_have_none_of_our_files() -> None:
    """A lock handed down by accident would outlive the call; one handed down on purpose must."""
    reader, writer = os.pipe()
    seen = f"test -e /proc/self/fd/{writer} && echo there || echo away"
    try:
        assert command.run("sh", "-c", seen).output == "away\n"
        assert command.run("sh", "-c", seen, inherit=(writer,)).output == "there\n"
        assert command.run("sh", "-c", seen).output == "away\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_children_die_of_broken_pipes_again() -> None:
    """Python ignores SIGPIPE, and `yes | head` would complain for ever if a child inherited that."""
    assert command.run("sh", "-c", "yes | head -1").errors == ""


def test_an_interrupted_call_does_not_leave_its_command_running(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text("import signal, sys\nfrom flex.node import command\n"
                       "def end(*_): raise KeyboardInterrupt\n"
                       "signal.signal(signal.SIGTERM, end)\n"
                       f"command.run('sh', '-c', 'echo $$ > {tmp_path}/pid; sleep 60')\n")
    running = subprocess.Popen([sys.executable, program], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    running.terminate()
    running.wait(10)
    assert gone(int((tmp_path / "pid").read_text()))


def test_secrets_are_masked_in_errors_and_log(tmp_path: Path) -> None:
    log.open_file(str(tmp_path / "log"), debug_too=True)
    try:
        with pytest.raises(CommandFailed) as failure:
            command.run("sh", "-c", "echo $0; exit 1", "pa55w0rd", secrets=("pa55w0rd", ""))
    finally:
        log.close_file()
    assert "pa55w0rd" not in str(failure.value) + repr(failure.value.argv)
    assert "***" in str(failure.value)
    written = (tmp_path / "log").read_text()
    assert "ran sh -c" in written and "pa55w0rd" not in written


def test_steps_can_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault tests cut a call at any of these."""
    steps: list[str] = []
    monkeypatch.setattr(command, "at_step", steps.append)
    command.run("true")
    command.step("record written")
    assert steps == ["before true", "after true", "record written"]


def test_bytes_that_are_no_text_do_not_hurt() -> None:
    assert command.run("printf", r"\377\376").output == "\ufffd\ufffd"


def test_commands_in_threads_do_not_mix() -> None:
    said: dict[int, str] = {}

    def say(number: int) -> None:
        said[number] = command.run("sh", "-c", f"sleep 0.0{number}; echo {number}").output
    threads = [threading.Thread(target=say, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"{number}\n" for number in range(6)}
