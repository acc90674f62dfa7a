"""The provisioner's pages: /healthz, /healthz/leader-election, /readyz, /metrics.

Alive is who turns its loops; the API server or an array being away is no reason to be killed. Ready is who could serve a
claim now; the answer names what is missing.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from arrays.probes import Page, ProbeServer

log = logging.getLogger(__name__)

Complaints = Callable[[], Sequence[str]]


class Note(str):
    """A complaint that is no reason to take the pod out of service; it is shown all the same."""


def opened(port: int, complaints: Mapping[str, Complaints], metrics: Callable[[], bytes]) -> ProbeServer | None:
    """A running server, None when the port is not to be had: that is said, and no reason not to work."""
    try:
        server = ProbeServer(port, {**{path: _page(look) for path, look in complaints.items()},
                                    "/metrics": lambda: (200, metrics().decode())})
    except OSError as error:
        log.warning("no health and metrics on port %d: %s", port, error.strerror)
        return None
    server.start()
    return server


def _page(look: Complaints) -> Page:
    """200 while there are notes at the most."""
    def page() -> tuple[int, str]:
        complaints = look()
        well = all(isinstance(line, Note) for line in complaints)
        return (200 if well else 500), "".join(f"{line}\n" for line in [*(["ok"] if well else []), *complaints])

    return page
