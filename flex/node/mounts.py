"""What is mounted on this node, and mount(8) and umount(8).

Reads /proc/self/mountinfo (proc(5)) and never looks at a mount point itself: stat of one whose server is away hangs.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arrays.errors import CommandFailed
    from flex.paths import Paths


READINGS = 10           # of the table, at most, until two agree

_OCTAL = frozenset("01234567")


class Mount:
    """One line of mountinfo: `device` is "major:minor", `options` are the mount's own and its super block's."""

    __slots__ = ("id", "parent", "device", "root", "mount_dir", "fstype", "source", "options")

    def __init__(self, id: int, parent: int, device: str, root: str, mount_dir: str, fstype: str, source: str,
                 options: str) -> None:
        self.id = id
        self.parent = parent
        self.device = device
        self.root = root
        self.mount_dir = mount_dir
        self.fstype = fstype
        self.source = source
        self.options = options

    @property
    def is_nfs(self) -> bool:
        return self.fstype in ("nfs", "nfs4")

    @property
    def read_only(self) -> bool:
        return "ro" in self.options.split(",")

    def __repr__(self) -> str:
        return f"Mount({self.source!r} on {self.mount_dir!r}, {self.fstype}, {self.device})"


def parse(line: str) -> Mount | None:
    """Read one line of mountinfo; None when it is none:

        36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    """
    left, dash, right = line.rstrip("\n").partition(" - ")
    front, back = left.split(" "), right.split(" ")
    if not dash or len(front) < 6 or len(back) < 2 or not (front[0].isdigit() and front[1].isdigit()):
        return None
    options = ",".join([front[5], *back[2:3]])
    return Mount(int(front[0]), int(front[1]), front[2], unescape(front[3]), unescape(front[4]), back[0], unescape(back[1]),
                 options)


def unescape(text: str) -> str:
    """Undo the kernel's \\040 for a space, likewise tab, newline, backslash and "#"."""
    if "\\" not in text:
        return text
    head, *parts = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] if _is_octal(part[:3]) else "\\" + part for part in parts)


def table(paths: "Paths") -> list[Mount]:
    """All that is mounted, in the kernel's order: of two on one directory the later covers the earlier."""
    return _parsed(_lines(paths))


def certain(paths: "Paths") -> list[Mount]:
    """All that is mounted, for what cannot be undone: what two readings in a row say, else whatever any of them said.

    Before Linux 5.8 a table of more than a page comes in pieces, and a mount that goes between two of them takes another's
    line along (9f6c61f96f2d "proc/mounts: add cursor"); kubelet reads like this too (mount-utils, ConsistentRead).
    """
    seen: dict[str, None] = {}
    before: list[str] = []
    for _ in range(READINGS):
        lines = _lines(paths)
        if lines == before:
            return _parsed(lines)
        seen.update(dict.fromkeys(lines))
        before = lines
    return _parsed(seen)


def at(paths: "Paths", directory: str) -> list[Mount]:
    """What is mounted on this directory, the oldest first; the last is the one that is seen."""
    wanted = resolved(directory)
    return _parsed((line for line in _lines(paths) if unescape(" ".join(line.split(" ", 5)[4:5])) == wanted))


def _parsed(lines: "Iterable[str]") -> list[Mount]:
    return [mount for mount in map(parse, lines) if mount is not None]


def resolved(directory: str) -> str:
    """The directory as mountinfo has it, when /var/lib/kubelet is a link. The last element is not looked at."""
    parent, name = os.path.split(os.path.normpath("/" + directory.lstrip("/")))
    return os.path.join(os.path.realpath(parent), name)


def mount(source: str, directory: str, fstype: str, options: "Sequence[str]", timeout: float) -> None:
    """Mount; CommandFailed in mount(8)'s words."""
    chosen = ("-o", ",".join(options)) if options else ()
    _run("mount", "-t", fstype, *chosen, source, directory, timeout=timeout)


def bind(source: str, directory: str, options: "Sequence[str]", timeout: float) -> None:
    """Show the directory `source` at `directory` too."""
    _run("mount", "-o", ",".join(("bind", *options)), source, directory, timeout=timeout)


def make_read_only(directory: str, timeout: float) -> None:
    """Make one bind mount read-only; what it shows stays as it is elsewhere."""
    _run("mount", "-o", "remount,bind,ro", directory, timeout=timeout)


def umount(directory: str, timeout: float, lazy: bool = False, force: bool = False) -> None:
    """Unmount the uppermost mount of the directory; CommandFailed in umount(8)'s words.

    `force` and `lazy` are for network file systems: for a block device, lazy says done while it is still being written.
    """
    flags = [flag for flag, given in (("-f", force), ("-l", lazy)) if given]
    _run("umount", *flags, directory, timeout=timeout)


def users(paths: "Paths", directory: str) -> list[str]:
    """Processes that have a file or folder below the directory open, like "sh (pid 42)"; only their links are read."""
    below = resolved(directory)
    found = []
    for pid in filter(str.isdigit, _names(paths.processes)):
        links = [f"{paths.processes}/{pid}/{name}" for name in ("cwd", "root", "exe")]
        links += [f"{paths.processes}/{pid}/fd/{name}" for name in _names(f"{paths.processes}/{pid}/fd")]
        if any(target == below or target.startswith(below + "/") for target in map(_target, links)):
            found.append(f"{_first_line(f'{paths.processes}/{pid}/comm')} (pid {pid})")
    return found


def is_busy(failure: "CommandFailed") -> bool:
    """Whether umount(8) said that somebody still uses the mount (32; umount.nfs says 16)."""
    return "busy" in failure.output


def _run(*argv: str, timeout: float) -> None:
    from flex.node import command           # many an unmount has nothing to run
    command.run(*argv, timeout=timeout)


def _lines(paths: "Paths") -> list[str]:
    with open(paths.mountinfo, encoding="utf-8", errors="surrogateescape", newline="\n") as opened:
        return opened.read().split("\n")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:             # the process ended meanwhile
        return []


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _first_line(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.readline().strip()
    except OSError:
        return "a process"


def _is_octal(text: str) -> bool:
    return len(text) == 3 and set(text) <= _OCTAL and text < "200"     # only ASCII is ever escaped
