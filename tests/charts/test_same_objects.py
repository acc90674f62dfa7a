"""The chart and install.sh render the same objects from the same values, and refuse the same ones."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from arrays.errors import ConfigError
from daemonset.render import files, objects
from daemonset.render.assign import assign
from daemonset.render.older import parse_version, suit
from daemonset.render.values import checked
from tests.charts.conftest import CHART, Template

ARRAYS = {
    "FlashArrays": [{"MgmtEndPoint": "1.2.3.4", "APIToken": "a526a4c6-18b0-a8c9-1afa-3499293574bb",
                     "Labels": {"rack": 22, "env": "prod <&>"}}],
    "FlashBlades": [{"MgmtEndPoint": "1.2.3.6", "APIToken": "T-c4925090-c9bf-4033-8537-d24ee5669135",
                     "NfsEndPoint": "1.2.3.7"}],
}
SELECTOR = {"disk": "ssd", "shelf": 7, "fast": True}
TOLERATIONS = [{"key": "storage", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]}}}

CASES: dict[str, dict[str, Any]] = {
    "arrays only": {},
    "fleet of blades": {"arrays": {"FlashArrays": None, "FlashBlades": ARRAYS["FlashBlades"]}},
    "image": {"image": {"name": "registry.example.com:5000/k8s", "tag": "x1", "pullPolicy": "Always"}},
    "image by digest": {"image": {"name": "k8s@sha256:" + "0" * 64, "tag": ""}},
    "debug": {"app": {"debug": True}},
    "debug as text": {"app": {"debug": "TRUE"}},
    "default class": {"storageclass": {"isPureDefault": True, "pureBackend": "file"}},
    "service account": {"clusterrolebinding": {"serviceAccount": {"name": "flex.pure"}}},
    "file system": {"flasharray": {"defaultFSType": "ext4", "defaultFSOpt": "-q -m 0",
                                   "defaultMountOpt": "discard,noatime"}},
    "mount options as a list": {"flasharray": {"defaultMountOpt": ["discard", "noatime"]}},
    "mount options empty": {"flasharray": {"defaultMountOpt": [], "defaultFSOpt": ""}},
    "login timeout number": {"flasharray": {"iSCSILoginTimeout": 45}},
    "login timeout text": {"flasharray": {"iSCSILoginTimeout": "007 s"}},
    "CIDRs": {"flasharray": {"iSCSIAllowedCIDR": "10.0.0.0/24, 10.1.0.0/16,2001:db8::/64"}},
    "no preemption": {"flasharray": {"preemptAttachments": "False", "preemptGraceSeconds": 0,
                                     "unmountNoPathGraceSeconds": "1s"}},
    "FC": {"flasharray": {"sanType": "fC"}},
    "blade": {"flashblade": {"snapshotDirectoryEnabled": "true", "exportRules": "10.0.0.0/8(rw,root_squash)"}},
    "prefix": {"namespace": {"pure": "shop_1"}},
    "clusterID": {"clusterID": "purenewsolutions"},
    "both prefixes": {"clusterID": "shop", "namespace": {"pure": "shop"}},
    "openshift": {"orchestrator": {"name": "openshift"}, "platform": "openshift-atomic"},
    "path": {"flexPath": "/etc/kubernetes/volumeplugins//"},
    "path before platform": {"flexPath": "/own", "platform": "gke"},
    "deprecated placement": {"nodeSelector": SELECTOR, "tolerations": TOLERATIONS, "affinity": AFFINITY},
    "daemon's placement": {"flexDaemon": {"nodeSelector": SELECTOR, "tolerations": TOLERATIONS, "affinity": AFFINITY}},
    "provisioner's placement": {"nodeSelector": {"a": "b"}, "provisioner": {
        "nodeSelector": SELECTOR, "tolerations": TOLERATIONS, "affinity": AFFINITY}},
    "attach, eradicate": {"flexDaemon": {"attach": True}, "provisioner": {"eradicateOnDelete": "True"}},
    "explorer": {"explorer": {"enabled": "True"}, "image": {"tag": "x1"}, "namespace": {"pure": "shop_1"},
                 "app": {"debug": True}, "clusterrolebinding": {"serviceAccount": {"name": "flex.pure"}}},
    "explorer's placement": {"tolerations": TOLERATIONS, "explorer": {"enabled": True, "nodeSelector": SELECTOR,
                                                                      "affinity": AFFINITY}},
    "6.x file": {"database": {"x": 1}, "storagetopology": {"enable": False}, "clusterID": "x"},
}
REFUSED = ("namespace.pure=" + "a" * 23, "namespace.pure=a-b", "clusterID=a.b", "flasharray.sanType=nvme",
           "orchestrator.name=swarm", "flasharray.preemptAttachments=maybe", "flasharray.iSCSILoginTimeout=soon",
           "flexPath=relative", "platform=beos", "storageclass.pureBackend=tape", "flasharray.sanType=null",
           "arrays=null", "tolerations=x", "flasharray=x", "namespace.pure=one,clusterID=two",
           "arrays.FlashArrays=null,arrays.FlashBlades=null", "image.pullPolicy=Sometimes",
           "explorer.enabled=perhaps", "explorer=null")
SETS = ("flasharray.sanType=fc,namespace.pure=k8s_xxx,orchestrator.name=openshift",
        r"flasharray.iSCSIAllowedCIDR=10.0.0.0/24\,::/0",
        "flasharray.defaultMountOpt={discard,noatime}", "app.debug=true", "nodeSelector.disk=ssd,nodeSelector.n=007",
        "arrays.FlashArrays[0].Labels.rack=9", "flasharray.iSCSILoginTimeout=30", "clusterID=null",
        "tolerations[0].operator=Exists", "explorer.enabled=true,orchestrator.name=openshift")


def decoded(rendered: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """Objects by kind and name, the Secret's JSON as what it says."""
    for one in rendered:
        if one["kind"] == "Secret":
            one["data"] = {key: json.loads(base64.b64decode(value)) for key, value in one["data"].items()}
    return {(one["kind"], one["metadata"]["name"]): one for one in rendered}


