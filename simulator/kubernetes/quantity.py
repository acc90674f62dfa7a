"""Kubernetes quantities as exact numbers: what the binder compares and the server refuses to read."""
import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?")
_SUFFIX = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "k": Fraction(1000)}
_SUFFIX |= {letter: Fraction(1000**power) for power, letter in enumerate("MGTPE", 2)}
_SUFFIX |= {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}


def parse(text: object) -> Fraction:
    """Read "1.5Gi", "1e9", "500M", "1000m" or a JSON number; ValueError when it is none of them."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"not a quantity: {text!r}")
    found = _FORM.fullmatch(str(text))
    if not found:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, exponent, suffix = found.groups()
    return Fraction(number + (exponent or "")) * (_SUFFIX[suffix] if suffix else 1)
