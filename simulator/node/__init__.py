"""A pretend node: kernel, iscsid, multipathd, udev and the tools to talk to them, below one directory."""

from simulator.node.node import PretendNode
from simulator.node.settings import Faults, Settings

__all__ = ["Faults", "PretendNode", "Settings"]
