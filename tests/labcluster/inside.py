"""Inside a guest: containerd and kubelet, as on any Debian node, but started by hand."""

import glob
import os
import subprocess
import time

DISK = "/opt/kubernetes"
HOME = "/var/lib/node"                       # containerd's files
SOCKET = f"{HOME}/run/containerd.sock"
PATH = f"{DISK}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONTROLLERS = "+cpuset +cpu +io +memory +pids"
PATIENCE = 120.0                             # seconds for containerd's first answer


def prepare(label: str, gateway: str) -> None:
    """Disk, modules, cgroups and routes of a node."""
    os.makedirs(DISK, exist_ok=True)
    os.makedirs(f"{HOME}/run", exist_ok=True)
    _run("mount", "-o", "ro", f"LABEL={label}", DISK)
    _run("modprobe", "-a", "overlay", "veth")
    os.symlink(f"{DISK}/cni", "/usr/lib/cni")
    _run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    _write("/sys/fs/cgroup/cgroup.subtree_control", CONTROLLERS)
    _run("ip", "route", "add", "default", "via", gateway)
    _write("/proc/sys/net/ipv4/ip_forward", "1")
    _run("mount", "--make-rshared", "/")


def start_containerd() -> None:
    """Start it on HOME/containerd.toml and give it the images of the disk."""
    _start(["containerd", "--config", f"{HOME}/containerd.toml"], "/var/log/containerd.log")
    deadline = time.monotonic() + PATIENCE
    while _ctr("version").returncode:
        if time.monotonic() > deadline:
            raise TimeoutError("containerd did not answer")
        time.sleep(0.2)
    for archive in sorted(glob.glob(f"{DISK}/images/*.tar")):
        done = _ctr("-n", "k8s.io", "images", "import", archive)
        if done.returncode:
            raise RuntimeError(f"{archive}: {done.stderr}")


def start_kubelet(argv: list[str]) -> None:
    _start(["kubelet", *argv], "/var/log/kubelet.log")


def _ctr(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run([f"{DISK}/bin/ctr", "-a", SOCKET, *argv], capture_output=True, text=True, timeout=PATIENCE)


def _start(argv: list[str], log: str) -> None:
    with open(log, "ab") as file:
        subprocess.Popen([f"{DISK}/bin/{argv[0]}", *argv[1:]], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                         start_new_session=True, env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"})


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode} {done.stdout}{done.stderr}")
