"""What turns a guest of the lab into a Kubernetes node, on a read-only disk: programs, CNI plugins, images.

Programs are this machine's own packages and the kubelet of tests/cluster; guest and machine are the same Debian.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache/labcluster"
LABEL = "kubernetes"                         # how a guest finds the disk, whatever its number
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")
PLUGINS = ("ptp", "host-local", "loopback")


def disk(kubelet: Path, archives: list[Path]) -> Path:
    """An ext4 image with bin/, cni/ and images/, made anew whenever one of its files has changed."""
    wanted = dict(_files(kubelet, archives))
    digest = hashlib.sha256()
    for target, source in sorted(wanted.items()):
        digest.update(f"{target}\0".encode() + hashlib.sha256(source.read_bytes()).digest())
    image = CACHE / f"node-{digest.hexdigest()[:12]}.img"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            for old in CACHE.glob("node-*.img"):
                old.unlink()
            _build(wanted, image)
    return image


def _files(kubelet: Path, archives: list[Path]) -> Iterator[tuple[str, Path]]:
    yield "bin/kubelet", kubelet
    for name in PROGRAMS:
        found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert found is not None, f"{name} is not on this machine"
        yield f"bin/{name}", Path(found)
    for name in PLUGINS:
        yield f"cni/{name}", Path("/usr/lib/cni") / name
    for archive in archives:
        yield f"images/{archive.name}", archive


def _build(wanted: dict[str, Path], image: Path) -> None:
    tree = image.with_suffix(".making.d")
    shutil.rmtree(tree, ignore_errors=True)
    for target, source in wanted.items():
        (tree / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, tree / target)
    size = sum(source.stat().st_size for source in wanted.values()) // 1024 * 5 // 4 + 16384
    making = image.with_suffix(".making")
    making.unlink(missing_ok=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", LABEL, "-d", str(tree), str(making),
                    f"{size}k"], check=True, timeout=120, capture_output=True)
    shutil.rmtree(tree)
    making.rename(image)
