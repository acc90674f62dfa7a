"""Multipath maps of this node: found by WWID in sysfs, made and removed by asking multipathd.

multipathd (multipath-tools 0.7 or later; tried with 0.9.4) answers on an abstract Unix socket in the host's network
namespace: each way a native 64-bit length, then text that ends in a zero byte. That costs a few milliseconds instead of a
process. Where the socket does not answer, the command `multipathd` is tried once. Success is the answer `ok` and nothing
else: some versions exit 0 with "fail" or "timeout" (vdsm, os-brick).

Maps are looked up by dm uuid, never by name: names may be friendly, or aliases. Commands about a map want its name.
"""

import os
import socket
import struct
import time
from collections.abc import Sequence

from arrays.errors import Busy, CommandFailed, NeverHappened
from arrays.tuples import NamedTuple
from flex import container, log
from flex.node import blockdev, command, scsi, sysfs
from flex.paths import Paths
from flex.trouble import NodeLacks, NotTheVolume
from flex.wait import wait_for

ANSWER = 10.0                   # seconds multipathd gets for one answer; it is busy while many paths come
SURELY = 15.0                   # seconds after which it is looked up whether the configuration leaves a map out
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.03, 2.0, 1.3     # seconds between two requests for a map
_LENGTH = struct.Struct("=Q")
_LONGEST = 16 << 20
_WORKS = frozenset({"active"})  # dm states of a path that carries I/O ("failed", "undef" do not)


class Map(NamedTuple):
    """One multipath device as it was when looked at; dm numbers are reused, so look again after every wait."""

    node: str                   # "dm-3"
    number: str                 # "253:3"
    name: str                   # "mpatha" or the WWID
    wwid: str


# Looking up -----------------------------------------------------------------------------------------------------------

def find(paths: Paths, wwid: str) -> Map | None:
    """The map of a WWID, None when there is none."""
    for node in sysfs.entries(paths.sys_block, "dm-"):
        directory = f"{paths.sys_block}/{node}"
        if sysfs.read(f"{directory}/dm/uuid") == f"mpath-{wwid}":
            return Map(node, sysfs.read(f"{directory}/dev"), sysfs.read(f"{directory}/dm/name"), wwid)
    return None


def slaves(paths: Paths, node: str) -> dict[str, str]:
    """The paths that a map stands on: "sdb" -> the WWID it shows now."""
    directory = f"{paths.sys_block}/{node}/slaves"
    return {name: scsi.wwid_of(sysfs.read(f"{directory}/{name}/device/wwid")) for name in sysfs.entries(directory)}


def check_slaves(paths: Paths, found: Map) -> dict[str, str]:
    """The map's paths; NotTheVolume when one of them is another volume (a reused LUN, node-attach.md 2.7)."""
    by_name = slaves(paths, found.node)
    wrong = sorted(f"{name} ({wwid or 'no WWID'})" for name, wwid in by_name.items() if wwid != found.wwid)
    if wrong:
        raise NotTheVolume(f"the multipath device {found.name} of {found.wwid} stands on {', '.join(wrong)}: a LUN was "
                           "reused under it; it is left alone")
    return by_name


# Asking multipathd ----------------------------------------------------------------------------------------------------

def ask(paths: Paths, request: str, timeout: float = ANSWER) -> str:
    """multipathd's answer to one command of its command line; NodeLacks when it does not run."""
    try:
        return _ask_socket(paths.multipathd_socket, request, timeout)
    except TimeoutError:
        return "timeout"
    except OSError as error:
        log.debug(f"multipathd's socket: {error}")
        return _ask_command(request, timeout)


def _ask_socket(name: str, request: str, timeout: float) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(timeout)
        connection.connect(name)
        message = request.encode() + b"\0"
        connection.sendall(_LENGTH.pack(len(message)) + message)
        length, = _LENGTH.unpack(_receive(connection, _LENGTH.size))
        if length > _LONGEST:
            raise OSError(f"an answer of {length} bytes")
        return _receive(connection, length).rstrip(b"\0").decode("utf-8", "replace").strip()


