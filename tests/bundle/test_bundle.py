"""The driver as a node gets it: no Python, no C library, odd environments, closed streams, its own children.

Chroots stand in for nodes (nodes.py says which, and what stands in for CentOS 7). A root without any C library is the
hardest case, since nothing of the node's is used.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.fleet import Simulator
from tests.bundle import nodes
from tests.bundle.conftest import PLUGIN, Root
from tests.bundle.nameserver import NameServer

INIT = {"status": "Success", "capabilities": {"attach": False, "selinuxRelabel": True, "supportsMetrics": True,
                                              "fsGroup": True, "requiresFSResize": True}}


def test_runs_on_a_root_with_nothing_in_it(root: Root) -> None:
    """No libc, no sh, no Python, an empty environment, a folder named with `~`."""
    assert root.flex("init") == (INIT, "")


def test_runs_beside_busybox(busybox_root: Root) -> None:
    assert busybox_root.flex("init") == (INIT, "")


def test_runs_without_dev(root: Root) -> None:
    """No /dev/null, no /dev/urandom: the launcher and the interpreter do without."""
    assert root.flex("init", prepare=f"umount --lazy {root.path}/dev") == (INIT, "")
    bare = f"umount --lazy {root.path}/dev; umount {root.path}/proc"
    assert root.flex("init", prepare=bare, closed=(0,)) == (INIT, "")


def unmount_of_a_mount(root: Root) -> None:
    """A volume's directory is unmounted by the root's own umount, as on a node."""
    mount_dir = "pods/1/volumes/pure~flex/pvc-1"
    (root.path / mount_dir).mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root.path / mount_dir], check=True)
    try:
        reply, errors = root.flex("unmount", f"/{mount_dir}", environment={"PATH": "/usr/bin:/bin"})
        assert reply["status"] == "Success" and errors == "", reply
        assert not os.path.ismount(root.path / mount_dir)
    finally:
        subprocess.run(["umount", root.path / mount_dir], check=False, capture_output=True)


def test_runs_beside_an_older_glibc(root: Root) -> None:
    """The oldest release on Debian's mirror: its umount gets that release's libc and never ours, which is newer."""
    release = nodes.add_older_debian(root.path)
    print(f"the oldest release of Debian that is to be had: {release}")
    assert root.flex("init") == (INIT, "")
    unmount_of_a_mount(root)


UMOUNT = """
#include <stdlib.h>
#include <sys/mount.h>
int main(int argc, char **argv) { return getenv("LD_LIBRARY_PATH") || umount(argv[argc - 1]); }
"""


def test_runs_beside_musl(root: Root) -> None:
    """A node whose libc is not glibc (Alpine): its own programs run from the driver."""
    nodes.add_musl(root.path, UMOUNT, "umount")
    assert root.flex("init") == (INIT, "")
    unmount_of_a_mount(root)


def test_runs_on_the_kernel_of_centos_7(root: Root, simulator: Simulator) -> None:
    """Each system call younger than Linux 3.10 answers ENOSYS, as there: start, TLS, and a call to an array."""
    assert root.flex("init", before_exec=nodes.kernel_3_10) == (INIT, "")
    said = mount_of_a_missing_volume(root, simulator, "127.0.0.1", Path(simulator.ca).read_bytes(), nodes.kernel_3_10)
    assert "k8s-pvc-1" in said and "certificate" not in said


def test_runs_on_a_read_only_root_with_noexec_tmp(root: Root) -> None:
    read_only = (f"mount --rbind {root.path} {root.path}; mount -t tmpfs -o noexec tmpfs {root.path}/tmp; "
                 f"mount -o remount,bind,ro {root.path}")
    assert root.flex("init", prepare=read_only) == (INIT, "")
    reply, errors = root.flex("unmount", "/pods/1/volumes/pure~flex/pvc-1", prepare=read_only)
    assert reply["status"] == "Success" and errors == ""


@pytest.mark.parametrize("environment", [
    {"LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/nowhere", "LD_AUDIT": "/nowhere.so"},
    {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONSTARTUP": "/nowhere", "PYTHONVERBOSE": "1"},
    {"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR"},
    {"GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_PERTURB_": "85"},
    {f"NAME{number}": "x" * 100 for number in range(1500)},
], ids=["loader", "python", "language", "malloc", "large"])
def test_no_environment_disturbs_it(bundle: Path, environment: dict[str, str]) -> None:
    done = subprocess.run([bundle / "flex", "init"], capture_output=True, text=True, env=environment, check=True)
    assert (json.loads(done.stdout), done.stderr) == (INIT, "")


@pytest.mark.parametrize("closed", [(0,), (0, 2)], ids=["stdin", "stdin and stderr"])
def test_closed_streams(root: Root, closed: tuple[int, ...]) -> None:
    assert root.flex("init", closed=closed) == (INIT, "")


FAMILY = {"attach": ("{}", "node1"), "waitforattach": ("/dev/x", "{}"), "isattached": ("{}", "node1"),
          "detach": ("pvc-1", "node1"), "mountdevice": ("/mounts/1", "/dev/x", "{}"), "unmountdevice": ("/mounts/1",)}
CALLS = {"init": (), "mount": ("/pods/1", "{}"), "unmount": ("/pods/1",), "expandfs": ("{}", "/dev/x", "/pods/1", "2", "1"),
         **FAMILY}


@pytest.mark.parametrize("attach", [False, True], ids=["", "attach"])
@pytest.mark.parametrize("verb", CALLS)
def test_each_call_and_its_errors_are_one_json_object(root: Root, verb: str, attach: bool) -> None:
    """With good arguments, none and too many; on a node that has nothing. kubelet reads both streams as one text."""
    environment = {"PURE_FLEX_ATTACH": "true"} if attach else {}
    for arguments in (CALLS[verb], (), (*CALLS[verb], "x", "y")):
        reply, errors = root.flex(verb, *arguments, environment=environment, status=(0, 1))
        assert reply["status"] in ("Success", "Failure", "Not supported") and errors == ""
        assert (reply["status"] == "Not supported") == (verb in FAMILY and not attach), reply


def test_without_proc(root: Root) -> None:
    """The launcher finds itself by what the kernel passed when /proc is not mounted."""
    reply, errors = root.flex("init", prepare=f"umount {root.path}/proc")
    assert (reply, errors) == (INIT, "")


def test_fifty_starts_at_once(root: Root) -> None:
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(lambda _: root.flex("init"), range(50))) == [(INIT, "")] * 50


def test_nothing_is_written_beside_the_driver(root: Root) -> None:
    """A write there would make kubelet run `init` again, for ever."""
    folder = root.path / PLUGIN
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    root.flex("init")
    root.flex("mount", "/pods/1/volumes/pure~flex/pvc-1", "{}")
    root.flex("nonsense")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_runtime_that_is_gone_is_told_in_json(root: Root) -> None:
    for folder in (root.path / PLUGIN).glob(".flex-rt-*"):
        shutil.rmtree(folder)
    reply, errors = root.flex("init")
    assert reply["status"] == "Failure" and "cannot start" in str(reply["message"]) and errors == ""


def test_children_inherit_nothing_of_ours(bundle: Path, tmp_path: Path) -> None:
    """mount, iscsiadm and mkfs see neither loader nor Python variables, and speak English."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "umount").write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexec /bin/umount \"$@\"\n")
    (tools / "umount").chmod(0o755)
    mount_dir = tmp_path / "pods/1/volumes/pure~flex/pvc-1"
    mount_dir.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount_dir], check=True)
    try:
        subprocess.run([bundle / "flex", "unmount", mount_dir], check=True, capture_output=True, timeout=60,
                       env={"PATH": f"{tools}:/usr/bin:/bin", "LD_BIND_NOW": "1", "PYTHONHASHSEED": "0", "LANG": "tr_TR",
                            "PURE_FLEX_ROOT": "/"})
    finally:
        subprocess.run(["umount", mount_dir], check=False, capture_output=True)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert not [name for name in seen if name.startswith(("LD_", "PYTHON"))]
    assert seen["LC_ALL"] == "C" and ".flex-rt-" not in seen["PATH"]


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    """One FlashArray over HTTPS."""
    with Simulator(tmp_path / "simulator") as made:
        yield made


