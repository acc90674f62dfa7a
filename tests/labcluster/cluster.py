"""The control plane of tests/cluster at native speed, with guests as its nodes."""

import json

from tests.cluster import cluster as clusters
from tests.cluster import control_plane, images, machine, nodes, processes
from tests.cluster.cluster import WORK, Cluster
from tests.cluster.namespaces import CONTROL_ADDRESS
from tests.lab.node import Node
from tests.labcluster import disk, inside
from tests.labcluster.guests import GuestPlace, make_network

INSIDE = "tests.labcluster.inside"
PLACES = [GuestPlace(1), GuestPlace(2)]

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
    "volumePluginDir": nodes.PLUGIN_DIR, "cgroupDriver": "cgroupfs", "containerRuntimeEndpoint": f"unix://{inside.SOCKET}",
    "enforceNodeAllocatable": [], "clusterDNS": [CONTROL_ADDRESS], "resolvConf": "",     # the guest has no such file
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"}, "evictionHard": {"memory.available": "50Mi"},
    "nodeStatusUpdateFrequency": "10s", "syncFrequency": "10s", "serializeImagePulls": False,
}


class GuestCluster(Cluster):
    """`up_without_nodes` starts the control plane; each guest joins when it can."""

    def up_without_nodes(self, options: dict[str, list[str]]) -> None:
        """Network and control plane. `options`: more flags by program."""
        machine.prepare()
        clusters.down()
        self.work.mkdir(parents=True)
        self.work.chmod(0o755)
        make_network(PLACES)
        self.options = options
        control_plane.start(self.work, self.programs, list(PLACES), self.options)
        self.wrapper()

    def join(self, node: Node, place: GuestPlace, ca: str) -> None:
        """Make a booted guest with its storage daemons a node: containerd, images, kubelet. `ca`: the arrays'."""
        guest = node.guest
        guest.call(f"{INSIDE}:prepare", disk.LABEL, CONTROL_ADDRESS)
        guest.write("/etc/pure/ca.pem", ca)
        for name in ("ca.pem", f"{node.name}.kubeconfig"):
            guest.write(f"{WORK}/{name}", (WORK / name).read_text(), mode=0o600)
        guest.write(f"{inside.HOME}/containerd.toml",
                    nodes.CONTAINERD.format(home=inside.HOME, pause=images.PAUSE, snapshotter="overlayfs"))
        guest.write("/etc/cni/net.d/10-ptp.conflist", json.dumps(_pods(place)))
        guest.write(f"{inside.HOME}/kubelet.yaml", json.dumps(KUBELET))
        guest.call(f"{INSIDE}:start_containerd", wait=400.0)
        guest.call(f"{INSIDE}:start_kubelet", [
            f"--config={inside.HOME}/kubelet.yaml", f"--kubeconfig={WORK}/{node.name}.kubeconfig",
            f"--hostname-override={node.name}", f"--node-ip={place.address}", "--root-dir=/var/lib/kubelet",
            f"--cert-dir={inside.HOME}/certificates", "--v=2"])

    def wait_ready(self, seconds: float) -> None:
        """Until both guests are Ready and pods may be made."""
        processes.wait("both guests Ready", self.all_ready, seconds)
        processes.wait("the default service account", lambda: self.get("serviceaccounts", "default"), 60)


def _pods(place: GuestPlace) -> dict[str, object]:
    """The CNI configuration of a guest's pods."""
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{
        "type": "ptp", "ipMasq": False,
        "ipam": {"type": "host-local", "subnet": place.pods, "routes": [{"dst": "0.0.0.0/0"}]}}]}
