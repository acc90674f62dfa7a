"""What this node lacks, for `flex doctor`: each finding is one line with what to do about it. Nothing is changed.

Looks where mount and unmount look: programs on PATH, daemons by their sockets and processes, sysfs, the fleet's arrays and
their portals. The host's settings are reported and left alone (node-attach.md 2.15).
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

from arrays import names
from arrays.errors import PureError
from arrays.tuples import NamedTuple
from flex import attach, container, initiators, state
from flex.distribution import Distribution
from flex.node import command, iscsi, multipath, scsi, sysfs
from flex.together import together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from arrays.flasharray import FlashArray
    from arrays.records import Port
    from flex.machine import Node

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"

STALE = "is a device that the array does not show any more"

REACH = 3.0                     # seconds a portal or a management address gets to answer
NFS_PORT = 2049
ISCSID_SOCKET = "@ISCSIADM_ABSTRACT_NAMESPACE"      # open-iscsi, include/iscsid_if.h: iscsid or, for it, systemd listens


class Finding(NamedTuple):
    """One line. `level`: OK, NOTE (worth knowing), WARNING, PROBLEM (mounts fail); `remedy` is "" when none is needed."""

    level: str
    subject: str
    text: str
    remedy: str = ""


def findings(node: "Node") -> list[Finding]:
    """Everything that was looked at, in the order in which a mount needs it."""
    distribution = Distribution.of(node.paths)
    checks: list[Callable[[], Iterable[Finding]]] = [
        partial(settings, node), partial(transport, node, distribution), partial(multipathing, node, distribution),
        partial(programs, node, distribution), partial(fleet, node), partial(kubelet, node), partial(left_overs, node)]
    return [finding for check in checks for finding in _careful(check)]


def _careful(check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (PureError, OSError) as error:
        name = getattr(check, "func", check).__name__
        yield Finding(PROBLEM, name, str(error))


# This node ------------------------------------------------------------------------------------------------------------

def settings(node: "Node") -> Iterator[Finding]:
    """Whether each setting can be read."""
    for name in ("san_type", "prefix", "allowed_cidrs", "login_timeout", "preempt", "preempt_grace", "no_path_grace",
                 "fs_type"):
        try:
            getattr(node.settings, name)
        except PureError as error:
            yield Finding(PROBLEM, "settings", str(error), "correct the DaemonSet's environment (values.yaml)")


def transport(node: "Node", distribution: Distribution) -> Iterator[Finding]:
    """The initiator, and for iSCSI its program and daemon."""
    try:
        yield Finding(OK, "initiator", ", ".join(initiators.of_node(node)))
    except PureError as error:
        yield Finding(PROBLEM, "initiator", str(error), distribution.install("iscsi"))
    if node.settings.san_type == "FC":
        return
    yield _program("iscsiadm", "iscsi", distribution)
    if _runs(node, "iscsid") or _listens(node, ISCSID_SOCKET):
        yield Finding(OK, "iscsid", "runs, or systemd starts it when it is needed")
    else:
        yield Finding(PROBLEM, "iscsid", "does not run", "systemctl enable --now iscsid")


def multipathing(node: "Node", distribution: Distribution) -> Iterator[Finding]:
    """multipathd, and what its configuration says about FlashArrays."""
    yield _program("multipathd", "multipath", distribution)
    try:
        told = multipath.ask(node.paths, "show config local")
    except PureError as error:
        yield Finding(PROBLEM, "multipathd", str(error), "systemctl enable --now multipathd")
        return
    yield Finding(OK, "multipathd", "runs")
    yield _stanza(node)
    mode = multipath.setting(told, "find_multipaths")
    if mode:
        yield Finding(NOTE, "find_multipaths", f"{mode}: the driver asks for each of its devices, so any mode will do")
    if multipath.setting(told, "no_path_retry") == "queue":
        yield Finding(WARNING, "no_path_retry", "queue: a volume that is lost blocks whoever uses it, for ever",
                      "set `no_path_retry 0` for PURE FlashArray in /etc/multipath.conf")


def _stanza(node: "Node") -> Finding:
    try:
        with open(node.paths.multipath_conf, encoding="utf-8", errors="replace") as file:
            there = "PURE" in file.read()
    except OSError:
        there = False
    if there:
        return Finding(OK, "multipath.conf", "has a section for PURE")
    return Finding(WARNING, "multipath.conf", "has no section for PURE, so multipathd's built-in one is used",
                   'add to /etc/multipath.conf: devices { device { vendor "PURE" product "FlashArray" '
                   'path_selector "service-time 0" path_grouping_policy group_by_prio prio alua hardware_handler "1 alua" '
                   'failback immediate path_checker tur fast_io_fail_tmo 10 dev_loss_tmo 600 no_path_retry 0 } }')


def programs(node: "Node", distribution: Distribution) -> Iterator[Finding]:
    """File system tools for the default type, and NFS if the fleet has a FlashBlade."""
    fs_type = node.settings.fs_type
    wanted = [("blkid", "util-linux"), ("mount", "util-linux"), (f"mkfs.{fs_type}", fs_type)]
    wanted += {"xfs": [("xfs_growfs", "xfs")], "btrfs": [("btrfs", "btrfs")]}.get(
        fs_type, [("resize2fs", "ext4"), (f"fsck.{fs_type}", "ext4")])
    wanted += [("mount.nfs", "nfs")] if node.fleet().flash_blades else []
    for program, package in wanted:
        yield _program(program, package, distribution)


def _program(name: str, package: str, distribution: Distribution) -> Finding:
    file = command.find(name)
    return Finding(OK, name, file) if file else Finding(PROBLEM, name, "is not installed", distribution.install(package))


# Arrays ---------------------------------------------------------------------------------------------------------------

def fleet(node: "Node") -> Iterator[Finding]:
    """Each array: its management address and token, and the data addresses that this node uses."""
    from arrays.flasharray import FlashArray
    from arrays.flashblade import FlashBlade
    known = node.fleet()
    yield from (Finding(WARNING, "pure.json", complaint) for complaint in known.complaints)
    limits = {"connect_timeout": REACH, "read_timeout": 2 * REACH}
    checks = [partial(_flash_array, node, FlashArray(entry, **limits)) for entry in known.flash_arrays]
    checks += [partial(_flash_blade, FlashBlade(entry, **limits), entry.nfs_endpoint) for entry in known.flash_blades]
    for found in together(*checks):
        yield from found
    if not checks:
        yield Finding(PROBLEM, "pure.json", f"{node.settings.fleet_file} names no array")


def _flash_array(node: "Node", array: "FlashArray") -> list[Finding]:
    try:
        identity, ports = array.identity(), array.ports()
    except PureError as error:
        return [Finding(PROBLEM, array.name, str(error))]
    found = [Finding(OK, array.name, f"FlashArray {identity.name}, Purity {identity.version}: the token is accepted")]
    if node.settings.san_type == "FC":
        return found + list(_careful(partial(_fc_ports, node, array.name, ports)))
    return found + list(_careful(partial(_portals, node, array, ports)))


def _fc_ports(node: "Node", name: str, ports: "Sequence[Port]") -> Iterator[Finding]:
    reached = attach.reach(node, ports)
    yield Finding(OK, name, f"{len(reached.nexuses)} ways over Fibre Channel")


def _portals(node: "Node", array: "FlashArray", ports: "Sequence[Port]") -> Iterator[Finding]:
    """Each portal that may be used: its session, or whether it can be reached; then devices that should not be there."""
    target, portals = attach.iscsi_target(ports)
    sessions = {session.portal: session for session in iscsi.sessions(node.paths, target)}
    used = iscsi.allowed(portals, node.settings.allowed_cidrs)
    yield from together(*(partial(_portal, node, array.name, portal, sessions.get(portal)) for portal in used))
    yield from _stale(node, array, [session.nexus.place for session in sessions.values()])


def _portal(node: "Node", name: str, portal: str, session: "iscsi.Session | None") -> Finding:
    if session and session.logged_in:
        luns = len(scsi.at_place(node.paths, session.nexus.place))
        return Finding(OK, name, f"portal {portal}: session {session.number}, {luns} LUNs")
    if session:
        return Finding(WARNING, name, f"portal {portal}: session {session.number} is down")
    trouble = unreachable(*iscsi.split_portal(portal))
    if not trouble:
        return Finding(NOTE, name, f"portal {portal}: can be reached; the first mount logs in")
    return Finding(WARNING, name, f"portal {portal}: {trouble}",
                   "check this node's storage network, or leave the portal out with PURE_ISCSI_ALLOWED_CIDRS")


def _stale(node: "Node", array: "FlashArray", places: Iterable[tuple[int, int, int]]) -> Iterator[Finding]:
    """Devices of LUNs that the array does not show to this node any more."""
    seen = [path for place in places for path in scsi.at_place(node.paths, place) if names.is_wwid(path.wwid)]
    host = array.find_host(initiators.of_node(node)) if seen else None
    connected = {one.lun for one in array.host_connections(host.name)} if host else set()
    for path in seen:
        if scsi.plain_lun(path.lun) not in connected:
            yield Finding(WARNING, array.name, f"{path.name} ({path.address}, {path.wwid}) {STALE}",
                          "unmount what uses it; the next mount removes it when nothing does")


def _flash_blade(blade: object, nfs_endpoint: str) -> list[Finding]:
    name = str(getattr(blade, "name", ""))
    try:
        identity = blade.identity()     # type: ignore[attr-defined]  # FlashBlade is imported when it is needed
        found = [Finding(OK, name, f"FlashBlade {identity.name}, Purity {identity.version}: the token is accepted")]
    except PureError as error:
        found = [Finding(WARNING, name, f"{error}: mounts do without, growing does not")]
    trouble = unreachable(nfs_endpoint, str(NFS_PORT))
    return found + [Finding(WARNING if trouble else OK, name, f"NFS at {nfs_endpoint}: {trouble or 'can be reached'}")]


def unreachable(address: str, port: str) -> str:
    """Why a TCP connection cannot be made, "" when it can."""
    try:
        with closing(socket.create_connection((address.strip("[]"), int(port)), REACH)):
            return ""
    except (OSError, ValueError) as error:
        return f"cannot be reached ({getattr(error, 'strerror', None) or error})"


# kubelet, and what was left -------------------------------------------------------------------------------------------

def kubelet(node: "Node") -> Iterator[Finding]:
    """Whether kubelet looks for drivers where this one lies, and finds the node's tools when it runs in a container."""
    process = next(_processes(node, "kubelet", "hyperkube"), "")
    if not process:
        yield Finding(NOTE, "kubelet", "is not seen from here")
        return
    words = sysfs.read(f"{process}/cmdline").split("\0")
    folder = plugin_folder(words)
    here = os.path.dirname(node.settings.home)
    if folder and os.path.realpath(folder) != os.path.realpath(here):
        yield Finding(WARNING, "kubelet", f"looks for drivers in {folder}, and this one is below {here}",
                      f"set flexPath to {folder}")
    if _has_other(node, process, "mnt"):
        yield _contained(node, process)


