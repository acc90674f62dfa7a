"""What a caller may see: asked of the API server with the caller's own token, never decided here.

One question a kind and namespace (SelfSubjectAccessReview, which everybody may ask about himself); answers are kept for
`KEPT` seconds under a hash of the token. The token itself is kept nowhere beyond the request.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from arrays.errors import PureError, Unreachable
from provisioner.kube import Access, Kube
from provisioner.rights import REVIEWS

KEPT = 30.0                 # seconds; a right taken away is gone from the pages after that
_REMEMBERED = 10_000        # answers; about 2 MB


class NotLetIn(PureError):
    """The API server does not know the caller."""

    def __str__(self) -> str:
        return "the API server does not accept this token"


class Rights(NamedTuple):
    """`everything`: may list claims and PVs of the whole cluster. Else `may(kind, namespace)` is asked as needed."""

    everything: bool
    may: Callable[[str, str], bool]

    def namespaces(self, known: Iterable[str]) -> set[str]:
        """Those of the namespaces whose claims the caller may list."""
        return set(known) if self.everything else {one for one in known if self.may("persistentvolumeclaims", one)}


class Reviewer:
    """Asks for many callers; safe for threads."""

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access, self._clock = access, clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[bytes, str, str], tuple[float, bool]] = OrderedDict()

    def rights(self, token: str) -> Rights:
        """The rights of who has `token`; NotLetIn, or Unreachable."""
        who = hashlib.blake2b(token.encode(), digest_size=16).digest()
        kube = Kube(self._access._replace(token=lambda fresh: token), agent="pure-explorer")

        def may(kind: str, namespace: str) -> bool:
            return self._known(who, kind, namespace, kube)
        return Rights(may("persistentvolumeclaims", "") and may("persistentvolumes", ""), may)

    def _known(self, who: bytes, kind: str, namespace: str, kube: Kube) -> bool:
        key, now = (who, kind, namespace), self._clock()
        with self._lock:
            at, allowed = self._answers.get(key, (float("-inf"), False))
        if now - at < KEPT:
            return allowed
        allowed = _ask(kube, kind, namespace)
        with self._lock:
            self._answers[key] = now, allowed
            self._answers.move_to_end(key)
            while len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        return allowed


def _ask(kube: Kube, kind: str, namespace: str) -> bool:
    wanted = {"verb": "list", "resource": kind, "group": "", **({"namespace": namespace} if namespace else {})}
    try:
        answer = kube.create(REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                                       "spec": {"resourceAttributes": wanted}})
    except Unreachable as error:
        if "HTTP 401" in str(error):
            raise NotLetIn from None
        raise
    return bool((answer.get("status") or {}).get("allowed"))


def local(namespace: str) -> Rights:
    """Of the person who started `pure explore`: the account that reads is his own, so all that was read is his."""
    return Rights(not namespace, lambda kind, wanted: True)
