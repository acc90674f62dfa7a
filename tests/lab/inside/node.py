"""A guest as a node: its daemons, and what its kernel holds, read from sysfs and mountinfo."""

import contextlib
import glob
import os
import socket
import struct
import subprocess
import time

MULTIPATHD = "\0/org/kernel/linux/storage/multipathd"
ISCSID = "\0ISCSIADM_ABSTRACT_NAMESPACE"
MODULES = ("iscsi_tcp", "sd_mod", "dm_multipath", "dm_service_time", "scsi_dh_alua", "xfs", "btrfs", "nfsv3", "nfsv4",
           "dm_mod", "loop")
DAEMONS_TIMEOUT = 30.0                       # seconds for a daemon's socket to answer


def prepare(iqn: str) -> None:
    """Modules, initiator name, file systems of the NFS client; the daemons are started on their own."""
    subprocess.run(["modprobe", "-a", *MODULES], check=True)
    with open("/etc/iscsi/initiatorname.iscsi", "w") as file:
        file.write(f"## made for the lab\nInitiatorName={iqn}\n")
    subprocess.run(["udevadm", "trigger", "--action=add", "--subsystem-match=block"], check=True)
    subprocess.run(["rpcbind", "-w"], check=True)
    os.makedirs("/run/rpc_pipefs", exist_ok=True)
    subprocess.run(["mount", "-t", "rpc_pipefs", "sunrpc", "/run/rpc_pipefs"], check=True)
    subprocess.run(["rpc.statd", "--no-notify"], check=True)    # names of rebooted peers would be looked up in DNS


def start_iscsid() -> None:
    subprocess.run(["iscsid"], check=True)
    _wait(lambda: _answers(ISCSID), "iscsid")


def start_multipathd(configuration: str = "") -> None:
    """Start multipathd with this multipath.conf ("" is Debian's default: no file at all)."""
    if configuration:
        with open("/etc/multipath.conf", "w") as file:
            file.write(configuration)
    elif os.path.exists("/etc/multipath.conf"):
        os.unlink("/etc/multipath.conf")
    subprocess.run(["multipathd"], check=True)
    _wait(lambda: _answers(MULTIPATHD) and multipathd("show daemon").startswith("pid"), "multipathd")


def stop_multipathd() -> None:
    if not _answers(MULTIPATHD):
        return
    multipathd("shutdown")
    _wait(lambda: not _answers(MULTIPATHD), "the end of multipathd")


def multipathd(request: str, timeout: float = 10.0) -> str:
    """One request on multipathd's socket: a native 64-bit length and the text with its NUL, each way."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(timeout)
        wire.connect(MULTIPATHD)
        text = request.encode() + b"\0"
        wire.sendall(struct.pack("@Q", len(text)) + text)
        size, = struct.unpack("@Q", _exactly(wire, 8))
        return _exactly(wire, size).rstrip(b"\0").decode()


def sessions() -> list[dict]:
    """The iSCSI sessions: target, portal, state, SCSI host number."""
    found = []
    for path in glob.glob("/sys/class/iscsi_session/session*"):
        sid = path.rsplit("session", 1)[1]
        connection = f"/sys/class/iscsi_connection/connection{sid}:0"
        host = next(part for part in os.path.realpath(path).split("/") if part.startswith("host"))
        found.append({"target": _read(path, "targetname"), "state": _read(path, "state"), "host": int(host[4:]),
                      "portal": f"{_read(connection, 'persistent_address')}:{_read(connection, 'persistent_port')}"})
    return found


def paths() -> list[dict]:
    """The SCSI disks that came over a network: address, WWID, state, block device."""
    found = []
    for path in glob.glob("/sys/class/scsi_device/*/device"):
        if _read(path, "vendor").strip() in ("PURE", "LIO-ORG"):
            blocks = os.listdir(f"{path}/block") if os.path.isdir(f"{path}/block") else []
            found.append({"address": path.split("/")[4], "wwid": _read(path, "wwid"), "state": _read(path, "state"),
                          "device": blocks[0] if blocks else "", "size": _size(blocks[0]) if blocks else 0})
    return sorted(found, key=lambda entry: entry["address"])


def maps() -> list[dict]:
    """The device-mapper maps: name, uuid, slaves, size."""
    found = []
    for path in glob.glob("/sys/block/dm-*"):
        device = os.path.basename(path)
        found.append({"device": device, "name": _read(path, "dm/name"), "uuid": _read(path, "dm/uuid"),
                      "slaves": sorted(os.listdir(f"{path}/slaves")), "size": _size(device)})
    return sorted(found, key=lambda entry: entry["device"])


def mounts() -> list[dict]:
    """Mounts of network storage: directory, file system, source, options."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, right = line.split(" - ")
            fs, source, options = right.split()[:3]
            if source.startswith(("/dev/dm-", "/dev/mapper/", "/dev/sd")) or fs.startswith("nfs") and ":" in source:
                found.append({"directory": left.split()[4], "fs": fs, "source": source,
                              "options": left.split()[5] + "," + options, "device": left.split()[2]})
    return found


