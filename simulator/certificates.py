"""The simulator's own certificate authority, so that clients can verify TLS for real. Made anew by each simulator.

trustme makes elliptic-curve keys by default: a handshake costs a fraction of one with RSA.
"""

import ssl
from pathlib import Path

import trustme


class Authority:
    """A CA and the certificates it gave. `path` is the PEM file clients trust."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA(organization_name="pretend arrays")
        self.path = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.path))

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A TLS server context whose certificate is valid for 127.0.0.1, ::1, localhost and `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        wanted = dict.fromkeys(("127.0.0.1", "::1", "localhost", *names))
        self._ca.issue_cert(*wanted).configure_cert(context)
        return context
