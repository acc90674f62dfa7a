"""Objects that tests apply: claims, pods, Deployments, classes."""

from typing import Any

Object = dict[str, Any]
IMAGE = "busybox:1"
# Writes a numbered record each tenth of a second and says good-bye when it is told to end.
WRITER = ("trap 'echo end $(hostname) >> /data/journal; sync; exit 0' TERM; "
          "while :; do date +%s.%N >> /data/journal; sync /data/journal; sleep 0.1; done")
SLEEPER = "trap 'exit 0' TERM; sleep 100000 & wait"


def claim(name: str, namespace: str, size: str = "1Gi", storage_class: str | None = "pure-block", *,
          mode: str = "ReadWriteOnce", **more: Any) -> Object:
    """A PersistentVolumeClaim; storage_class None leaves the class to the default."""
    spec: Object = {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **more}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
            "spec": spec}


def storage_class(name: str, parameters: dict[str, str] | None = None, annotations: dict[str, str] | None = None,
                  **more: Any) -> Object:
    """A StorageClass of ours; `more` are its top-level fields."""
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "annotations": annotations or {}}, "provisioner": "pure-provisioner",
            "parameters": {"backend": "block", **(parameters or {})}, "allowVolumeExpansion": True, **more}


def pod(name: str, namespace: str, claims: list[str], script: str = SLEEPER, *, node: str = "", grace: int = 5,
        **more: Any) -> Object:
    """A pod with each claim mounted at /data, /data2, …"""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": pod_spec(claims, script, node=node, grace=grace, **more)}


def pod_spec(claims: list[str], script: str, *, node: str = "", grace: int = 5, **more: Any) -> Object:
    """What a pod and a Deployment's template have in common."""
    places = [f"/data{number or ''}" for number in (0, *range(2, len(claims) + 1))][:len(claims)]
    spec: Object = {
        "terminationGracePeriodSeconds": grace, "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script],
                        "volumeMounts": [{"name": name, "mountPath": place} for name, place in zip(claims, places)]}],
        "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims], **more}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return spec


def deployment(name: str, namespace: str, claims: list[str], script: str = WRITER, *, grace: int = 5) -> Object:
    """One replica that moves when its node goes."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(claims, script, grace=grace)}}}
