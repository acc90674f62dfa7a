"""What must outlive a call-out: one small file a mount directory, and a few marks, below /var/lib/pure-flex.

kubelet's `unmount` brings a directory and nothing else, so `mount` writes down what it connects before anything is
visible. The truth is always looked up (sysfs, mountinfo, the array); a record is a hint that survives what the kernel
forgets. Files are written whole, synced and renamed: a reader sees the old one or the new one. No secret is ever in them.
"""

import errno
import os
from binascii import crc32

from arrays.errors import PureError
from flex import jsontext
from flex.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from flex.paths import Paths

# How far a mount got, or what is left of it.
CONNECTING = "connecting"
MOUNTED = "mounted"
RELEASING = "releasing"
DISCONNECT_LEFT = "disconnect left"     # nothing on the node any more, the array still shows the volume to it

SILENCE = 600.0         # seconds; kubelet repeats at least each 4 minutes, so whoever asks after more starts a new wait


class Record(Values):
    """What one mount directory stands for."""

    __slots__ = ("mount_dir", "backend", "pv", "volume", "array", "wwid", "host", "lun", "access", "device", "source",
                 "stage")

    def __init__(self, mount_dir: str, *, backend: str = "", pv: str = "", volume: str = "", array: str = "",
                 wwid: str = "", host: str = "", lun: int | None = None, access: str = "", device: str = "",
                 source: str = "", stage: str = CONNECTING) -> None:
        self.mount_dir = mount_dir
        self.backend = backend      # "block" or "file"
        self.pv = pv
        self.volume = volume        # the name on the array
        self.array = array          # its management endpoint
        self.wwid = wwid            # "3624a9370…", block only
        self.host = host            # the array's name for this node, block only
        self.lun = lun              # block only
        self.access = access        # "ReadWriteOnce", …
        self.device = device        # "dm-3" as last seen; numbers are reused, so look again
        self.source = source        # what is mounted: "192.0.2.7:/k8s-pvc-1", file only
        self.stage = stage


# Records ---------------------------------------------------------------------------------------------------------------

def load(paths: "Paths", mount_dir: str) -> Record | None:
    """What `mount` wrote down for this directory; None when there is nothing. RecordLost when it cannot be read.

    After a reboot nothing else tells that a volume is still connected to this node.
    """
    record = _read_record(_record_file(paths, mount_dir))
    return record if record is not None and record.mount_dir == mount_dir else None


def known(paths: "Paths", mount_dir: str) -> Record | None:
    """What can be read of a directory's record: for whoever sees what is mounted, or writes the record anew."""
    try:
        return load(paths, mount_dir)
    except PureError:
        return None


def save(paths: "Paths", record: Record) -> None:
    """Write the record down, safe against a crash once this returns."""
    fields = {name: value for name, value in record.fields().items() if value not in ("", None)}
    _write(_record_file(paths, record.mount_dir), jsontext.render(fields))


def remove(paths: "Paths", mount_dir: str) -> None:
    """Forget the directory; it is no error when it was not known."""
    _unlink(_record_file(paths, mount_dir))


def records(paths: "Paths") -> list[Record]:
    """Every record of this node that can be read, in no special order."""
    return [record for record in _all(paths) if isinstance(record, Record)]


def lost(paths: "Paths") -> "list[PureError]":
    """Why each of the other records cannot be read."""
    return [error for error in _all(paths) if isinstance(error, PureError)]


def is_left_over(record: Record) -> bool:
    """Whether a record's volume may still be on this node or connected, and no call of kubelet's needs to come for it."""
    pod = pod_directory(record.mount_dir)
    return bool(record.wwid) and (record.stage == DISCONNECT_LEFT or bool(pod) and not os.path.isdir(pod))


def pod_directory(mount_dir: str) -> str:
    """<root>/pods/<uid> of kubelet's <root>/pods/<uid>/volumes/pure~flex/<PV>; "" for any other directory."""
    parts = mount_dir.split("/")
    return "/".join(parts[:-3]) if len(parts) > 5 and parts[-3] == "volumes" and parts[-5] == "pods" else ""


# Marks -----------------------------------------------------------------------------------------------------------------

def begin_mkfs(paths: "Paths", wwid: str) -> None:
    """Note, synced to disk, that this node starts to make a file system on a device that was found blank."""
    _write(_mark_file(paths, "mkfs", wwid), "")


