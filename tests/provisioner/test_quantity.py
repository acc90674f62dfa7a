"""Kubernetes quantities in whole bytes (checklist 17, C-37)."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrays.errors import ConfigError
from provisioner.quantity import parse_quantity, to_quantity

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
DECIMAL = {"n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15",
           "E": "1e18"}


@pytest.mark.parametrize("text, size", [
    ("1Gi", 2**30), ("1.5Gi", 1610612736), ("1G", 10**9), ("1e9", 10**9), ("1E9", 10**9), ("1E", 10**18),
    ("500M", 500_000_000), ("1000m", 1), ("100m", 1), ("1e-3", 1), (".5Ki", 512), ("5.", 5), ("+7k", 7000), (12, 12),
    ("1u", 1), ("0.1Gi", 107374183)])
def test_every_form_is_rounded_up_to_whole_bytes(text: object, size: int) -> None:
    assert parse_quantity(text) == size


@pytest.mark.parametrize("text", [
    "", "Gi", "1 Gi", "1gi", "1KB", "-1Gi", "0", "0.0Gi", "1e", "1.2.3", "٣Gi", "1_0", ".", "9" * 5000, None, True, 1.5, []])
def test_what_is_no_size_is_refused_in_a_sentence(text: object) -> None:
    with pytest.raises(ConfigError):
        parse_quantity(text)


def test_a_huge_exponent_costs_nothing() -> None:
    """A claim of 1e999999999 must not keep a worker busy multiplying; placement refuses its size."""
    assert parse_quantity("1e999999999") == 10**40
    assert parse_quantity("1e-999999999") == 1


@given(st.integers(0, 10**12), st.text("0123456789", max_size=9), st.sampled_from([*BINARY, *DECIMAL]))
def test_agrees_with_exact_arithmetic(whole: int, fraction: str, suffix: str) -> None:
    text = f"{whole}.{fraction}{suffix}" if fraction else f"{whole}{suffix}"
    exact = Fraction(f"{whole}.{fraction or 0}") * Fraction(BINARY.get(suffix) or DECIMAL[suffix])
    if exact == 0:
        with pytest.raises(ConfigError):
            parse_quantity(text)
    else:
        assert parse_quantity(text) == ceil(exact)


@given(st.text(max_size=20))
def test_any_text_is_a_size_or_a_complaint(text: str) -> None:
    try:
        assert parse_quantity(text) > 0
    except ConfigError:
        pass


@given(st.integers(1, 2**63))
def test_a_size_written_is_the_size_read(size: int) -> None:
    assert parse_quantity(to_quantity(size)) == size


def test_sizes_are_written_as_people_do() -> None:
    assert [to_quantity(size) for size in (10 * 2**30, 1536 * 2**20, 1000)] == ["10Gi", "1536Mi", "1000"]
