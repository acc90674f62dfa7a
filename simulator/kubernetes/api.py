"""KubeApi: a stand-in Kubernetes API server for tests, benches and the demo, over real HTTPS.

What it does like the real one: RBAC, lists in pages and from a snapshot, watches with revisions, bookmarks and 410, the
writes with their preconditions, finalizers, status subresources, immutable fields, the refusals a provisioner can meet.

What it does not do: schedule, run controllers (the PV controller is binder.py's), server-side apply, protobuf, tables,
OpenAPI, aggregation, admission webhooks, quotas, owner garbage collection, priority and fairness (429 comes by a fault
only), canonical quantities ("1024Mi" stays "1024Mi"), old revisions (resourceVersionMatch=Exact of the past is 410).
Unknown fields of known kinds are kept, those a played older version lacks are dropped.
"""
import asyncio
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from simulator.certificates import Authority
from simulator.kubernetes.access import ADMIN, Accounts, Rule, User
from simulator.kubernetes.faults import Faults
from simulator.kubernetes.lists import Lists
from simulator.kubernetes.registry import Registry
from simulator.kubernetes.resources import BY_KIND, BY_PLURAL, Resource
from simulator.kubernetes.server import Asked, Server
from simulator.kubernetes.status import ApiError
from simulator.kubernetes.store import Event, Store
from simulator.kubernetes.version import Version
from simulator.kubernetes.watches import Watches

T = TypeVar("T")


