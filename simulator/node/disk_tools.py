"""blkid, wipefs, mkfs.*, fsck.*, xfs_growfs, resize2fs of the pretend form: they read and write the device's true bytes
and refuse what the real ones refuse (node-attach.md 2.5, 2.9)."""

import os
import uuid
from collections.abc import Callable

from simulator.node import formats
from simulator.node.call import Call, ToolFails
from simulator.node.disks import Disk
from simulator.node.machine import Machine
from simulator.node.mounts import Mounts, opened

Find = Callable[[str], Disk | None]

WITH_VALUE = {"mkfs.xfs": "-b -d -i -l -L -m -n -p -r -s", "mkfs.btrfs": "-L -d -m -n -s -U -O -A -b -l -r",
              "mkfs.ext4": "-b -C -D -E -G -g -i -I -J -L -m -M -N -o -O -r -T -t -U -e",
              "fsck": "-t -C -r", "mkfs": "-t"}
FLAGS = {"mkfs.xfs": "-f -K -q -N -V", "mkfs.btrfs": "-f -K -q -M --nodiscard --force -v",
         "mkfs.ext4": "-F -q -v -n -K -j -S -c"}


class DiskTools:
    """Tools that look at or change a device."""

    def __init__(self, machine: Machine, mounts: Mounts, find: Find) -> None:
        self._machine, self._mounts, self._find = machine, mounts, find

    # -- finding and waiting

    def disk(self, name: str, status: int, text: str) -> Disk:
        """The device of a path; waits while its I/O waits, as anything that opens it does."""
        if (found := self._find(name)) is None:
            raise ToolFails(status, text)
        self._machine.wait(lambda: not found.stalled, None)
        return found

    def take_time(self, call: Call) -> None:
        """Let the tool take as long as a test wants; raises when it is killed meanwhile."""
        if seconds := self._machine.faults.slow.get(call.tool, 0.0):
            self._machine.wait(call.killed, seconds * self._machine.settings.speed)
        if call.killed():
            raise ToolFails(137, "")

    # -- blkid, wipefs

    def blkid(self, call: Call) -> int:
        """blkid [-p] [-o FORMAT] [-s TAG] DEVICE: statuses of the table in node-attach.md 2.5."""
        options, names = split(call.argv[1:], with_value="-o -s -c -u -n -t -L -U -O -S")
        if not names:
            return 2
        found = self.disk(names[0], 2, "")
        self.take_time(call)
        if found.file is None:
            return 2                       # every read fails, and it says "nothing here" (fact 1)
        with opened(found.file, os.O_RDONLY) as fd:
            marks = formats.signatures(fd)
        if len([mark for mark in marks if mark.usage != "table"]) > 1:
            if "-p" in options:
                call.complain(f"blkid: {names[0]}: ambivalent result (probably more filesystems on the device, "
                              "use wipefs(8) to see more details)")
            return 8 if "-p" in options else 2
        if not marks:
            return 2
        tags = tags_of(marks[0], "-p" in options)
        wanted = [call.argv[index + 1] for index, word in enumerate(call.argv[:-1]) if word == "-s"]
        chosen = {name: value for name, value in tags.items() if not wanted or name in wanted}
        say_tags(call, options.get("-o", "full"), names[0], chosen)
        return 0 if chosen else 2

    def wipefs(self, call: Call) -> int:
        """wipefs DEVICE: list signatures."""
        _, names = split(call.argv[1:], with_value="-t -o -O")
        found = self.disk(names[0] if names else "", 1, f"wipefs: error: {names[:1]}: probing initialization failed")
        if found.file is not None:
            with opened(found.file, os.O_RDONLY) as fd:
                for mark in formats.signatures(fd):
                    call.say(f"{found.name} 0x0 {mark.kind} {mark.uuid}")
        return 0

    # -- mkfs

    def mkfs(self, call: Call) -> int:
        """mkfs.xfs, mkfs.ext2/3/4, mkfs.btrfs, and mkfs -t."""
        argv = call.argv[1:]
        kind = call.tool.partition(".")[2]
        if not kind:
            options, _ = split(argv, with_value="-t")
            kind = options.get("-t", "ext2")
            argv = [word for index, word in enumerate(argv) if word != "-t" and (index == 0 or argv[index - 1] != "-t")]
        tool = "mkfs.ext4" if kind.startswith("ext") else f"mkfs.{kind}"
        options, names = split(argv, with_value=WITH_VALUE[tool], flags=FLAGS[tool], tool=f"mkfs.{kind}")
        if len(names) != 1:
            raise ToolFails(1, f"Usage: mkfs.{kind} [options] device")
        found = self.disk(names[0], 1, f"mkfs.{kind}: cannot open {names[0]}: No such file or directory")
        self._refuse_mkfs(kind, found, names[0], forced=bool({"-f", "-F", "--force"} & options.keys()))
        self._write_fs(call, found, kind, options)
        if "-q" not in options:
            call.say(f"meta-data={names[0]} isize=512 agcount=4" if kind == "xfs" else "Creating filesystem: done")
        return 0

    def _refuse_mkfs(self, kind: str, disk: Disk, name: str, forced: bool) -> None:
        if self._mounts.fs_of(disk) or getattr(disk, "map", None):
            raise ToolFails(1, {
                "xfs": f"mkfs.xfs: {name} contains a mounted filesystem",
                "btrfs": f"ERROR: {name} is mounted"}.get(kind, f"{name} is mounted; will not make a filesystem here!"))
        if disk.file is None:
            raise ToolFails(1, f"mkfs.{kind}: read failed: Input/output error")
        with opened(disk.file, os.O_RDONLY) as fd:
            marks = formats.signatures(fd)
        if marks and not forced and kind in ("xfs", "btrfs"):
            raise ToolFails(1, f"mkfs.{kind}: {name} appears to contain an existing filesystem ({marks[0].kind}).\n"
                            f"mkfs.{kind}: Use the -f option to force overwrite.")
        if kind == "xfs" and disk.size < self._machine.settings.smallest_xfs:
            raise ToolFails(1, "Filesystem must be larger than 300MB.\nUsage: mkfs.xfs")

    def _write_fs(self, call: Call, disk: Disk, kind: str, options: dict[str, str]) -> None:
        made = formats.Super(kind, str(uuid.uuid4()), disk.size, options.get("-L", ""))
        assert disk.file
        with opened(disk.file) as fd:
            formats.begin(fd, kind)
            self.take_time(call)           # killed here: half made
            if disk.file is None:
                raise ToolFails(1, f"mkfs.{kind}: write failed: Input/output error")
            formats.finish(fd, made)

    # -- fsck

    def fsck(self, call: Call) -> int:
        """fsck -p | -a | -n of any type: 0 clean, 1 corrected, 4 left uncorrected, 8 operational error."""
        options, names = split(call.argv[1:], with_value=WITH_VALUE["fsck"])
        if not names:
            return 16
        found = self.disk(names[0], 8, f"fsck: error: {names[0]}: No such file or directory")
        if found.file is None:
            raise ToolFails(8, f"fsck: Input/output error while trying to open {names[0]}")
        if (fs := self._mounts.fs_of(found)) and not fs.read_only:
            raise ToolFails(8, f"{names[0]} is mounted.\ne2fsck: Cannot continue, aborting.")
        self.take_time(call)
        if status := self._machine.faults.fail.get(call.tool) or self._machine.faults.fail.get("fsck"):
            return status
        with opened(found.file) as fd:
            content = formats.load(fd)
            if content is None:
                raise ToolFails(8, f"fsck: Bad magic number in super-block while trying to open {names[0]}")
            if not content.clean and content.kind.startswith("ext") and "-n" not in options:
                content.clean = True
                formats.finish(fd, content)
                call.say(f"{names[0]}: recovering journal")
        call.say(f"{names[0]}: clean")
        return 0

    # -- grow

    def xfs_growfs(self, call: Call) -> int:
        """xfs_growfs MOUNT_POINT: to the device's size; nothing to do is fine."""
        _, names = split(call.argv[1:], with_value="-D -L -R -m -t -e")
        mounted = self._mounts.at(names[0]) if names else []
        fs = mounted[-1].fs if mounted else None
        if fs is None or fs.content.kind != "xfs":
            raise ToolFails(1, f"xfs_growfs: {names[0] if names else ''} is not a mounted XFS filesystem")
        if mounted[-1].read_only:
            raise ToolFails(1, "xfs_growfs: XFS_IOC_FSGROWFSDATA xfsctl failed: Read-only file system")
        call.say(f"meta-data={mounted[-1].source} isize=512 agcount=4, agsize={fs.content.size // 4096 // 4} blks")
        if fs.content.size == fs.disk.size:
            call.say("data size unchanged, skipping")
            return 0
        self._grow(fs.disk, call)
        call.say(f"data blocks changed from {fs.content.size // 4096} to {fs.disk.size // 4096}")
        return self._grown(call, fs.disk)

    def resize2fs(self, call: Call) -> int:
        """resize2fs DEVICE: to the device's size; a file system that is not mounted wants e2fsck first."""
        _, names = split(call.argv[1:], with_value="-d -S -z")
        found = self.disk(names[0] if names else "", 1, "resize2fs: No such file or directory")
        fs = self._mounts.fs_of(found)
        if fs is None:
            return self._grow_unmounted(call, found, names[0])
        if not fs.content.kind.startswith("ext"):
            raise ToolFails(1, f"resize2fs: Bad magic number in super-block while trying to open {names[0]}")
        if fs.content.size == found.size:
            call.complain(f"The filesystem is already {found.size // 4096} (4k) blocks long.  Nothing to do!")
            return 0
        self._grow(found, call)
        return self._grown(call, found)

    def _grow_unmounted(self, call: Call, disk: Disk, name: str) -> int:
        if disk.file is None:
            raise ToolFails(1, f"open: Input/output error while opening {name}")
        with opened(disk.file) as fd:
            content = formats.load(fd)
            if content is None or not content.kind.startswith("ext"):
                raise ToolFails(1, f"resize2fs: Bad magic number in super-block while trying to open {name}")
            if not content.clean:
                raise ToolFails(1, f"Please run 'e2fsck -f {name}' first.")
            content.size = disk.size
            formats.finish(fd, content)
        return 0

    def btrfs(self, call: Call) -> int:
        """btrfs filesystem resize max MOUNT_POINT."""
        match call.argv[1:]:
            case ["filesystem" | "fi", "resize", "max", directory]:
                mounted = self._mounts.at(directory)
                if not mounted or not mounted[-1].fs or mounted[-1].fs.content.kind != "btrfs":
                    raise ToolFails(1, f"ERROR: not a btrfs filesystem: {directory}")
                self._grow(mounted[-1].fs.disk, call)
                return self._grown(call, mounted[-1].fs.disk)
        raise ToolFails(1, "btrfs: unknown command")

    def _grow(self, disk: Disk, call: Call) -> None:
        self.take_time(call)
        fs = self._mounts.fs_of(disk)
        if fs is None or fs.shut_down or disk.file is None:
            raise ToolFails(1, f"{call.tool}: Input/output error")
        if disk.size < fs.content.size:
            raise ToolFails(1, f"{call.tool}: the device is smaller than the file system")

    def _grown(self, call: Call, disk: Disk) -> int:
        fs = self._mounts.fs_of(disk)
        assert fs
        fs.content.size = disk.size
        self._mounts.write_back(fs, clean=False)
        return 0


