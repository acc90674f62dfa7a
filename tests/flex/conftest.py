"""Fixtures of the driver's tests: pretend arrays, a pretend node, and the driver as kubelet runs it on that node."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from flex.node import mounts
from tests.flex.blocks import block, hurry
from tests.flex.driver import SCRIPT, SUCCESS, Driver, options


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The folder that kubelet knows the driver in; what lies beside the executable goes here."""
    folder = tmp_path / "exec" / "pure~flex"
    folder.mkdir(parents=True)
    (folder / "flex").symlink_to(SCRIPT)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a machine that has a mount table and nothing else."""
    folder = tmp_path / "root"
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "mountinfo").write_text("20 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n")
    return folder


@pytest.fixture
def bare(plugin: Path, root: Path) -> Driver:
    """The driver on a machine without arrays, tools or volumes."""
    return Driver(plugin / "flex", {"PURE_FLEX_ROOT": str(root)})


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """The folder kubelet keeps the volumes of one pod in."""
    folder = tmp_path / "kubelet" / "pods" / "uid-1" / "volumes" / "pure~flex"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Any]:
    """Pretend arrays whose volumes are sparse files; empty at first."""
    from simulator.fleet import Simulator
    from simulator.planes import FilePlane
    with Simulator(tmp_path / "sim", FilePlane(tmp_path / "plane")) as simulator:
        yield simulator


@pytest.fixture
def array(sim: Any) -> Any:
    """The first FlashArray of the fleet."""
    return sim.add_flash_array("fa1", labels={"env": "dev"})


@pytest.fixture
def blade(sim: Any) -> Any:
    """The first FlashBlade of the fleet."""
    return sim.add_flash_blade("fb1", labels={"env": "dev"})


@pytest.fixture
def node(sim: Any) -> Iterator[Any]:
    """A pretend node on the arrays' storage network; afterwards nothing has happened on it that destroys data."""
    with pretend_node(sim, "node1") as machine:
        yield machine


@pytest.fixture
def flex(sim: Any, node: Any, plugin: Path) -> Driver:
    """The driver installed on `node`, with all arrays that the test has asked for before the first call."""
    return InstalledDriver(plugin / "flex", node.environment(), sim)


@pytest.fixture
def node2(sim: Any) -> Iterator[Any]:
    """A second node on the same storage network."""
    with pretend_node(sim, "node2") as machine:
        yield machine


@pytest.fixture
def flex2(sim: Any, node2: Any, plugin: Path) -> Driver:
    """The driver installed on `node2`."""
    return InstalledDriver(plugin / "flex", node2.environment(), sim)


@contextmanager
def pretend_node(sim: Any, name: str) -> Iterator[Any]:
    """A node in a folder with a short name: multipathd's socket bears it, and 108 bytes are all there is."""
    from simulator.fabric import LocalFabric
    from simulator.node import PretendNode
    with TemporaryDirectory(prefix="node") as folder, PretendNode(folder, LocalFabric(sim), name=name) as machine:
        yield machine
        _tell_log(machine)
        assert (machine.alarms, machine.failures) == ([], [])


def _tell_log(machine: Any) -> None:
    """The driver's log goes with the node; pytest shows what is printed here beside a test that failed."""
    log = Path(machine.root, "var/log/pure-flex.log")
    if log.exists():
        print(f"{machine.name}:", log.read_text(errors="replace"))


class InstalledDriver(Driver):
    """Writes the fleet beside the executable before each call, as the daemon does when it changes."""

    def __init__(self, executable: Path, environment: dict[str, str], sim: Any) -> None:
        super().__init__(executable, environment)
        self.sim = sim
        self._fleet: object = None

    def install(self) -> None:
        self.secrets = tuple(array.token for array in self.sim.arrays)
        if self.sim.arrays and self._fleet != self.sim.pure_json():
            self._fleet = self.sim.pure_json()
            self.sim.write_pure_json(self.executable.with_name(".pure.json"))


@pytest.fixture
def blank_volume(array: Any, node: Any) -> None:
    """k8s-pvc-1, a blank volume as the provisioner makes it, and a node in a hurry."""
    array.add_volume("k8s-pvc-1", 1 << 30)
    hurry(node)


@pytest.fixture
def place(flex: Any, node: Any, array: Any, pod: Path) -> Path:
    """A directory with k8s-pvc-1 mounted on it, a file in it."""
    array.add_volume("k8s-pvc-1", 1 << 30)
    hurry(node)
    assert flex("mount", pod / "pvc-1", block()) == SUCCESS
    node.write(f"{pod}/pvc-1/hello", "world")
    return pod / "pvc-1"


@pytest.fixture
def export(blade: Any) -> str:
    """The export of k8s-pvc-1, made as the provisioner would."""
    blade.add_file_system("k8s-pvc-1", 10 << 30)
    return f"{blade.nfs_endpoint}:/k8s-pvc-1"


@pytest.fixture
def wanted(blade: Any, export: str) -> dict[str, str]:
    """Options of a PV of ours for it."""
    return options("pvc-1", backend="file", namespace="k8s", volume="k8s-pvc-1", array=blade.endpoint, nfs=export,
                   access="ReadWriteMany")


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """hidden(DIRECTORY): the next reading of the mount table lacks its line, or the next so many."""
    def hide(directory: str, readings: int = 1) -> None:
        left = [readings]

        def lines(paths: Any) -> list[str]:
            left[0] -= 1
            return [line for line in whole(paths) if left[0] < 0 or directory not in line]
        monkeypatch.setattr(mounts, "_lines", lines)
    whole = mounts._lines
    return hide


@pytest.fixture
def flex_process(flex: Driver) -> Any:
    """Makes a call-out in a process of its own."""
    return flex.process
