"""The way to the stand-in API, for tests of what comes behind it: reading a kubeconfig takes longer than most of them."""

import ssl

from provisioner.kube import Access, Token
from simulator.kubernetes import KubeApi
from simulator.kubernetes.access import User


def access(api: KubeApi, user: User | None = None) -> Access:
    """What from_kubeconfig makes of the user's kubeconfig; the administrator's by default."""
    token = user.token if user else api.token
    return Access(api.url, ssl.create_default_context(cafile=api.ca), Token(lambda: token))