def _receive(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        piece = connection.recv(min(length - len(received), 1 << 16))
        if not piece:
            raise OSError("multipathd closed the connection in the middle of an answer")
        received += piece
    return bytes(received)


def _ask_command(request: str, timeout: float) -> str:
    """The same through the program: older multipathd, or one in another network namespace."""
    try:
        done = command.run("multipathd", *request.split(" "), timeout=timeout, allow=(0, 1))
    except CommandFailed as error:
        if error.status == command.NOT_INSTALLED:
            raise NodeLacks("multipath-tools is not installed on this node: install multipath-tools (Debian, Ubuntu, "
                            "SUSE) or device-mapper-multipath (RHEL, CentOS, Fedora) and start multipathd"
                            + container.advice()) from None
        raise
    answer = done.output.strip()
    if done.status and answer not in ("fail", "timeout"):
        raise NodeLacks("multipathd is not running on this node: `systemctl enable --now multipathd`")
    return answer


def is_ok(answer: str) -> bool:
    """Whether an answer means that it was done."""
    return answer == "ok"


# Changing -------------------------------------------------------------------------------------------------------------

def add(paths: Paths, wwid: str, names: Sequence[str], timeout: float) -> Map:
    """The map of a WWID of which the paths `names` ("sdb") are there; made if need be, whatever find_multipaths says.

    `add map` says "fail" until multipathd has seen udev's event for a path, so it is asked again, more and more seldom:
    each time it looks at all of its paths, and many call-outs that ask at once keep it from its work.
    """
    asking = _Asking(paths, wwid, names)
    what, patience = f"the multipath device of {wwid}", min(timeout, SURELY)
    try:
        return wait_for(asking.look, what, patience, interval=FIRST_PAUSE)
    except NeverHappened:
        _check_blacklist(paths, wwid, names)
    try:
        return wait_for(asking.look, what, timeout - patience)
    except NeverHappened as error:
        told = f"multipathd says {asking.said or 'nothing'!r}"
        unseen = sorted(parse_devices(ask(paths, "show devices"), "unmonitored") & set(names))
        if unseen:
            told += f" and has not taken in {', '.join(unseen)}: it is busy, or its configuration leaves them out"
        raise NeverHappened(f"{what} ({told}; look at `multipathd show config local`)", timeout) from error


class _Asking:
    """Asks multipathd for one map until it is there."""

    def __init__(self, paths: Paths, wwid: str, names: Sequence[str]) -> None:
        self.paths, self.wwid, self.said = paths, wwid, ""
        self._next, self._pause = 0.0, FIRST_PAUSE
        self._udev = [paths.at(f"/run/udev/data/b{blockdev.number_of(paths, name)}") for name in names]

    def look(self) -> Map | None:
        there = find(self.paths, self.wwid)
        if there or not self._is_time():
            return there
        self.said = ask(self.paths, f"add map {self.wwid}")
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
        self._next = time.monotonic() + self._pause
        return find(self.paths, self.wwid) if is_ok(self.said) else None

    def _is_time(self) -> bool:
        if any(map(os.path.exists, self._udev)):        # udev has just dealt with a path: multipathd is the next to hear
            self._udev, self._next, self._pause = [], 0.0, FIRST_PAUSE
        return time.monotonic() >= self._next


def _check_blacklist(paths: Paths, wwid: str, names: Sequence[str]) -> None:
    """NodeLacks when multipathd's configuration says that it will never make this map."""
    left_out = parse_devices(ask(paths, "show devices"), "blacklisted") & set(names)
    if left_out or wwid in ask(paths, "show blacklist"):
        raise NodeLacks(f"multipathd makes no multipath device of {wwid} ({', '.join(names)}): a blacklist in "
                        "/etc/multipath.conf leaves it out (`multipathd show blacklist`)")


def parse_devices(text: str, word: str) -> set[str]:
    """The disks of which `show devices` says `word`. One that multipathd has not seen yet is whitelisted, unmonitored:

        available block devices:
            sda devnode whitelisted, monitored
            sdb devnode blacklisted, unmonitored
    """
    lines = (line.replace(",", " ").split() for line in text.splitlines())
    return {words[0] for words in lines if len(words) > 2 and words[1] == "devnode" and word in words[2:]}


def remove(paths: Paths, found: Map, timeout: float) -> None:
    """Remove a map that nobody uses; its partitions' maps go with it. Busy with its users when somebody does.

    udev may hold a device for a moment after its last use, so "map in use" is not believed at once (fact 10).
    """
    def look() -> bool:
        now = find(paths, found.wwid)
        if now:
            ask(paths, f"del map {now.name}")
        return not find(paths, found.wwid)
    try:
        wait_for(look, f"the removal of {found.name}", timeout, interval=0.05)
    except NeverHappened:
        holders = blockdev.users(paths, found.node) or ["a process that has it open"]
        raise Busy(f"multipath device {found.name}", f"it is used by {', '.join(holders)}") from None


def resize(paths: Paths, found: Map, size: int, timeout: float) -> None:
    """Let a map take the new size that all its paths have; NeverHappened when it does not."""
    def look() -> bool:
        if blockdev.size(paths, found.node) != size:
            ask(paths, f"resize map {found.name}")
        return blockdev.size(paths, found.node) == size
    wait_for(look, f"multipath device {found.name} to have {size} bytes", timeout, interval=0.05)


def stop_queueing(paths: Paths, found: Map) -> None:
    """Let I/O without a path fail instead of wait: what was not written yet is lost."""
    answer = ask(paths, f"disablequeueing map {found.name}")
    if not is_ok(answer):
        log.info(f"multipathd answered {answer!r} to disablequeueing map {found.name}")


def has_usable_path(paths: Paths, wwid: str) -> bool:
    """Whether I/O to a map can get through at the moment; when multipathd cannot tell, whether it has a path at all."""
    states = path_states(paths)
    if not states:
        return bool(scsi.of_wwid(paths, wwid))
    return any(works(state) for path_wwid, state in states if path_wwid == wwid)


def path_states(paths: Paths) -> list[tuple[str, str]]:
    """(WWID, dm state) of each path of this node, foreign ones too; none when multipathd cannot tell."""
    try:
        return parse_paths(_show(paths, 'paths {}format "%w %d %t %T"'))
    except (NodeLacks, CommandFailed):
        return []


def works(state: str) -> bool:
    """Whether a path of that dm state carries I/O."""
    return state in _WORKS


def _show(paths: Paths, what: str) -> str:
    """A table without its header line; versions that cannot leave it out give it."""
    answer = ask(paths, f"show {what.format('raw ')}")
    return ask(paths, f"show {what.format('')}") if answer in ("fail", "timeout") else answer


def is_queueing(paths: Paths, wwid: str) -> bool:
    """Whether I/O to a map waits while it has no path; True when multipathd cannot be asked, which is the careful guess."""
    try:
        answer = _show(paths, 'maps {}format "%w %Q"')
    except (NodeLacks, CommandFailed):
        return True
    return parse_queueing(answer).get(wwid, "on") not in ("off", "-")


def parse_queueing(text: str) -> dict[str, str]:
    """WWID -> queueing of each map, from `show maps raw format "%w %Q"`: "on", "off", "-" (not set), "12 chk"."""
    rows = (line.split(maxsplit=1) for line in text.splitlines())
    return {words[0]: words[1].strip() for words in rows if len(words) == 2 and words[0] != "uuid"}


def parse_paths(text: str) -> list[tuple[str, str]]:
    """(WWID, dm state) of each path, from `show paths raw format "%w %d %t %T"`; a header line is passed over:

        3624a9370f92a1da2f8c9429700011010 sdb active ready
        3624a9370f92a1da2f8c9429700011010 sdc failed faulty
    """
    rows = (line.split() for line in text.splitlines())
    return [(words[0], words[2]) for words in rows if len(words) >= 4 and words[0] != "uuid"]


def setting(configuration: str, name: str) -> str:
    """A setting as `show config` prints it (`find_multipaths "strict"`), the last one if there are several; "" if none."""
    lines = (line.split(maxsplit=1) for line in configuration.splitlines())
    return next((words[1].strip(' "') for words in reversed(list(lines)) if len(words) == 2 and words[0] == name), "")
