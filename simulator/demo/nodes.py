"""One node of the demo: a pretend machine, the driver in its kubelet's plugin directory, and the kubelet."""
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from simulator.demo.screen import Screen
from simulator.demo.workload import Idle, Journal
from simulator.fabric import RemoteFabric
from simulator.kubelet import Kubelet
from simulator.kubelet.volumes import likely_mount_point
from simulator.kubernetes import KubeApi
from simulator.node import PretendNode

CHECKOUT = Path(__file__).parents[2]
GRACE = 2.0                              # seconds until a silent host's volume may be taken
SETTINGS = f'{{"PURE_PREEMPT_RWO_GRACE": "{GRACE:g}", "PURE_FLEX_DEBUG": "true"}}\n'
_RUNTIME = ".flex-rt-demo"               # a dot name beside the executable, as the node bundle has it


class Member:
    """A node of the demo's cluster. `journals` are the lives that began on it."""

    kubelet: Kubelet

    def __init__(self, name: str, directory: Path, fabric: RemoteFabric, api: KubeApi, screen: Screen, real: bool) -> None:
        self.name = name
        self.machine = PretendNode(directory / name, fabric, name=name, real=real)
        self.plugins = directory / name / "exec"
        self.journals: list[Journal] = []
        self.real = real
        self._root = directory / name / "kubelet"
        self._api = api
        self._screen = screen

    def __enter__(self) -> Self:
        self.machine.__enter__()
        self._start_kubelet()
        return self

    def __exit__(self, *_: object) -> None:
        self.kubelet.power_off()
        self.machine.__exit__(None, None, None)

    def power_off(self) -> None:
        """Pull the plug."""
        self.kubelet.power_off()
        self.machine.power_off()

    def power_on(self) -> None:
        """Boot: a fresh kernel, and a kubelet that finds its old directories."""
        self.machine.power_on()
        self._start_kubelet()

    def install(self, pure_json: Path) -> None:
        """Do what the daemon does: everything beside the executable first, the executable last."""
        place = self.plugins / "pure~flex"
        (place / _RUNTIME).mkdir(parents=True)
        for name, text in ((".pure.json", pure_json.read_text()), (".settings.json", SETTINGS)):
            with os.fdopen(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        start = place / _RUNTIME / "main.py"
        start.write_text(f"import sys\nsys.path[:0] = {[str(CHECKOUT), sysconfig.get_path('purelib')]!r}\n"
                         "from flex.cli import run\nrun()\n")
        staged = place / ".flex.new"
        staged.write_text(f"#!/bin/sh\nexec {_quoted(sys.executable)} -I -S {_quoted(str(start))} \"$@\"\n")
        staged.chmod(0o755)
        staged.rename(place / "flex")

    def directory(self, pv: str) -> Path | None:
        """Where a PV is mounted on this node."""
        found = [uid for uid, name in self.kubelet.volumes.found() if name == pv]
        return self.kubelet.volumes.directory(found[-1], pv) if found else None

    def tools(self, name: str) -> list[tuple[str, ...]]:
        """Every run of tools whose name begins so, on this node."""
        return [found.argv for found in self.machine.commands if Path(found.argv[0]).name.startswith(name)]

    @property
    def log(self) -> str:
        """The driver's log on this node."""
        with suppress(OSError):
            return (self.machine.root / "var/log/pure-flex.log").read_text(errors="replace")
        return ""

    @property
    def waits_for(self) -> list[str]:
        """What the driver has noted about volumes that other hosts hold: names of its marks, volume and host in them."""
        return [path.name for path in (self.machine.root / "var/lib/pure-flex/marks").glob("held.*")]

    def _start_kubelet(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PURE_")}
        self.kubelet = Kubelet(self._api, self.name, self._root, self.plugins, start=self._start, limit=120.0,
                               is_mount_point=likely_mount_point if self.real else self._is_mounted,
                               environment={**environment, **self.machine.environment()}, tell=self._screen.call_out)
        self.kubelet.__enter__()

    def _start(self, pod: dict[str, Any], directories: dict[str, Path]) -> Journal | Idle:
        if "data" not in directories:
            return Idle()
        disk = RealDisk() if self.real else PretendDisk(self.machine)
        self.journals.append(Journal(pod["metadata"]["name"], directories["data"], disk))
        return self.journals[-1]

    def _is_mounted(self, directory: Path) -> bool:
        os.stat(directory)               # FileNotFoundError, as the real test has it
        return str(directory) in [mount.directory for mount in self.machine.mounts]


class RealDisk:
    """A pod's files on a mounted volume."""

    def append(self, path: str, text: str) -> None:
        """Write and fsync."""
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


class PretendDisk:
    """A pod's files on a volume that is only pretended to be mounted: the pretend node keeps them in the volume."""

    def __init__(self, machine: PretendNode) -> None:
        self._machine = machine
        self._text: dict[str, str] = {}

    def append(self, path: str, text: str) -> None:
        """Read once, then write the whole file each time."""
        if path not in self._text:
            with suppress(FileNotFoundError):
                self._text[path] = self._machine.read(path)
        self._text[path] = self._text.get(path, "") + text
        self._machine.write(path, self._text[path])


def why_pretended() -> str:
    """Why block devices and file systems cannot be real here; "" when they can, which is tried."""
    if os.geteuid() != 0:
        return "not root"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    missing = [tool for tool in ("losetup", "mkfs.xfs", "xfs_growfs", "blkid", "mount", "umount") if not shutil.which(tool)]
    return f"{', '.join(missing)} not installed" if missing else _why_no_mount()


def _why_no_mount() -> str:
    with tempfile.TemporaryDirectory(prefix="pure-flex-try-") as place:
        image, target = Path(place, "image"), Path(place, "at")
        target.mkdir()
        with image.open("wb") as file:
            file.truncate(320 << 20)     # mkfs.xfs refuses less than 300 MiB
        for argv in (["mkfs.xfs", "-q", str(image)], ["mount", "-o", "loop", str(image), str(target)],
                     ["umount", str(target)]):
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
            if done.returncode:
                return f"{argv[0]}: {' '.join((done.stderr or done.stdout).split())[:120]}"
    return ""


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
