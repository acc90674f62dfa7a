"""Names both programs must agree on: volumes, hosts, exports, PVs, and the WWID a volume has on a node.

Rules of Purity ("Purity Conventions" of the FlashArray user guide): a volume's name has 1 to 63 of A-Z a-z 0-9 - _,
begins and ends with a letter or digit and has a letter in it; a host's likewise without "_". Arrays keep the case of a
name and compare without it. Names travel in URL paths as they are, so whatever reaches an array is checked here first.
"""

from arrays.errors import ConfigError

LONGEST_NAME = 63
LONGEST_PREFIX = 22         # 22 + len("-pvc-") + 36 of a UID = 63

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset("0123456789")
_ALNUM = _LETTERS | _DIGITS
_HOST = _ALNUM | {"-"}
_VOLUME = _HOST | {"_"}
_PREFIX = _ALNUM | {"_"}
_HEX = frozenset("0123456789abcdef")

_RULE = (f"1 to {LONGEST_NAME} letters, digits and '-', the first and last a letter or digit, and at least one letter")
_RULE_WITH_UNDERSCORE = _RULE.replace("'-'", "'-' and '_'").replace("digits and '-'", "digits, '-'")

_NAA = "624a9370"           # NAA type 6, Pure's IEEE company id 24a937, 0; the serial follows
_SERIAL_DIGITS = 24


# Volumes

def check_prefix(text: str) -> str:
    """Return `text` if it may stand before volume names (`namespace.pure`, later `clusterID`), else ConfigError."""
    if not text or len(text) > LONGEST_PREFIX or not set(text) <= _PREFIX or text[0] == "_":
        raise ConfigError(f"{text!r} cannot be the prefix of volume names (namespace.pure): write 1 to "
                          f"{LONGEST_PREFIX} letters, digits and underscores, the first a letter or digit")
    return text


def volume_name(prefix: str, pv_name: str) -> str:
    """The name on the array of the volume behind a PV: volume_name("k8s", "pvc-1") is "k8s-pvc-1"."""
    return check_volume_name(f"{prefix}-{pv_name}")


def is_ours(volume: str, prefix: str) -> bool:
    """Whether a volume's name says that it was made under `prefix`; its pod or volume group is not looked at.

    The case must agree: an array keeps it, so a name in another case was not written by us.
    """
    return bool(prefix) and base_name(volume).startswith(f"{prefix}-")


def base_name(volume: str) -> str:
    """The name without pod or volume group: "pod1::x" and "vg1/x" are "x"."""
    return volume.rpartition("::")[2].rpartition("/")[2]


def pod_of(volume: str) -> str:
    """The pod a volume's name stands in: "pod1" of "pod1::x", "" of "x"."""
    return volume.rpartition("::")[0]


def in_pod(pod: str, volume: str) -> str:
    """The full name of a volume in a pod: in_pod("pod1", "x") is "pod1::x"; without pod it is "x"."""
    return check_volume_name(f"{pod}::{volume}" if pod else volume)


def check_volume_name(name: str) -> str:
    """Return `name` if an array takes it for a volume, with "pod::" or "group/" before it or not; else ConfigError."""
    pod, inside, rest = name.rpartition("::")
    group, slash, base = rest.rpartition("/")
    for part, given in ((pod, inside), (group, slash)):
        if given and not _legal(part, _VOLUME):
            raise ConfigError(f"{part!r} in the volume name {name!r} is no name of a pod or volume group")
    if not _legal(base, _VOLUME):
        raise ConfigError(f"{name!r} cannot be a volume's name: an array takes {_RULE_WITH_UNDERSCORE}")
    return name


def check_file_system_name(name: str) -> str:
    """Return `name` if a FlashBlade takes it for a file system (a volume's rules, without pods); else ConfigError."""
    if not _legal(name, _VOLUME):
        raise ConfigError(f"{name!r} cannot be a file system's name: a FlashBlade takes {_RULE_WITH_UNDERSCORE}")
    return name


def check_pod_name(name: str) -> str:
    """Return `name` if it can be a pod's on an array, else ConfigError."""
    if not _legal(name, _VOLUME):
        raise ConfigError(f"{name!r} cannot be the name of a pod on an array")
    return name


def check_suffix(suffix: str) -> str:
    """Return `suffix` if a snapshot may end in it ("daily-1" of "x.daily-1"), else ConfigError."""
    if not 0 < len(suffix) <= LONGEST_NAME or not set(suffix) <= _HOST or "-" in (suffix[0], suffix[-1]):
        raise ConfigError(f"{suffix!r} cannot end a snapshot's name: an array takes 1 to {LONGEST_NAME} letters, "
                          "digits and '-', the first and last a letter or digit")
    return suffix


