"""The least a machine must do to attach, mount, grow and detach a LUN; what the driver is measured against.

Sysfs in this process, one thread per scan, multipathd by its socket, looks every 20 ms, mount(2) and umount(2) by
libc. No array call, no lock, no record, no check of whose device it is: a floor, not a driver.
"""

import ctypes
import glob
import os
import subprocess
import threading
import time

from tests.lab.inside import node

LOOK = 0.02                                  # seconds between two looks
TIMEOUT = 30.0
LIBC = ctypes.CDLL(None, use_errno=True)
BLKFLSBUF = 0x1261                           # linux/fs.h


def login(target: str, portals: list[str]) -> None:
    """Make the node records with manual scan, then log in to all portals by one command."""
    for portal in portals:
        _run("iscsiadm", "-m", "node", "-T", target, "-p", portal, "-o", "new")
    settings = {"node.session.scan": "manual", "node.startup": "manual", "node.session.timeo.replacement_timeout": "10",
                "node.conn[0].timeo.login_timeout": "5", "node.session.initial_login_retry_max": "1"}
    pairs = [word for name, value in settings.items() for word in ("-n", name, "-v", value)]
    _run("iscsiadm", "-m", "node", "-T", target, "-o", "update", *pairs)
    _run("iscsiadm", "-m", "node", "-T", target, "--login")


def logout(target: str) -> None:
    _run("iscsiadm", "-m", "node", "-T", target, "--logout")
    _run("iscsiadm", "-m", "node", "-T", target, "-o", "delete")


def hosts(target: str) -> list[int]:
    """SCSI hosts of the logged-in sessions of a target."""
    return [session["host"] for session in node.sessions()
            if session["target"] == target and session["state"] == "LOGGED_IN"]


def attach(target: str, lun: int, wwid: str, ask: bool = True) -> str:
    """Scan for one LUN on every session and wait for its map with all paths; returns "dm-0"."""
    numbers = hosts(target)
    scans = [threading.Thread(target=_scan, args=(host, lun)) for host in numbers]
    for scan in scans:
        scan.start()
    for host in numbers:
        _wait(lambda host=host: node._read(f"/sys/class/scsi_device/{host}:0:0:{lun}/device", "wwid"), "a path")
    if ask:
        _wait(lambda: node.multipathd(f"add map {wwid}").strip() == "ok", "multipathd's ok")
    device = _wait(lambda: find_map(wwid), "the map")
    _wait(lambda: len(os.listdir(f"/sys/block/{device}/slaves")) == len(numbers), "all paths in the map")
    _wait(lambda: os.path.exists(f"/dev/{device}"), "the device node")
    return device


def find_map(wwid: str) -> str:
    for path in glob.glob("/sys/block/dm-*"):
        if node._read(path, "dm/uuid") == f"mpath-{wwid}":
            return os.path.basename(path)
    return ""


def mount(device: str, directory: str, fstype: str, make: bool) -> None:
    """Look whether the device is blank, make a file system if told so, mount."""
    status = subprocess.run(["blkid", "-p", f"/dev/{device}"], capture_output=True).returncode
    if make:
        if status != 2:
            raise RuntimeError(f"blkid -p says {status}, not blank")
        _run(f"mkfs.{fstype}", "-q", *(["-K"] if fstype == "xfs" else ["-E", "nodiscard"]), f"/dev/{device}")
    os.makedirs(directory, exist_ok=True)
    if LIBC.mount(f"/dev/{device}".encode(), directory.encode(), fstype.encode(), 0, None):
        raise OSError(ctypes.get_errno(), "mount", directory)


def umount(directory: str) -> None:
    if LIBC.umount2(directory.encode(), 0):
        raise OSError(ctypes.get_errno(), "umount", directory)


def detach(wwid: str) -> None:
    """Remove the map by multipathd's socket, then each path, side by side."""
    device = find_map(wwid)
    slaves = os.listdir(f"/sys/block/{device}/slaves")
    name = node._read(f"/sys/block/{device}", "dm/name")
    _wait(lambda: node.multipathd(f"del map {name}").strip() == "ok", "the end of the map")
    _wait(lambda: not find_map(wwid), "the map's end in sysfs")
    deletes = [threading.Thread(target=_put, args=(f"/sys/block/{slave}/device/delete", "1")) for slave in slaves]
    for delete in deletes:
        delete.start()
    for delete in deletes:
        delete.join(TIMEOUT)
    _wait(lambda: not any(os.path.exists(f"/sys/block/{slave}") for slave in slaves), "the paths' end")


def grow(wwid: str, directory: str, fstype: str) -> int:
    """After the array has grown the volume: rescan each path, resize the map, grow the file system; the new size."""
    device = find_map(wwid)
    for slave in os.listdir(f"/sys/block/{device}/slaves"):
        _put(f"/sys/block/{slave}/device/rescan", "1")
    name = node._read(f"/sys/block/{device}", "dm/name")
    _wait(lambda: node.multipathd(f"resize map {name}").strip() == "ok", "the map's new size")
    _run(*(["xfs_growfs", directory] if fstype == "xfs" else ["resize2fs", f"/dev/{device}"]))
    status = os.statvfs(directory)
    return status.f_blocks * status.f_frsize


def timed(function: str, *args: object) -> float:
    """Milliseconds that one of the functions above took."""
    began = time.monotonic()
    globals()[function](*args)
    return (time.monotonic() - began) * 1000


def _scan(host: int, lun: int) -> None:
    _put(f"/sys/class/scsi_host/host{host}/scan", f"0 0 {lun}")


def _put(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)


def _wait(look, what: str):
    deadline = time.monotonic() + TIMEOUT
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {TIMEOUT:g} s")
        time.sleep(LOOK)
    return found


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT * 2)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.returncode} {done.stdout}{done.stderr}")
