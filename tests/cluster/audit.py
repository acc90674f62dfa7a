"""The API server's audit log: what a service account asked (ours, or whose a policy says), and what it was refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POLICY = Path(__file__).with_name("audit-policy.yaml")


class Audit:
    """Reads the log from where it was when this was made, or since the last `forget`."""

    def __init__(self, work: Path, policy: Path = POLICY) -> None:
        self._log = work / "audit.log"
        self._policy = policy
        self._start = 0

    def flags(self) -> list[str]:
        """What the API server has to be told; it writes every entry at once."""
        return [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}", "--audit-log-mode=blocking",
                "--audit-log-maxsize=1000"]

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self._start = self._log.stat().st_size if self._log.exists() else 0

    def entries(self) -> Iterator[dict[str, Any]]:
        """Requests of the service account."""
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._start)
            for line in log:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def refused(self) -> list[str]:
        """Requests that its role does not allow: "patch /api/v1/…"."""
        return [f"{entry['verb']} {entry['requestURI'].partition('?')[0]}" for entry in self.entries()
                if entry.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"]

    def count(self, verb: str, resource: str) -> int:
        """How many requests of a kind ended."""
        return sum(1 for entry in self.entries() if entry["verb"] == verb and entry["stage"] == "ResponseComplete"
                   and (entry.get("objectRef") or {}).get("resource") == resource)
