"""iSCSI on this node: the initiator's name, sessions, node records, logins. Finding a LUN's device is scsi.py's.

Looks things up in sysfs, which alone tells whether a session is logged in, and speaks to `iscsiadm` of open-iscsi 2.0.873
or later to change them; exit statuses are iscsiadm(8)'s. There is no discovery: the array has told its portals, and
discovery would reset node records and add portals that the administrator excluded. Sessions are never logged out: a
logout succeeds under a mounted file system and destroys it (node-attach.md, facts 2, 3 and 6).
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from arrays.errors import CommandFailed, ConfigError, NeverHappened, PureError, Unreachable
from arrays.tuples import NamedTuple
from flex import container, lately, log
from flex.locks import target_lock
from flex.node import command, sysfs
from flex.node.scsi import Nexus
from flex.paths import Paths
from flex.trouble import NodeLacks
from flex.wait import wait_for

# iscsiadm(8), EXIT STATUS
NO_RECORD, SESSION_EXISTS, DATABASE, NOT_AUTHORISED = 21, 15, 6, 24
REASONS = {
    4: "connection refused or lost",
    5: "login failed",
    8: "no answer in time",
    11: "no answer in time",
    NOT_AUTHORISED: "the array refused this initiator: check its CHAP user and secret in /etc/iscsi/iscsid.conf",
    command.NO_END: "no answer in time",
}
NO_DAEMON = (18, 20)
LONGEST_REASON = 200            # characters of iscsiadm's output in a message

RECORD_TIMEOUT = 10.0           # seconds for reading or writing a node record
DATABASES = ("/etc/iscsi/nodes", "/var/lib/iscsi/nodes")       # Debian's, Ubuntu's and SUSE's; Red Hat's
DATABASE_TRIES = 5              # another iscsiadm holds the database
RECOVERY = 15                   # seconds a dead path keeps its I/O before multipath may send it elsewhere
STRAGGLERS = 2.0                # seconds further portals get when one session is up
SETTLE = 3.0                    # seconds from iscsiadm's end to LOGGED_IN in sysfs
DARK = 60.0                     # seconds a silent portal is left alone while another serves the target


class Session(NamedTuple):
    """One session as sysfs shows it."""

    number: int
    target: str                 # IQN
    portal: str                 # "192.0.2.11:3260", "[2001:db8::1]:3260"
    host: int                   # SCSI host
    logged_in: bool

    @property
    def nexus(self) -> Nexus:
        """iSCSI has one channel and one target a session."""
        return Nexus(self.host, 0, 0, self.portal)


# Looking up -----------------------------------------------------------------------------------------------------------

def initiator(paths: Paths) -> str:
    """This node's IQN; NodeLacks when it has none."""
    try:
        with open(paths.initiatorname, encoding="utf-8", errors="replace") as file:
            name = parse_initiatorname(file.read())
    except OSError:
        name = ""
    if not name:
        raise NodeLacks("this node has no iSCSI initiator name: install open-iscsi (Debian, Ubuntu, SUSE) or "
                        "iscsi-initiator-utils (RHEL, CentOS, Fedora), which writes /etc/iscsi/initiatorname.iscsi"
                        + container.advice())
    return name


def parse_initiatorname(text: str) -> str:
    """The IQN of initiatorname.iscsi: the last `InitiatorName=` that is not a comment; "" when there is none."""
    names = [line.partition("=")[2].strip() for line in map(str.strip, text.splitlines())
             if line.partition("=")[0].strip() == "InitiatorName"]
    return next((name for name in reversed(names) if name), "")


def sessions(paths: Paths, target: str) -> list[Session]:
    """This node's sessions with one target, in whatever state."""
    found = (_session(paths, name) for name in sysfs.entries(paths.iscsi_sessions, "session"))
    return [session for session in found if session and session.target == target]


def logged_in(paths: Paths, target: str) -> list[Session]:
    """The sessions with one target that can be used now."""
    return [session for session in sessions(paths, target) if session.logged_in]


def _session(paths: Paths, name: str) -> Session | None:
    directory, number = f"{paths.iscsi_sessions}/{name}", name.removeprefix("session")
    connection = f"{paths.iscsi_connections}/connection{number}:0"
    portal = (sysfs.read(f"{connection}/persistent_address"), sysfs.read(f"{connection}/persistent_port"))
    host = _host(os.path.realpath(f"{directory}/device"))
    if host is None or not number.isdigit():
        return None                                     # it ended while we looked
    return Session(int(number), sysfs.read(f"{directory}/targetname"), portal_text(*portal), host,
                   sysfs.read(f"{directory}/state") == "LOGGED_IN")


def _host(device: str) -> int | None:
    """The SCSI host of …/platform/host3/session1."""
    hosts = [part.removeprefix("host") for part in device.split("/") if part.startswith("host")]
    return next((int(number) for number in reversed(hosts) if number.isdigit()), None)


# Portals --------------------------------------------------------------------------------------------------------------

