"""The scheduler's choice of a node for a claim that waits for its first consumer: looked at, and given back if need be."""

import logging
from collections.abc import Mapping

from arrays.errors import PureError, Unreachable
from provisioner.claims import Claim
from provisioner.kube import Kube, in_namespace
from provisioner.nodes import Node, NodeGone, Nodes
from provisioner.objects import ClassRecord
from provisioner.wellknown import SELECTED_NODE, SELECTED_NODE_ALPHA

log = logging.getLogger(__name__)


class Chosen:
    """Nodes chosen for claims; `classes` by name."""

    def __init__(self, kube: Kube, classes: Mapping[str, ClassRecord], nodes: Nodes) -> None:
        self._kube, self._classes, self._nodes = kube, classes, nodes

    def node(self, claim: Claim) -> Node | None:
        """What is known of the claim's node; None for nothing, or when nobody chose one. NodeGone, given back already.

        Unreachable where labels of nodes bind and the node cannot be looked at now.
        """
        storage_class = self._classes.get(claim.volume_class.name)
        if not claim.node or storage_class is None or not storage_class.waits:
            return None
        try:
            return self._nodes.look(claim.node)
        except NodeGone:
            self.give_back(claim)
            raise
        except Unreachable as error:
            if self._nodes.keys:
                raise                   # the volume might go where the node never reaches it
            log.debug("claim=%s node=%s is not looked at: %s", claim.key, claim.node, error)
            return None

    def give_back(self, claim: Claim) -> None:
        """Have the scheduler choose another node: the claim without its choice. Only while nothing was begun for it."""
        path = in_namespace(claim.namespace, "persistentvolumeclaims", claim.name)
        try:
            raw = self._kube.get(path)
            if raw["metadata"]["uid"] != claim.uid:
                return
            for choice in (SELECTED_NODE, SELECTED_NODE_ALPHA):
                (raw["metadata"].get("annotations") or {}).pop(choice, None)
            self._kube.replace(path, raw)
        except PureError as error:
            log.info("claim=%s keeps node=%s for now: %s", claim.key, claim.node, error)
