"""What a machine must have to carry a cluster: root, namespaces, cgroups it may write, a few Debian packages.

What can be installed is; what cannot be had is said in a sentence.
"""

import os
import shutil
import subprocess
from pathlib import Path

import click

TOOLS = {"containerd": "containerd", "runc": "runc", "/usr/lib/cni/ptp": "containernetworking-plugins", "ip": "iproute2",
         "nsenter": "util-linux", "/bin/busybox": "busybox-static", "openssl": "openssl", "curl": "curl",
         "pgrep": "procps", "mkfs.xfs": "xfsprogs", "mkfs.ext4": "e2fsprogs"}
# Tried without leaving anything behind: what runs in the new namespaces ends, and they with it.
TRIAL = ("mount --make-rshared / && mount -t tmpfs tmpfs /mnt && ip link add br0 type bridge && "
         "ip link add t0 type veth peer name t1")


class Lacking(click.ClickException):
    """This machine cannot carry a cluster; the sentence says what to change."""


def prepare() -> None:
    """Install what is missing; Lacking says what this machine cannot do."""
    if os.geteuid() != 0:
        raise Lacking("a real Kubernetes needs root: network namespaces, mounts, cgroups")
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        raise Lacking("root here is root of a user namespace only (a rootless container?), which may neither mount nor loop")
    _install({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    tried = subprocess.run(["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--propagation", "private",
                            "sh", "-c", TRIAL], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise Lacking("this machine gives no namespaces with mounts and bridges of their own (a container without "
                      f"privileges?): {tried.stderr.strip()}")
    if not os.access("/sys/fs/cgroup", os.W_OK) or not any(os.access(path, os.W_OK) for path in controllers()):
        raise Lacking("no cgroup here can be written, so containers cannot run (a container without privileges?)")
    if not Path("/dev/loop-control").exists():
        raise Lacking("there is no /dev/loop-control, so volumes cannot be block devices: modprobe loop")


def controllers() -> list[Path]:
    """The root folders of all cgroup hierarchies: one for each v1 controller, one for v2."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root]
    return [path for path in root.iterdir() if path.is_dir() and (path / "cgroup.procs").exists()]


def _install(packages: set[str]) -> None:
    if not packages:
        return
    print(f"installing {' '.join(sorted(packages))}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", *sorted(packages)]):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        except FileNotFoundError:
            raise Lacking(f"install {', '.join(sorted(packages))}: this machine has no apt-get") from None
        if done.returncode:
            raise Lacking(f"{' '.join(argv)}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")
