"""Sizes and rates as arrays count them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError
from arrays.units import (GiB, KiB, MiB, PiB, TiB, array_size, bytes_of, human, human_exactly, parse_bandwidth,
                          parse_iops, round_up, span)


@pytest.mark.parametrize("request_bytes, size", [
    (1, MiB), (MiB - 1, MiB), (MiB, MiB), (MiB + 1, 2 * MiB), (10 * GiB, 10 * GiB), (10_000_000_000, 9537 * MiB),
    (4 * PiB, 4 * PiB), (4 * PiB - 1, 4 * PiB)])
def test_a_request_becomes_whole_mebibytes(request_bytes: int, size: int) -> None:
    assert array_size(request_bytes) == size


@pytest.mark.parametrize("request_bytes", [0, -1, 4 * PiB + 1])
def test_what_no_array_can_hold_is_refused(request_bytes: int) -> None:
    with pytest.raises(ConfigError):
        array_size(request_bytes)


@given(st.integers(1, 4 * PiB))
def test_an_array_never_gives_less_than_asked(request_bytes: int) -> None:
    size = array_size(request_bytes)
    assert request_bytes <= size < request_bytes + MiB
    assert size % MiB == 0


@given(st.integers(0, 10 ** 18), st.integers(1, 10 ** 6))
def test_rounding_up_reaches_the_next_step(size: int, step: int) -> None:
    rounded = round_up(size, step)
    assert rounded % step == 0 and size <= rounded < size + step


@pytest.mark.parametrize("size, text", [
    (0, "0B"), (1023, "1023B"), (KiB, "1KiB"), (1536 * MiB, "1.5GiB"), (10 * GiB, "10GiB"), (100 * TiB, "100TiB"),
    (4 * PiB, "4PiB"), (GiB - 1, "1023.99MiB"), (-5 * GiB, "-5GiB"), (5000 * PiB, "5000PiB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert human(size) == text


@pytest.mark.parametrize("size, text", [
    (10 * GiB, "10GiB"), (10 * GiB + 512, "10GiB (10737418752 bytes)"), (1536 * MiB, "1.5GiB (1610612736 bytes)"),
    (300, "300B")])
def test_two_sizes_that_differ_never_look_alike(size: int, text: str) -> None:
    assert human_exactly(size) == text


@pytest.mark.parametrize("seconds, text", [
    (86400, "24 hours"), (7199, "119 minutes"), (119.9, "119 seconds"), (0, "0 seconds")])
def test_times_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("text, size", [
    ("10G", 10 * GiB), ("10g", 10 * GiB), (" 5T ", 5 * TiB), ("1P", PiB), ("64K", 64 * KiB), ("512", 512),
    ("2S", 1024), ("0", 0)])
def test_strings_are_read_as_an_array_reads_them(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "G", "10Gi", "1.5G", "-1G", "10 G", "1_000", "10X", "٣G", "ten"])
def test_what_an_array_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        bytes_of(text)


@given(st.text(max_size=20))
def test_no_text_surprises_the_parsers(text: str) -> None:
    for read in (bytes_of, parse_bandwidth, parse_iops):
        try:
            assert read(text) >= 0
        except ConfigError as error:
            assert repr(text) in str(error)


def test_limits_have_the_range_of_an_array() -> None:
    assert parse_bandwidth("10G") == 10 * GiB
    assert parse_bandwidth("1M") == MiB
    assert parse_iops("30000") == 30000
    assert parse_iops("30K") == 30000
    for wrong in ("1023K", "513G", "0"):
        with pytest.raises(ConfigError, match="outside"):
            parse_bandwidth(wrong)
    for wrong in ("99", "100000001", "200M"):
        with pytest.raises(ConfigError, match="outside"):
            parse_iops(wrong)
    for wrong in ("10G", "many", "1.5K"):
        with pytest.raises(ConfigError, match="whole number"):
            parse_iops(wrong)