def view(foreign: list[str]) -> dict:
    """Everything at once, without what belongs to others: names of their targets, serials, directories."""
    return {"sessions": [each for each in sessions() if not _of(each["target"], foreign)],
            "paths": [each for each in paths() if not _of(each["wwid"], foreign)],
            "maps": [each for each in maps() if not _of(each["uuid"], foreign)],
            "mounts": [each for each in mounts() if not _of(each["directory"], foreign)]}


def wait_view(foreign: list[str], timeout: float, **counts: int) -> dict:
    """The view as soon as it has so many sessions, paths, maps or mounts; the last one seen when it never has."""
    deadline = time.monotonic() + timeout
    while True:
        now = view(foreign)
        if all(len(now[key]) == count for key, count in counts.items()) or time.monotonic() > deadline:
            return now
        time.sleep(0.05)


def identity(foreign: list[str]) -> list[list[str]]:
    """What of others' devices must never change: each path and map with the kernel's number of its making."""
    found = [[each["address"], each["device"], each["wwid"], _read(f"/sys/block/{each['device']}", "diskseq")]
             for each in paths() if _of(each["wwid"], foreign)]
    found += [["map", each["device"], each["uuid"], _read(f"/sys/block/{each['device']}", "diskseq")]
              for each in maps() if _of(each["uuid"], foreign)]
    found += [["mounted", each["directory"], each["source"], ""] for each in mounts() if _of(each["directory"], foreign)]
    return sorted(found)


def clean(foreign: list[str]) -> None:
    """Unmount, remove maps and paths, by force where they resist."""
    now = view(foreign)
    for each in now["maps"]:
        _quietly("multipathd", "disablequeueing", "map", each["name"])
    for each in reversed(now["mounts"]):
        _quietly("umount", "-l" if each["fs"].startswith("nfs") else "-v", each["directory"])
    for each in now["maps"]:
        _quietly("multipath", "-R", "5", "-f", each["name"])
    for each in now["paths"]:
        with contextlib.suppress(OSError), open(f"/sys/block/{each['device']}/device/delete", "w") as file:
            file.write("1")


def _quietly(*argv: str) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(argv, capture_output=True, timeout=15)


def _of(text: str, parts: list[str]) -> bool:
    return any(part in text for part in parts)


def _size(device: str) -> int:
    return int(_read(f"/sys/block/{device}", "size") or 0) * 512


def _read(directory: str, name: str) -> str:
    try:
        with open(f"{directory}/{name}") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def _answers(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as wire:
        return wire.connect_ex(name) == 0


def _exactly(wire: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = wire.recv(size - len(data))
        if not more:
            raise ConnectionError("multipathd closed its socket")
        data += more
    return data


def _wait(look, what: str) -> None:
    deadline = time.monotonic() + DAEMONS_TIMEOUT
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {DAEMONS_TIMEOUT:g} s")
        time.sleep(0.02)