def check_snapshot_name(name: str) -> str:
    """Return `name` if it is a volume's name, a dot and a suffix; else ConfigError."""
    volume, dot, suffix = name.rpartition(".")
    if not dot:
        raise ConfigError(f"{name!r} is no snapshot: a snapshot's name is its volume's, a dot and a suffix")
    check_volume_name(volume)
    check_suffix(suffix)
    return name


def pv_name(claim_uid: str) -> str:
    """The PV of a claim: "pvc-" and the claim's UID, which no repeat of the claim's making changes."""
    if not claim_uid or not set(claim_uid) <= _HOST or "-" in (claim_uid[0], claim_uid[-1]):
        raise ConfigError(f"{claim_uid!r} is no claim's UID")
    return f"pvc-{claim_uid}"


# Hosts

def check_host_name(name: str) -> str:
    """Return `name` if an array takes it for a host, else ConfigError."""
    if not _legal(name, _HOST):
        raise ConfigError(f"{name!r} cannot be a host's name: an array takes {_RULE}")
    return name


def host_name(node_name: str) -> str:
    """The name of a node's host on an array: the node's own if an array takes it, else a likeness and a short hash.

    The same node always gets the same name, and two nodes never share one. Arrays compare names without case, so a
    name with capitals gets a hash too. Hosts are looked up by initiator first: the name matters once, when one is made.
    """
    if _legal(node_name, _HOST) and node_name == node_name.lower():
        return node_name
    from hashlib import sha256      # only nodes with dots in their names pay for it
    mark = "h" + sha256(node_name.encode("utf-8", "surrogateescape")).hexdigest()[:9]
    likeness = "".join(letter if letter in _HOST else "-" for letter in node_name.lower())
    stem = likeness.strip("-")[:LONGEST_NAME - 1 - len(mark)].strip("-")
    return f"{stem}-{mark}" if stem else f"node-{mark}"


# Devices and exports

def wwid(serial: str) -> str:
    """What Linux and multipath call the volume with this serial: "3624a9370" and the serial in lower case."""
    return f"3{_NAA}{_checked_serial(serial)}"


def naa(serial: str) -> str:
    """The volume's name in SCSI page 0x83, as /sys/block/sdX/device/wwid shows it: "naa.624a9370…"."""
    return f"naa.{_NAA}{_checked_serial(serial)}"


def is_wwid(text: str) -> bool:
    """Whether `text` is the WWID of a volume on a FlashArray, as multipath ("3624a…") or sysfs ("naa.624a…") has it."""
    return bool(_serial_in(text))


def serial(wwid: str) -> str:
    """The serial (24 hex digits, upper case) of a volume by its WWID ("3624a…", "naa.624a…"); else ConfigError."""
    found = _serial_in(wwid)
    if not found:
        raise ConfigError(f"{wwid!r} is not the WWID of a FlashArray volume")
    return found.upper()


def export(nfs_endpoint: str, volume: str) -> str:
    """What to mount for a file system: export("1.2.3.7", "x") is "1.2.3.7:/x"; IPv6 gets its brackets."""
    return f"{_bracketed(nfs_endpoint)}:/{volume}"


def split_export(text: str) -> tuple[str, str]:
    """("1.2.3.7", "/x") of "1.2.3.7:/x"; an IPv6 server keeps its brackets; ConfigError when it is no NFS source."""
    server, colon, path = text.partition(":/")
    if not (server and colon):
        raise ConfigError(f"{text!r} is no NFS export: write server:/path")
    return server, f"/{path}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _legal(name: str, letters: frozenset[str]) -> bool:
    found = set(name)
    return (0 < len(name) <= LONGEST_NAME and found <= letters and name[0] in _ALNUM and name[-1] in _ALNUM
            and not _LETTERS.isdisjoint(found))


def _checked_serial(serial: str) -> str:
    found = serial.lower()
    if len(found) != _SERIAL_DIGITS or not set(found) <= _HEX:
        raise ConfigError(f"{serial!r} is not a volume's serial: that is {_SERIAL_DIGITS} hex digits")
    return found


def _serial_in(wwid: str) -> str:
    """The serial in lower case, "" when `wwid` is not a FlashArray volume's."""
    text = wwid.strip().lower()
    for start in (f"3{_NAA}", f"naa.{_NAA}"):
        found = text.removeprefix(start)
        if found != text and len(found) == _SERIAL_DIGITS and set(found) <= _HEX:
            return found
    return ""