def mkfs_began(paths: "Paths", wwid: str) -> bool:
    """Whether this node began to make a file system there and did not get to `end_mkfs`; OSError when that is not known."""
    return _is_there(_mark_file(paths, "mkfs", wwid))


def end_mkfs(paths: "Paths", wwid: str) -> None:
    _unlink(_mark_file(paths, "mkfs", wwid))


def waited(paths: "Paths", kind: str, key: str, now: float) -> float:
    """Seconds since this node first met with the trouble `kind` ("held", "no-path") of `key`, over kubelet's repeats.

    The first call starts the count. So does one that comes after a silence, or after the clock went back, as it does at a
    reboot: what was seen then was another wait. `now` counts from boot, so less is counted than has passed, never more.
    Whether it goes on while the machine is suspended is the caller's choice.
    """
    file = _mark_file(paths, kind, key)
    try:
        first, last = (float(word) for word in _read(file).split())
    except (OSError, ValueError):
        first = last = now
    if not first <= last <= now <= last + SILENCE:
        first = now
    _write(file, f"{first!r} {now!r}")
    return now - first


def stop_waiting(paths: "Paths", kind: str, key: str) -> None:
    """End the count of `waited`: the trouble is over."""
    _unlink(_mark_file(paths, kind, key))


# Files -----------------------------------------------------------------------------------------------------------------

def _record_dir(paths: "Paths") -> str:
    return paths.state_dir + "/mounts"


def _record_file(paths: "Paths", mount_dir: str) -> str:
    """<pod UID>.<PV>.<checksum of the whole path>.json: two directories never share one, and people can read it."""
    parts = mount_dir.strip("/").split("/")
    pod = parts[-4] if len(parts) > 3 else "pod"
    return f"{_record_dir(paths)}/{_fit(pod)}.{_fit(parts[-1])}.{_sum(mount_dir)}.json"


def _mark_file(paths: "Paths", kind: str, key: str) -> str:
    return f"{paths.state_dir}/marks/{kind}.{_fit(key)}.{_sum(key)}"


def _fit(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text.encode(
        "ascii", "replace").decode())[:64]


def _sum(text: str) -> str:
    return f"{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _all(paths: "Paths") -> "Iterator[Record | PureError]":
    folder = _record_dir(paths)
    for name in _names(folder):
        if name.endswith(".json"):
            try:
                found = _read_record(f"{folder}/{name}")
            except PureError as error:
                yield error
            else:
                if found is not None:
                    yield found


def _read_record(file: str) -> Record | None:
    try:
        fields = jsontext.parse_object(_read(file))
        if not isinstance(fields.get("mount_dir"), str):
            raise ValueError("it names no directory")
        own = {name: value for name, value in fields.items() if name in Record.__slots__}
        return Record(**own)        # type: ignore[arg-type]  # what we wrote, or it is not a record
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        from flex.trouble import RecordLost
        raise RecordLost(file, getattr(error, "strerror", None) or str(error)) from error


def _read(file: str) -> str:
    with open(file, encoding="utf-8", errors="surrogateescape") as opened:
        return opened.read()


def _write(file: str, text: str) -> None:
    folder, name = os.path.split(file)
    _make(folder)
    staged = f"{folder}/.{name}.{os.getpid()}"
    try:
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as opened:
            opened.write(text.encode())
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(staged, file)
    except BaseException:
        _unlink(staged)
        raise
    _sync(folder)


def _make(folder: str) -> None:
    if not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        _make(parent)
        try:
            os.mkdir(folder, 0o700 if "pure-flex" in folder else 0o755)
        except FileExistsError:
            return
        _sync(parent)


def _unlink(file: str) -> None:
    if not _is_there(file):             # on a disk that went read-only, unlink refuses even what is not there
        return
    try:
        os.unlink(file)
    except FileNotFoundError:
        return
    _sync(os.path.dirname(file))


def _is_there(file: str) -> bool:
    """Unlike os.path.exists: a disk that cannot be read does not say no."""
    try:
        os.lstat(file)
        return True
    except FileNotFoundError:
        return False


def _sync(folder: str) -> None:
    """Make the folder's entries survive a power cut, where the file system can."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)
