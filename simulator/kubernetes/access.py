"""Who asks and what they may do: bearer tokens, users, RBAC rules.

A rule grants verbs on resources, everywhere or in one namespace, for all names or some. The published chart's role is
here (provisioner.md 2.4), because the provisioner must run with exactly that.
"""
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.kubernetes.resources import Resource
from simulator.kubernetes.status import ApiError, forbidden


@dataclass(frozen=True)
class Rule:
    """Verbs on resources of any group here; "*" is everything. `namespace` "" means in the whole cluster."""
    resources: frozenset[str]
    verbs: frozenset[str]
    namespace: str = ""
    names: frozenset[str] = frozenset()

    def allows(self, verb: str, resource: str, namespace: str, name: str) -> bool:
        """Whether this rule covers one request; `resource` is "pods" or "pods/status"."""
        return ((verb in self.verbs or "*" in self.verbs) and (resource in self.resources or "*" in self.resources)
                and (not self.namespace or self.namespace == namespace) and (not self.names or name in self.names))


def rule(resources: str, verbs: str, namespace: str = "", names: Iterable[str] = ()) -> Rule:
    """A rule from words: rule("persistentvolumes", "get list watch")."""
    return Rule(frozenset(resources.split()), frozenset(verbs.split()), namespace, frozenset(names))


ADMIN = (rule("*", "*"),)

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"      # anybody may ask about himself


def published_chart(namespace: str) -> tuple[Rule, ...]:
    """ClusterRole pure-provisioner-clusterrole and the Endpoints role of the published chart 2.5.2."""
    return (rule("persistentvolumes", "create delete get list watch update"),
            rule("persistentvolumeclaims", "get list update watch"),
            rule("storageclasses", "get list watch"),
            rule("events", "create patch update watch"),
            rule("endpoints", "get list watch create update patch delete", namespace))


def full(namespace: str) -> tuple[Rule, ...]:
    """The published role plus what newer manifests add (provisioner.md 2.4): patch on PVs, nodes to read, the lease."""
    return (*published_chart(namespace), rule("persistentvolumes", "patch"), rule("nodes", "get list watch"),
            rule("leases", "get create update patch", namespace))


@dataclass(frozen=True)
class User:
    """A name, as 403 messages show it, its token and what it may do."""
    name: str
    token: str = field(repr=False)
    rules: tuple[Rule, ...]

    def may(self, verb: str, resource: str, namespace: str, name: str) -> bool:
        """RBAC's answer."""
        return any(rule_.allows(verb, resource, namespace, name) for rule_ in self.rules)


def review(user: User, body: bytes) -> bytes:
    """The answer to a SelfSubjectAccessReview: may the caller do this?"""
    wanted = (json.loads(body).get("spec") or {}).get("resourceAttributes") or {}
    may = user.may(wanted.get("verb", ""), wanted.get("resource", ""), wanted.get("namespace", ""),
                   wanted.get("name", ""))
    return json.dumps({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
                       "spec": {"resourceAttributes": wanted}, "status": {"allowed": may}}).encode()


class Accounts:
    """All users by token."""

    def __init__(self) -> None:
        self._by_token: dict[str, User] = {}
        self.admin = self.add("system:admin", ADMIN)

    def add(self, name: str, rules: Iterable[Rule]) -> User:
        """A new user with a token of its own."""
        user = User(name, f"fake-token-{secrets.token_hex(12)}", tuple(rules))
        self._by_token[user.token] = user
        return user

    def rotate(self, user: User) -> User:
        """The same user with a new token; the old one gets 401 from now on."""
        self._by_token.pop(user.token, None)
        return self.add(user.name, user.rules)

    def change(self, user: User, rules: Iterable[Rule]) -> User:
        """The same user and token with other rights, from the next request on."""
        changed = User(user.name, user.token, tuple(rules))
        self._by_token[user.token] = changed
        return changed

    def authenticate(self, header: str) -> User:
        """The user of an Authorization header; 401."""
        user = self._by_token.get(header[7:]) if header.startswith("Bearer ") else None
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def authorize(self, user: User, verb: str, resource: Resource, namespace: str, name: str, sub: str) -> None:
        """403 when no rule allows the request."""
        wanted = f"{resource.plural}/{sub}" if sub else resource.plural
        if not user.may(verb, wanted, namespace, name):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise forbidden(resource, name, f'User "{user.name}" cannot {verb} resource "{wanted}" in API group '
                            f'"{resource.group}" {where}')