def mount_of_a_missing_volume(root: Root, simulator: Simulator, host: str, ca: bytes,
                              before_exec: Callable[[], None] | None = None, verify: object = "/etc/ca.pem") -> str:
    """The message of a mount that gets as far as asking the array."""
    array = simulator.add_flash_array("fa1")
    port = array.endpoint.rpartition(":")[2]
    (root.path / "etc/ca.pem").write_bytes(ca)
    (root.path / "etc/pure").mkdir()
    (root.path / "etc/pure/pure.json").write_text(json.dumps({"FlashArrays": [
        {"MgmtEndPoint": f"{host}:{port}", "APIToken": array.token, "VerifyTLS": verify}]}))
    options = {"volume": "k8s-pvc-1", "backend": "block", "array": f"{host}:{port}", "kubernetes.io/readwrite": "rw"}
    reply, errors = root.flex("mount", "/pods/1/volumes/pure~flex/pvc-1", json.dumps(options),
                              before_exec=before_exec, status=(0, 1))
    assert errors == "" and reply["status"] == "Failure"
    return str(reply["message"])


@pytest.mark.parametrize("services", ["files dns", "files myhostname dns", "mdns4_minimal [NOTFOUND=return] files dns",
                                      "sss files"], ids=["plain", "systemd", "mdns", "sssd"])
def test_host_names_resolve(root: Root, simulator: Simulator, services: str) -> None:
    """Names of /etc/hosts are found whatever services the node's nsswitch.conf lists, also those that are not there."""
    (root.path / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root.path / "etc/nsswitch.conf").write_text(f"passwd: files sss\nhosts: {services}\n")
    said = mount_of_a_missing_volume(root, simulator, "localhost", Path(simulator.ca).read_bytes())
    assert "k8s-pvc-1" in said and "certificate" not in said and "resolve" not in said


