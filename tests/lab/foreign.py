"""Somebody else's LUNs on each node, of the same vendor: mounted, under LVM, partitioned, and merely there.

The driver must leave them alone, not even find them anew, whatever it does to its own (design.md 3.5 rule 2).
"""

from tests.lab.arrays import GiB, Arrays
from tests.lab.lab import OTHERS_PORTALS
from tests.lab.node import Node

BARE = "tests.lab.inside.bare"
DIRECTORY = "/foreign"
USES = ("mounted", "lvm", "partitioned", "idle")


def make(arrays: Arrays, node: Node) -> None:
    """Connect the four LUNs to the node on the array that is not in its pure.json."""
    arrays.foreign.ask("add_host", node.name, iqns=[node.iqn])
    for use in USES:
        volume = arrays.foreign.new_volume(GiB, name=f"{node.name}-{use}")
        arrays.foreign.ask("connect", node.name, volume.name)


def learn(arrays: Arrays, node: Node) -> None:
    """Tell the node by which words these are known, so that its view leaves them out."""
    serials = [arrays.foreign.ask("volume", f"k8s-{node.name}-{use}")["serial"].lower() for use in USES]
    node.foreign = [arrays.foreign.iqn, DIRECTORY, "LVM-", *serials]


def attach(arrays: Arrays, node: Node, fresh: bool) -> None:
    """Log in and use them, as the node's owner does after each boot; `fresh`: for the first time."""
    node.guest.call(f"{BARE}:login", arrays.foreign.iqn, list(OTHERS_PORTALS))
    for use in USES:
        name = f"k8s-{node.name}-{use}"
        lun = arrays.foreign.ask("connections", name)[node.name]
        wwid = f"3624a9370{arrays.foreign.ask('volume', name)['serial'].lower()}"
        device = "/dev/" + node.guest.call(f"{BARE}:attach", arrays.foreign.iqn, lun, wwid)
        if fresh and (script := _FRESH.get(use)):
            node.sh(script.format(device=device))
        if script := _EACH_BOOT.get(use):
            node.sh(script.format(device=device, directory=DIRECTORY))


_FRESH = {
    "mounted": "mkfs.ext4 -q -E nodiscard {device}",
    "lvm": "pvcreate -q {device} >/dev/null; vgcreate -q foreign {device} >/dev/null; "
           "lvcreate -q -n data -L 64M foreign >/dev/null",
    # udev runs kpartx too, at the same time; one of the two finds the device busy
    "partitioned": "echo ',100M,L' | sfdisk -q {device}; until kpartx -a {device}; do sleep 0.2; done; udevadm settle",
}
_EACH_BOOT = {
    "mounted": "mkdir -p {directory}; mount {device} {directory}; echo hello > {directory}/hello; sync",
    "lvm": "vgchange -q -ay foreign >/dev/null",
}
