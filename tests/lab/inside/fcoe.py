"""Fibre Channel without hardware: FCoE in VN2VN mode, which needs no switch and no FIP forwarder (node-attach.md 1.4).

The kernel makes real fc_host and fc_remote_ports entries of it; the WWPN of a card is 2000 and its MAC address.
"""

import glob
import os
import subprocess

from tests.lab.inside import lio
from tests.lab.inside.network import CARDS

FC = "/sys/kernel/config/target/fc"


def up(networks: list[str]) -> None:
    """Make an FC adapter of each network's card."""
    subprocess.run(["modprobe", "fcoe"], check=True)
    for network in networks:
        card = CARDS[network]
        if any(_card(path) == card for path in glob.glob("/sys/bus/fcoe/devices/ctlr_*")):
            continue
        before = set(glob.glob("/sys/bus/fcoe/devices/ctlr_*"))
        lio.put("/sys/bus/fcoe/ctlr_create", card)
        made, = set(glob.glob("/sys/bus/fcoe/devices/ctlr_*")) - before
        lio.put(f"{made}/mode", "vn2vn")
        lio.put(f"{made}/enabled", "1")


def target(wwpn: str) -> lio.Group:
    """The target on one of this machine's own ports ("20:00:52:54:00:00:01:00")."""
    subprocess.run(["modprobe", "tcm_fc"], check=True)
    os.makedirs(FC, exist_ok=True)
    group = lio.Group(f"{FC}/{wwpn}/tpgt_1")
    group.make()
    return group


def hosts() -> list[dict]:
    """The node's FC adapters and the ports that each sees as a target."""
    found = []
    for path in glob.glob("/sys/class/fc_host/host*"):
        host = os.path.basename(path).removeprefix("host")
        ports = [_read(port, "port_state") for port in glob.glob(f"/sys/class/fc_remote_ports/rport-{host}:*")
                 if "Target" in _read(port, "roles")]
        found.append({"name": _read(path, "port_name"), "state": _read(path, "port_state"), "targets": ports})
    return found


def _card(controller: str) -> str:
    return os.path.realpath(controller).split("/")[-2]


def _read(directory: str, name: str) -> str:
    with open(f"{directory}/{name}") as file:
        return file.read().strip()
