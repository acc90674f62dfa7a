"""Settings from the environment, the fleet file, the log lines (C-03, C-07, AT-15)."""

import json
import logging
from pathlib import Path

import pytest

from arrays.errors import ConfigError
from arrays.fleet import Fleet
from provisioner.backends import Backends
from provisioner.fleetwatch import FleetWatch
from provisioner.logs import JsonLines, Lines
from provisioner.settings import Settings, read


def test_the_published_charts_environment(tmp_path: Path) -> None:
    """2.4: four variables, everything else is a default."""
    found = read({"PURE_DISCOVERY_CONF": "/etc/pure/pure.json", "PURE_K8S_NAMESPACE": "k8s_xxx",
                  "PURE_DEFAULT_BLOCK_FS_TYPE": "EXT4", "PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT": "True", "HOSTNAME": "pod-1"})
    assert (found.prefix, found.fs_type, found.snapshot_directory) == ("k8s_xxx", "ext4", True)
    assert found == Settings(prefix="k8s_xxx", fs_type="ext4", snapshot_directory=True, pod="pod-1")


@pytest.mark.parametrize("variable, value", [
    ("PURE_K8S_NAMESPACE", "a" * 23), ("PURE_K8S_NAMESPACE", "my-cluster"), ("PURE_DEFAULT_BLOCK_FS_TYPE", "ntfs"),
    ("PURE_DEFAULT_ENABLE_FB_NFS_SNAPSHOT", "maybe"), ("PURE_CLAIM_WORKERS", "many"), ("PURE_CLAIM_WORKERS", "0")])
def test_a_wrong_value_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({variable: value})
    assert variable in str(caught.value) or "namespace.pure" in str(caught.value)


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert read({"PURE_K8S_NAMESPACE": "", "PURE_CLAIM_WORKERS": " ", "HOSTNAME": "x"}) == read({"HOSTNAME": "x"})


def test_the_namespace_is_the_pods(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("pure-flex\n")
    account = {"PURE_SERVICE_ACCOUNT_DIR": str(tmp_path)}
    assert read(account).namespace == "pure-flex"
    assert read({**account, "POD_NAMESPACE": "other"}).namespace == "other"
    assert read({"PURE_SERVICE_ACCOUNT_DIR": str(tmp_path / "none")}).namespace == "default"


def test_a_changed_file_is_read_once(tmp_path: Path) -> None:
    """Kubelet renews a Secret by renaming a link below the file."""
    loads = []
    backends = Backends(lambda: loads.append(1) or Fleet(), 1, 1)         # type: ignore[func-returns-value]
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "pure.json").write_text(version)
    link = tmp_path / "pure.json"
    link.symlink_to("v1/pure.json")
    watch = FleetWatch(str(link), backends)
    watch.look(), watch.look()
    assert len(loads) == 1
    link.unlink()
    link.symlink_to("v2/pure.json")
    watch.look(), watch.look()
    assert len(loads) == 2
    link.unlink()
    watch.look(), watch.look()
    assert len(loads) == 3


def record(message: str, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("provisioner", logging.INFO, "", 1, message, args, None)
    made.created = 1.5
    return made


def test_log_lines_for_people_and_for_programs() -> None:
    line = record("provision ok claim=%s seconds=%.2f error=%s", "shop/data", 0.12, '"no array fits: a, b"')
    assert Lines().format(line) == ("1970-01-01T00:00:01.500Z INFO provision ok claim=shop/data seconds=0.12 "
                                    'error="no array fits: a, b"')
    assert json.loads(JsonLines().format(line)) == {
        "time": "1970-01-01T00:00:01.500Z", "level": "info", "message": "provision ok", "claim": "shop/data",
        "seconds": "0.12", "error": "no array fits: a, b"}


def test_a_traceback_is_one_field() -> None:
    import sys
    try:
        raise ValueError("bug")
    except ValueError:
        made = logging.LogRecord("provisioner", logging.ERROR, "", 1, "unforeseen", (), sys.exc_info())
    assert "ValueError: bug" in json.loads(JsonLines().format(made))["traceback"]
