"""What is on a device, and whether it may be formatted: real tools on sparse files, and the rules as tables."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flex import contents
from flex.node import blockdev, filesystem
from flex.node.filesystem import Found
from flex.paths import Paths
from flex.trouble import NotTheVolume, WillNotFormat
from flex.wait import Deadline
from simulator.node.formats import partition_table

MiB = 1 << 20
SIZE = 320 * MiB                # mkfs.xfs refuses less than 300 MiB


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A machine with one blank device, dm-0."""
    (tmp_path / "dev").mkdir()
    with open(tmp_path / "dev/dm-0", "wb") as device:
        device.truncate(SIZE)
    (tmp_path / "sys/block/dm-0").mkdir(parents=True)
    (tmp_path / "sys/block/dm-0/size").write_text(f"{SIZE // 512}\n")
    return Paths(str(tmp_path))


def device(paths: Paths) -> str:
    return f"{paths.dev}/dm-0"


def overwrite(paths: Paths, offset: int, data: bytes) -> None:
    with open(device(paths), "r+b") as file:
        file.seek(offset)
        file.write(data)


def needs(tool: str) -> None:
    if not shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        pytest.skip(f"{tool} is not installed")


# Making and recognising, with the real tools

@pytest.mark.parametrize("kernel, word", [("6.18.44-fc", "rescue=nologreplay"), ("5.9.0", "rescue=nologreplay"),
                                          ("5.8.18-100.fc31", "nologreplay"), ("4.6-rc1", "nologreplay")])
def test_btrfs_is_told_in_its_kernels_words_to_replay_no_log(kernel: str, word: str) -> None:
    assert filesystem.no_replay("btrfs", kernel) == (word,)


@pytest.mark.parametrize("fs_type", ["xfs", "ext4", "ext3", "btrfs"])
def test_what_is_made_is_found_again_with_the_size_of_its_device(paths: Paths, fs_type: str) -> None:
    needs(f"mkfs.{fs_type}")
    filesystem.make(device(paths), fs_type, "-q")
    assert filesystem.probe(device(paths)) == Found(fs_type)
    covered = filesystem.size(paths, "dm-0", fs_type)
    assert covered and not filesystem.is_short(covered, SIZE)


def test_a_file_system_smaller_than_its_device_is_noticed(paths: Paths) -> None:
    needs("mkfs.ext4")
    filesystem.make(device(paths), "ext4", "-q")
    os.truncate(device(paths), 2 * SIZE)
    assert filesystem.is_short(filesystem.size(paths, "dm-0", "ext4"), 2 * SIZE)


def test_an_ext4_that_was_grown_offline_fills_its_device(paths: Paths) -> None:
    needs("resize2fs")
    filesystem.make(device(paths), "ext4", "-q")
    os.truncate(device(paths), 2 * SIZE)
    Path(f"{paths.sys_block}/dm-0/size").write_text(f"{2 * SIZE // 512}\n")
    filesystem.grow(paths, "dm-0", "ext4", "", Deadline(30))
    assert filesystem.size(paths, "dm-0", "ext4") == 2 * SIZE


def test_a_journal_is_replayed_before_an_ext4_is_mounted(paths: Paths) -> None:
    needs("fsck.ext4")
    filesystem.make(device(paths), "ext4", "-q")
    filesystem.check(device(paths), "ext4")


def test_mkfs_xfs_refuses_what_has_a_signature_as_a_second_guard(paths: Paths) -> None:
    needs("mkfs.xfs")
    filesystem.make(device(paths), "ext4", "-q")
    with pytest.raises(Exception, match="existing filesystem"):
        filesystem.make(device(paths), "xfs", "-q")
    assert filesystem.probe(device(paths)).type == "ext4"


def test_an_xfs_whose_making_was_cut_is_known_as_such_and_can_be_made_again(paths: Paths) -> None:
    needs("mkfs.xfs")
    filesystem.make(device(paths), "xfs", "-q")
    overwrite(paths, filesystem.XFS_IN_PROGRESS, b"\1")
    assert filesystem.is_unfinished_xfs(blockdev.look(paths, "dm-0")[0])
    filesystem.make(device(paths), "xfs", "-q", again=True)
    assert not filesystem.is_unfinished_xfs(blockdev.look(paths, "dm-0")[0])


def test_two_signatures_are_ambivalent(paths: Paths) -> None:
    needs("mkfs.ext4")
    filesystem.make(device(paths), "ext4", "-q")
    with open(device(paths), "rb") as file:
        ext4 = file.read(4096)
    os.truncate(device(paths), 0)
    os.truncate(device(paths), SIZE)
    filesystem.make(device(paths), "btrfs", "-q")
    overwrite(paths, 0, ext4)
    assert filesystem.probe(device(paths)).ambivalent


def test_a_partition_table_is_found(paths: Paths) -> None:
    overwrite(paths, 0, partition_table())
    assert filesystem.probe(device(paths)) == Found(table="dos")


# Blank is what reads as zeros (node-attach.md, fact 1)

def test_a_fresh_volume_reads_as_zeros(paths: Paths) -> None:
    assert blockdev.look(paths, "dm-0") == (bytes(512), None)


@pytest.mark.parametrize("offset", [0, 4096, SIZE - 512, SIZE - MiB], ids=["first", "second", "last", "last MiB"])
def test_data_where_blkid_sees_nothing_is_found_by_reading(paths: Paths, offset: int) -> None:
    overwrite(paths, offset, b"raw data base")
    assert filesystem.probe(device(paths)) == Found()
    assert blockdev.look(paths, "dm-0")[1] is not None


