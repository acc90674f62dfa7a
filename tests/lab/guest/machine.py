"""One guest: a QEMU process in software emulation, its power switch (QMP) and its agent's wire.

QEMU dies with the process that started it, also when that is killed (PR_SET_PDEATHSIG); its disks are snapshots in
unlinked files and its networks are Unix sockets, so nothing is left on the host. Reset keeps the disk, as a power cut
does: what was not synced is lost, what was is there after the boot.
"""

import contextlib
import ctypes
import io
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.guest import emulator
from tests.lab.guest.build import Image

BOOT_TIMEOUT = 180.0                         # seconds from power-on to the agent's first answer, on a very busy host
MARGIN = 15.0                                # seconds for an answer beyond the time the command itself may take
PR_SET_PDEATHSIG = 1


class GuestFailed(Exception):
    """A guest, or a command in it, did not do what the lab relies on."""


@dataclass(frozen=True)
class Done:
    """A command that ended inside a guest; status -999 means it was killed at its time limit."""

    argv: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Disk:
    """A disk beside the root: read-only, or a scratch file that forgets everything at the end."""

    file: Path
    read_only: bool = True


@dataclass
class Guest:
    """A machine that can be switched on, commanded and cut off; `nets` are QEMU's -netdev/-device arguments."""

    name: str
    image: Image
    directory: Path
    nets: Sequence[str] = ()
    disks: Sequence[Disk] = ()
    memory: int = 1024                       # MiB
    outlives: bool = False                   # whether it stays when its starter ends
    _process: subprocess.Popen[bytes] | None = None
    _agent: "Agent | None" = None
    booted_in: float = field(default=0.0, init=False)
    _on: float = field(default_factory=time.monotonic, init=False)

    # ---- power

    def start(self) -> None:
        """Switch on and return at once; `wait` says when it can be used."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._on = time.monotonic()
        with (self.directory / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(self._argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             preexec_fn=_leave_group if self.outlives else die_with_parent)

    def wait(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the agent answers."""
        self._agent = self._agent or Agent(self.name, self.directory / "agent.sock", self._alive)
        self._agent.wait(timeout)
        self.booted_in = time.monotonic() - self._on

    def reset(self) -> None:
        """Power cut and power back; returns when the agent answers again."""
        self.cut()
        self.power_on()
        self.wait()

    def cut(self) -> None:
        """Power cut: the machine stands still and its memory will not be seen again."""
        self.qmp("stop")
        self._forget_agent()

    def power_on(self) -> None:
        """Power back after `cut`: a boot from the disk as it was."""
        self._on = time.monotonic()
        self.qmp("system_reset")
        self.qmp("cont")

    def freeze(self) -> None:
        """Stop the clock of this machine: to the others it is dead, until `thaw`."""
        self.qmp("stop")

    def thaw(self) -> None:
        self.qmp("cont")

    def cable(self, device: str, plugged: bool) -> None:
        """Pull or plug the cable of one of QEMU's network devices, seen from outside the machine."""
        self.qmp("set_link", name=device, up=plugged)

    def stop(self) -> None:
        """End QEMU, politely first; no guest state is kept."""
        self._forget_agent()
        if self._process is None and not self.outlives:
            return
        with contextlib.suppress(OSError, GuestFailed, ValueError):
            self.qmp("quit", patience=1.0)
        if self._process is None:
            return
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def qmp(self, command: str, patience: float = 10.0, **arguments: Any) -> Any:
        """One command on the machine's control socket (QEMU Machine Protocol)."""
        deadline = time.monotonic() + patience
        while True:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(10)
                try:
                    wire.connect(str(self.directory / "qmp.sock"))
                except OSError:
                    if time.monotonic() > deadline or not self._alive():
                        raise
                    time.sleep(0.05)
                    continue
                return _qmp_dialogue(wire, command, arguments)

    def console(self) -> str:
        """What the kernel and the boot wrote on the serial line."""
        return (self.directory / "console.log").read_text(errors="replace")

    def _alive(self) -> bool:
        if self._process is None:
            return self.outlives             # started by an earlier process: its sockets tell
        return self._process.poll() is None

    def _forget_agent(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None

    def _argv(self) -> list[str]:
        d = self.directory
        drives = [f"file={self.image.root},if=virtio,format=raw,snapshot=on,cache=unsafe"]
        drives += [f"file={disk.file},if=virtio,format=raw,cache=unsafe" + (",readonly=on" if disk.read_only else "")
                   for disk in self.disks]
        return [
            "nice", "-n", "5", *emulator.command(), "-name", self.name, "-accel", "tcg", "-smp", "1",
            "-m", str(self.memory), "-nodefaults", "-display", "none", "-rtc", "base=utc",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append",
            "console=ttyS0 quiet loglevel=4 mitigations=off nokaslr net.ifnames=0 tsc=reliable "
            "no_timer_check cryptomgr.notests panic=5 audit=0 selinux=0 apparmor=0",
            *(part for drive in drives for part in ("-drive", drive)),
            "-device", "virtio-rng-pci",
            "-chardev", f"file,id=console,path={d}/console.log", "-serial", "chardev:console",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={d}/agent.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=lab.agent",
            "-qmp", f"unix:{d}/qmp.sock,server=on,wait=off", *self.nets,
        ]

    # ---- commands inside

    def run(self, *argv: str, timeout: float = 60.0, stdin: bytes = b"", env: dict[str, str] | None = None,
            cwd: str = "/", allow: Sequence[int] | None = (0,)) -> Done:
        """Run one command to its end; a status outside `allow` (None: any) raises GuestFailed with all it said."""
        reply, body = self.agent.ask("run", body=stdin, wait=timeout + MARGIN,
                                     argv=argv, env=env, cwd=cwd, timeout=timeout)
        out, err = body[:reply["out"]].decode(errors="replace"), body[reply["out"]:].decode(errors="replace")
        done = Done(argv, reply["status"], out, err)
        if allow is not None and done.status not in allow:
            raise GuestFailed(f"{self.name}: {' '.join(argv)} ended with {done.status}: {done.text.strip()}")
        return done

    def sh(self, script: str, timeout: float = 60.0, allow: Sequence[int] | None = (0,)) -> Done:
        """Run a shell script that stops at its first error."""
        return self.run("sh", "-euc", script, timeout=timeout, allow=allow)

    def start_command(self, *argv: str, log: str = "/var/log/lab.log", env: dict[str, str] | None = None) -> int:
        """Start a process that lives on; returns its pid."""
        return int(self.agent.ask("start", argv=argv, env=env, log=log)[0]["pid"])

    def put(self, target: str, *sources: Path, leave_out: Sequence[str] = ()) -> None:
        """Copy files and trees into the directory `target` of the guest."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for source in sources:
                archive.add(source, source.name, filter=lambda info: _wanted(info, leave_out))
        self.agent.ask("put", body=buffer.getvalue(), path=target)

    def write(self, path: str, data: str | bytes, mode: int = 0o644) -> None:
        self.agent.ask("write", body=data.encode() if isinstance(data, str) else data, path=path, mode=mode)

    def read(self, path: str) -> str:
        return self.agent.ask("read", path=path)[1].decode(errors="replace")

    def call(self, function: str, *args: Any, wait: float = 60.0, **kwargs: Any) -> Any:
        """Call `module:function` inside the guest with JSON arguments; its JSON value comes back."""
        module, name = function.split(":")
        return self.agent.ask("call", module=module, function=name, args=args, kwargs=kwargs, wait=wait)[0]["value"]

    def renew_agent(self) -> None:
        """Let a fresh agent start, so that code put there anew is what `call` runs."""
        self.agent.tell("renew")
        self._forget_agent()
        time.sleep(0.1)
        self.wait()

    @property
    def agent(self) -> "Agent":
        if self._agent is None:
            raise GuestFailed(f"{self.name} is switched off")
        return self._agent


class Agent:
    """The host's end of the agent's wire: many requests at once, each with its own limit."""

    def __init__(self, name: str, path: Path, alive: Any) -> None:
        self.name, self.alive = name, alive
        self.waiting: dict[int, queue.Queue[tuple[dict[str, Any], bytes]]] = {}
        # A number never used before on this wire: an answer to an earlier life's request must find nobody.
        self.numbers = itertools.count(time.monotonic_ns())
        self.lock = threading.Lock()
        self.wire = self._connect(path)
        threading.Thread(target=self._listen, daemon=True).start()

    def _connect(self, path: Path) -> socket.socket:
        deadline = time.monotonic() + 15
        while True:
            wire = socket.socket(socket.AF_UNIX)
            try:
                wire.connect(str(path))
                return wire
            except OSError:
                wire.close()
                if not self.alive() or time.monotonic() > deadline:
                    raise GuestFailed(f"{self.name}: QEMU did not start, see {path.parent}/qemu.log") from None
                time.sleep(0.05)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.wire.shutdown(socket.SHUT_RDWR)
        self.wire.close()

    def wait(self, timeout: float) -> None:
        """Ping until somebody answers: before that the port has no reader, and the request may be lost."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                self.ask("ping", wait=1.0)
                return
            except GuestFailed:
                if not self.alive():
                    raise GuestFailed(f"{self.name}: QEMU ended while booting") from None
        raise GuestFailed(f"{self.name}: no agent after {timeout:g} s, see its console.log")

    def ask(self, op: str, *, body: bytes = b"", wait: float = 60.0, **fields: Any) -> tuple[dict[str, Any], bytes]:
        """Send one request and wait for its answer."""
        number = next(self.numbers)
        self.waiting[number] = queue.Queue()
        try:
            self._send({"op": op, "id": number, **fields}, body)
            reply, data = self.waiting[number].get(timeout=wait)
        except queue.Empty:
            raise GuestFailed(f"{self.name}: no answer to {op} {fields.get('argv', '')} in {wait:g} s") from None
        except OSError as error:
            raise GuestFailed(f"{self.name}: {error}") from None
        finally:
            del self.waiting[number]
        if "error" in reply:
            raise GuestFailed(f"{self.name}: {op}: {reply['error']}\n{reply.get('trace', '')}")
        return reply, data

    def tell(self, op: str) -> None:
        """Send a request that is not answered."""
        self._send({"op": op, "id": 0}, b"")

    def _send(self, message: dict[str, Any], body: bytes) -> None:
        with self.lock:
            self.wire.sendall(json.dumps({**message, "body": len(body)}).encode() + b"\n" + body)

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self.wire.makefile("rb") as stream:
            for reply, body in _messages(stream):
                if waiter := self.waiting.get(reply["id"]):
                    waiter.put((reply, body))


def _messages(stream: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    for line in stream:
        try:
            reply = json.loads(line)
            size = reply["body"]
        except (ValueError, KeyError, TypeError):
            continue                         # the tail of a message cut by a reset
        yield reply, stream.read(size)


def _qmp_dialogue(wire: socket.socket, command: str, arguments: dict[str, Any]) -> Any:
    stream = wire.makefile("rw")
    stream.readline()                        # the greeting
    for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
        stream.write(json.dumps(request))
        stream.flush()
        answer = json.loads(stream.readline())
        while "event" in answer:
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise GuestFailed(f"QMP {command}: {answer['error']}")
    return answer["return"]


def _wanted(info: tarfile.TarInfo, leave_out: Sequence[str]) -> tarfile.TarInfo | None:
    parts = info.name.split("/")
    if "__pycache__" in parts or any(name in parts for name in leave_out):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def die_with_parent() -> None:
    """In the child, before exec: SIGKILL when the lab's process ends, however it ends; no Ctrl-C of ours."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _leave_group()


def _leave_group() -> None:
    os.setpgid(0, 0)
