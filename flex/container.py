"""kubelet in a container: the host's tools, daemons and files lie in other namespaces than the driver that it starts.

Where the container shows the host's processes (`--pid=host`, as RKE's kubelet runs), the call-out moves into the host's
mount and network namespaces before it does anything else: tools there fit their daemons, node records and state files are
the host's, and iscsid's and multipathd's sockets answer only there (node-attach.md 2.12). kubelet sees the mounts through
the shared propagation that it needs for every other volume. Elsewhere the driver stays where it is, and what is missing
there is said together with the lines to add.
"""

import os

HOST = "/proc/1"                # the host's first process, if the container shows the host's processes
NAMESPACES = ("net", "mnt")     # the mount namespace last: /proc of the container is what the other is found by

# features.md, RKE: hyperkube's container gets these of the host.
EXTRA_BINDS = ("/etc/iscsi:/etc/iscsi", "/sbin/iscsiadm:/sbin/iscsiadm", "/var/lib/iscsi:/var/lib/iscsi",
               "/lib/modules:/lib/modules", "/dev:/dev", "/run:/run")
ADVICE = f"RKE, cluster.yml: services: kubelet: extra_binds: [{', '.join(EXTRA_BINDS)}]"
_MARKS = ("/.dockerenv", "/run/.containerenv")      # left in their containers' roots by Docker and by Podman and CRI-O


def enter_host(home: str) -> str:
    """Move this process to the host if kubelet's container lets it; why not, when it would have to and cannot, else "".

    `home` is the driver's folder: it has to be the same one there, since modules are still to be imported from it. To be
    called before there are threads: a mount namespace is not changed beside them (setns(2)).
    """
    if not _is_elsewhere():
        return ""
    try:
        wanted = [name for name in NAMESPACES if _link(f"{HOST}/ns/{name}") != _link(f"/proc/self/ns/{name}")]
        if not _same(home, f"{HOST}/root{home}"):
            return f"{home} is not the same folder on the host"
        for namespace in [os.open(f"{HOST}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in wanted]:
            _setns(namespace)
            os.close(namespace)
    except OSError as error:
        return f"the host's namespaces cannot be entered: {error.strerror}"
    return ""


def is_contained() -> bool:
    """Whether this process runs in a container, as far as one can tell from inside."""
    return _is_elsewhere() or any(map(os.path.exists, _MARKS)) or _has_layered_root()


def advice() -> str:
    """What to say after "… is not installed": nothing on a host, in a container the lines to add."""
    return f". kubelet runs in a container here, which needs the host's tools: {ADVICE}" if is_contained() else ""


def _is_elsewhere() -> bool:
    """Whether the first process of the machine has another root than this one, in another mount namespace.

    A unit of systemd's with a namespace of its own still has the host's root: it stays where it is.
    """
    try:
        return not _same("/", f"{HOST}/root/") and _link(f"{HOST}/ns/mnt") != _link("/proc/self/ns/mnt")
    except OSError:
        return False            # no /proc, or one whose first process is not ours to look at


def _has_layered_root() -> bool:
    from flex.node import mounts
    from flex.paths import Paths
    try:
        root = mounts.at(Paths(), "/")
    except OSError:
        return False
    return bool(root) and root[-1].fstype == "overlay"


def _same(one: str, other: str) -> bool:
    here, there = os.stat(one), os.stat(other)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _link(path: str) -> str:
    return os.readlink(path)


def _setns(namespace: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
