"""A stand-in kubelet that executes the real driver (agent.py), and the rules by which kubelet reads its answers."""
from simulator.kubelet.agent import Kubelet
from simulator.kubelet.driver import CallOut, Driver, DriverFailed

__all__ = ["CallOut", "Driver", "DriverFailed", "Kubelet"]
