"""The API server's side of the pages: claims, PVs, pods, events, classes, watched and kept small.

Read with the explorer's own account, so that many lookers cost the server nothing; what a looker may see is rights.py's.
Memory: a few hundred bytes a claim, PV, event, and pod with claims; 2,000 claims with all theirs take about 4 MB.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from arrays.errors import ConfigError, PureError
from explorer.records import ClaimSeen, EventSeen, PodSeen, PvSeen, claim_seen, event_seen, pod_seen, pv_seen
from provisioner.apierrors import Forbidden
from provisioner.informer import Informer, Timing
from provisioner.kube import CLASSES, PVS, Kube, in_namespace
from provisioner.objects import ClassRecord, Raw, class_record

log = logging.getLogger(__name__)

_REMEMBERED = 10_000        # volumes that were let go last; about 2 MB


class Seen(NamedTuple):
    """Everything the API server told, as of now. The mappings live on: copy before iterating."""

    claims: Mapping[str, ClaimSeen]         # by UID
    pvs: Mapping[str, PvSeen]               # by name
    pods: Mapping[str, PodSeen]             # by "ns/name"
    events: Mapping[str, EventSeen]         # by "ns/name" of the event
    classes: Mapping[str, ClassRecord]      # by name


class Cluster:
    """Watches one namespace, or all of them for "". `start`, then `wait`; ends with the process, or by `stop`."""

    def __init__(self, kube: Kube, prefix: str, provisioners: frozenset[str], namespace: str = "") -> None:
        def inside(plural: str) -> str:
            return in_namespace(namespace, plural) if namespace else f"/api/v1/{plural}"

        self.namespace = namespace
        self.missing: dict[str, str] = {}               # kind -> why it cannot be listed
        self.released: dict[str, float] = {}            # volume (base name) -> time.time() when its PV or claim went
        self.changes = 0                                # grows with every change; a page's version
        self._kube = kube
        self._prefix = prefix
        self._lock = threading.Lock()
        self._informers: dict[str, Informer[Any]] = {name: self._informer(path, parse, key) for name, path, parse, key in (
            ("claims", inside("persistentvolumeclaims"), partial(claim_seen, provisioners), _uid),
            ("pvs", PVS, partial(pv_seen, prefix), _key),
            ("pods", inside("pods"), pod_seen, _key),
            ("events", inside("events"), event_seen, _key),
            ("classes", CLASSES, class_record, _key))}

    def _informer(self, path: str, parse: Callable[[Raw], Any], key: Callable[[Raw], str]) -> Informer[Any]:
        return Informer(self._kube, path, parse, key, self._changed, Timing())

    def _changed(self, old: object, new: object) -> None:
        if new is None:
            self._release(old)
        self.changes += 1

    def _release(self, gone: object) -> None:
        """Note since when nobody stands for a volume; an array's answer from before that may still show it."""
        volumes = (gone.held if isinstance(gone, PvSeen) else
                   [f"{self._prefix}-pvc-{gone.uid}"] if isinstance(gone, ClaimSeen) else ())
        with self._lock:
            for volume in volumes:
                self.released.pop(volume, None)
                self.released[volume] = time.time()         # the newest last
            while len(self.released) > _REMEMBERED:
                del self.released[next(iter(self.released))]

    @property
    def seen(self) -> Seen:
        return Seen(**{name: informer.cache for name, informer in self._informers.items()})

    def start(self) -> None:
        """Begin to watch what may be listed. ConfigError when claims may not, for without them there is no page."""
        for name, informer in self._informers.items():
            try:
                self._kube.list_page(informer.path, 1)
            except Forbidden as error:
                self._leave_out(name, error)
                continue
            except PureError as error:              # it may come later: the informer goes on asking
                log.warning("%s", error)
            threading.Thread(target=informer.run, name=f"watch {name}", daemon=True).start()

    def _leave_out(self, name: str, error: Forbidden) -> None:
        if name == "claims":
            hint = "" if self.namespace else ": name one namespace with -n, or use an account that may list all"
            raise ConfigError(f"{error}{hint}")
        self.missing[name] = str(error)
        log.warning("%s are left out: %s", name, error)

    def wait(self, seconds: float) -> bool:
        """Until all that may be listed was listed once; whether it was."""
        deadline = time.monotonic() + seconds
        return all(informer.synced.wait(max(0.0, deadline - time.monotonic()))
                   for name, informer in self._informers.items() if name not in self.missing)

    def complaints(self) -> list[str]:
        """What the pages cannot show, and why."""
        late = [f"{name} are not listed yet" for name, informer in self._informers.items()
                if name not in self.missing and not informer.synced.is_set()]
        return [*late, *(f"{name} are left out: {why}" for name, why in self.missing.items())]

    def stop(self) -> None:
        for informer in self._informers.values():
            informer.stop()


def _uid(raw: Raw) -> str:
    return str(raw["metadata"]["uid"])


def _key(raw: Raw) -> str:
    """Name, or "ns/name" of what lives in a namespace."""
    metadata = raw["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])
