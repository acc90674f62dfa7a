"""How a pretend node is configured, and what goes wrong on it: plain fields that tests set at any time.

Numbers in seconds are those of a real node (node-attach.md sections 2 and 3); a pretend node lives `speed` times
faster. Facts marked *unverified* there are switches here.
"""

from dataclasses import dataclass, field


@dataclass
class Settings:
    """What an administrator or a distribution decides. Times are a real node's seconds."""

    speed: float = 20.0                    # how many of the node's seconds pass in one real second
    iscsid: str = "running"                # or "stopped": login and logout exit 20
    login_timeout: float = 15.0            # iscsid.conf: what new records start with
    initial_login_retry_max: int = 8
    replacement_timeout: float = 120.0
    scan: str = "auto"
    unknown_initiator: str = "empty"       # login without a host on the array: "empty", or "refused" (24, as LIO does)
    flat_luns: bool = False                # LUNs above 255 show up as n + 0x4000 (unverified for Pure)

    multipathd: str = "running"            # "stopped": no socket; "absent": no executables either
    find_multipaths: str = "strict"        # "yes", "smart", "no"
    user_friendly_names: bool = False      # mpatha … instead of the WWID
    aliases: dict[str, str] = field(default_factory=dict)               # WWID -> name, as in multipath.conf
    blacklist: set[str] = field(default_factory=set)                    # WWIDs that multipathd never takes
    no_path_retry: str = "fail"            # "queue": I/O waits while there is no path
    fail_exits_0: bool = False             # older multipathd commands print "fail" and exit 0
    polling_interval: float = 1.0          # how late multipathd notices paths that died or came back
    udev_delay: float = 0.6                # until multipathd has seen udev's event for a new path
    link_delay: float = 0.2                # until /dev/mapper/<name> is there after the map
    map_held: float = 1.0                  # udev keeps a map open for this long after it was made or let go

    noop: float = 10.0                     # until a session whose portal went dark is FAILED: ping 5 + 5
    smallest_xfs: int = 300 << 20          # mkfs.xfs of xfsprogs 5.19 and later refuses less


@dataclass
class Faults:
    """What is broken now; a count goes down with each time it strikes, a set or a flag stays until it is cleared."""

    database_busy: int = 0                 # iscsiadm -m node: exit 6
    login_hangs: set[str] = field(default_factory=set)         # portals: LOGGED_IN at once, iscsiadm never ends (2.1.10)
    login_slow: dict[str, float] = field(default_factory=dict)  # portal -> seconds that its login takes
    scan_hangs: set[str] = field(default_factory=set)          # portals whose host's scan file blocks the writer
    scan_lost: int = 0                     # scans that find nothing
    map_never: bool = False                # multipathd answers "fail" to add map
    map_fails: int = 0                     # this many times "fail", then as usual
    map_timeout: int = 0                   # multipathd prints "timeout" and exits 0
    map_in_use: int = 0                    # del map / multipath -f: "map in use"
    umount_busy: int = 0                   # umount: "target is busy", 32
    io_error: set[str] = field(default_factory=set)            # WWIDs whose I/O fails with EIO
    slow: dict[str, float] = field(default_factory=dict)       # tool -> seconds it takes, killable meanwhile
    fail: dict[str, int] = field(default_factory=dict)         # tool -> status it exits with at once, doing nothing
    nfs_dark: set[str] = field(default_factory=set)            # NFS servers that answer nothing
