"""A guest as the arrays: XFS for the volumes' files, NFS server, and the data plane (the simulator comes on top)."""

import os
import subprocess

from tests.lab.plane import LioPlane

VOLUMES, EXPORTS = "/srv/volumes", "/fs"
LEASE = 10                                   # seconds; the least the NFS server takes


def prepare(disk: str) -> None:
    """A file system for the volumes on the scratch disk, one for the exports, and the NFS server."""
    for directory in (VOLUMES, EXPORTS):
        os.makedirs(directory, exist_ok=True)
    _run("modprobe", "-a", "xfs", "nfsd", "loop")
    _run("mkfs.xfs", "-q", "-f", "-m", "reflink=1", "-K", disk)
    _run("mount", "-o", "noatime,prjquota", disk, VOLUMES)
    serve_nfs()


def serve_nfs() -> None:
    """NFSv3 and v4 with names as on a FlashBlade: /fs/<name> is mounted as server:/<name>."""
    os.makedirs(f"{VOLUMES}/exports", exist_ok=True)
    os.makedirs("/etc/exports.d", exist_ok=True)
    _run("mount", "--bind", f"{VOLUMES}/exports", EXPORTS)
    with open("/etc/nfs.conf", "w") as file:
        file.write(f"[exports]\nrootdir={EXPORTS}\n[mountd]\nmanage-gids=n\n")
    _run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    os.makedirs("/run/rpc_pipefs", exist_ok=True)
    _run("mount", "-t", "rpc_pipefs", "sunrpc", "/run/rpc_pipefs")
    for name in ("nfsv4leasetime", "nfsv4gracetime"):
        with open(f"/proc/fs/nfsd/{name}", "w") as file:
            file.write(str(LEASE))
    _run("rpcbind", "-w")
    _run("rpc.statd", "--no-notify")
    _run("rpc.mountd")
    _run("rpc.nfsd", "4")


def export(name: str, rules: str) -> None:
    """Export /fs/<name>; the rules are in a FlashBlade's spelling, which is exportfs's own."""
    os.makedirs(f"{EXPORTS}/{name}", exist_ok=True)
    with open(f"/etc/exports.d/{name}.exports", "w") as file:
        file.write(f"/{name} {rules}\n")
    _run("exportfs", "-ra")


def unexport(name: str) -> None:
    os.unlink(f"/etc/exports.d/{name}.exports")
    _run("exportfs", "-ra")


class Bare:
    """Arrays without management: the plane alone, for the bare sequences that the driver is measured against."""

    plane: LioPlane


def bare(iqn: str, portals: list[str]) -> None:
    Bare.plane = LioPlane(VOLUMES)
    Bare.plane.open_array("bare", iqn, portals)


def know(initiator: str) -> None:
    Bare.plane.know("bare", initiator)


def bare_volume(serial: str, size: int) -> None:
    Bare.plane.create("bare", serial, size)


def bare_resize(serial: str, size: int) -> None:
    Bare.plane.resize(serial, size)


def bare_show(initiator: str, lun: int, serial: str) -> None:
    Bare.plane.show("bare", initiator, lun, serial)


def bare_hide(initiator: str, lun: int, serial: str) -> None:
    Bare.plane.hide("bare", initiator, lun, serial)


def counters(serial: str) -> list[int]:
    return list(Bare.plane.counters(serial))


def holds(file: str, text: str) -> bool:
    """Whether a sparse file has these bytes in one of its written parts."""
    with open(file, "rb") as volume:
        at, end = 0, os.fstat(volume.fileno()).st_size
        while at < end:
            try:
                at = os.lseek(volume.fileno(), at, os.SEEK_DATA)
            except OSError:                  # nothing but a hole from here on
                return False
            hole = os.lseek(volume.fileno(), at, os.SEEK_HOLE)
            if text.encode() in os.pread(volume.fileno(), hole - at, at):
                return True
            at = hole
    return False


def portal(name: str, state: str) -> None:
    Bare.plane.portal("bare", name, state)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode} {done.stdout}{done.stderr}")
