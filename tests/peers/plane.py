"""Where all are measured: a control plane without nodes, an account whose requests are counted, the StorageClasses."""

import json
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import cluster as clusters
from tests.cluster import components, control_plane, machine, namespaces, processes
from tests.cluster.audit import Audit
from tests.cluster.cluster import Cluster

POLICY = Path(__file__).with_name("audit-policy.yaml")
# In the work folder, for one service account: a kubeconfig, and the files that Kubernetes gives a pod.
ACCOUNT, FILES = "runner.kubeconfig", "runner"
# What the controller manager may ask, a second and at once: its own defaults, and as good as no limits.
DEFAULTS, LIFTED = "20/30", "1000/2000"


class Plane(Cluster):
    """The control plane of tests/cluster, alone; `peers` is the folder with the programs of others."""

    def __init__(self, version: str = "") -> None:
        super().__init__(version)
        self.peers = components.binaries(components.PEERS)
        self.audit = Audit(self.work, POLICY)

    def up_without_nodes(self, provisioners: Iterable[str]) -> None:
        """Start it, with a StorageClass for each of these, of the same name."""
        machine.prepare()
        clusters.down()
        self.work.mkdir(parents=True)
        self.work.chmod(0o755)
        namespaces.make([])
        self.options = {"kube-apiserver": self.audit.flags()}
        control_plane.start(self.work, self.programs, [], self.options)
        processes.stop(self.work, "kube-scheduler", kill=True)      # there are no pods; it would only follow each claim
        processes.wait("the default namespace's account", lambda: self.get("serviceaccounts", "default"), 60)
        self._make_account()
        self.apply(*[{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
                      "provisioner": name} for name in sorted(set(provisioners))])

    def _make_account(self) -> None:
        """All rights, but not in system:masters, which the API server's priority and fairness exempts."""
        self.kubectl("create", "serviceaccount", "runner")
        self.kubectl("create", "clusterrolebinding", "runner", "--clusterrole=cluster-admin",
                     "--serviceaccount=default:runner")
        token = self.kubectl("create", "token", "runner", "--duration=10h").strip()
        (self.work / ACCOUNT).write_text(json.dumps(control_plane.kubeconfig(self.work, token)))
        files = self.work / FILES
        files.mkdir()
        for name, text in (("token", token), ("namespace", "default"), ("ca.crt", (self.work / "ca.pem").read_text())):
            (files / name).write_text(text)

    def stop_manager(self) -> None:
        """End the controller manager: nobody binds, nobody protects."""
        processes.stop(self.work, "kube-controller-manager", kill=True)

    def restart_manager(self, limits: str) -> None:
        """Start it anew with these limits, and wait until it works: it gives a new namespace its account."""
        qps, burst = limits.split("/")
        self.stop_manager()
        control_plane.start_manager(self.work, self.programs, [f"--kube-api-qps={qps}", f"--kube-api-burst={burst}"])
        probe = f"probe-{qps}"
        self.kubectl("create", "namespace", probe)
        processes.wait("the controllers", lambda: self.get("serviceaccounts", probe), 60)
