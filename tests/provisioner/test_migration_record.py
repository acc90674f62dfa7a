"""The record of a migration on disk: what cannot be used is refused, what cannot be written costs nothing."""

import json
from pathlib import Path

import pytest

from arrays.errors import ConfigError, PureError
from provisioner.migration.record import Record


@pytest.mark.parametrize(("content", "said"), [
    ("", "not a record"), ("[]", "not a record"), ('{"format": 1}', "not a record"), ('{"format": 2}', "another release"),
    ('{"format": 1, "prefix": "shop", "volumes": {}, "workloads": []}', "prefix shop, and this cluster's is k8s")])
def test_a_record_that_cannot_be_used_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        Record.begin(tmp_path / "record.json", "k8s")


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Record.load(tmp_path)


def test_a_record_on_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deleted of which the record could not be written."""
    record = Record(tmp_path / "record.json", "k8s", {"a": {"step": 1}})
    record.save()
    (tmp_path / "record.json.new").mkdir()
    with pytest.raises(OSError):
        record.mark("a", step=2)
    assert json.loads(record.path.read_text())["volumes"] == {"a": {"step": 1}}
    assert issubclass(ConfigError, PureError)
