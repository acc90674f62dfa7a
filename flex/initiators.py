"""This node as its arrays know it: a host object found by initiator, made from the node's name when there is none.

An administrator may have made the host, under any name: the initiator decides, and a name is only needed once.
"""

from arrays import names
from flex.node import fc, iscsi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Host
    from flex.machine import Node


def of_node(node: "Node") -> list[str]:
    """The IQN of this node, or the WWPNs of its adapters, as PURE_FLASHARRAY_SAN_TYPE says; NodeLacks without any."""
    return fc.initiators(node.paths) if node.settings.san_type == "FC" else [iscsi.initiator(node.paths)]


def ensure_host(array: "FlashArray", node: "Node") -> "Host":
    """This node's host on an array; made, with its initiators, when there is none."""
    known = of_node(node)
    chosen = {"wwns": known} if node.settings.san_type == "FC" else {"iqns": known}
    return array.ensure_host(names.host_name(node.name), **chosen)


def strangers(host: "Host", node: "Node") -> list[str]:
    """Initiators of a host object, of the kind this node has, that are not this node's: other machines' perhaps."""
    if node.settings.san_type == "FC":
        mine = fc.known(node.paths)
        return [one for one in host.wwns if fc.wwpn(one) not in mine]
    mine = [one.lower() for one in of_node(node)]
    return [one for one in host.iqns if one.lower() not in mine]
