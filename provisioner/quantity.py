"""Sizes as Kubernetes writes them: "10Gi", "1.5Gi", "1e9", "500M", "1000m". Here "10G" is ten thousand million bytes.

What arrays write ("10G" = 10 GiB) is arrays/units.py's. Grammar: k8s.io/apimachinery pkg/api/resource/quantity.go.
"""

import re

from arrays.errors import ConfigError

_QUANTITY = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?")
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}                      # powers of two
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}   # powers of ten
_LONGEST = 64               # characters
_FURTHEST = 40              # powers of ten beyond which no size of this world lies; keeps "1e999999999" cheap


def parse_quantity(text: object) -> int:
    """Whole bytes of a Kubernetes quantity, rounded up: "1.5Gi" is 1610612736, "1000m" is 1, "100m" is 1.

    The API also gives bare integers. ConfigError for what is no quantity, and for what is not more than nothing.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if found is None or not (found[2] or found[3]):
        raise ConfigError(f"{text!r} is not a size: write one like 10Gi")
    sign, whole, fraction, suffix = found[1], found[2], found[3] or "", found[4] or ""
    digits = int(whole + fraction)
    if sign == "-" or digits == 0:
        raise ConfigError(f"a size of {text} cannot be made: ask for more than nothing")
    if suffix in _BINARY:
        return _scaled(digits << _BINARY[suffix], -len(fraction))
    exponent = int(suffix[1:]) if suffix not in _DECIMAL else _DECIMAL[suffix]
    return _scaled(digits, max(-_FURTHEST, min(exponent, _FURTHEST)) - len(fraction))


def _scaled(digits: int, exponent: int) -> int:
    """digits x 10^exponent, rounded up to a whole number."""
    if exponent >= 0:
        return digits * int(10 ** exponent)
    return -(-digits // int(10 ** -exponent))


def to_quantity(size: int) -> str:
    """The shortest exact binary form of so many bytes: "10Gi", "1536Mi", "1000"."""
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        if size and size % (1 << _BINARY[suffix]) == 0:
            return f"{size >> _BINARY[suffix]}{suffix}"
    return str(size)
