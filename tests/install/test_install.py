"""install.sh against a kubectl that holds state: install, dry run, update, refusals (features AT-01 to AT-17)."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.install.conftest import ARRAYS, BLADE_TOKEN, CHECKOUT, TOKEN, Install
from tests.install.stub import Cluster

Values = Callable[..., str]
Installed = Callable[..., None]

EVERYTHING = {
    ("ServiceAccount", "pure"), ("ClusterRole", "pure-provisioner-clusterrole"), ("Role", "pure-provisioner-leader"),
    ("ClusterRoleBinding", "pure-provisioner-rights"), ("RoleBinding", "pure-provisioner-leader"),
    ("Secret", "pure-provisioner-secret"), ("DaemonSet", "pure-flex"), ("Deployment", "pure-provisioner"),
    ("StorageClass", "pure"), ("StorageClass", "pure-block"), ("StorageClass", "pure-file"),
}


def stored_arrays(cluster: Cluster) -> object:
    secret = cluster.get("Secret", "pure-provisioner-secret", "storage")
    assert secret
    return json.loads(base64.b64decode(secret["data"]["pure.json"]))


def environment(cluster: Cluster, kind: str, name: str) -> dict[str, str]:
    workload = cluster.get(kind, name, "storage")
    assert workload
    return {entry["name"]: entry.get("value", "") for entry in workload["spec"]["template"]["spec"]["containers"][0]["env"]}


def test_an_install_makes_everything_and_tells_of_each_node(cluster: Cluster, install: Install, values: Values) -> None:
    """AT-01, AT-08: all objects, in the namespace asked for, and each node by name."""
    done = install("--namespace=storage", "-f", values())
    assert (done.status, set(cluster.kinds())) == (0, EVERYTHING), done
    assert stored_arrays(cluster) == ARRAYS
    assert "node1: ready" in done.out and "node2: ready" in done.out and "provisioner: ready" in done.out
    assert {space for _, space, _ in cluster.objects} == {"", "storage"}


def test_no_token_reaches_a_command_line_or_the_output(cluster: Cluster, install: Install, values: Values) -> None:
    """AT-85: not even with --debug, which prints each command; nor an annotation, which `apply` would make."""
    done = install("-n", "storage", "-f", values(), "--debug")
    assert done.status == 0
    everything = repr(cluster.calls) + done.out + done.err
    assert TOKEN not in everything and BLADE_TOKEN not in everything
    assert not [call for call in cluster.calls if "apply" in call and any("secret" in word for word in call)]


def test_running_it_again_changes_nothing_else(cluster: Cluster, install: Install, installed: Installed,
                                               values: Values) -> None:
    """The same command installs and updates."""
    path = values()
    installed()
    before = cluster.kinds()
    assert install("-n", "storage", "-f", path, "--update").status == 0
    assert cluster.kinds() == before


def test_a_dry_run_prints_all_of_it_and_changes_nothing(cluster: Cluster, install: Install, values: Values) -> None:
    """AT-02: valid YAML, tokens masked."""
    done = install("--namespace", "storage", "-f", values(), "--dry-run", "--debug")
    documents = list(yaml.safe_load_all(done.out))
    assert done.status == 0 and {(one["kind"], one["metadata"]["name"]) for one in documents} == EVERYTHING
    assert not cluster.changes()
    assert TOKEN not in done.out + done.err and BLADE_TOKEN not in done.out + done.err


@pytest.mark.parametrize("content", ["{}", "arrays:", "arrays: {FlashArrays:}",
                                     "arrays: {FlashArrays: [], FlashBlades: []}"])
def test_values_without_arrays_are_refused(cluster: Cluster, install: Install, tmp_path: Path, content: str) -> None:
    """AT-03"""
    (tmp_path / "empty.yaml").write_text(content)
    done = install("-n", "storage", "-f", str(tmp_path / "empty.yaml"), "--dry-run")
    assert done.status == 2 and "arrays" in done.err and not done.out and not cluster.changes()


def test_openshift_uses_oc_throughout_and_grants_the_scc(cluster: Cluster, install: Install, values: Values) -> None:
    """AT-10: also when only the values file says so."""
    done = install("-n", "storage", "-f", values(orchestrator={"name": "openshift"}))
    assert done.status == 0 and {call[0] for call in cluster.calls} == {"oc"}
    assert cluster.said("oc", "adm", "policy", "add-scc-to-user", "privileged", "system:serviceaccount:storage:pure")


def test_a_second_array_reaches_the_secret_and_touches_no_pod(cluster: Cluster, install: Install,
                                                              installed: Installed, values: Values) -> None:
    """AT-11: the workloads' templates stay as they are, so nothing restarts; the daemons read the Secret's file anew."""
    installed()
    generation = cluster.kinds()[("DaemonSet", "pure-flex")]["metadata"]["generation"]
    another = {"MgmtEndPoint": "127.0.0.3:1", "APIToken": TOKEN}
    more = {**ARRAYS, "FlashArrays": [*ARRAYS["FlashArrays"], another]}
    assert install("-n", "storage", "-f", values(arrays=more)).status == 0
    assert stored_arrays(cluster) == more
    assert cluster.kinds()[("DaemonSet", "pure-flex")]["metadata"]["generation"] == generation


def test_another_prefix_needs_a_word(cluster: Cluster, install: Install, installed: Installed, values: Values) -> None:
    """AT-13: installed with --set namespace.pure, and the update forgets it."""
    path = values()
    installed(namespace={"pure": "shop"})
    before = len(cluster.changes())
    done = install("-n", "storage", "-f", path)
    assert done.status == 1 and "is shop now and would become k8s" in done.err
    assert len(cluster.changes()) == before
    assert install("-n", "storage", "-f", path, "--yes").status == 0
    assert environment(cluster, "Deployment", "pure-provisioner")["PURE_K8S_NAMESPACE"] == "k8s"


def test_leaving_out_an_array_with_volumes_needs_a_word(cluster: Cluster, install: Install, installed: Installed,
                                                        values: Values) -> None:
    """AT-51: the count is told; PVs of other drivers do not count."""
    installed()
    for number in range(3):
        cluster.put({"kind": "PersistentVolume", "metadata": {"name": f"pvc-{number}"},
                     "spec": {"flexVolume": {"driver": "pure/flex", "options": {"array": "127.0.0.1:1"}}}})
    cluster.put({"kind": "PersistentVolume", "metadata": {"name": "other"}, "spec": {"hostPath": {"path": "/tmp"}}})
    done = install("-n", "storage", "-f", values(arrays={"FlashBlades": ARRAYS["FlashBlades"]}))
    assert done.status == 1 and "127.0.0.1:1 is left out and holds 3 volumes" in done.err
    assert stored_arrays(cluster) == ARRAYS


def test_a_missing_namespace_is_said_before_anything_is_applied(cluster: Cluster, install: Install,
                                                                values: Values) -> None:
    """AT-16"""
    path = values()
    done = install("--namespace=nowhere", "-f", path)
    assert done.status == 1 and "create namespace nowhere" in done.err and not cluster.changes()
    done = install("--namespace=nowhere", "-f", path, "--create-namespace")
    namespace = cluster.get("Namespace", "nowhere")
    assert done.status == 0 and namespace
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "privileged"}


@pytest.mark.parametrize(("argv", "said"), [
    ([], "Usage:"),
    (["--what"], "--what is not known"),
    (["-f", "/nowhere.yaml"], "cannot read /nowhere.yaml"),
    (["-f"], "-f needs a value"),
    (["--update=x"], "--update takes no value"),
    (["values.yaml"], "is no option"),
    (["–namespace=pso-operator"], "write --namespace=pso-operator"),
    (["—dry-run"], "write --dry-run"),
    (["--orchestrator=swarm"], "k8s or openshift"),
    (["--timeout", "soon"], "number of seconds"),
    (["--dry-run"], "no arrays"),
    (["--update", "--uninstall"], "exclude each other"),
])
def test_what_cannot_be_asked_ends_with_2_and_says_why(cluster: Cluster, install: Install, argv: list[str],
                                                       said: str) -> None:
    """AT-17, C-18"""
    done = install(*argv)
    assert done.status == 2 and said in done.err and not done.out and not cluster.calls


def test_help_and_version_end_with_0(cluster: Cluster, install: Install) -> None:
    """AT-17"""
    assert (install("-h").status, install("--help").status) == (0, 0)
    assert install("--version").out == "pure-flex 3.0.0\n"
    assert not cluster.calls


def test_a_node_without_driver_is_named_with_its_reason(cluster: Cluster, install: Install, values: Values) -> None:
    """Readiness of the daemon's pod says whether `flex init` answered."""
    cluster.sick = {"node1": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
                    "node2": {"running": {}}}
    cluster.logs = {"node2": "INFO installed\nERROR cannot write /kubelet-plugins: Read-only file system\n"}
    done = install("-n", "storage", "-f", values(), "--timeout=0")
    assert done.status == 1 and "node1: NOT ready: ImagePullBackOff no such image" in done.out
    assert "node2: NOT ready: ERROR cannot write /kubelet-plugins" in done.out


