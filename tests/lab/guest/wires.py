"""Networks among guests without bridge, tap device or root: Unix sockets between QEMU processes.

One guest (the arrays') holds a hub per network, with a port for its own card and one for each other guest's socket; a
cable is pulled on either end with `Guest.cable(card, False)`. The spokes listen and must be started first: QEMU 7.2 makes
only the connecting end of a stream non-blocking, and a hub that blocks on one frozen guest is dead for all.
"""

from collections.abc import Sequence
from pathlib import Path

NETWORKS = ("mgmt", "a", "b")                # eth0, eth1, eth2 in every guest


def mac(guest: int, network: str) -> str:
    """Fixed addresses: the WWPN of FCoE is 2000 and this."""
    return f"52:54:00:00:{NETWORKS.index(network):02x}:{guest:02x}"


def hub_side(directory: Path, guests: Sequence[str], number: int = 0) -> list[str]:
    """QEMU arguments of the guest with the hubs; `guests` are the names of the others."""
    argv: list[str] = []
    for hub, network in enumerate(NETWORKS, 1):
        argv += ["-netdev", f"hubport,id={network}.own,hubid={hub}"]
        argv += _card(network, f"{network}.own", number)
        for guest in guests:
            socket = f"{network}.{guest}"
            argv += ["-netdev", f"stream,id={socket},server=off,addr.type=unix,addr.path={directory}/{socket}.net",
                     "-netdev", f"hubport,id={socket}.port,hubid={hub},netdev={socket}"]
    return argv


def spoke_side(directory: Path, guest: str, number: int) -> list[str]:
    """QEMU arguments of a guest whose cables end in the first guest's hubs."""
    argv: list[str] = []
    for network in NETWORKS:
        path = directory / f"{network}.{guest}.net"
        argv += ["-netdev", f"stream,id={network}.own,server=on,addr.type=unix,addr.path={path}"]
        argv += _card(network, f"{network}.own", number)
    return argv


def _card(network: str, netdev: str, number: int) -> list[str]:
    return ["-device", f"virtio-net-pci,id={network},netdev={netdev},mac={mac(number, network)}"]
