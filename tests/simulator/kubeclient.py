"""A bare client for the stand-in API server and manifests to send, shared by its tests."""
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any, Self

from simulator.kubernetes import KubeApi
from simulator.kubernetes.access import User

PVS = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Client:
    """One user's keep-alive connections; answers are (status, parsed JSON)."""

    def __init__(self, api: KubeApi, user: User | None = None, timeout: float = 10.0) -> None:
        self._port = api.port
        self._context = ssl.create_default_context(cafile=api.ca)
        self._timeout = timeout
        self._token = user.token if user else api.token
        self._connection = self._connect()
        self.headers: dict[str, str] = {}            # of the last answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        """One request; ConnectionError when the server drops it."""
        text = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, text, self._headers(kind))
            answer = self._connection.getresponse()
            self.headers = {name.lower(): value for name, value in answer.getheaders()}
            content = answer.read()
        except http.client.HTTPException as error:
            self._connection = self._connect()
            raise ConnectionError(str(error)) from error
        except OSError:
            self._connection = self._connect()
            raise
        return answer.status, json.loads(content) if content[:1] in b"{[" else content.decode()

    def lines(self, path: str, timeout: float = 10.0) -> Iterator[bytes]:
        """The lines of a watch as they come, on a connection of their own; ends when the stream does."""
        connection = self._connect()
        connection.timeout = timeout
        try:
            connection.request("GET", path, None, self._headers(""))
            answer = connection.getresponse()
            while line := answer.readline():
                yield line
        finally:
            connection.close()

    def events(self, path: str, timeout: float = 10.0) -> Iterator[dict[str, Any]]:
        """The lines of a watch, parsed."""
        for line in self.lines(path, timeout):
            yield json.loads(line)

    def _headers(self, kind: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", **({"Content-Type": kind} if kind else {})}

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=self._timeout)


def pv(name: str, **spec: Any) -> dict[str, Any]:
    """A flexVolume PV; keyword arguments replace fields of its spec."""
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                     "flexVolume": {"driver": "pure/flex", "options": {"backend": "block"}}, **spec}}


def claim(name: str, size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    """A claim of class pure; keyword arguments replace fields of its spec."""
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "pure",
                     "resources": {"requests": {"storage": size}}, **spec}}


def storage_class(name: str = "pure", provisioner: str = "pure-provisioner", **more: Any) -> dict[str, Any]:
    """A class; keyword arguments are further fields."""
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": provisioner, "parameters": {"backend": "block"}, **more}


def provisioned(of: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """The PV a provisioner makes for claim `of`."""
    metadata = of["metadata"]
    claim_ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"],
                 "name": metadata["name"], "uid": metadata["uid"]}
    made = pv(f"pvc-{metadata['uid']}", **{
        "persistentVolumeReclaimPolicy": "Delete", "accessModes": of["spec"]["accessModes"],
        "capacity": of["spec"]["resources"]["requests"], "claimRef": claim_ref, **spec})
    made["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "pure-provisioner"}
    made["metadata"]["finalizers"] = ["external-provisioner.volume.kubernetes.io/finalizer"]
    return made
