"""Every location on a node that the driver reads or writes, below one root.

The root ("/" but for tests and the demo) moves the machine: /sys /dev /proc /etc /run /var. What kubelet passes in and
what lies beside the executable are paths of the caller and are not moved.
"""


class Paths:
    """File locations below `root`; all of them strings, for a call-out of milliseconds has no time for pathlib."""

    __slots__ = ("root",)

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")        # "" in production

    def at(self, path: str) -> str:
        """Where the machine's `path` ("/sys/block") is: below the root."""
        return self.root + path

    @property
    def mountinfo(self) -> str:
        return self.root + "/proc/self/mountinfo"

    @property
    def processes(self) -> str:
        return self.root + "/proc"

    @property
    def hostname(self) -> str:
        return self.root + "/proc/sys/kernel/hostname"

    @property
    def swaps(self) -> str:
        return self.root + "/proc/swaps"

    @property
    def dev(self) -> str:
        return self.root + "/dev"

    @property
    def sys_block(self) -> str:
        return self.root + "/sys/block"

    @property
    def sys_dev_block(self) -> str:
        """Links named major:minor to the block devices."""
        return self.root + "/sys/dev/block"

    @property
    def scsi_hosts(self) -> str:
        return self.root + "/sys/class/scsi_host"

    @property
    def iscsi_sessions(self) -> str:
        return self.root + "/sys/class/iscsi_session"

    @property
    def iscsi_connections(self) -> str:
        return self.root + "/sys/class/iscsi_connection"

    @property
    def fc_hosts(self) -> str:
        return self.root + "/sys/class/fc_host"

    @property
    def fc_remote_ports(self) -> str:
        return self.root + "/sys/class/fc_remote_ports"

    @property
    def initiatorname(self) -> str:
        return self.root + "/etc/iscsi/initiatorname.iscsi"

    @property
    def multipath_conf(self) -> str:
        return self.root + "/etc/multipath.conf"

    @property
    def multipathd_socket(self) -> str:
        """An abstract Unix socket: its name begins with a zero byte and is no file."""
        return "\0" + self.root + "/org/kernel/linux/storage/multipathd"

    @property
    def fleet(self) -> str:
        """pure.json where a person puts it; the daemon puts it beside the executable."""
        return self.root + "/etc/pure/pure.json"

    @property
    def state_dir(self) -> str:
        return self.root + "/var/lib/pure-flex"

    @property
    def lock_dir(self) -> str:
        return self.root + "/run/pure-flex"

    @property
    def log_file(self) -> str:
        return self.root + "/var/log/pure-flex.log"


def directory(argument: str) -> str:
    """kubelet's directory argument without slashes at its end; ConfigError when it is not a whole path."""
    if not argument.startswith("/") or "\0" in argument or not argument.strip("/"):
        from arrays.errors import ConfigError
        raise ConfigError(f"{argument!r} is not a directory of kubelet's: it must begin with / and name one below it")
    return "/" + argument.strip("/")