def ours(values: dict[str, Any], *assignments: str, version: str = "1.37") -> dict[tuple[str, str], Any]:
    merged = files.over(files.defaults(), {"arrays": ARRAYS, **values})
    for text in assignments:
        assign(merged, text)
    return decoded(suit(objects.objects(checked(merged)[0], "storage"), parse_version(version)))


def charts(template: Template, values: dict[str, Any], *options: str) -> dict[tuple[str, str], Any]:
    done = template({"arrays": ARRAYS, **values}, *options)
    assert done.returncode == 0, done.stderr
    return decoded([one for one in yaml.safe_load_all(done.stdout) if one])


@pytest.mark.parametrize("name", CASES)
def test_the_same_values_give_the_same_objects(template: Template, name: str) -> None:
    """Object by object, and no object more or less."""
    assert charts(template, CASES[name]) == ours(CASES[name])


@pytest.mark.parametrize("assignment", SETS)
def test_set_is_read_alike(template: Template, assignment: str) -> None:
    assert charts(template, {}, "--set", assignment) == ours({}, assignment)


@pytest.mark.parametrize("version", ["1.6.0", "1.7.16", "1.8.15", "1.9.11", "1.16.15", "1.17.0", "1.34.4"])
def test_each_server_gets_the_same(template: Template, version: str) -> None:
    """`--api-versions` is not given, so both go by the version alone."""
    values = {"explorer": {"enabled": True}}
    assert charts(template, values, "--kube-version", version) == ours(values, version=version)


@pytest.mark.parametrize("assignment", REFUSED)
def test_both_refuse_the_same_values(template: Template, assignment: str) -> None:
    assert template({"arrays": ARRAYS}, "--set", assignment).returncode != 0
    with pytest.raises(ConfigError):
        ours({}, assignment)


def test_helm_has_nothing_to_say_about_the_chart(helm: Path, tmp_path: Path) -> None:
    """helm lint, strictly; NOTES.txt renders with every value's default."""
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"arrays": ARRAYS, "explorer": {"enabled": True}}))
    done = subprocess.run([str(helm), "lint", "--strict", str(CHART), "-f", str(tmp_path / "values.yaml")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
