"""Snapshots of file systems and copies of them; what an interrupted attempt left is told from what is somebody else's."""

import pytest

from arrays.errors import ConfigError, NotFound, Refused, VolumeDiffers
from arrays.flashblade import FlashBlade
from arrays.units import GiB
from simulator.flashblade import FlashBlade as PretendBlade

RULES = "*(rw,no_root_squash)"


@pytest.fixture
def taken(pretend_blade: PretendBlade) -> PretendBlade:
    """File system "v" with the snapshot "v.daily"."""
    pretend_blade.add_file_system("v", GiB)
    pretend_blade.state.take(["v"], "daily")
    return pretend_blade


def test_snapshots_come_and_go(taken: PretendBlade, blade: FlashBlade) -> None:
    taken.add_file_system("vv")
    taken.state.take(["vv"], "daily")
    assert blade.snapshot("v", "weekly").source == "v"
    assert sorted(found.name for found in blade.snapshots("v")) == ["v.daily", "v.weekly"]
    blade.destroy_snapshot("v.daily")
    assert [found.name for found in blade.snapshots("v")] == ["v.weekly"]
    assert {found.name: found.destroyed for found in blade.snapshots("v", pending=True)}["v.daily"]
    assert blade.snapshots("nothing") == []
    blade.destroy_snapshot("nothing.daily")


def test_a_destroyed_snapshot_keeps_its_name(taken: PretendBlade, blade: FlashBlade) -> None:
    blade.destroy_snapshot("v.daily")
    with pytest.raises(Refused, match="keeps that name until it is eradicated"):
        blade.snapshot("v", "daily")


def test_a_destroyed_snapshot_is_brought_back(taken: PretendBlade, blade: FlashBlade) -> None:
    blade.destroy_snapshot("v.daily")
    for _ in range(2):
        blade.recover_snapshot("v.daily")
        assert [found.name for found in blade.snapshots("v")] == ["v.daily"]
    with pytest.raises(Refused):
        blade.recover_snapshot("v.weekly")


def test_snapshots_of_all_file_systems_in_one_call(taken: PretendBlade, blade: FlashBlade) -> None:
    """By a pattern; destroyed ones are left out."""
    for name, suffixes in {"k8s-a": ("daily", "weekly"), "k8s-b": ("daily",), "k8s-c": ("daily",)}.items():
        taken.add_file_system(name)
        for suffix in suffixes:
            taken.state.take([name], suffix)
    blade.destroy_snapshot("k8s-c.daily")
    asked = len(taken.requests)
    assert [found.name for found in blade.all_snapshots("k8s-*.d*")] == ["k8s-a.daily", "k8s-b.daily"]
    assert len([one for one in taken.requests[asked:] if "snapshots" in one.path]) == 1
    with pytest.raises(ConfigError):
        blade.all_snapshots("x' or name='y")


def test_a_snapshot_of_nothing_is_refused(taken: PretendBlade, blade: FlashBlade) -> None:
    with pytest.raises(Refused):
        blade.snapshot("nothing", "daily")


@pytest.mark.parametrize("version", ["1.9", "1.12"])
def test_a_copy_has_size_and_exports_as_asked(taken: PretendBlade, blade: FlashBlade, version: str) -> None:
    taken.switches.versions = (version,)
    copy = blade.copy_snapshot("v.daily", "w", 3 * GiB, rules=RULES, snapshot_directory=True)
    assert (copy.source, copy.size, copy.rules) == ("v", 3 * GiB, RULES) and copy.nfs_enabled and copy.snapshot_directory
    assert blade.file_system("v").source == ""


def test_before_rest_1_9_there_are_no_copies(taken: PretendBlade, blade: FlashBlade) -> None:
    taken.switches.versions = ("1.8",)
    with pytest.raises(Refused, match="copies of file systems need REST 1.9"):
        blade.copy_snapshot("v.daily", "w", GiB, rules=RULES)
    assert [*taken.file_systems] == ["v"]


def test_somebody_elses_file_system_is_no_copy(taken: PretendBlade, blade: FlashBlade) -> None:
    taken.add_file_system("w", GiB)
    with pytest.raises(VolumeDiffers, match="a copy of v"):
        blade.copy_snapshot("v.daily", "w", GiB, rules=RULES)


def test_a_missing_snapshot_is_refused(taken: PretendBlade, blade: FlashBlade) -> None:
    with pytest.raises((Refused, NotFound)):
        blade.copy_snapshot("v.missing", "w", GiB, rules=RULES)
    assert [*taken.file_systems] == ["v"]
