"""A stand-in Kubernetes: the API server (api.py) and the controllers around claims and PVs (binder.py)."""
from simulator.kubernetes.api import KubeApi

__all__ = ["KubeApi"]
