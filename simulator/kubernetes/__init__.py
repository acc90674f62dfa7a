"""A stand-in Kubernetes: the API server (api.py) and the controllers around claims and PVs (binder.py)."""
from simulator.kubernetes.api import KubeApi
from simulator.kubernetes.binder import Binder

__all__ = ["Binder", "KubeApi"]
