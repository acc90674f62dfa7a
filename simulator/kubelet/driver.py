"""How kubelet runs a FlexVolume driver: argv, both streams read as one JSON document, what counts as success.

After pkg/volume/flexvolume/driver-call.go, plugin.go and probe.go of Kubernetes (flexvolume-protocol.md sections 1, 3, 4).
"""
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAPABILITIES = {"attach": True, "selinuxRelabel": True, "fsGroup": True, "supportsMetrics": False,
                "requiresFSResize": True}
_TYPES: dict[str, type] = {"status": str, "message": str, "device": str, "volumename": str, "attached": bool,
                           "capabilities": dict, "volumenewsize": int}


@dataclass(frozen=True)
class CallOut:
    """One run of the driver."""
    node: str
    call: str                            # "mount"
    arguments: tuple[str, ...]
    answer: Mapping[str, Any] | None     # None: the output was not one JSON object
    exit_status: int
    output: str                          # stdout and stderr together
    began: float                         # monotonic
    milliseconds: float
    error: str                           # what kubelet makes of it; "" is success

    @property
    def status(self) -> str:
        """The driver's word, "" when it said nothing readable."""
        return str((self.answer or {}).get("status", ""))

    @property
    def message(self) -> str:
        """The driver's sentence."""
        return str((self.answer or {}).get("message", ""))


class NotSupported(Exception):
    """The driver does not have this call; kubelet remembers that until the next probe."""


class DriverFailed(Exception):
    """The call failed; the text is what goes into the pod's event."""


class Driver:
    """The executable at `<plugin_dir>/pure~flex/flex`, as one kubelet knows it."""

    def __init__(self, plugin_dir: Path | str, node: str, *, name: str = "pure/flex", limit: float = 600.0,
                 environment: Mapping[str, str] | None = None,
                 tell: Callable[[CallOut], None] = lambda _: None) -> None:
        self.executable = Path(plugin_dir) / name.replace("/", "~") / name.rpartition("/")[2]
        self.name = name
        self.calls: list[CallOut] = []
        self.capabilities: dict[str, bool] = dict(CAPABILITIES)
        self._node = node
        self._environment = dict(os.environ if environment is None else environment)
        self._limit = limit              # seconds; kubelet has none but for waitforattach, a test must end
        self._tell = tell
        self._lock = threading.Lock()    # the plugin manager's: a slow init stalls everybody
        self._unsupported: set[str] = set()
        self._probed: tuple[int, int, int] | None = None
        self._looked = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._dead = False

    def call(self, call: str, *arguments: str) -> CallOut:
        """Probe if need be, then run one call; DriverFailed or NotSupported when kubelet would say so."""
        if self._dead:
            raise DriverFailed("the machine is off")
        with self._lock:
            self._probe()
            if call in self._unsupported:
                raise NotSupported(call)
        return self._checked(call, *arguments)

    def look_up(self) -> None:
        """Find the plugin, as any use of any volume does; runs init when the file is new."""
        with self._lock:
            self._probe()

    def die(self) -> None:
        """The machine loses power: running calls are killed, nothing runs any more."""
        self._dead = True
        for process in tuple(self._running):
            _kill_family(process.pid)

    def _probe(self) -> None:
        """Run init when the file has changed since: twice for one found at the first look, else once (1.34)."""
        times, self._looked = (1 if self._looked else 2), True
        try:
            found = self.executable.stat()
        except OSError:
            self._probed = None
            raise DriverFailed("no volume plugin matched") from None
        mark = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        if mark == self._probed:
            return
        self._unsupported.clear()
        for _ in range(times):
            try:
                answer = self._checked("init").answer or {}
            except NotSupported:
                raise DriverFailed(f"driver {self.name} is not loaded: init is Not supported") from None
        given = next((value for key, value in answer.items() if key.lower() == "capabilities"), None) or {}
        self.capabilities = {**CAPABILITIES, **{key: given[key] for key in CAPABILITIES if key in given}}
        self._probed = mark

    def _checked(self, call: str, *arguments: str) -> CallOut:
        done = self._run(call, arguments)
        if self._dead:
            raise DriverFailed("the machine is off")
        self.calls.append(done)
        self._tell(done)
        if done.status == "Not supported":
            self._unsupported.add(call)
            raise NotSupported(call)
        if done.error:
            raise DriverFailed(done.error)
        return done

    def _run(self, call: str, arguments: tuple[str, ...]) -> CallOut:
        began = time.monotonic()
        status, output = self._execute(call, arguments)
        answer, error = parse(output)
        if error:
            error = f"failed to unmarshal output for command: {call}, output: {output[:500]!r}, error: {error}"
        elif (answer or {})["status"] != "Success" or status:
            error = (f"{call} command failed, status: {(answer or {})['status']}, reason: "
                     f"{(answer or {}).get('message', '')}" + (f", exit status {status}" if status else ""))
        return CallOut(self._node, call, arguments, answer, status, output, began, (time.monotonic() - began) * 1000, error)

    def _execute(self, call: str, arguments: tuple[str, ...]) -> tuple[int, str]:
        try:
            process = subprocess.Popen([str(self.executable), call, *arguments], stdin=subprocess.DEVNULL, cwd="/",
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment,
                                       start_new_session=True)   # Ctrl-C at a terminal is not for the driver
        except OSError as error:
            return 127, f"fork/exec {self.executable}: {error.strerror}"
        self._running.add(process)
        try:
            output, _ = process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired:
            _kill_family(process.pid)
            output, _ = process.communicate()
        finally:
            self._running.discard(process)
        return process.returncode, output.decode(errors="replace")


def _kill_family(pid: int) -> None:
    """Kill a process and all that it started, whatever sessions they moved to: their parents still tell."""
    family = [pid]
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue                     # it ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    for member in family:
        family += parents.get(member, [])
    for member in family:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue


def parse(output: str) -> tuple[dict[str, Any] | None, str]:
    """(answer, "") or (None, complaint); keys match whatever their case, known ones must have Go's types."""
    if not output.strip():
        return None, "unexpected end of JSON input"
    try:
        found = json.loads(output)
    except ValueError as error:
        return None, str(error)
    if not isinstance(found, dict):
        return None, f"json: cannot unmarshal {type(found).__name__} into Go value of type flexvolume.DriverStatus"
    for key, value in found.items():
        wanted = _TYPES.get(key.lower())
        if wanted and value is not None and (not isinstance(value, wanted) or wanted is int and isinstance(value, bool)):
            return None, f"json: cannot unmarshal {type(value).__name__} into Go struct field DriverStatus.{key}"
    answer = {**{"status": "", "message": ""}, **{_canonical(key): value for key, value in found.items()}}
    return answer, ""


def _canonical(key: str) -> str:
    return key.lower() if key.lower() in _TYPES else key