def test_an_encrypted_or_raw_disk_is_not_blank(paths: Paths) -> None:
    noise = os.urandom(3 * MiB)
    for offset in range(0, SIZE, 4 * MiB):
        overwrite(paths, offset + MiB, noise)
    assert blockdev.look(paths, "dm-0")[1] is not None


def test_a_device_that_cannot_be_read_is_an_error_and_never_blank(paths: Paths) -> None:
    """blkid exits 2 without a word for it, as for a blank one. /proc/self/mem cannot be read at 0 by anybody."""
    os.unlink(device(paths))
    os.symlink("/proc/self/mem", device(paths))
    with pytest.raises(OSError):
        blockdev.look(paths, "dm-0")


@given(st.integers(min_value=1, max_value=1 << 52).map(lambda units: units * 512))
def test_direct_reads_are_aligned_inside_the_device_and_see_both_ends(whole: int) -> None:
    looked = blockdev.pieces(whole)
    assert all(offset % 4096 == 0 and length <= MiB for offset, length in looked)
    assert all(0 <= offset < whole for offset, _ in looked)
    assert looked[0][0] == 0 and sum(looked[-1]) >= whole - 4096
    assert len(looked) <= blockdev.SAMPLES + 2


# The decision

def decide(seen: Found, wanted: str = "xfs", *, unfinished: bool = False, began: bool = False, data: int | None = None,
           forbidden: str = "") -> str:
    return contents.todo(seen, wanted, unfinished=unfinished, began=began, data=data, forbidden=forbidden,
                         volume="k8s-pvc-1")


def test_a_blank_volume_is_formatted() -> None:
    assert decide(Found()) == contents.MAKE


def test_a_volume_with_the_file_system_asked_for_is_used() -> None:
    assert decide(Found("xfs")) == contents.USE


def test_a_file_system_that_was_finished_under_a_mark_is_used() -> None:
    """mkfs had ended and the node died before the mark was removed."""
    assert decide(Found("xfs"), began=True) == contents.USE


@pytest.mark.parametrize("seen, unfinished", [(Found(), False), (Found(), True), (Found("xfs"), True)],
                         ids=["no signature", "xfs in progress", "xfs in progress that blkid knows"])
def test_what_this_node_began_and_did_not_finish_is_made_again(seen: Found, unfinished: bool) -> None:
    assert decide(seen, unfinished=unfinished, began=True, data=MiB) == contents.MAKE_AGAIN


def test_an_unfinished_file_system_of_another_node_is_left_alone_and_the_way_out_is_told() -> None:
    with pytest.raises(WillNotFormat, match="wipefs"):
        decide(Found("xfs"), unfinished=True)


def test_data_without_a_signature_is_left_alone() -> None:
    with pytest.raises(WillNotFormat, match="not blank.*byte 4096"):
        decide(Found(), data=4096)


@pytest.mark.parametrize("seen", [Found(table="gpt"), Found(ambivalent=True)], ids=str)
def test_tables_and_several_signatures_are_left_alone(seen: Found) -> None:
    with pytest.raises(NotTheVolume, match="neither formatted nor mounted"):
        decide(seen)


@pytest.mark.parametrize("found", ["ext4", "LVM2_member", "crypto_LUKS"])
def test_another_type_is_refused_naming_both(found: str) -> None:
    with pytest.raises(NotTheVolume, match=f"holds {found} where xfs was asked for"):
        decide(Found(found))


@pytest.mark.parametrize("began", [False, True])
def test_what_may_not_be_formatted_is_not_even_when_blank(began: bool) -> None:
    with pytest.raises(WillNotFormat, match="read-only"):
        decide(Found(), forbidden="the mount is read-only", began=began)


def test_blkid_is_read_key_by_key() -> None:
    assert filesystem.parse_probe("DEVNAME=/dev/dm-0\nUUID=1-2\nTYPE=xfs\nUSAGE=filesystem\n") == Found("xfs")
    assert filesystem.parse_probe("DEVNAME=/dev/dm-0\nPTUUID=x=y\nPTTYPE=dos\n") == Found(table="dos")
    assert filesystem.parse_probe("") == Found()


@pytest.mark.parametrize("fs_type, options, again, words", [
    ("xfs", "-q", False, ["-q", "-K"]),
    ("xfs", "-q -K -L 'my data'", True, ["-q", "-K", "-L", "my data", "-f"]),
    ("ext4", "-q -m 0", False, ["-q", "-m", "0", "-E", "nodiscard"]),
    ("ext4", "-E lazy_itable_init=0", True, ["-E", "lazy_itable_init=0", "-F"]),
    ("vfat", "", False, []),
])
def test_mkfs_gets_the_options_asked_for_and_does_not_discard(fs_type: str, options: str, again: bool,
                                                              words: list[str]) -> None:
    assert filesystem.make_options(fs_type, options, again) == words


def test_options_with_an_open_quote_are_refused() -> None:
    with pytest.raises(NotTheVolume, match="cannot be read"):
        filesystem.make_options("xfs", "-L 'oops")


@given(st.sampled_from([("xfs", 0, b"XFSB"), ("ext4", 1024 + 0x38, b"\x53\xef"), ("btrfs", 0x10040, b"_BHRfS_M"),
                        ("vfat", 0, b"")]), st.binary(max_size=600), st.integers(0, 0x11000))
def test_the_size_of_whatever_is_there_is_a_number_or_none(kind: tuple[str, int, bytes], noise: bytes, end: int) -> None:
    """Superblocks may be damaged, and devices shorter than what is read."""
    fs_type, offset, magic = kind
    start = bytearray(offset - min(offset, 300)) + noise.ljust(600, b"\7")
    start[offset:offset + len(magic)] = magic
    found = filesystem.parse_size(fs_type, bytes(start)[:end])
    assert found is None or found >= 0
