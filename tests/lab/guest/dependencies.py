"""The Python packages that the simulator and the driver import, on a read-only disk made from this environment."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from tests.lab.guest.build import CACHE

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ("arrays", "flex", "daemonset/bundle")         # what the bundle is made of, beside Debian's Python
WANTED = ("aiohttp", "trustme", "click", "requests", "purestorage")


def disk() -> Path:
    """An ext4 image with `WANTED` and all they need, as installed here; kept under a key of names and versions."""
    packages = closure(WANTED)
    key = hashlib.sha256("".join(f"{p.name}=={p.version}\n" for p in packages).encode()).hexdigest()[:12]
    image = CACHE / f"dependencies-{key}.img"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            _build(packages, image)
    return image


def other(requirement: str) -> Path:
    """An image with a package that is not installed here ("os-brick==7.1.0") and what it needs, from the index pip uses."""
    image = CACHE / f"{requirement.replace('==', '-')}.img"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            tree = image.with_suffix(".making")
            shutil.rmtree(tree, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tree), requirement],
                           check=True, timeout=300)
            _pack(tree, image)
    return image


def bundle() -> Path:
    """An image with the driver as nodes get it (`make bundle`), made anew whenever its code has changed."""
    digest = hashlib.sha256()
    files = (path for room in SHIPPED for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".c", ".txt"))
    for file in sorted(files):
        digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    image = CACHE / f"bundle-{digest.hexdigest()[:12]}.img"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            built = CACHE / "bundle.building"
            subprocess.run([sys.executable, "-m", "daemonset.bundle", "--output", str(built)], check=True, timeout=300,
                           cwd=ROOT)
            for old in CACHE.glob("bundle-*.img"):
                old.unlink()
            _pack(next(built.glob("bundle-*")), image)
            shutil.rmtree(built)
    return image


def closure(names: tuple[str, ...]) -> list[metadata.Distribution]:
    """The distributions behind `names` and what they require on this Python, in order of name."""
    found: dict[str, metadata.Distribution] = {}
    queue = list(names)
    while queue:
        name = queue.pop().lower().replace("_", "-")
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name)
    return [found[name] for name in sorted(found)]


def _build(packages: list[metadata.Distribution], image: Path) -> None:
    tree = image.with_suffix(".making")
    shutil.rmtree(tree, ignore_errors=True)
    for package in packages:
        for file in package.files or ():
            if file.parts[0] == ".." or not (source := Path(str(file.locate()))).exists():
                continue                     # console scripts; compiled files that were never made
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / file)
    _pack(tree, image)


def _pack(tree: Path, image: Path) -> None:
    """Turn a tree into an image, which appears whole or not at all."""
    size = sum(path.stat().st_size + 4096 for path in tree.rglob("*")) // 1024 + 8192
    making = image.with_suffix(".img.making")
    making.unlink(missing_ok=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(making),
                    f"{size * 5 // 4}k"], check=True, timeout=120, capture_output=True)
    shutil.rmtree(tree)
    making.rename(image)
