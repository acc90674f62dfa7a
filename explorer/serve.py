"""From settings to a served page: who reads the API, who may look, where it listens."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple

import waitress

from arrays import fleet
from arrays.errors import ConfigError
from explorer import callers, rights
from explorer.cluster import Cluster
from explorer.fleet import FleetWatch
from explorer.pages import app
from explorer.view import View
from provisioner import settings as settings_module
from provisioner.kube import Access, Kube, in_cluster
from provisioner.settings import Settings
from provisioner.start import access

log = logging.getLogger(__name__)

FIRST_LOOK = 20.0           # seconds the first lists may take before pages are served without them
_THREADS = 8


class Way(NamedTuple):
    """How it is reached. `shared`: others look too, each with a token of his own; else only the person who started it."""

    host: str
    port: int
    shared: bool
    namespace: str = ""     # the only one that is watched, "" for all


class Explorer:
    """Everything that runs: `start`, then `application` is the WSGI application; `stop`."""

    def __init__(self, settings: Settings, way: Way) -> None:
        door = _account(settings) if way.shared else access(settings)
        self._cluster = Cluster(Kube(door, agent="pure-explorer"), settings.prefix, settings.provisioners, way.namespace)
        self._fleet = FleetWatch(lambda: fleet.load(settings.pure_json, settings_module.environment()), settings.prefix,
                                 settings.measure_every)
        self.view = View(self._cluster, self._fleet, settings)
        who = (callers.by_token(rights.Reviewer(door)) if way.shared
               else callers.at_this_machine(rights.local(way.namespace)))
        self.application = app(self.view, who, () if way.shared else callers.LOCAL_HOSTS)

    def start(self) -> None:
        """Begin to look at API server and arrays. ConfigError when claims may not be listed."""
        self._fleet.start()
        self._cluster.start()
        if not self._cluster.wait(FIRST_LOOK):
            log.warning("%s", "; ".join(self._cluster.complaints()))

    def stop(self) -> None:
        self._cluster.stop()
        self._fleet.stop()


def _account(settings: Settings) -> Access:
    """The pod's account. Never a kubeconfig: its client certificate would answer for every caller."""
    if not settings.api_host:
        raise ConfigError("--shared is for a pod with a service account: leave it out to look with your own KUBECONFIG")
    return in_cluster(settings.api_host, settings.api_port, settings.account)


def listening(way: Way) -> socket.socket:
    """An open socket, or ConfigError when it cannot be had.

    For others by IPv6 and IPv4 where the machine has both: a cluster may know its pods by either.
    """
    try:
        if way.shared and socket.has_dualstack_ipv6():
            return socket.create_server(("", way.port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server((way.host, way.port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ConfigError(f"it cannot listen on port {way.port}: {why}: choose another with --port, 0 for any") from None


def run(settings: Settings, way: Way, ready: Callable[[int], None]) -> None:
    """Serve until the process is ended, by SIGTERM at once (a container's first process is deaf without this).

    `ready` is called with the port once it is ours; pages are served when the first lists are there.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    explorer = Explorer(settings, way)
    door = listening(way)
    ready(door.getsockname()[1])
    explorer.start()
    try:
        # A socket without a server's name: nothing of what runs here is told to who may not even look.
        waitress.serve(explorer.application, sockets=[door], threads=_THREADS, ident=None, _quiet=True)
    finally:
        explorer.stop()
