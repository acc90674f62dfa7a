"""What the programs of this package begin with: the way to the API."""

from provisioner.kube import Access, from_kubeconfig, in_cluster
from provisioner.settings import Settings


def access(settings: Settings) -> Access:
    """KUBECONFIG if it is set, else the pod's service account, else kubectl's default file."""
    if settings.kubeconfig:
        return from_kubeconfig(settings.kubeconfig)
    if settings.api_host:
        return in_cluster(settings.api_host, settings.api_port, settings.account)
    return from_kubeconfig("~/.kube/config")