def split_portal(portal: str) -> tuple[str, str]:
    """("2001:db8::1", "3260") of "[2001:db8::1]:3260"; the port is 3260 when none is said."""
    address, colon, port = portal.rpartition(":")
    if not colon or "]" in port or (":" in address and not address.endswith("]")):
        address, port = portal, "3260"                  # IPv6 without brackets, or no port
    return address.strip("[]"), port


def portal_text(address: str, port: str) -> str:
    """A portal as iscsiadm takes it, and alike for alike: IPv6 compressed and in brackets."""
    try:
        address = ip_address(address).compressed
    except ValueError:
        address = address.lower()
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def allowed(portals: Iterable[str], cidrs: Sequence[str]) -> list[str]:
    """The portals inside one of the networks, all of them when no network is given; ConfigError when none is left.

    What is no address (a name) cannot be inside a network.
    """
    known = [portal_text(*split_portal(portal)) for portal in portals]
    if not known:
        raise ConfigError("the array has no iSCSI port: check its network settings, or set PURE_FLASHARRAY_SAN_TYPE=FC")
    networks = [_network(cidr) for cidr in cidrs]
    inside = [portal for portal in known if not networks or _inside(split_portal(portal)[0], networks)]
    if not inside:
        raise ConfigError(f"none of the array's iSCSI portals ({', '.join(known)}) is inside "
                          f"PURE_ISCSI_ALLOWED_CIDRS ({', '.join(cidrs)})")
    return inside


