"""Addresses of a guest and the cutting of its cables from within."""

import subprocess

CARDS = {"mgmt": "eth0", "a": "eth1", "b": "eth2"}
MTU = 2500                                   # room for a whole FCoE frame


def up(addresses: dict[str, list[str]], name: str) -> None:
    """Give each network's card its addresses ("192.0.2.10/25")."""
    subprocess.run(["hostname", name], check=True)
    with open("/etc/hosts", "w") as file:
        file.write(f"127.0.0.1 localhost {name}\n")
    lines = []
    for network, wanted in addresses.items():
        card = CARDS[network]
        lines += [f"link set {card} mtu {MTU} up", *(f"addr add {address} dev {card}" for address in wanted)]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def link(network: str, plugged: bool) -> None:
    subprocess.run(["ip", "link", "set", CARDS[network], "up" if plugged else "down"], check=True)
