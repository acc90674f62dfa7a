"""An arm64 Debian 12 to build in: packages unpacked, not installed, with dpkg's database of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bundle.nodes import apt_of

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache/arm64"
RUNNER = (sys.executable, str(Path(__file__).with_name("emulated.py")))
# What daemonset/Dockerfile installs, and what a Debian has anyhow.
PACKAGES = ("python3.11", "python3-click", "python3-pip", "binutils", "gcc", "musl-tools", "libc6-dev", "ca-certificates",
            "busybox-static", "bash", "coreutils", "dash", "dpkg", "libc-bin", "sed")
# The builder runs as it does on an arm64 machine, with this checkout and this machine's names and certificates.
BUILD = """
mount --rbind "$1" "$2/src"; mount --rbind /proc "$2/proc"; mount --rbind /dev "$2/dev"
for name in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do cp -L "$name" "$2$name"; done
export HOME=/root PYTHONDONTWRITEBYTECODE=1
exec chroot "$2" /bin/sh -c "cd /src && exec /usr/bin/python3.11 -m $3 --output /out"
"""


def bundle(output: Path) -> Path:
    """Build the bundle for arm64 and put it below `output`."""
    root = debian()
    shutil.rmtree(root / "out", ignore_errors=True)
    _run("daemonset.bundle", root)
    target = output / "bundle-aarch64"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "out/bundle-aarch64", target)
    return target


def image(output: Path) -> Path:
    """Build the image with the bundle that was built before, and put its archive below `output`; its root."""
    root = debian()
    _run("daemonset.image", root)
    shutil.copyfile(root / "out/pure-flex-image.tar", output / "pure-flex-image-arm64.tar")
    return root / "out/rootfs"


def _run(module: str, root: Path) -> None:
    subprocess.run([*RUNNER, "sh", "-ec", BUILD, "sh", str(CHECKOUT), str(root), module], check=True)


def debian() -> Path:
    """The root, from the cache or the mirror."""
    root = CACHE / "bookworm"
    if not root.exists():
        archives = _download(CACHE / "apt")
        part = CACHE / "bookworm.part"
        shutil.rmtree(part, ignore_errors=True)
        _unpack(sorted(archives.glob("*.deb")), part)
        for name in ("src", "out", "proc", "dev", "tmp", "root", "etc/ssl/certs"):
            (part / name).mkdir(parents=True, exist_ok=True)
        part.rename(root)
        shutil.rmtree(CACHE / "apt")
    return root


def _download(apt: Path) -> Path:
    """PACKAGES and all that they need, for arm64."""
    options = apt_of(apt, "bookworm", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64")
    subprocess.run(["apt-get", *options, "update", "--error-on=any"], check=True)
    subprocess.run(["apt-get", *options, "install", "-y", "--no-install-recommends", "--download-only", *PACKAGES],
                   check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    return apt / "cache/archives"


def _unpack(debs: list[Path], root: Path) -> None:
    """Their files, and what `dpkg-query -S` and -W read: status, and a list of files for each."""
    known = root / "var/lib/dpkg"
    (known / "info").mkdir(parents=True)
    (known / "info/format").write_text("1\n")
    status = []
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        control = subprocess.run(["dpkg-deb", "-f", deb], check=True, capture_output=True, text=True).stdout
        fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line and not line.startswith(" "))
        package = fields["Package"] + (f":{fields['Architecture']}" if fields.get("Multi-Arch") == "same" else "")
        members = subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -t", shell=True, check=True, capture_output=True,
                                 text=True).stdout
        (known / f"info/{package}.list").write_text("".join(
            f"/{name.removeprefix('./').rstrip('/') or '.'}\n" for name in members.splitlines()))
        first, rest = control.split("\n", 1)
        status.append(f"{first}\nStatus: install ok installed\n{rest}\n")
    (known / "status").write_text("\n".join(status))
