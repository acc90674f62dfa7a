"""The image's root file system as a container sees it: its commands run, read only, with nothing of this machine's.

daemonset/Dockerfile runs the same builder. `make cluster` runs the same image in pods.
"""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemonset.image import inventory
from daemonset.image.rootfs import COMMANDS, OURS
from provisioner.admin import pure
from tests.provisioner.cluster import Cluster
from tests.provisioner.cluster import cluster as running
from tests.provisioner.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(300)       # the image is built in the first test, and once more in the last
Inside = Callable[..., list[str]]


def built(output: Path, bundle: Path) -> Path:
    (output / bundle.name).symlink_to(bundle)
    subprocess.run([sys.executable, "-m", "daemonset.image", "--output", output, "--rootfs-only"], cwd=CHECKOUT,
                   check=True, capture_output=True, text=True)
    return output / "rootfs"


@pytest.fixture(scope="module")
def image(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root, built from these sources; `make image` packs the same."""
    return built(tmp_path_factory.mktemp("image"), bundle)


@pytest.fixture
def inside(image: Path, tmp_path: Path) -> Inside:
    """The argv that runs a command in that root, read only, with this test's own directory at its own place."""
    def argv(*command: str, environment: tuple[str, ...] = ()) -> list[str]:
        top = image / tmp_path.parts[1]
        script = (f"mount --bind {image} {image}; mount -t tmpfs tmpfs {top}; mkdir -p {image}{tmp_path}; "
                  f"mount --bind {tmp_path} {image}{tmp_path}; mount -o remount,ro,bind {image}; "
                  f'exec chroot {image} /bin/busybox env -i PATH=/usr/bin:/bin "$@"')
        return ["unshare", "--mount", "sh", "-ec", script, "sh", *environment, *command]
    return argv


def answer(argv: list[str], status: int = 0) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done
    return done.stdout


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"/uninstaller"}))
def test_each_command_of_the_image_answers(inside: Inside, command: str) -> None:
    assert "Usage: " in answer(inside(command, "--help"))


def test_the_uninstaller_ends_well_where_nothing_is_installed(inside: Inside) -> None:
    answer(inside("/uninstaller"))


def test_each_command_of_pure_answers(inside: Inside) -> None:
    """Also `explore`, which is found by its entry point, so by the record of our own package in the image."""
    listed = answer(inside("/usr/bin/pure", "--help"))
    assert {"arrays", "explore", "import", "migrate", "orphans", "snapshot", "volumes"} == {*pure.commands}
    for name in pure.commands:
        assert f"\n  {name} " in listed
        assert f"Usage: pure {name}" in answer(inside("/usr/bin/pure", name, "--help"))


def test_every_module_of_ours_imports(inside: Inside, tmp_path: Path) -> None:
    """What is imported late fails here, and not in the one pod that needs it."""
    script = tmp_path / "imports.py"
    script.write_text(f"""
import importlib, os, sys
sys.path.append("/opt/pure")
for top in {OURS!r}:
    for base, _, files in os.walk("/opt/pure/" + top):
        for file in sorted(files):
            if file.endswith(".pyc") and file != "__main__.pyc":
                name = os.path.join(base, file)[len("/opt/pure/"):-len(".pyc")].replace("/", ".")
                importlib.import_module(name.removesuffix(".__init__"))
                print(name)
""")
    names = answer(inside("/usr/bin/python3.11", "-IS", str(script))).split()
    assert {"provisioner.loop", "daemonset.daemon", "explorer.serve", "arrays.flasharray"} <= {*names}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path) as found:
        yield found


def test_it_reads_a_kubeconfig_and_asks_arrays(inside: Inside, cluster: Cluster) -> None:
    """As `docker run -v ~/.kube:… IMAGE pure volumes`: kubernetes' reader of kubeconfig files is there whole."""
    environment = (f"KUBECONFIG={cluster.api.kubeconfig()}", f"PURE_DISCOVERY_CONF={cluster.pure_json}")
    rows = json.loads(answer(inside("/usr/bin/pure", "arrays", "check", "-o", "json", environment=environment)))
    assert [row["ok"] for row in rows] == ["yes"] * 3
    assert json.loads(answer(inside("/usr/bin/pure", "volumes", "-o", "json", environment=environment))) == []


def test_the_explorer_serves_its_pages(inside: Inside, cluster: Cluster) -> None:
    """Templates, style sheet and all, from a root that cannot be written to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = (f"KUBECONFIG={cluster.api.kubeconfig()}", f"PURE_DISCOVERY_CONF={cluster.pure_json}")
    process = subprocess.Popen(inside("/usr/bin/pure", "explore", "--port", str(port), environment=environment))
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/claims"), "the page of claims", 30)
        assert answers(f"http://127.0.0.1:{port}/static/explorer.css")
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return page.status == 200
    except ConnectionError:
        return False
    except urllib.error.URLError as error:
        assert isinstance(error.reason, ConnectionError), error
        return False


def test_every_library_is_inside(image: Path) -> None:
    """Of the interpreter's modules and of the packages' compiled ones."""
    inside = {path.name for path in image.rglob("*.so*")}
    for path in [image / "usr/bin/python3.11", *image.rglob("*.so*")]:
        text = subprocess.run(["readelf", "-dn", path], capture_output=True, text=True, check=True).stdout
        needed = {line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line}
        assert needed <= inside, f"{path.name} needs {needed - inside}"


def test_components_and_licences_are_shipped(image: Path) -> None:
    """Each pinned package and each of Debian's is listed; a scanner finds the packages' own records too."""
    parts = json.loads((image / "opt/pure/components.json").read_text())["components"]
    pinned = {line.split("==")[0] for line in inventory.REQUIREMENTS.read_text().splitlines() if "==" in line}
    assert pinned <= {part["name"] for part in parts} and {"flask", "waitress"} <= pinned
    debian = {part["name"] for part in parts if part["purl"].startswith("pkg:deb/")}
    assert {"libc6", "libssl3", "libgcc-s1", "busybox-static", "ca-certificates"} <= debian
    assert debian == {path.parent.name for path in image.glob("usr/share/doc/*/copyright")}
    recorded = {path.parent.name.split("-")[0].replace("_", "-") for path in image.glob("opt/pure/*.dist-info/METADATA")}
    assert recorded == pinned - {"purestorage"} | {"pure-flex"}
    assert (image / "opt/pure/purestorage/LICENSE.txt").exists()


def test_labels_are_the_same_by_docker() -> None:
    text = (CHECKOUT / "daemonset/Dockerfile").read_text()
    assert all(f'{name}="{value}"' in text for name, value in inventory.LABELS.items())


def test_it_is_small_and_has_no_tools_to_build_with(image: Path) -> None:
    files = [path for path in image.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= 100 * 2**20
    assert not [path for path in files if path.suffix in (".py", ".pth") or {"pip", "setuptools"} & {*path.parts}]


def test_two_builds_give_the_same_bytes(image: Path, bundle: Path, tmp_path: Path) -> None:
    again = built(tmp_path, bundle)
    difference = subprocess.run(["diff", "-r", "--no-dereference", image, again], capture_output=True, text=True,
                                check=False)
    assert difference.returncode == 0, difference.stdout[:2000]