def tags_of(mark: formats.Signature, probe: bool) -> dict[str, str]:
    if mark.usage == "table":
        return {"PTTYPE": mark.kind}
    tags = {"UUID": mark.uuid, "TYPE": mark.kind} if mark.uuid else {"TYPE": mark.kind}
    return tags | ({"USAGE": mark.usage} if probe else {})


def say_tags(call: Call, form: str, name: str, tags: dict[str, str]) -> None:
    """Print as `blkid -o value|export|full|udev` does."""
    match form:
        case "value":
            call.out += [f"{value}\n" for value in tags.values()]
        case "export":
            call.out += [f"DEVNAME={name}\n", *(f"{tag}={value}\n" for tag, value in tags.items())]
        case "udev":
            call.out += [f"ID_FS_{tag}={value}\n" for tag, value in tags.items()]
        case _:
            call.say(f"{name}: " + " ".join(f'{tag}="{value}"' for tag, value in tags.items()))


def split(argv: list[str], *, with_value: str, flags: str | None = None,
          tool: str = "") -> tuple[dict[str, str], list[str]]:
    """Tell options from names. With `flags` given, an option that is in neither list is refused, as the tool does."""
    options: dict[str, str] = {}
    names: list[str] = []
    words = iter(argv)
    takes = with_value.split()
    for word in words:
        if not word.startswith("-") or word == "-":
            names.append(word)
        elif word in takes:
            options[word] = next(words, "")
        elif word[:2] in takes and not word.startswith("--"):
            options[word[:2]] = word[2:]
        elif flags is not None and word not in flags.split():
            raise ToolFails(1, f"{tool}: invalid option -- '{word.lstrip('-')}'")
        else:
            options[word] = ""
    return options, names
