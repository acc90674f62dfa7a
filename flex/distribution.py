"""Which Linux distribution a node runs, and what its packages are called (os-release(5))."""

from arrays.tuples import NamedTuple
from flex.paths import Paths

FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "rhel", "centos": "rhel", "fedora": "rhel", "suse": "suse",
            "sles": "suse", "opensuse": "suse"}
INSTALL = {"debian": "apt-get install", "rhel": "yum install", "suse": "zypper install"}
PACKAGES = {
    "iscsi": {"debian": "open-iscsi", "rhel": "iscsi-initiator-utils", "suse": "open-iscsi"},
    "multipath": {"debian": "multipath-tools", "rhel": "device-mapper-multipath", "suse": "multipath-tools"},
    "nfs": {"debian": "nfs-common", "rhel": "nfs-utils", "suse": "nfs-client"},
    "btrfs": {"debian": "btrfs-progs", "rhel": "btrfs-progs", "suse": "btrfsprogs"},
}
EVERYWHERE = {"xfs": "xfsprogs", "util-linux": "util-linux", **dict.fromkeys(("ext2", "ext3", "ext4"), "e2fsprogs")}


class Distribution(NamedTuple):
    """`family`: "debian", "rhel", "suse"; "" for one that is not known."""

    family: str

    @classmethod
    def of(cls, paths: Paths) -> "Distribution":
        """The distribution of a node."""
        try:
            with open(paths.at("/etc/os-release"), encoding="utf-8", errors="replace") as file:
                return cls(parse_family(file.read()))
        except OSError:
            return cls("")

    def install(self, what: str) -> str:
        """The command that installs what is needed for "iscsi", "multipath", "nfs", "xfs", …; all names when in doubt."""
        if what in EVERYWHERE:
            return f"{INSTALL.get(self.family, 'install')} {EVERYWHERE[what]}"
        known = PACKAGES.get(what, {})
        if self.family in known:
            return f"{INSTALL[self.family]} {known[self.family]}"
        return f"install {' or '.join(sorted(set(known.values()))) or f'a package with mkfs.{what}'}"


def parse_family(text: str) -> str:
    """The family that ID or ID_LIKE of os-release names, "" when it is none of those known."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    words = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").lower().split()
    return next((FAMILIES[word] for word in words if word in FAMILIES), "")
