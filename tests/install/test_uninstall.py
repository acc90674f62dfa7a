"""install.sh --uninstall: what goes, what stays, in which order, how often (features AT-67 to AT-71)."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from daemonset.render import files
from tests.install.conftest import ARRAYS, Install
from tests.install.stub import Cluster

Values = Callable[..., str]
Installed = Callable[..., None]


def with_a_used_volume(cluster: Cluster) -> None:
    """A PV of ours, its claim, and a pod that has it."""
    cluster.put({"kind": "PersistentVolume", "metadata": {"name": "pvc-1"},
                 "spec": {"flexVolume": {"driver": "pure/flex"}, "claimRef": {"namespace": "shop", "name": "data"}}})
    cluster.put({"kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}})
    for name, phase in (("db", "Running"), ("done", "Succeeded")):
        cluster.put({"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "status": {"phase": phase},
                     "spec": {"volumes": [{"name": "tmp", "emptyDir": {}},
                                          {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}})


def test_everything_of_ours_goes_and_nothing_else(cluster: Cluster, install: Install, installed: Installed) -> None:
    """AT-67: PVs, claims, other pods and the namespace stay. The namespace is found, as the old command line wants it."""
    installed()
    with_a_used_volume(cluster)
    done = install("--uninstall")
    assert done.status == 0, done
    assert set(cluster.kinds()) == {("PersistentVolume", "pvc-1"), ("PersistentVolumeClaim", "data")}
    assert not cluster.drivers and cluster.get("Namespace", "storage") and cluster.get("Pod", "db", "shop")
    assert not cluster.said("delete", "persistentvolume") and not cluster.said("delete", "pvc")


def test_the_order_lets_nobody_ask_a_driver_that_is_gone(cluster: Cluster, install: Install,
                                                         installed: Installed) -> None:
    """C-16: the provisioner first, then the nodes, then the DaemonSet, then rights and arrays."""
    installed()
    begun = len(cluster.calls)
    install("--uninstall")
    steps = [" ".join(call) for call in cluster.calls[begun:] if call in cluster.changes()]
    places = [next(place for place, step in enumerate(steps) if wanted in step)
              for wanted in ("delete deployment", "exec pure-flex-node1", "delete daemonset", "delete secret",
                             "delete clusterrolebinding")]
    assert places == sorted(places)
    assert sum("exec" in step for step in steps) == 2


def test_the_provisioner_has_ended_before_its_rights_go(cluster: Cluster, install: Install, installed: Installed) -> None:
    """It gives its lock up with them; without, the next one would wait until the lock runs out."""
    installed()
    cluster.lingering = 2
    assert install("--uninstall").status == 0
    calls = [" ".join(call) for call in cluster.calls]
    looks = [place for place, call in enumerate(calls) if "get pods -l app=pure-provisioner" in call]
    removals = [next(place for place, call in enumerate(calls) if f"delete {kind} " in call)
                for kind in ("role", "rolebinding", "clusterrole", "clusterrolebinding", "serviceaccount", "secret")]
    assert len(looks) == 3 and max(looks) < min(removals)


def test_pods_that_use_volumes_are_named(cluster: Cluster, install: Install, installed: Installed) -> None:
    """AT-70: those that still run, and no others."""
    installed()
    with_a_used_volume(cluster)
    done = install("--uninstall")
    assert "stop them first" in done.err and "pod shop/db uses claim shop/data" in done.err and "shop/done" not in done.err


def test_a_node_with_mounted_volumes_keeps_the_driver(cluster: Cluster, install: Install, installed: Installed) -> None:
    """Without it nobody could unmount them; how to remove it later is said, with the path of this cluster."""
    installed(platform="coreos")
    cluster.mounted = {"node2"}
    done = install("--uninstall")
    assert done.status == 0 and cluster.drivers == {"node2"}
    assert "stays on node node2" in done.err and "rm -r /etc/kubernetes/volumeplugins/pure~flex" in done.err


@pytest.mark.parametrize("stays", [True, False])
def test_a_driver_that_stays_is_not_removed_later(cluster: Cluster, install: Install, installed: Installed,
                                                  tmp_path: Path, stays: bool) -> None:
    """Somebody who breaks off and installs again finds the same pods: none may be left waiting for the last unmount."""
    installed()
    install("--uninstall")
    command, = [call[-1] for call in cluster.said("exec") if "pure-flex-node1" in call]
    command = command.replace("/pure-flex-daemon", "false" if stays else "true").replace("/tmp/", f"{tmp_path}/")
    done = subprocess.run(["/bin/sh", "-c", command], check=False)
    assert (done.returncode != 0) is stays and (tmp_path / ".uninstall_start_flag").exists() is not stays


def test_twice_or_with_nothing_there_is_no_mistake(cluster: Cluster, install: Install, installed: Installed) -> None:
    """AT-69"""
    assert install("--uninstall").status == 0
    installed()
    del cluster.objects[("Deployment", "storage", "pure-provisioner")]
    assert [install("--uninstall").status for _ in range(2)] == [0, 0]
    assert not cluster.kinds()


def test_a_dry_run_only_lists(cluster: Cluster, install: Install, installed: Installed) -> None:
    """AT-69"""
    installed()
    before = len(cluster.changes())
    done = install("--dry-run", "--uninstall")
    assert done.status == 0 and len(cluster.changes()) == before
    for what in ("daemonset/pure-flex", "secret/pure-provisioner-secret", "storageclass/pure-file", "from node node2"):
        assert what in done.out


def test_classes_of_another_driver_stay(cluster: Cluster, install: Install, installed: Installed) -> None:
    """The CSI driver has classes of the same names."""
    installed()
    cluster.put({"kind": "StorageClass", "metadata": {"name": "pure-block"}, "provisioner": "pure-csi"})
    install("--uninstall")
    assert set(cluster.kinds()) == {("StorageClass", "pure-block")}


def test_another_service_account_goes_too_and_loses_its_scc(cluster: Cluster, install: Install,
                                                            installed: Installed) -> None:
    installed(clusterrolebinding={"serviceAccount": {"name": "flex"}}, orchestrator={"name": "openshift"})
    assert cluster.get("ServiceAccount", "flex", "storage")
    install("--uninstall", "--orchestrator=openshift")
    assert cluster.said("oc", "remove-scc-from-user", "system:serviceaccount:storage:flex") and not cluster.kinds()


def test_an_install_after_it_meets_nothing(cluster: Cluster, install: Install, installed: Installed,
                                           values: Values) -> None:
    """AT-68"""
    installed()
    install("--uninstall")
    assert install("-n", "storage", "-f", values()).status == 0


def test_a_pure_json_becomes_values_and_installs_as_it_is(cluster: Cluster, install: Install, tmp_path: Path) -> None:
    """AT-71: told by its content, whatever its name."""
    (tmp_path / "arrays.conf").write_text(json.dumps(ARRAYS))
    done = install("--convert", "-f", str(tmp_path / "arrays.conf"))
    assert done.status == 0 and yaml.safe_load(done.out) == {"arrays": ARRAYS} == files.read(tmp_path / "arrays.conf")
    assert install("-n", "storage", "-f", str(tmp_path / "arrays.conf")).status == 0
