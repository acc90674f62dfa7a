"""Names, sizes and limits a FlashArray accepts. Pure functions; every refusal is a `Refusal`.

Sources: array-rest.md section 2 (user guides, official specs). Texts for bad names and sizes are unverified.
"""

import re

from simulator.refusal import Refusal

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30
TiB = 1 << 40
PiB = 1 << 50

MIN_SIZE = MiB
MAX_SIZE = 4 * PiB
MIN_BANDWIDTH, MAX_BANDWIDTH = MiB, 512 * GiB
MIN_IOPS, MAX_IOPS = 100, 100_000_000
MAX_LUN = 4095

_UNITS = {"": 1, "K": KiB, "M": MiB, "G": GiB, "T": TiB, "P": PiB}
_AMOUNT = re.compile(r"([0-9]+)([KMGTP]?)", re.IGNORECASE)
_VOLUME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_HOST = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SUFFIX = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_volume_name(name: str) -> None:
    """Refuse a volume name no array takes; the pod part of "pod::name" is checked like a pod's name."""
    pod, _, base = name.rpartition("::")
    if pod:
        check_name(pod, "Pod")
    if not _VOLUME.fullmatch(base):
        raise Refusal("Invalid volume name.", name)


def check_name(name: str, what: str) -> None:
    """Refuse a bad name of a host, host group, pod or protection group: no dot, no underscore, 1-63 characters."""
    if not _HOST.fullmatch(name):
        raise Refusal(f"Invalid {what.lower()} name.", name)


def check_suffix(suffix: object, ctx: str) -> str:
    """Return a snapshot suffix, or refuse it: 1-63 letters, digits and "-"."""
    if not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix):
        raise Refusal("Invalid snapshot suffix.", ctx)
    return suffix


def amount(value: object) -> int | None:
    """Read 5368709120, "5368709120" or "5G" (binary units); None for anything else, fractions and signs too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNITS[match[2].upper()] if match else None


def size(value: object, ctx: str, *, round_up_small: bool) -> int:
    """Read a volume size in bytes: a multiple of 512, at most 4 PiB.

    Below 1 MiB the array's CLI rounds up; whether REST 1.x does is unverified, hence `round_up_small`.
    """
    found = amount(value)
    if found is None or found <= 0 or found % 512:
        raise Refusal("Invalid size: must be a positive multiple of 512 bytes.", ctx)
    if found > MAX_SIZE:
        raise Refusal("Invalid size: exceeds the maximum volume size of 4P.", ctx)
    if found < MIN_SIZE:
        if not round_up_small:
            raise Refusal("Invalid size: below the minimum volume size of 1M.", ctx)
        return MIN_SIZE
    return found


def bandwidth_limit(value: object, ctx: str) -> int | None:
    """Read a bandwidth limit in bytes per second, 1 MiB/s to 512 GiB/s; "" takes the limit away."""
    return _limit(value, ctx, "bandwidth limit", MIN_BANDWIDTH, MAX_BANDWIDTH)


def iops_limit(value: object, ctx: str) -> int | None:
    """Read a limit of operations per second, 100 to 100 million; "" takes the limit away."""
    return _limit(value, ctx, "IOPS limit", MIN_IOPS, MAX_IOPS)


def _limit(value: object, ctx: str, what: str, least: int, most: int) -> int | None:
    if value == "":
        return None
    found = amount(value)
    if found is None or not least <= found <= most:
        raise Refusal(f"Invalid {what}: must be between {least} and {most}.", ctx)
    return found


def lun(value: object, ctx: str) -> int:
    """Read an explicit LUN: 1-4095. LUN 0 is never given."""
    found = amount(value)
    if found is None or not 1 <= found <= MAX_LUN:
        raise Refusal(f"Invalid LUN: must be between 1 and {MAX_LUN}.", ctx)
    return found