def test_a_node_that_is_away_is_told_from_one_that_refuses(cluster: Cluster, install: Install, values: Values) -> None:
    """Its kubelet is down, so what its pod said last is old news."""
    cluster.put({"kind": "Node", "metadata": {"name": "node2"},
                 "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    cluster.sick["node2"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    done = install("-n", "storage", "-f", values(), "--yes", "--timeout", "0")
    assert done.status == 1 and "node2: NOT ready: the node itself is not Ready" in done.out


def test_a_node_that_is_passed_over_is_named(cluster: Cluster, install: Install, values: Values) -> None:
    """A pod that lands there would wait for its volume for ever."""
    cluster.passed_over = {"node2"}
    done = install("-n", "storage", "-f", values(nodeSelector={"storage": "yes"}), "--yes")
    assert done.status == 0 and "node node2 is passed over by nodeSelector" in done.err and "node2: ready" not in done.out


def test_a_provisioner_that_cannot_work_is_told_with_its_reason(cluster: Cluster, install: Install,
                                                                values: Values) -> None:
    """Its readiness says whether it could serve a claim; its own last complaint is printed."""
    cluster.complaint = "array 1.2.3.4: gave no answer"
    done = install("-n", "storage", "-f", values(), "--timeout=0")
    assert done.status == 1 and "the provisioner is not ready" in done.err and cluster.complaint in done.err


def test_kubelets_own_plugin_directory_is_compared(cluster: Cluster, install: Install, values: Values) -> None:
    """AT-72: both values are told; a slash at the end is no difference."""
    cluster.plugin_dirs = {"node1": "/var/lib/kubelet/volumeplugins", "node2": "/etc/kubernetes/volumeplugins/"}
    path = values(platform="coreos")
    done = install("-n", "storage", "-f", path)
    assert done.status == 1 and not cluster.changes()
    assert ("node1 looks for drivers in /var/lib/kubelet/volumeplugins, and flexPath is /etc/kubernetes/volumeplugins"
            in done.err)
    assert "node2" not in done.err


def test_missing_rights_are_told_all_at_once(cluster: Cluster, install: Install, values: Values) -> None:
    cluster.forbidden = {"clusterroles", "daemonsets"}
    done = install("-n", "storage", "-f", values())
    assert done.status == 1 and "daemonsets clusterroles(cluster-wide)" in done.err and not cluster.changes()


def test_an_old_server_gets_what_it_knows(cluster: Cluster, install: Install, values: Values) -> None:
    """Kubernetes 1.6: groups by discovery, and no field that its kubectl would refuse."""
    cluster.version = "v1.6.13"
    cluster.api_versions = ["apps/v1beta1", "extensions/v1beta1", "rbac.authorization.k8s.io/v1beta1",
                            "storage.k8s.io/v1", "v1"]
    assert install("-n", "storage", "-f", values()).status == 0
    made = cluster.kinds()
    assert made[("DaemonSet", "pure-flex")]["apiVersion"] == "extensions/v1beta1"
    assert made[("Deployment", "pure-provisioner")]["apiVersion"] == "apps/v1beta1"
    assert made[("ClusterRole", "pure-provisioner-clusterrole")]["apiVersion"] == "rbac.authorization.k8s.io/v1beta1"
    assert "priorityClassName" not in made[("DaemonSet", "pure-flex")]["spec"]["template"]["spec"]
    assert "allowVolumeExpansion" not in made[("StorageClass", "pure")]


@pytest.mark.parametrize(("version", "told"), [("v1.7.16", True), ("v1.17.0", False)])
def test_a_kubelet_that_looks_only_once_is_told_of(cluster: Cluster, install: Install, values: Values, version: str,
                                                   told: bool) -> None:
    """Up to 1.7 there is no watch on the plugin directory: a driver on the node is not yet one that kubelet knows."""
    cluster.version = version
    done = install("-n", "storage", "-f", values(), "--yes")
    assert done.status == 0 and ("restart it once on each node" in done.err) == told


def test_a_class_whose_parameters_change_is_made_anew(cluster: Cluster, install: Install, installed: Installed,
                                                      values: Values) -> None:
    """The API refuses to change them; claims know a class by its name only."""
    installed()
    assert install("-n", "storage", "-f", values(storageclass={"pureBackend": "file"})).status == 0
    assert cluster.kinds()[("StorageClass", "pure")]["parameters"] == {"backend": "file"}


def test_a_class_that_is_made_anew_keeps_what_people_put_on_it(cluster: Cluster, install: Install, installed: Installed,
                                                               values: Values) -> None:
    """Claims without a class would wait when the default class is none any more. The values decide about what is theirs."""
    installed()
    live = cluster.get("StorageClass", "pure-block")
    assert live
    default = "storageclass.kubernetes.io/is-default-class"
    live["parameters"]["fstype"] = "ext3"
    earlier = {"metadata": {"annotations": {"example.com/of-an-earlier-manifest": "x"}}}
    live["metadata"].setdefault("annotations", {}).update({
        default: "true", "example.com/of-an-earlier-manifest": "x",
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(earlier) + "\n"})
    live["metadata"]["labels"] = {**live["metadata"].get("labels", {}), "team": "storage"}
    cluster.put(live)
    assert install("-n", "storage", "-f", values()).status == 0
    made = cluster.get("StorageClass", "pure-block")
    assert made and made["parameters"].get("fstype") != "ext3" and cluster.said("replace", "--force")
    assert made["metadata"]["annotations"][default] == "true" and made["metadata"]["labels"]["team"] == "storage"
    assert "example.com/of-an-earlier-manifest" not in made["metadata"]["annotations"]


def test_a_class_that_is_refused_stays_as_it_was(cluster: Cluster, install: Install, installed: Installed,
                                                 values: Values) -> None:
    """Deleted to be made anew, it would be gone, and every claim of it would wait."""
    installed()
    before = cluster.get("StorageClass", "pure")
    cluster.denied = "StorageClass"
    done = install("-n", "storage", "-f", values())
    assert done.status == 1 and "has no owner" in done.err and cluster.get("StorageClass", "pure") == before


def test_a_class_of_the_csi_driver_is_left_alone(cluster: Cluster, install: Install, values: Values) -> None:
    """C-09: both drivers can be in one cluster."""
    cluster.put({"kind": "StorageClass", "metadata": {"name": "pure"}, "provisioner": "pure-csi"})
    done = install("-n", "storage", "-f", values())
    assert done.status == 0 and "StorageClass pure belongs to pure-csi" in done.err
    assert cluster.kinds()[("StorageClass", "pure")]["provisioner"] == "pure-csi"


def test_a_release_of_helm_is_not_touched(cluster: Cluster, install: Install, installed: Installed,
                                          values: Values) -> None:
    path = values()
    installed()
    daemon = cluster.get("DaemonSet", "pure-flex", "storage")
    assert daemon
    daemon["metadata"]["annotations"] = {"meta.helm.sh/release-name": "pure-storage-driver"}
    before = len(cluster.changes())
    for argv in (["-n", "storage", "-f", path], ["--uninstall"]):
        done = install(*argv)
        assert done.status == 1 and "pure-storage-driver" in done.err and len(cluster.changes()) == before


def test_it_is_installed_once_in_a_cluster(cluster: Cluster, install: Install, installed: Installed,
                                           values: Values) -> None:
    """Two provisioners would serve the same claims; without --namespace, the one that is there is meant."""
    path = values()
    installed()
    done = install("-n", "default", "-f", path)
    assert done.status == 1 and "installed in namespace storage" in done.err
    assert install("-f", path).status == 0


def test_the_script_is_plain_sh() -> None:
    """dash takes it, and shellcheck has nothing to say, where there is one."""
    checker = shutil.which("shellcheck")
    subprocess.run(["/bin/sh", "-n", str(CHECKOUT / "install.sh")], check=True)
    if checker:
        subprocess.run([checker, str(CHECKOUT / "install.sh")], check=True)
