"""StorageClass parameters (AT-42, AT-43, AT-45, AT-46, C-24, C-27)."""

from typing import Any

import pytest

from arrays.errors import ConfigError
from provisioner import objects
from provisioner.classes import parse_class
from tests.provisioner.given import class_record


@pytest.mark.parametrize("parameters, field, value", [
    ({}, "backend", "block"), ({"backend": "file"}, "backend", "file"), ({"backend": " Block "}, "backend", "block"),
    ({"fstype": "ext4"}, "fs_type", "ext4"), ({"fsType": "XFS"}, "fs_type", "xfs"),
    ({"csi.storage.k8s.io/fstype": "ext3"}, "fs_type", "ext3"), ({"fstype": "btrfs"}, "fs_type", "btrfs"),
    ({"createoptions": "-q"}, "create_options", "-q"),
    ({"mountoptions": "discard,noatime"}, "mount_options", "discard,noatime"),
    ({"iops_limit": "30000"}, "iops_limit", 30000), ({"bandwidth_limit": "10G"}, "bandwidth_limit", 10 * 2**30),
    ({"backend": "file", "exportRules": "10.0.0.0/8(rw)"}, "export_rules", "10.0.0.0/8(rw)"),
    ({"backend": "file", "snapshotDirectoryEnabled": "True"}, "snapshot_directory", True),
    ({"backend": "file", "snapshot_directory_enabled": "no"}, "snapshot_directory", False)], ids=str)
def test_parameters_are_understood(parameters: dict[str, str], field: str, value: Any) -> None:
    assert getattr(parse_class(class_record(parameters)), field) == value


@pytest.mark.parametrize("parameters, complaint", [
    ({"backend": "nvme"}, "backend 'nvme' is neither block"), ({"fstype": "ntfs"}, "'ntfs' is not one of xfs"),
    ({"iops_limit": "many"}, "'many' is not an IOPS limit"),
    ({"bandwidth_limit": "1K"}, "outside what an array accepts"), ({"createoptions": "-q\n-f"}, "unprintable"),
    ({"backend": "file", "snapshotDirectoryEnabled": "maybe"}, "neither true"),
    ({"fstype": "xfs", "csi.storage.k8s.io/fstype": "ext4"}, "written twice")], ids=str)
def test_a_wrong_value_names_the_class(parameters: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse_class(class_record(parameters))
    assert str(caught.value).startswith("StorageClass pure: ")


def test_unknown_parameters_are_named_and_left_out() -> None:
    """Old classes must go on working (1.6); what only the other backend reads counts as unknown."""
    found = parse_class(class_record({"backend": "file", "color": "blue", "iops_limit": "nonsense"}))
    assert found.unknown == ("color", "iops_limit")


@pytest.mark.parametrize("policy, expected", [("Delete", "Delete"), ("Retain", "Retain"), ("Recycle", "Retain")])
def test_recycle_means_retain(policy: str, expected: str) -> None:
    assert parse_class(class_record(reclaim_policy=policy)).policy == expected


@pytest.mark.parametrize("said, expected", [({}, "Delete"), ({"reclaimPolicy": None}, "Delete"),
                                            ({"reclaimPolicy": "Retain"}, "Retain")], ids=str)
def test_no_policy_means_delete(said: dict[str, Any], expected: str) -> None:
    """Point 19: before 1.8 a class has no such field."""
    raw = {"metadata": {"name": "pure"}, "provisioner": "pure-provisioner", **said}
    assert parse_class(objects.class_record(raw)).policy == expected


def test_mount_options_of_the_class_win_over_the_parameter() -> None:
    assert parse_class(class_record({"mountoptions": "x"}, mount_options=("discard", "ro"))).mount_options == "discard,ro"
