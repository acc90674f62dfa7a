"""What our role allows, as the server itself tells (SelfSubjectAccessReview, from 1.6 on): nothing refused is tried.

A refused request is a line in the cluster's audit log, and for some owners an alarm. Where the server does not tell,
trying does.
"""

from arrays.errors import PureError
from provisioner.kube import Kube

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Rights:
    """Asks once for each right that we have; one that we lack may be given later, so it is asked for again."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._given: set[tuple[str, ...]] = set()

    def lacking(self, verbs: tuple[str, ...], resource: str, *, group: str = "", namespace: str = "", name: str = "",
                timeout: float | None = None) -> str:
        """The first of `verbs` that our role does not have on a resource; "" when it has all, or nobody can tell.

        `name`: of the one object it is about; a role may give rights on that one alone.
        """
        return next((verb for verb in verbs if not self._has((verb, resource, group, namespace, name), timeout)), "")

    def _has(self, right: tuple[str, ...], timeout: float | None) -> bool:
        if right in self._given:
            return True
        asked = dict(zip(("verb", "resource", "group", "namespace", "name"), right))
        try:
            answer = self._kube.create(REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                                                 "spec": {"resourceAttributes": asked}}, timeout)
        except PureError:
            return True
        if (answer.get("status") or {}).get("allowed") is False:
            return False
        self._given.add(right)
        return True
