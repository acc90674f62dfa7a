"""What we claim to the suite: a driver definition and a StorageClass for each kind. What is claimed is tested.

Topology is claimed apart: each node here is a rack of its own, so that whatever claims it has no specs on two nodes.

Fields: k8s.io/kubernetes test/e2e/storage/external/external.go and framework/testdriver.go.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOPOLOGY = "rack"
_EVERYWHERE = ("persistence", "exec", "fsGroup", "multipods", "controllerExpansion", "nodeExpansion", "offlineExpansion",
               "onlineExpansion")
# Of 100 claims the suite takes the mean time from claim to Bound, and bound claims a second.
_SCALE = {"StressTestOptions": {"NumPods": 6, "NumRestarts": 3},
          "PerformanceTestOptions": {"ProvisioningOptions": {
              "VolumeSize": "1Gi", "Count": 100, "ExpectedMetrics": {"AvgLatency": 30 * 10**9, "Throughput": 2.0}}}}

DRIVERS: dict[str, dict[str, Any]] = {
    "block": {
        "SupportedFsType": {"": {}, "xfs": {}, "ext4": {}, "ext3": {}},
        "RequiredAccessModes": ["ReadWriteOnce"],
        "Capabilities": dict.fromkeys((*_EVERYWHERE, "pvcDataSource"), True), **_SCALE},
    "topology": {
        "SupportedFsType": {"": {}},
        "RequiredAccessModes": ["ReadWriteOnce"],
        "TopologyKeys": [TOPOLOGY], "NumAllowedTopologies": 1,
        "Capabilities": dict.fromkeys(("persistence", "topology"), True)},
    "file": {
        "SupportedFsType": {"": {}},
        "RequiredAccessModes": ["ReadWriteMany"],
        "Capabilities": dict.fromkeys((*_EVERYWHERE, "RWX", "capReadOnlyMany"), True), **_SCALE},
}

# The specs a definition is for, where those are not all.
FOCUS = {"topology": r"\] topology.*"}
# What the provisioner is told for them: PVs have the rack of their array.
SETTINGS = {"topology": {"PURE_PV_NODE_AFFINITY": f"{TOPOLOGY}={TOPOLOGY}"}}


def side_by_side(kinds: Sequence[str], alone: bool) -> list[list[str]]:
    """The kinds in groups that may run at the same time: those for which the provisioner is told the same."""
    if alone:
        return [[kind] for kind in kinds]
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        groups.setdefault(json.dumps(SETTINGS.get(kind)), []).append(kind)
    return list(groups.values())


def write(folder: Path, kind: str) -> Path:
    """driver.yaml and the class it names, in a folder of their own; the path of the first. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    storage_class = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": f"pure-{kind}"},
                     "provisioner": "pure-provisioner", "allowVolumeExpansion": True,
                     "parameters": {"backend": "file" if kind == "file" else "block"}}
    (folder / "class.yaml").write_text(json.dumps(storage_class))
    driver = folder / "driver.yaml"
    driver.write_text(json.dumps({
        "StorageClass": {"FromFile": "class.yaml"},
        "DriverInfo": {"Name": f"pure-{kind}", "SupportedSizeRange": {"Min": "1Gi", "Max": "4Pi"}, **DRIVERS[kind]}}))
    return driver
