"""Sizes and rates as FlashArray and FlashBlade count them: `int` bytes inside, binary letters in text.

Kubernetes' own quantities ("10Gi", "10G" = 10^10) are the provisioner's: here "10G" is what an array reads, 10 GiB.
Limits are those of REST 1.x: volumes of 1 MiB to 4 PiB, bandwidth of 1 MiB/s to 512 GiB/s, 100 to 100 million IOPS
(Purity user guide "Purity Conventions"; PureStorage-OpenConnect/swagger, FlashArray REST v1.14 and v1.17).
"""

from arrays.errors import ConfigError

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB
PiB = 1024 * TiB

SECTOR = 512
SMALLEST_VOLUME = MiB
LARGEST_VOLUME = 4 * PiB
LOWEST_BANDWIDTH, HIGHEST_BANDWIDTH = MiB, 512 * GiB       # bytes a second
LOWEST_IOPS, HIGHEST_IOPS = 100, 100_000_000

_LETTERS = {"": 1, "S": SECTOR, "K": KiB, "M": MiB, "G": GiB, "T": TiB, "P": PiB}
_NAMES = (("PiB", PiB), ("TiB", TiB), ("GiB", GiB), ("MiB", MiB), ("KiB", KiB))


def round_up(size: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `size`."""
    return -(-size // step) * step


def array_size(request: int) -> int:
    """The size an array gives for a request of so many bytes: a multiple of 1 MiB, at least 1 MiB.

    Arrays want multiples of 512; whole MiB spare the question whether REST 1.x rounds or refuses small sizes.
    ConfigError for nothing, less than nothing and more than 4 PiB.
    """
    if request <= 0:
        raise ConfigError(f"a volume of {request} bytes cannot be made: ask for at least 1 byte")
    if request > LARGEST_VOLUME:
        raise ConfigError(f"a volume of {human(request)} cannot be made: an array's largest is {human(LARGEST_VOLUME)}")
    return round_up(request, MiB)


def human(size: int) -> str:
    """A size for people: "10GiB", "1.5TiB", "300B"; at most two decimals, cut and never rounded up."""
    for name, unit in _NAMES:
        if abs(size) >= unit:
            hundredths = abs(size) * 100 // unit
            number = f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
            return f"{'-' if size < 0 else ''}{number}{name}"
    return f"{size}B"


def human_exactly(size: int) -> str:
    """A size for people that hides no difference: "10GiB", and "9.53GiB (10240000000 bytes)" when that is cut."""
    text = human(size)
    return f"{text} ({size} bytes)" if "." in text or bytes_of(text.rstrip("iB")) != size else text


def span(seconds: float) -> str:
    """A time for people: "24 hours", "90 minutes", "20 seconds"; whole numbers, cut."""
    for name, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {name}"
    return f"{int(seconds)} seconds"


def bytes_of(text: str) -> int:
    """Read a size as an array does: digits and one of K, M, G, T, P, S (512 bytes), binary; no letter means bytes."""
    number, letter = _split(text)
    if not (number.isascii() and number.isdecimal()) or letter not in _LETTERS:
        raise ConfigError(f"{text!r} is not a size: write digits and one of K, M, G, T, P (binary), like 10G")
    return int(number) * _LETTERS[letter]


def parse_bandwidth(text: str) -> int:
    """A bandwidth limit in bytes a second from "100M" or "10G"; the array accepts 1 MiB/s to 512 GiB/s."""
    rate = bytes_of(text)
    if not LOWEST_BANDWIDTH <= rate <= HIGHEST_BANDWIDTH:
        raise ConfigError(f"bandwidth limit {text!r} is outside what an array accepts: 1M to 512G bytes a second")
    return rate


def parse_iops(text: str) -> int:
    """An IOPS limit from "30000" or "30K" (an array reads K and M of operations as thousands and millions)."""
    number, letter = _split(text)
    thousands = {"": 1, "K": 1000, "M": 1_000_000}
    if not (number.isascii() and number.isdecimal()) or letter not in thousands:
        raise ConfigError(f"{text!r} is not an IOPS limit: write a whole number, like 30000")
    limit = int(number) * thousands[letter]
    if not LOWEST_IOPS <= limit <= HIGHEST_IOPS:
        raise ConfigError(f"IOPS limit {text!r} is outside what an array accepts: {LOWEST_IOPS} to {HIGHEST_IOPS}")
    return limit


def _split(text: str) -> tuple[str, str]:
    """("10", "G") of " 10g "."""
    text = text.strip()
    return (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
