"""Certificate authorities of what is pretended, so that clients can verify TLS for real. Each process makes its own.

They are made once in a process, and so is the key of each server that goes by the same names: making and loading them is
most of what it takes to start a pretend array, and tests start a thousand. trustme makes elliptic-curve keys by default: a
handshake costs a fraction of one with RSA.
"""

import functools
import ssl
from pathlib import Path

import trustme


class Authority:
    """The CA of an organisation and the certificates it gave. `path` is the PEM file clients trust."""

    def __init__(self, path: Path, organisation: str) -> None:
        self.path, self._organisation = path, organisation
        _ca(organisation).cert_pem.write_to_path(str(path))

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A TLS server context whose certificate is valid for 127.0.0.1, ::1, localhost and `names`."""
        return _server_context(self._organisation, tuple(dict.fromkeys(("127.0.0.1", "::1", "localhost", *names))))


@functools.cache
def _ca(organisation: str) -> trustme.CA:
    return trustme.CA(organization_name=organisation)


@functools.cache
def _server_context(organisation: str, names: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0                 # nobody resumes a session, and two are made with each handshake
    _ca(organisation).issue_cert(*names).configure_cert(context)
    return context
