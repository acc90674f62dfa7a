"""The device that a mount stands on, read from small trees."""

from pathlib import Path

import pytest

from flex.node import blockdev, mounts
from flex.paths import Paths

BTRFS = "36 35 0:45 / /data rw - btrfs {} rw\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A machine with one multipath map, dm-0."""
    for directory in ("proc/self", "sys/block/dm-0", "dev/mapper"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "sys/block/dm-0/dev").write_text("253:0\n")
    (tmp_path / "dev/dm-0").write_text("")
    (tmp_path / "dev/mapper/data").symlink_to("../dm-0")
    return Paths(str(tmp_path))


def behind(paths: Paths, source: str) -> str:
    Path(paths.mountinfo).write_text(BTRFS.format(source))
    mount, = mounts.table(paths)
    return blockdev.number_behind(paths, mount)


@pytest.mark.parametrize("source", ["/dev/dm-0", "/dev/mapper/data"])
def test_btrfs_is_known_by_its_device_file(paths: Paths, source: str) -> None:
    """Its number in mountinfo is anonymous."""
    assert behind(paths, source) == "253:0"


@pytest.mark.parametrize("source", ["/dev/shm/other/dev/dm-0", "/dev/dm-7", "/srv/dm-0", "none"])
def test_a_device_of_the_same_name_elsewhere_is_another(paths: Paths, source: str) -> None:
    """As another mount namespace may have it: a mount of it is none of our volume."""
    assert behind(paths, source) == ""
