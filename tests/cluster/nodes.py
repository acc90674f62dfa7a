"""A node: containerd and kubelet in a network, mount, UTS and PID namespace of its own.

Killing the node's first process is pulling its plug: every process in the namespace dies with it.
"""

import errno
import json
import os
import shlex
import subprocess
import time
from pathlib import Path

from tests.cluster import images, machine, processes
from tests.cluster.namespaces import CONTROL_ADDRESS, Place, inside

# Folders of the machine that each node has for itself.
OWN_FOLDERS = ("/var/lib/kubelet", "/var/log", "/var/lib/pure-flex", "/etc/pure", "/etc/iscsi", "/etc/cni/net.d",
               "/usr/libexec/kubernetes", "/opt/cni", "/var/lib/cni")
PLUGIN_DIR = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

CONTAINERD = """\
version = 2
root = "{home}/containerd"
state = "{home}/run/containerd"
[grpc]
  address = "{home}/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""

# PID 1 of a node. Bind mounts first, then everything shared again: Bidirectional propagation needs that.
FIRST_PROCESS = """\
set -e
hostname {name}
mount --make-rprivate /
{binds}
mount -t tmpfs tmpfs /run
mkdir -p /run/netns {home}/run
mount --make-rshared /
PATH={programs}:$PATH       # where there is a newer containerd than the machine's
containerd --config {home}/containerd.toml > {home}/containerd.log 2>&1 &
i=0
until ctr -a {home}/run/containerd.sock version > /dev/null 2>&1; do
    i=$((i + 1)); [ $i -lt 300 ]; sleep 0.1
done
for archive in {home}/images/*.tar; do
    ctr -a {home}/run/containerd.sock -n k8s.io images import "$archive" > /dev/null
done
{services}
touch {home}/up
while :; do
    env {environment} {kubelet} --config={home}/kubelet.yaml --kubeconfig={work}/{name}.kubeconfig \\
        --hostname-override={name} --node-ip={address} --root-dir=/var/lib/kubelet --cert-dir={home}/certificates --v=2 \\
        >> {home}/kubelet.log 2>&1 || true
    echo "kubelet ended" >> {home}/kubelet.log
    sleep 0.2
done
"""


class Node:
    """One node of the cluster; its folder is `work`/NAME."""

    def __init__(self, work: Path, programs: Path, place: Place, minor: int) -> None:
        self.work = work
        self.minor = minor                        # of Kubernetes' version
        self.programs = programs
        self.place = place
        self.home = work / place.name
        self.services: list[str] = []             # lines of shell, run before kubelet starts
        self.environment: dict[str, str] = {}     # kubelet's, which the volume driver inherits

    @property
    def name(self) -> str:
        return self.place.name

    def folder(self, path: str) -> Path:
        """This node's own version of one of OWN_FOLDERS, as the machine sees it."""
        return self.home / "own" / path.lstrip("/")

    @property
    def plugin_dir(self) -> Path:
        """kubelet's volume plugin directory on this node, as the machine sees it."""
        return self.folder("/usr/libexec/kubernetes") / "kubelet-plugins/volume/exec"

    def start(self, archives: list[Path]) -> None:
        """Start containerd and kubelet; `archives` are the images the node has."""
        self._files(archives)
        binds = "\n".join(f"mkdir -p {path}; mount --bind {self.folder(path)} {path}" for path in OWN_FOLDERS)
        environment = shlex.join(f"{name}={text}" for name, text in self.environment.items())
        script = FIRST_PROCESS.format(name=self.name, home=self.home, work=self.work, binds=binds,
                                      address=self.place.address, programs=self.programs,
                                      kubelet=self.programs / "kubelet",
                                      services="\n".join(self.services), environment=environment)
        (self.home / "init.sh").write_text(script)
        (self.home / "up").unlink(missing_ok=True)
        processes.start(self.work, self.name, [
            *inside(self.place.namespace), "unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child",
            "--mount-proc", "--propagation", "private", "sh", str(self.home / "init.sh")])

    def pull_the_plug(self) -> None:
        """Every process of the node dies at once; nothing is unmounted or flushed in order."""
        processes.stop(self.work, self.name, kill=True)

    def boot(self) -> None:
        """Start the node again after `pull_the_plug`, with the disk it had."""
        self.start([])

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a command inside the node's namespaces; its stdout."""
        done = subprocess.run([*self.enter(), *argv], capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def enter(self) -> list[str]:
        """The command that enters the node: all namespaces of its first process."""
        return ["nsenter", f"--target={self.first_process()}", "--mount", "--uts", "--net", "--pid", "--"]

    def first_process(self) -> int:
        """PID 1 of the node, as the machine counts: the only child of `unshare`."""
        outer = int((self.work / "pids" / self.name).read_text())
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])

    def pids(self, words: str) -> list[str]:
        """Processes of the node, as it counts, whose command line has these words."""
        found = self.run("pgrep", "--full", "--", words, check=False).split()
        return [pid for pid in found if words in self.run("sh", "-c", f"tr '\\0' ' ' < /proc/{pid}/cmdline", check=False)]

    def restart_kubelet(self) -> None:
        """End kubelet; the node's first process starts it again."""
        self.run("sh", "-c", "kill $(pidof kubelet)")

    def _files(self, archives: list[Path]) -> None:
        for path in OWN_FOLDERS:
            self.folder(path).mkdir(parents=True, exist_ok=True)
        (self.home / "images").mkdir(exist_ok=True)
        (self.home / "run").mkdir(exist_ok=True)
        self.plugin_dir.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            target = self.home / "images" / archive.name
            target.unlink(missing_ok=True)
            os.link(archive, target)
        (self.home / "containerd.toml").write_text(
            CONTAINERD.format(home=self.home, pause=images.PAUSE, snapshotter="overlayfs"))
        (self.home / "kubelet.yaml").write_text(json.dumps(self._kubelet()))
        (self.folder("/etc/cni/net.d") / "10-ptp.conflist").write_text(json.dumps(self._network()))

    def _kubelet(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "volumePluginDir": PLUGIN_DIR, "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.place.namespace}",
            "containerRuntimeEndpoint": f"unix://{self.home}/run/containerd.sock",
            "enforceNodeAllocatable": [], "failSwapOn": False, **({"failCgroupV1": False} if self.minor > 30 else {}),
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"}, "registerNode": True, "clusterDNS": [CONTROL_ADDRESS],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "nodeStatusUpdateFrequency": "4s", "syncFrequency": "10s", "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99, "serializeImagePulls": False,
        }

    def _network(self) -> dict[str, object]:
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{
            "type": "ptp", "ipMasq": False,
            "ipam": {"type": "host-local", "subnet": self.place.pods, "dataDir": "/var/lib/cni/networks",
                     "routes": [{"dst": "0.0.0.0/0"}]}}]}


def make_cgroups(place: Place) -> None:
    """kubelet's cgroupRoot must exist in every v1 controller; cpuset is inherited by hand. Nothing to do on v2."""
    for controller in machine.controllers():
        folder = controller / place.namespace
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (folder / name).exists():
                (folder / name).write_text((controller / name).read_text())


def remove_cgroups(place: Place) -> None:
    """Remove what `make_cgroups` and kubelet made, deepest first."""
    for controller in machine.controllers():
        for folder, _, _ in os.walk(controller / place.namespace, topdown=False):
            _remove(Path(folder))


def _remove(folder: Path) -> None:
    """rmdir; for two seconds again while a process that was just killed is still in it."""
    for _ in range(40):
        try:
            return folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                return
        time.sleep(0.05)
