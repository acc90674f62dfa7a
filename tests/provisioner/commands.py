"""Command lines as people type them, `pure …` and `snapshot …`, against a test's cluster and arrays."""

from collections.abc import Callable

import pytest

from provisioner import admin, snapshot
from tests.provisioner.cluster import Cluster

Run = Callable[..., tuple[int, str, str]]

_PROGRAMS = {"pure": admin.main, "snapshot": snapshot.main}


def typed(cluster: Cluster, kubeconfig: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
          *first: str) -> Run:
    """A function that runs a command line that begins with `first`; status, stdout, stderr."""
    monkeypatch.setenv("PURE_DISCOVERY_CONF", str(cluster.pure_json))
    monkeypatch.setenv("KUBECONFIG", kubeconfig)

    def run(*rest: str) -> tuple[int, str, str]:
        line = [*first, *rest]
        monkeypatch.setattr("sys.argv", line)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            _PROGRAMS[line[0]]()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
