"""What the published chart `pure-k8s-plugin` 2.5 renders, written down as data, with our image in it.

From the chart's templates: command lines, environment, rights and mounts are theirs. No `patch` on PVs, no leases, no
nodes; no hostPID, so the daemon cannot see the node's mounts; a preStop hook on every pod of the DaemonSet.
"""

from typing import Any

Object = dict[str, Any]
_ACCOUNT = "pure"
_CONFIG = {"name": "pure-config", "mountPath": "/etc/pure", "readOnly": True}


def manifests(namespace: str, image: str) -> list[Object]:
    """Service account, rights, DaemonSet, Deployment, classes; the Secret is the installation's own."""
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(_ACCOUNT, namespace)},
            *_rights(namespace), _daemon(namespace, image), _provisioner(namespace, image),
            *[_storage_class(name, backend) for name, backend in (("pure", "block"), ("pure-block", "block"),
                                                                  ("pure-file", "file"))]]


def _named(name: str, namespace: str = "") -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {}),
            "labels": {"kubernetes.io/cluster-service": "true", "generator": "helm"}}


def _rights(namespace: str) -> list[Object]:
    group = "rbac.authorization.k8s.io"
    subject = [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": namespace}]

    def rule(group_name: str, resource: str, *verbs: str) -> Object:
        return {"apiGroups": [group_name], "resources": [resource], "verbs": list(verbs)}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": _named("pure-provisioner-clusterrole"), "rules": [
            rule("", "persistentvolumes", "create", "delete", "get", "list", "watch", "update"),
            rule("", "persistentvolumeclaims", "get", "list", "update", "watch"),
            rule("storage.k8s.io", "storageclasses", "get", "list", "watch"),
            rule("", "events", "create", "patch", "update", "watch")]},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": _named("pure-provisioner-rights"),
         "subjects": subject, "roleRef": {"kind": "ClusterRole", "name": "pure-provisioner-clusterrole", "apiGroup": group}},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": _named("pure-provisioner-role", namespace),
         "rules": [rule("", "endpoints", "*")]},
        {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": _named("pure-provisioner-role-rights", namespace),
         "subjects": subject, "roleRef": {"kind": "Role", "name": "pure-provisioner-role", "apiGroup": group}}]


def _daemon(namespace: str, image: str) -> Object:
    settings = {"PURE_DISCOVERY_CONF": "/etc/pure/pure.json", "PURE_FLASHARRAY_SAN_TYPE": "ISCSI",
                "PURE_K8S_NAMESPACE": "k8s", "PURE_DEFAULT_BLOCK_FS_TYPE": "xfs", "PURE_DEFAULT_BLOCK_FS_OPT": "-q",
                "PURE_DEFAULT_BLOCK_MNT_OPT": "", "PURE_PREEMPT_RWO_ATTACHMENTS_DEFAULT": "true",
                "PURE_ISCSI_ALLOWED_CIDRS": "", "PURE_ISCSI_LOGIN_TIMEOUT": "20sec"}
    container = {
        "name": "pure-flex", "image": image, "imagePullPolicy": "IfNotPresent",
        "command": ["/pure-flex-daemon", "--kubeletBaseDir=/kubelet-plugins", "--daemon", "install"],
        "lifecycle": {"preStop": {"exec": {"command": ["/uninstaller"]}}},
        "env": [{"name": name, "value": value} for name, value in settings.items()],
        "volumeMounts": [{"name": "kubelet-plugins", "mountPath": "/kubelet-plugins"}, _CONFIG]}
    plugins = {"name": "kubelet-plugins", "hostPath": {"path": "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": _named("pure-flex", namespace),
            "spec": {**_selected("pure-flex"), "updateStrategy": {"type": "RollingUpdate"},
                     "template": _template("pure-flex", container, [plugins])}}


def _provisioner(namespace: str, image: str) -> Object:
    settings = {"PURE_DISCOVERY_CONF": "/etc/pure/pure.json", "PURE_K8S_NAMESPACE": "k8s",
                "PURE_DEFAULT_BLOCK_FS_TYPE": "xfs", "PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT": "false"}
    container = {
        "name": "pure-provisioner", "image": image, "imagePullPolicy": "IfNotPresent",
        "command": ["/k8s-provisioner", "-logtostderr=true", "-log_file_max_size=32", "-stderrthreshold=2"],
        "env": [{"name": name, "value": value} for name, value in settings.items()], "volumeMounts": [_CONFIG]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _named("pure-provisioner", namespace),
            "spec": {"replicas": 1, **_selected("pure-provisioner"), "strategy": {"type": "Recreate"},
                     "template": _template("pure-provisioner", container, [])}}


def _selected(app: str) -> Object:
    return {"selector": {"matchLabels": {"app": app}}}


def _template(app: str, container: Object, volumes: list[Object]) -> Object:
    config = {"name": "pure-config", "secret": {"secretName": "pure-provisioner-secret"}}
    return {"metadata": {"labels": {"app": app}}, "spec": {
        "serviceAccountName": _ACCOUNT, "containers": [container], "volumes": [config, *volumes]}}


def _storage_class(name: str, backend: str) -> Object:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": _named(name),
            "provisioner": "pure-provisioner", "parameters": {"backend": backend}}