def _network(cidr: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(cidr, strict=False)
    except ValueError as error:
        raise ConfigError(f"PURE_ISCSI_ALLOWED_CIDRS: {error}") from None


def _inside(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)       # one of the other kind is just not in it


# Login ----------------------------------------------------------------------------------------------------------------

def log_in(paths: Paths, target: str, portals: Sequence[str], timeout: float) -> list[Session]:
    """Bring up a session with each portal, side by side, and return those that are up: at least one.

    `timeout` (s) is what one login may take. A portal that stays silent holds nobody up for long once another serves
    the target. Unreachable with each portal's reason when none does.
    """
    up = logged_in(paths, target)
    if not _worth_trying(paths, target, portals, up):
        return up
    with target_lock(paths, target, 2 * timeout + STRAGGLERS):
        up = logged_in(paths, target)
        missing = _worth_trying(paths, target, portals, up)
        tries = [_Login(paths, target, portal, timeout) for portal in missing]
        _await(tries, lambda: {session.portal for session in logged_in(paths, target)}, timeout + SETTLE)
        up = logged_in(paths, target)
        reasons = {one.portal: one.reason for one in tries if one.portal not in {session.portal for session in up}}
    for portal, reason in reasons.items():
        lately.note(paths, _dark(target, portal))
        log.info(f"iSCSI portal {portal} of {target}: {reason}")
    if not up:
        raise _nobody(target, tries, reasons)
    return up


def _worth_trying(paths: Paths, target: str, portals: Sequence[str], up: Sequence[Session]) -> list[str]:
    served = {session.portal for session in up}
    missing = [portal for portal in portals if portal not in served]
    return [portal for portal in missing if not up or not lately.failed(paths, _dark(target, portal), DARK)]


def _dark(target: str, portal: str) -> str:
    return f"portal {portal} of {target}"


def _nobody(target: str, tries: "Sequence[_Login]", reasons: dict[str, str]) -> PureError:
    for one in tries:
        if isinstance(one.error, NodeLacks):
            return one.error
    told = "; ".join(f"{portal}: {reason}" for portal, reason in reasons.items())
    return Unreachable(f"iSCSI target {target}",
                       f"{told}. Check this node's storage network, or leave portals out with PURE_ISCSI_ALLOWED_CIDRS")


def _await(tries: "Sequence[_Login]", look: Callable[[], set[str]], timeout: float) -> None:
    """Wait until all tries have ended or are up, or one portal is up and the others have had their extra time."""
    for one in tries:
        one.thread.start()
    end, hurried = time.monotonic() + timeout, False
    while time.monotonic() < end and any(one.thread.is_alive() for one in tries):
        up = look()
        if all(one.portal in up for one in tries):
            return                      # iscsiadm may never end: open-iscsi 2.1.10 hangs with manual scan
        if up and not hurried:
            end, hurried = min(end, time.monotonic() + STRAGGLERS), True
        time.sleep(0.01)


class _Login:
    """One portal's record and login, in a thread of its own; iscsiadm may outlive it and us."""

    def __init__(self, paths: Paths, target: str, portal: str, timeout: float) -> None:
        self.paths, self.target, self.portal, self.timeout = paths, target, portal, timeout
        self.error: PureError | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def reason(self) -> str:
        if isinstance(self.error, CommandFailed):
            said = " ".join(self.error.output.split())[:LONGEST_REASON]
            return REASONS.get(self.error.status, f"iscsiadm ended with status {self.error.status}: {said}")
        return str(self.error or REASONS[command.NO_END])

    def _run(self) -> None:
        try:
            keep_record(self.paths, self.target, self.portal, self.timeout)
            self._log_in()
            wait_for(self._is_up, f"the session with {self.portal}", SETTLE)
        except CommandFailed as error:
            self.error = _explained(error)
        except (NeverHappened, NodeLacks) as error:
            self.error = error

    def _log_in(self) -> None:
        """A record that is older than iscsid.conf's CHAP gets it when the array asks for it."""
        try:
            _log_in_once(self.target, self.portal, self.timeout)
        except CommandFailed as error:
            chap = chap_of(self.paths) if error.status == NOT_AUTHORISED else []
            if not chap:
                raise
            _update(self.target, self.portal, chap, secrets=tuple(value for name, value in chap if "password" in name))
            _log_in_once(self.target, self.portal, self.timeout)

    def _is_up(self) -> bool:
        return any(session.portal == self.portal for session in logged_in(self.paths, self.target))


def keep_record(paths: Paths, target: str, portal: str, login_timeout: float) -> None:
    """Make sure of the node record and its settings; an existing record is updated and never made anew (fact 3)."""
    pairs = record_settings(login_timeout)
    if is_unknown(paths, target) or _update(target, portal, pairs, allow=(0, NO_RECORD)) == NO_RECORD:
        _database("iscsiadm", "-m", "node", "-T", target, "-p", portal, "-o", "new")
        _update(target, portal, pairs)


def is_unknown(paths: Paths, target: str) -> bool:
    """Whether no portal of a target can have a record: a database is in sight, and none has a folder for the target.

    That saves a program on the way to a first login. Of a database in an unusual place iscsiadm has to tell.
    """
    databases = [database for database in map(paths.at, DATABASES) if os.path.isdir(database)]
    return bool(databases) and not any(os.path.lexists(f"{database}/{target}") for database in databases)


def record_settings(login_timeout: float) -> list[tuple[str, str]]:
    """What we want in a node record. CHAP comes into it from iscsid.conf when it is made, without any secret in argv.

    Manual scan, or every LUN mapped to this node appears at login, those about to be taken away included
    (kubernetes#90982). Manual start, or a reboot waits for each portal that is gone.
    """
    return [("node.session.scan", "manual"),
            ("node.startup", "manual"),
            ("node.session.timeo.replacement_timeout", str(RECOVERY)),
            ("node.conn[0].timeo.login_timeout", str(max(1, round(login_timeout)))),
            ("node.session.initial_login_retry_max", "1")]


def chap_of(paths: Paths) -> list[tuple[str, str]]:
    """CHAP names and secrets as iscsid.conf has them for new records; nothing when it asks for none."""
    try:
        with open(paths.at("/etc/iscsi/iscsid.conf"), encoding="utf-8", errors="replace") as file:
            return parse_chap(file.read())
    except OSError:
        return []


def parse_chap(text: str) -> list[tuple[str, str]]:
    """The `node.session.auth.…` settings of iscsid.conf, if its authmethod is CHAP; comments begin with "#"."""
    pairs = [(name.strip(), value.strip()) for name, equals, value in (line.partition("=") for line in text.splitlines())
             if equals and name.strip().startswith("node.session.auth.")]
    return pairs if ("node.session.auth.authmethod", "CHAP") in pairs else []


def _update(target: str, portal: str, pairs: list[tuple[str, str]], *, allow: tuple[int, ...] = (0,),
            secrets: tuple[str, ...] = ()) -> int:
    """All changes of one record in one call: open-iscsi takes several -n -v pairs."""
    words = [word for name, value in pairs for word in ("-n", name, "-v", value)]
    return _database("iscsiadm", "-m", "node", "-T", target, "-p", portal, "-o", "update", *words, allow=allow,
                     secrets=secrets)


def _database(*argv: str, allow: tuple[int, ...] = (0,), secrets: tuple[str, ...] = ()) -> int:
    """One change of the node database; it is tried again while another iscsiadm holds it."""
    for _ in range(DATABASE_TRIES - 1):
        status = command.run(*argv, timeout=RECORD_TIMEOUT, allow=(*allow, DATABASE), secrets=secrets).status
        if status != DATABASE:
            return status
        time.sleep(0.1)
    return command.run(*argv, timeout=RECORD_TIMEOUT, allow=allow, secrets=secrets).status


def _log_in_once(target: str, portal: str, timeout: float) -> None:
    # SESSION_EXISTS is also given while iscsid is still trying (fact 6): sysfs has the last word, here as after success.
    command.run("iscsiadm", "-m", "node", "-T", target, "-p", portal, "--login", timeout=timeout,
                allow=(0, SESSION_EXISTS))


def _explained(error: CommandFailed) -> PureError:
    if error.status == command.NOT_INSTALLED:
        return NodeLacks("iscsiadm is not installed on this node: install open-iscsi (Debian, Ubuntu, SUSE) or "
                         "iscsi-initiator-utils (RHEL, CentOS, Fedora)" + container.advice())
    if error.status in NO_DAEMON:
        return NodeLacks("iscsid is not running on this node: `systemctl enable --now iscsid`")
    return error