def _contained(node: "Node", process: str) -> Finding:
    """A kubelet in a container: the driver works with the host's tools if it gets to them, else with the container's."""
    if not _has_other(node, process, "pid"):
        return Finding(NOTE, "kubelet", "runs in a container that sees the host: the driver uses the host's tools")
    tools = [f"{process}/root{folder}/iscsiadm" for folder in ("/sbin", "/usr/sbin")]
    if node.settings.san_type == "FC" or any(map(os.path.exists, tools)):
        return Finding(NOTE, "kubelet", "runs in a container: the driver uses the tools in it")
    return Finding(WARNING, "kubelet", "runs in a container that has no iscsiadm", container.ADVICE)


def plugin_folder(words: Sequence[str]) -> str:
    """The value of --volume-plugin-dir on kubelet's command line, "" when it is not there."""
    for number, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if name == "volume-plugin-dir":
            return value if equals else (list(words[number + 1:]) or [""])[0]
    return ""


def left_overs(node: "Node") -> Iterator[Finding]:
    """Records of calls that are not finished."""
    for record in state.records(node.paths):
        if record.stage != state.MOUNTED:
            yield Finding(NOTE, record.mount_dir, f"volume {record.volume or record.wwid}: {record.stage}",
                          "later calls of kubelet finish it")
    yield from (Finding(PROBLEM, "record", str(error)) for error in state.lost(node.paths))


def _runs(node: "Node", name: str) -> bool:
    return next(_processes(node, name), "") != ""


def _processes(node: "Node", *wanted: str) -> Iterator[str]:
    for pid in sysfs.entries(node.paths.processes):
        if pid.isdigit() and sysfs.read(f"{node.paths.processes}/{pid}/comm") in wanted:
            yield f"{node.paths.processes}/{pid}"


def _listens(node: "Node", name: str) -> bool:
    lines = sysfs.read(f"{node.paths.processes}/net/unix").splitlines()
    return any(line.endswith(name) for line in lines)


def _has_other(node: "Node", process: str, namespace: str) -> bool:
    """Whether a process is in another namespace than the first process of the machine."""
    try:
        return os.readlink(f"{process}/ns/{namespace}") != os.readlink(f"{node.paths.processes}/1/ns/{namespace}")
    except OSError:
        return False