@pytest.mark.parametrize("services", ["files dns", "files myhostname dns", "mdns4_minimal dns files"])
def test_host_names_resolve_by_dns(root: Root, simulator: Simulator, services: str) -> None:
    """A name that only the name server of the node's resolv.conf knows."""
    with NameServer({"array.example.com": "127.0.0.1"}) as server:
        (root.path / "etc/resolv.conf").write_text(f"nameserver {server.address}\n")
        (root.path / "etc/nsswitch.conf").write_text(f"hosts: {services}\n")
        said = mount_of_a_missing_volume(root, simulator, "array.example.com", b"", verify=False)
    assert "k8s-pvc-1" in said and "resolve" not in said and "array.example.com" in server.asked


def test_tls_is_verified_with_the_given_ca(root: Root, simulator: Simulator) -> None:
    said = mount_of_a_missing_volume(root, simulator, "127.0.0.1", Path(simulator.ca).read_bytes())
    assert "k8s-pvc-1" in said and "certificate" not in said


def test_tls_refuses_another_ca(root: Root, simulator: Simulator) -> None:
    foreign = Path(ssl.get_default_verify_paths().openssl_cafile or "/etc/ssl/certs/ca-certificates.crt")
    foreign = foreign if foreign.exists() else Path("/etc/ssl/certs/ca-certificates.crt")
    said = mount_of_a_missing_volume(root, simulator, "127.0.0.1", foreign.read_bytes())
    assert "certificate" in said.lower()


def test_tls_refuses_by_the_bundles_own_list(root: Root, simulator: Simulator) -> None:
    """`VerifyTLS: true`: the public authorities that the bundle ships are read, and the array's is none of them."""
    said = mount_of_a_missing_volume(root, simulator, "127.0.0.1", b"", verify=True)
    assert "certificate" in said.lower()


def test_every_shipped_module_imports(interpreter: Callable[..., str], runtime: Path) -> None:
    """A trimmed library shows here and not at the one error path that needs it.

    Not purestorage: it is loaded without `requests`, which costs more than all else (arrays/purestorage_session.py).
    """
    found = interpreter("""
import importlib, os, sys
sys.path.append(sys.argv[1])
flex = type(sys)("flex"); flex.__path__ = [sys.argv[1] + "/driver"]; sys.modules["flex"] = flex
bad = []
tops = "click certifi arrays driver json email encodings http logging"
for top in tops.split():
    name = "flex" if top == "driver" else top
    for base, _, files in os.walk(os.path.join(sys.argv[1], top)):
        inside = os.path.relpath(base, os.path.join(sys.argv[1], top)).replace("/", ".")
        for file in sorted(files):
            if file.endswith(".pyc") and file not in ("__main__.pyc", "mbcs.pyc", "oem.pyc", "_winconsole.pyc"):
                module = ".".join(part for part in (name, "" if inside == "." else inside,
                                                    "" if file == "__init__.pyc" else file[:-4]) if part)
                if "contrib" in module or "emscripten" in module:
                    continue        # optional back ends of urllib3
                try:
                    importlib.import_module(module)
                except ModuleNotFoundError as error:
                    if not (error.name or "").startswith(("unittest", "_codecs_", "_multibytecodec")):
                        bad.append(f"{module}: {error!r}")      # left out on purpose: tests, East Asian tables
                except Exception as error:
                    bad.append(f"{module}: {error!r}")
print("\\n".join(bad))
""", str(runtime / "lib/python3.11"))
    assert found.strip() == ""


def test_every_library_is_inside(runtime: Path) -> None:
    """No ELF file needs one that the bundle does not have, and the processor needs no more than the baseline."""
    inside = {path.name for path in (runtime / "so").iterdir()} | {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    for path in [runtime / "bin/python3.11", *runtime.rglob("*.so*")]:
        text = subprocess.run(["readelf", "-dn", path], capture_output=True, text=True, check=True).stdout
        needed = {line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line}
        assert needed <= inside, f"{path.name} needs {needed - inside}"
        assert "x86-64-v3" not in text and "x86-64-v2" not in text, path.name


def test_licences_and_components_are_shipped(runtime: Path) -> None:
    names = {path.name for path in (runtime / "licenses").iterdir()}
    assert {"README", "libc6.txt", "libssl3.txt", "python3.11-minimal.txt", "musl.txt"} <= names
    parts = {part["name"] for part in json.loads((runtime / "components.json").read_text())["components"]}
    assert {"libc6", "libssl3", "purestorage", "certifi", "click"} <= parts


def test_find_shows_one_driver(bundle: Path) -> None:
    assert [str(path.relative_to(bundle)) for path in bundle.rglob("flex")] == ["flex"]


def test_two_builds_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "daemonset.bundle", "--output", tmp_path], check=True, capture_output=True)
    difference = subprocess.run(["diff", "-r", bundle, tmp_path / bundle.name], capture_output=True, text=True, check=False)
    assert difference.returncode == 0, difference.stdout[:2000]


def test_is_small(bundle: Path) -> None:
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert len(files) <= 700 and sum(path.stat().st_size for path in files) <= 40 * 2**20
    assert not [path for path in files if "setuptools" in str(path) or path.suffix == ".pth"]
    assert os.access(bundle / "flex", os.X_OK)
