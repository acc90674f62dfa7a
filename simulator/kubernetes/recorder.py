"""Events as controllers and kubelet write them: one object per message, counted up when it repeats."""
import secrets
from typing import Any

from simulator.kubernetes.registry import Registry, now
from simulator.kubernetes.resources import BY_PLURAL
from simulator.kubernetes.status import ApiError


class Recorder:
    """Writes events of one component, past HTTP."""

    def __init__(self, registry: Registry, component: str, host: str = "") -> None:
        self._registry = registry
        self._source = {"component": component, **({"host": host} if host else {})}
        self._known: dict[tuple[str, str, str], str] = {}

    def record(self, about: dict[str, Any], kind: str, reason: str, message: str) -> None:
        """`kind` is Normal or Warning; an event that cannot be written is dropped, as everywhere."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        key = (metadata["uid"], reason, message)
        events = BY_PLURAL["events"]
        try:
            name = self._known.get(key)
            found = self._registry.store.get(events, (namespace, name)) if name else None
            if found:
                changed = {**found.object, "count": found.object["count"] + 1, "lastTimestamp": now()}
                self._registry.replace(events, namespace, found.key[1], changed)
                return
            name = self._known[key] = f"{metadata['name'][:200]}.{secrets.token_hex(8)}"
            involved = {"apiVersion": about.get("apiVersion", "v1"), "kind": about["kind"], "name": metadata["name"],
                        "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
                        **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {})}
            self._registry.create(events, namespace, {
                "metadata": {"name": name, "namespace": namespace}, "involvedObject": involved, "type": kind,
                "reason": reason, "message": message, "source": self._source, "count": 1,
                "firstTimestamp": now(), "lastTimestamp": now()})
        except ApiError:
            self._known.pop(key, None)
