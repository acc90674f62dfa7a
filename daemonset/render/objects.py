"""The objects of one installation: the plain manifests with the values put in. Pure but for reading those manifests."""

import base64
from collections.abc import Mapping
from typing import Any

from daemonset.render import MANIFESTS
from daemonset.render.values import Placement, Values
from daemonset.render.yamltext import read_all

Raw = dict[str, Any]

SECRET = "pure-provisioner-secret"
ORCHESTRATOR = "purestorage.com/orchestrator"
# The manifests in the order in which they are applied; the Secret stands after the rights.
RIGHTS, CLASSES = "rbac.yaml", "storageclasses.yaml"
DAEMON, PROVISIONER, EXPLORER = "pure-flex-daemon.yaml", "pure-provisioner.yaml", "optional/pure-explorer.yaml"


def objects(values: Values, namespace: str) -> list[Raw]:
    """All objects, each after what it needs."""
    return [*rights(values, namespace), secret(values, namespace), daemon(values, namespace),
            provisioner(values, namespace), *explorer(values, namespace), *classes(values)]


def rights(values: Values, namespace: str) -> list[Raw]:
    """Service account, roles and bindings."""
    found = _manifests(RIGHTS, namespace)
    for one in found:
        if one["kind"] == "ServiceAccount":
            one["metadata"]["name"] = values.service_account
        for subject in one.get("subjects", ()):
            subject["name"] = values.service_account
    return found


def secret(values: Values, namespace: str) -> Raw:
    """The arrays with their tokens, the only object that has them."""
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": SECRET, "namespace": namespace, "labels": {"app": "pure-provisioner"}},
            "data": {"pure.json": base64.b64encode(values.pure_json.encode()).decode()}}


def daemon(values: Values, namespace: str) -> Raw:
    """The DaemonSet that puts the driver on the nodes."""
    [found] = _manifests(DAEMON, namespace)
    _workload(found, values, values.daemon, values.daemon_settings)
    _pod(found)["serviceAccountName"] = values.service_account
    if values.debug:
        _container(found)["command"].insert(2, "--debug")
    for volume in _pod(found)["volumes"]:
        if volume["name"] == "kubelet-plugins":
            volume["hostPath"]["path"] = values.flex_path
    return found


def provisioner(values: Values, namespace: str) -> Raw:
    """The Deployment that serves claims."""
    [found] = _manifests(PROVISIONER, namespace)
    _workload(found, values, values.provisioner, values.provisioner_settings)
    _pod(found)["serviceAccountName"] = values.service_account
    if values.debug:
        _container(found)["command"].append("--debug")
    return found


def explorer(values: Values, namespace: str) -> list[Raw]:
    """The explorer with an account, rights and a Service of its own; nothing when it is not wanted."""
    if values.explorer is None:
        return []
    *others, found = _manifests(EXPLORER, namespace)
    _workload(found, values, values.explorer, values.provisioner_settings)
    return [*others, found]


def classes(values: Values) -> list[Raw]:
    """pure, pure-block and pure-file; values change only the first."""
    found = _manifests(CLASSES)
    for one in found:
        if one["metadata"]["name"] == "pure":
            one["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] = str(values.default_class).lower()
            one["parameters"]["backend"] = values.backend
    return found


def _manifests(name: str, namespace: str = "") -> list[Raw]:
    found: list[Raw] = read_all((MANIFESTS / name).read_text())
    for one in found:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = namespace
        for subject in one.get("subjects", ()):
            subject["namespace"] = namespace
    return found


def _workload(workload: Raw, values: Values, placement: Placement, settings: Mapping[str, str]) -> None:
    """What the workloads have in common."""
    workload["metadata"]["labels"][ORCHESTRATOR] = values.orchestrator
    pod, container = _pod(workload), _container(workload)
    container.update(image=values.image, imagePullPolicy=values.pull_policy)
    for entry in container["env"]:
        if entry["name"] in settings:
            entry["value"] = settings[entry["name"]]
    if placement.node_selector:
        pod["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        pod["tolerations"] = placement.tolerations
    if placement.affinity:
        pod["affinity"] = dict(placement.affinity)


def _pod(workload: Raw) -> Raw:
    found: Raw = workload["spec"]["template"]["spec"]
    return found


def _container(workload: Raw) -> Raw:
    found: Raw = _pod(workload)["containers"][0]
    return found
