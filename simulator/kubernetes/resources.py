"""The kinds the stand-in API server serves, and from which Kubernetes minor version on.

Dates are those of provisioner.md 2.5: leases came with 1.14, apps/v1 with 1.9, everything else here is as old as 1.6.
"""
from typing import NamedTuple


class Resource(NamedTuple):
    """One kind: where its path begins, what it is called, and whether it lives in a namespace."""
    group: str                           # "" is the core group
    version: str
    plural: str
    kind: str
    namespaced: bool
    has_status: bool = False             # served as a subresource of its own
    since: int = 6                       # first minor version of Kubernetes 1.x with this group and version
    returns_object: bool = False         # DELETE answers with the object, not with a Status

    @property
    def api_version(self) -> str:
        """As objects carry it: "v1", "storage.k8s.io/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As error messages carry it: "persistentvolumes", "storageclasses.storage.k8s.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of the collection, or of one object."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{base}{inside}/{self.plural}" + (f"/{name}" if name else "")


ALL = (
    Resource("", "v1", "namespaces", "Namespace", False, has_status=True),
    Resource("", "v1", "nodes", "Node", False, has_status=True),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", False, has_status=True, returns_object=True),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, has_status=True, returns_object=True),
    Resource("", "v1", "pods", "Pod", True, has_status=True, returns_object=True),
    Resource("", "v1", "events", "Event", True),
    Resource("", "v1", "endpoints", "Endpoints", True),
    Resource("", "v1", "secrets", "Secret", True),
    Resource("", "v1", "configmaps", "ConfigMap", True),
    Resource("", "v1", "services", "Service", True),
    Resource("apps", "v1", "deployments", "Deployment", True, has_status=True, since=9),
    Resource("apps", "v1", "statefulsets", "StatefulSet", True, has_status=True, since=9),
    Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", True, since=14),
)

BY_PLURAL = {resource.plural: resource for resource in ALL}
BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in ALL}
BY_KIND = {(resource.api_version, resource.kind): resource for resource in ALL}
