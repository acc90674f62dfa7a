"""Who is measured: our provisioner, csi-provisioner, a FlexVolume provisioner on sig-storage-lib; how each is started.

Whatever array stands behind takes DELAY for each change. Ours speaks REST over HTTPS to a pretend array, which costs more
than a plugin that only waits; both run on the machine that is measured. Ours is started from its image's root file system:
the interpreter is part of what is shipped, and another build of it takes up to a third more CPU.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator.fabric import RemoteFabric
from tests.cluster import processes, product
from tests.cluster.arrays import CHECKOUT
from tests.cluster.namespaces import CONTROL, CONTROL_ADDRESS, inside
from tests.peers import usage
from tests.peers.plane import ACCOUNT, FILES, Plane

DELAY = 0.030                            # seconds
NAME = "provisioner"                     # of its process: in each one's command line, by which it is found again
ROOT = "root"                            # in the work folder: our image's


@dataclass(frozen=True)
class Runner:
    """One program with one set of options; `argv` is made from the work folder and the folder with the peers' programs."""

    name: str
    provisioner: str                     # of its StorageClass
    argv: Callable[[Path, Path], list[str]]
    environment: Callable[[Path], Mapping[str, str]] = field(default=lambda work: {})
    quick: bool = True                   # whether hundreds of claims take seconds

    @contextmanager
    def running(self, plane: Plane) -> Iterator["Running"]:
        """Start it in the control plane's network, as the account that is counted, and end it."""
        work, argv = plane.work, [*inside(CONTROL), *self.argv(plane.work, plane.peers)]
        log = work / f"logs/{NAME}.log"
        log.unlink(missing_ok=True)
        try:
            pid = processes.start(work, NAME, argv, {"PYTHONPATH": str(CHECKOUT), **self.environment(work)})
            yield Running(self.name, log, pid)
        finally:
            processes.stop(work, NAME)


@dataclass(frozen=True)
class Running:
    """A program that was started; its log tells why it ended before its time."""

    name: str
    log: Path
    pid: int

    def wait(self, what: str, look: Callable[[], object], seconds: float) -> None:
        """Wait until it is true; a RuntimeError says what never came, or that the program has ended, and its last words."""
        def over() -> bool:
            return bool(look()) or not usage.is_alive(self.pid)
        processes.wait(f"{self.name}: {what}", over, seconds)
        if not look():
            words = self.log.read_text().splitlines()[-1:] or ["it said nothing"]
            raise RuntimeError(f"{self.name} ended before {what}: {words[0]}")


def _ours(work: Path, _: Path) -> list[str]:
    return ["chroot", f"{work}/{ROOT}", "/k8s-provisioner"]


def unpack(plane: Plane) -> None:
    """The root of our image, with the few files of the work folder that a pod has mounted, under the same names."""
    root = plane.work / ROOT
    shutil.copytree(product.root(), root, symlinks=True)
    for folder in (plane.work / FILES, plane.work / "arrays"):
        shutil.copytree(folder, root / folder.relative_to("/"), ignore=_special)


def _special(folder: str, names: list[str]) -> list[str]:
    """What is no file nor folder, which are not copied: sockets."""
    return [name for name in names if not (Path(folder, name).is_file() or Path(folder, name).is_dir())]


def _our_environment(work: Path) -> dict[str, str]:
    """As in a pod, with a service account's files; nothing then needs the `kubernetes` package, nor its 15 MB."""
    return {"KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": CONTROL_ADDRESS, "KUBERNETES_SERVICE_PORT": "443",
            "PURE_SERVICE_ACCOUNT_DIR": f"{work}/{FILES}", "PURE_DISCOVERY_CONF": f"{work}/arrays/pure.json"}


def _csi(*options: str) -> Callable[[Path, Path], list[str]]:
    return lambda work, programs: [str(programs / "csi-provisioner"), f"--csi-address={work}/csi.sock",
                                   f"--kubeconfig={work}/{ACCOUNT}", *options]


def _library(qps: int, workers: int) -> Callable[[Path, Path], list[str]]:
    """Zeros leave the library its own defaults."""
    return lambda work, programs: [str(programs / "library-provisioner"), f"{work}/{ACCOUNT}", f"{DELAY}s", str(qps),
                                   str(workers)]


_PLUGIN, _FLEX = "peer.csi.example.org", "peer.library.example.org"
OURS = Runner("ours, defaults", "pure-provisioner", _ours, _our_environment)
CSI = Runner("csi-provisioner 6.3.0, defaults", _PLUGIN, _csi(), quick=False)
CSI_TUNED = Runner("csi-provisioner 6.3.0, tuned", _PLUGIN,
                   _csi("--worker-threads=100", "--kube-api-qps=1000", "--kube-api-burst=2000"))
LIBRARY = Runner("sig-storage-lib 13, defaults", _FLEX, _library(0, 0), quick=False)
LIBRARY_TUNED = Runner("sig-storage-lib 13, tuned", _FLEX, _library(1000, 16))
RUNNERS = (OURS, CSI, CSI_TUNED, LIBRARY, LIBRARY_TUNED)


def start_arrays(plane: Plane) -> None:
    """What stands behind them: a CSI plugin of a few lines, and a pretend FlashArray with the same delay."""
    work = plane.work
    processes.start(work, "csi-plugin", [str(plane.peers / "csi-plugin"), f"{work}/csi.sock", f"{DELAY}s"])
    shutil.rmtree(work / "arrays", ignore_errors=True)
    processes.start(work, "arrays", [
        *inside(CONTROL), sys.executable, "-m", "simulator", "--directory", f"{work}/arrays", "--listen", CONTROL_ADDRESS,
        "--flash-array", "fa1,capacity=4P"], {"PYTHONPATH": str(CHECKOUT)})
    processes.wait("the pretend array", (work / "arrays/pure.json").exists, 30)
    for method in ("POST", "DELETE"):
        RemoteFabric(work / "arrays").ask("POST", "/faults", {
            "array": "fa1", "method": method, "path": "volume/*", "latency": DELAY})
    processes.wait("the CSI plugin", (work / "csi.sock").exists, 30)