class KubeApi:
    """Runs from `with` to its end in one background thread; all methods may be called from any thread.

        with KubeApi(tmp_path) as api:
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
            run_provisioner(KUBECONFIG=api.kubeconfig())
    """

    def __init__(self, directory: Path | str | None = None, *, version: str = "1.34", latency: float = 0.0,
                 bookmark_interval: float = 60.0, token_life: float = 300.0, remembered: int = 20_000,
                 managed_fields: bool = False, gone_as_status: bool = False) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="kube-") if directory is None else None
        self.directory = Path(self._own.name if self._own else str(directory))
        self.version = Version.parse(version)
        self.store = Store(remembered)
        self.registry = Registry(self.store, self.version, managed_fields=managed_fields)
        self.accounts = Accounts()
        self.faults = Faults()
        self._lists = Lists(self.store, self.version, token_life)
        self._watches = Watches(self.store, self.version, bookmark_interval)
        self._watches.gone_as_status = gone_as_status
        self._server = Server(self.registry, self.accounts, self.faults, self._lists, self._watches, self.version)
        self._server.latency = latency
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kube-api", daemon=True)
        self._runner: web.ServerRunner | None = None
        self.port = 0
        for name in ("default", "kube-system", "kube-public"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        context = Authority(Path(self.ca), "stand-in cluster").server_context("kubernetes.default.svc")
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(context), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stopping.set()
        self.faults.clear()
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        if self._own:
            self._own.cleanup()

    # --- where it is and who may come in

    @property
    def url(self) -> str:
        """Base address, https."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> str:
        """Path of the CA certificate clients verify with."""
        return str(self.directory / "ca.crt")

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return self.accounts.admin.token

    def add_user(self, name: str, rules: Iterable[Rule] = ADMIN) -> User:
        """A user with a token of its own; access.py has rules: add_user("provisioner", published_chart("pure"))."""
        return self.accounts.add(name, rules)

    def kubeconfig(self, path: Path | str | None = None, user: User | None = None, namespace: str = "default") -> str:
        """Write a kubeconfig for `user` (the administrator by default) and return its path."""
        user = user or self.accounts.admin
        path = Path(path) if path else self.directory / f"kubeconfig-{user.name.replace(':', '-')}"
        path.write_text(json.dumps({   # JSON is YAML
            "apiVersion": "v1", "kind": "Config", "current-context": "stand-in",
            "clusters": [{"name": "stand-in", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
            "users": [{"name": user.name, "user": {"token": user.token}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": user.name,
                                                          "namespace": namespace}}]}))
        path.chmod(0o600)
        return str(path)

    def service_account(self, directory: Path | str, user: User, namespace: str) -> dict[str, str]:
        """Write token, ca.crt and namespace as kubelet mounts them into a pod; the environment that goes with it."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in (("token", user.token), ("ca.crt", Path(self.ca).read_text()), ("namespace", namespace)):
            (directory / name).write_text(text)
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.port)}

    # --- the objects, past HTTP and RBAC, not in the log

    def objects(self, resource: str, namespace: str = "") -> list[dict[str, Any]]:
        """Copies of all objects of a kind, by plural name."""
        return [stored.copy() for stored in self.store.list(BY_PLURAL[resource], namespace)]

    def count(self, resource: str) -> int:
        """How many there are."""
        return len(self.store.list(BY_PLURAL[resource]))

    def get(self, resource: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """A copy of one object, or None."""
        found = self.store.get(*_place(BY_PLURAL[resource], namespace, name))
        return found.copy() if found else None

    def create(self, manifest: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
        """Create what a manifest says; ApiError."""
        resource = _resource(manifest)
        namespace = manifest.get("metadata", {}).get("namespace") or namespace
        return self.registry.create(resource, namespace if resource.namespaced else "", _own_copy(manifest)).copy()

    def apply(self, manifest: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
        """Create, or lay over what is there, a little like kubectl apply."""
        resource = _resource(manifest)
        namespace = manifest["metadata"].get("namespace") or namespace
        if self.get(resource.plural, manifest["metadata"]["name"], namespace) is None:
            return self.create(manifest, namespace)
        return self.patch(resource.plural, manifest["metadata"]["name"], manifest, namespace)

    def patch(self, resource: str, name: str, patch: dict[str, Any], namespace: str = "default", *,
              status: bool = False) -> dict[str, Any]:
        """Merge `patch` into an object; status=True goes to the subresource."""
        place = _place(BY_PLURAL[resource], namespace, name)
        return self.registry.patch(place[0], *place[1], "application/merge-patch+json", _own_copy(patch),
                                   "status" if status else "").copy()

    def replace(self, content: dict[str, Any], *, status: bool = False) -> dict[str, Any]:
        """PUT; ApiError 409 when resourceVersion is not the current one."""
        resource, metadata = _resource(content), content["metadata"]
        return self.registry.replace(resource, metadata.get("namespace", ""), metadata["name"], _own_copy(content),
                                     "status" if status else "").copy()

    def delete(self, resource: str, name: str, namespace: str = "default", **options: Any) -> None:
        """DELETE; finalizers keep the object, ApiError 404 when there is none."""
        place = _place(BY_PLURAL[resource], namespace, name)
        self.registry.delete(place[0], *place[1], options)

    def events(self, name: str = "", reason: str = "") -> list[dict[str, Any]]:
        """Event objects, oldest first, about objects called `name`, with `reason`."""
        found = [event for event in self.objects("events") if name in ("", event["involvedObject"].get("name"))
                 and reason in ("", event.get("reason"))]
        return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def subscribe(self, resource: str, subscriber: Callable[[Event], None]) -> Callable[[], None]:
        """Call `subscriber` with each change from now on, store locked; returns how to stop that."""
        return self.store.subscribe(BY_PLURAL[resource], subscriber)

    def wait_for(self, look: Callable[[], T | None], what: str, timeout: float = 10.0) -> T:
        """Call `look` after each change until it returns something true; TimeoutError names `what`."""
        deadline = time.monotonic() + timeout
        while True:
            with self.store.changed:
                seen = self.store.revision
            if found := look():
                return found
            with self.store.changed:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{what}: not within {timeout:g} s")
                if self.store.revision == seen:
                    self.store.changed.wait(min(left, 0.5))   # `look` may also depend on something else

    # --- trouble and measuring

    @property
    def requests(self) -> list[Asked]:
        """All HTTP requests so far, oldest first."""
        return self._server.log

    def asked(self, verb: str = "", resource: str = "") -> list[Asked]:
        """The requests with this verb and resource."""
        return [one for one in tuple(self._server.log) if verb in ("", one.verb) and resource in ("", one.resource)]

    @property
    def latency(self) -> float:
        """Seconds each answer takes longer."""
        return self._server.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._server.latency = seconds

    def compact(self) -> None:
        """Forget old revisions and continue tokens: what is behind gets 410."""
        self.store.compact()
        self._lists.forget()

    def drop_watches(self) -> int:
        """Break off all open watch streams; how many."""
        async def drop() -> int:
            return self._watches.drop_all()
        return asyncio.run_coroutine_threadsafe(drop(), self._loop).result(10)

    async def _listen(self, context: ssl.SSLContext) -> None:
        self._runner = web.ServerRunner(web.Server(self._server.handle, access_log=None), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context, backlog=512)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        self._watches.drop_all()
        if self._runner:
            await self._runner.cleanup()


def _resource(manifest: dict[str, Any]) -> Resource:
    found = BY_KIND.get((manifest.get("apiVersion", ""), manifest.get("kind", "")))
    if found is None:
        raise ApiError(404, "NotFound", f"no matches for kind {manifest.get('kind')!r} in version "
                       f"{manifest.get('apiVersion')!r}")
    return found


def _place(resource: Resource, namespace: str, name: str) -> tuple[Resource, tuple[str, str]]:
    return resource, (namespace if resource.namespaced else "", name)


def _own_copy(content: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(content))
    return copied
