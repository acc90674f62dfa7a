"""The image's root file system, made of Debian's files, pinned packages and ours."""

import shutil
import tempfile
from pathlib import Path

from daemonset.bundle import libraries, modules, packages
from daemonset.bundle.modules import CHECKOUT, SKIPPED
from daemonset.image import inventory
from daemonset.image.inventory import REQUIREMENTS

OURS = ("arrays", "provisioner", "daemonset", "explorer")
APPLETS = ("sh", "ls", "cat", "cp", "mv", "rm", "mkdir", "touch", "sleep", "test", "echo", "env", "find", "grep", "head",
           "tail", "ps", "kill", "vi", "wget", "xargs", "dirname", "stat", "true", "date", "id")

# Command -> the Python that answers it. The isolated interpreter finds nothing by itself: /opt/pure is all it gets.
COMMANDS = {
    "/pure-flex-daemon": "from daemonset.__main__ import cli; cli(prog_name='pure-flex-daemon')",
    "/uninstaller": "from daemonset.__main__ import uninstaller; uninstaller()",
    "/k8s-provisioner": "from provisioner.__main__ import main; main()",
    "/usr/bin/pure-provisioner": "from provisioner.__main__ import main; main()",
    "/usr/bin/snapshot": "from provisioner.snapshot import main; main()",
    "/usr/bin/pure": "from provisioner.admin import main; main()",
}
SCRIPT = "#!/usr/bin/python3.11 -IS\nimport sys\nsys.path.append('/opt/pure')\n{}\n"

# Of the standard library, beside what nodes get: prometheus_client's exposition imports it.
WANTED_HERE = ("wsgiref",)

# Four fifths of its package: twins for asyncio, and typed models, which its reader of kubeconfig files (the one thing of it
# that is imported, provisioner/kube.py) loads by name only.
# Of ours, what builds and renders.
UNWANTED = ("kubernetes/aio", "kubernetes/docs", "kubernetes/client/api/[!_]*", "kubernetes/client/models/[!_]*",
            "daemonset/bundle", "daemonset/image", "daemonset/render", "daemonset/optional",
            "daemonset/*.yaml", "daemonset/Dockerfile")

FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'NAME="pure-flex"\nID=pure-flex\nID_LIKE=debian\n',
}


def put(root: Path, bundle: Path) -> None:
    """Make the whole tree below `root`, which must be new; `bundle` is what `make bundle` built."""
    _python(root)
    inventory.put(root, _debian(root))
    shutil.copytree(bundle, root / "opt/pure-flex", symlinks=True)
    for name, code in COMMANDS.items():
        _executable(root / name.lstrip("/"), SCRIPT.format(code))
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("tmp", "proc", "sys", "dev", "etc/pure", "kubelet-plugins"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _debian(root: Path) -> list[Path]:
    """Interpreter, libraries, loader, certificates and busybox, at the places where Debian has them; the libraries' paths.

    The packages must be there already: their compiled modules need libraries too.
    """
    modules_built = libraries.extensions()
    taken = libraries.needed([libraries.INTERPRETER, *modules_built, *(root / "opt/pure").rglob("*.so")])
    shared = [path for path in taken.values() if root not in path.parents]
    for path in (libraries.INTERPRETER, *modules_built, *shared, *libraries.stubs(taken)):
        _copy(path, root / str(path).lstrip("/"))
    _copy(Path("/etc/ssl/certs/ca-certificates.crt"), root / "etc/ssl/certs/ca-certificates.crt")
    _copy(Path("/bin/busybox"), root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    return shared


def _python(root: Path) -> None:
    """Standard library, packages and our programs, compiled."""
    with tempfile.TemporaryDirectory() as scratch:
        modules.standard(Path(scratch) / "standard")
        for name in WANTED_HERE:
            shutil.copytree(modules.STANDARD / name, Path(scratch) / "standard" / name, ignore=SKIPPED)
        modules.compiled(Path(scratch) / "standard", root / "usr/lib/python3.11")
        ours = Path(scratch) / "ours"
        packages.unpack(REQUIREMENTS, ours, Path(scratch), packages.COMPILED)
        for name in OURS:
            shutil.copytree(CHECKOUT / name, ours / name, ignore=SKIPPED)
        for pattern in UNWANTED:
            for path in sorted(ours.glob(pattern)):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        inventory.put_records(ours)
        modules.compiled(ours, root / "opt/pure", inventory.RECORDS)


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
