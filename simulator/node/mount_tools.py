"""mount(8), umount(8), mount.nfs(8), mountpoint(1) of the pretend form, with the statuses of util-linux and nfs-utils."""

import os
import re

from simulator.node import nfs
from simulator.node.call import Call, ToolFails
from simulator.node.disk_tools import DiskTools, split
from simulator.node.disks import Disk
from simulator.node.formats import Super, load
from simulator.node.machine import Machine
from simulator.node.mounts import Mount, Mounts, opened

FAILED = 32                     # mount(8): mount failure
VALUES = "-t -o -L -U --types --options -O"

GENERAL = re.compile(r"rw|ro|defaults|(no)?(atime|diratime|suid|dev|exec|fail|auto|user|relatime|strictatime|lazytime)"
                     r"|async|sync|dirsync|suid|dev|exec|user|users|owner|group|silent|loud|_netdev|remount|bind|rbind"
                     r"|(fs|def|root)?context=.*|x-.*|X-.*|comment=.*")
SPECIFIC = {
    "xfs": re.compile(r"(no)?(discard|attr2|align|ikeep|largeio|uuid|quota|recovery|dalign)|inode(32|64)|swalloc|wsync"
                      r"|(log(bufs|bsize|dev)|allocsize|rtdev|sunit|swidth|dax)(=.*)?|([ugp]q|[ugp]qno|q)(uota|noenforce)"
                      r"|usrquota|grpquota|prjquota|[ugp]quota|filestreams|grpid|bsdgroups|sysvgroups"),
    "ext": re.compile(r"(no)?(discard|acl|user_xattr|delalloc|barrier|quota|auto_da_alloc|block_validity|load|grpid|"
                      r"dioread_lock)|(data|errors|commit|barrier|stripe|journal_dev|inode_readahead_blks|sb|resuid|"
                      r"resgid|journal_ioprio|max_batch_time|min_batch_time|dax)(=.*)?|usrquota|grpquota|prjquota|"
                      r"journal_checksum|journal_async_commit|minixdf|bsddf|debug"),
    "btrfs": re.compile(r"(no)?(discard|ssd|autodefrag|datacow|datasum|barrier|acl|treelog|space_cache)(=.*)?|degraded"
                        r"|(compress|compress-force|commit|subvol|subvolid|thread_pool|max_inline|space_cache)(=.*)?"
                        r"|rescue=nologreplay|nologreplay"),
}


class MountTools:
    """What changes the mount table."""

    def __init__(self, machine: Machine, mounts: Mounts, disk_tools: DiskTools, nfs_client: nfs.Client) -> None:
        self._machine, self._mounts, self._disks, self._nfs = machine, mounts, disk_tools, nfs_client

    # -- mount

    def mount(self, call: Call) -> int:
        """mount [-t TYPE] [-o OPTIONS] SOURCE DIRECTORY, also --bind, and without arguments the table."""
        options, names = split(call.argv[1:], with_value=VALUES)
        if not names:
            call.out += [f"{each.source} on {each.directory} type {each.fstype} ({','.join(each.options)})\n"
                         for each in self._mounts.table]
            return 0
        chosen = option_list(call.argv) + (["ro"] if {"-r", "--read-only"} & options.keys() else [])
        if "remount" in chosen:
            return self._remount(os.path.realpath(names[-1]), chosen)
        if len(names) != 2:
            raise ToolFails(1, f"mount: {names[0]}: can't find in /etc/fstab.")
        source, directory = names[0], os.path.realpath(names[1])
        if not os.path.isdir(directory):
            raise ToolFails(FAILED, f"mount: {directory}: mount point does not exist.")
        fstype = options.get("-t") or options.get("--types") or ""
        if "--bind" in options or "-B" in options or "bind" in chosen:
            return self._bind(source, directory, read_only="ro" in chosen)
        if fstype.startswith("nfs") or not fstype and nfs.looks_like(source):
            return self._mount_nfs(call, source, directory, chosen, fstype or "nfs")
        if fstype == "tmpfs":
            self._mounts.add("0:50", directory, "tmpfs", source, ["rw"])
            return 0
        return self._block(call, source, directory, fstype, chosen)

    def mount_nfs(self, call: Call) -> int:
        """mount.nfs SOURCE DIRECTORY [-o OPTIONS]."""
        _, names = split(call.argv[1:], with_value="-o")
        if len(names) != 2:
            raise ToolFails(1, "usage: mount.nfs remotetarget dir [-rvVwfnsh] [-o nfsoptions]")
        return self._mount_nfs(call, names[0], os.path.realpath(names[1]), option_list(call.argv), call.tool[6:])

    def _mount_nfs(self, call: Call, source: str, directory: str, options: list[str], fstype: str) -> int:
        export = self._nfs.grant(call, source, directory, options, fstype)
        visible = self._mounts.at(directory)
        if visible and visible[-1].source == source:
            return 0                                   # the same export again: one entry, status 0
        self._mounts.add("0:60", directory, export.fstype, source, export.options,
                         export=export.directory, server=export.server)
        return 0

    def _bind(self, source: str, directory: str, read_only: bool) -> int:
        source = os.path.realpath(source)
        under = self._mounts.holding(source)
        assert under
        root = os.path.normpath(f"{under.root}/{os.path.relpath(source, under.directory)}")
        options = ["ro", *(each for each in under.options if each not in ("ro", "rw"))] if read_only else under.options
        self._mounts.add(under.device, directory, under.fstype, under.source, options,
                         fs=under.fs, export=under.export, server=under.server, root=root)
        return 0

    def _remount(self, directory: str, chosen: list[str]) -> int:
        mounted = self._mounts.at(directory)
        if not mounted:
            raise ToolFails(FAILED, f"mount: {directory}: mount point not mounted or bad option.")
        mode = "ro" if "ro" in chosen else "rw"
        mounted[-1].options = [mode, *(each for each in mounted[-1].options if each not in ("ro", "rw"))]
        self._mounts.show()
        return 0

    def _block(self, call: Call, source: str, directory: str, fstype: str, chosen: list[str]) -> int:
        disk = self._disks.disk(source, FAILED, f"mount: {directory}: special device {source} does not exist.")
        self._disks.take_time(call)
        if getattr(disk, "map", None):
            raise ToolFails(FAILED, f"mount: {directory}: {source} already mounted or mount point busy.")
        visible = self._mounts.at(directory)
        if visible and visible[-1].fs and visible[-1].fs.disk is disk:
            raise ToolFails(FAILED, f"mount: {directory}: {source} already mounted on {directory}.")
        fs = self._mounts.fs_of(disk)
        if fs is None:
            content = self._content(disk, source, directory, fstype, chosen)
            fs = self._mounts.open_fs(disk, content, "ro" in chosen)
        elif fs.read_only != ("ro" in chosen):
            raise ToolFails(FAILED, f"mount: {directory}: {source} already mounted or mount point busy.")
        shown = [each for each in chosen if each not in ("rw", "ro", "defaults", "_netdev", "nofail")]
        number = disk.number if fs.content.kind != "btrfs" else "0:45"    # btrfs shows an anonymous number
        self._mounts.add(number, directory, fs.content.kind, source,
                         ["ro" if fs.read_only else "rw", "relatime", *shown], fs=fs)
        return 0

    def _content(self, disk: Disk, source: str, directory: str, fstype: str, chosen: list[str]) -> Super:
        """The file system on the device, if it may be mounted like this."""
        if disk.file is None:
            raise ToolFails(FAILED, f"mount: {directory}: can't read superblock on {source}.")
        with opened(disk.file, os.O_RDONLY) as fd:
            content = load(fd)
        refusal = f"mount: {directory}: wrong fs type, bad option, bad superblock on {source}, missing codepage or " \
                  "helper program, or other error."
        if content is None or fstype not in ("", "auto", content.kind):
            raise ToolFails(FAILED, refusal)
        if content.size > disk.size or bad_options(content.kind, chosen):
            raise ToolFails(FAILED, refusal)
        if content.kind == "xfs" and "nouuid" not in chosen and self._same_uuid(content):
            raise ToolFails(FAILED, refusal + "\n       dmesg(1): XFS: Filesystem has duplicate UUID - can't mount")
        return content

    def _same_uuid(self, content: Super) -> bool:
        return any(fs.content.uuid == content.uuid for fs in self._mounts.file_systems)

    # -- umount

    def umount(self, call: Call) -> int:
        """umount [-l] [-f] DIRECTORY|DEVICE: 0, or 32 (16 for NFS) when it is busy or not mounted."""
        options, names = split(call.argv[1:], with_value="-t -O")
        if not names:
            raise ToolFails(1, "umount: bad usage")
        flags = set("".join(name.lstrip("-") for name in options if not name.startswith("--")))
        lazy = "l" in flags or "--lazy" in options
        force = "f" in flags or "--force" in options
        mount = self._to_umount(names[0])
        if mount is None:
            raise ToolFails(FAILED, f"umount: {names[0]}: not mounted.")
        if mount.server:
            return self._umount_nfs(mount, lazy=lazy, force=force)
        self._umount_block(call, mount, lazy)
        return 0

    def _umount_nfs(self, mount: Mount, *, lazy: bool, force: bool) -> int:
        """A dark server makes it busy (16); -f makes waiting calls fail first and works when repeated; -l always."""
        faults = self._machine.faults
        stuck = self._nfs.is_dark(mount.server) and not (force and mount.forced)
        if not lazy and (stuck or faults.umount_busy):
            mount.forced = mount.forced or force
            faults.umount_busy = max(0, faults.umount_busy - 1)
            raise ToolFails(nfs.BUSY, f"umount.nfs4: {mount.directory}: device is busy")
        self._mounts.remove(mount)
        return 0

    def _to_umount(self, name: str) -> Mount | None:
        directory = os.path.realpath(name)
        if mounted := self._mounts.at(directory):
            return mounted[-1]
        return next((each for each in reversed(self._mounts.table) if each.source == name), None)

    def _umount_block(self, call: Call, mount: Mount, lazy: bool) -> None:
        fs, last = mount.fs, mount.fs is not None and len(self._mounts.on(mount.fs.disk)) == 1
        self._disks.take_time(call)
        if not lazy:
            self._refuse_umount(mount, last)
        if fs and last and not lazy and not fs.shut_down and not fs.read_only:
            # Writing back waits while the device's I/O waits: without a path and with queueing, for ever.
            self._machine.wait(lambda: not fs.disk.stalled, None)
        if mount not in self._mounts.table:
            raise ToolFails(FAILED, f"umount: {mount.directory}: not mounted.")
        self._mounts.remove(mount)
        if fs:
            self._mounts.drop_fs(fs)
            self._machine.let_go(fs.disk)

    def _refuse_umount(self, mount: Mount, last: bool) -> None:
        faults, fs = self._machine.faults, mount.fs
        inside = any(each.parent == mount.number for each in self._mounts.table)
        stuck = fs is not None and fs.disk.stalled and fs.dirty      # a writer waits for the device and holds the mount
        if faults.umount_busy or inside or last and fs and (fs.open_files or stuck):
            faults.umount_busy = max(0, faults.umount_busy - 1)
            raise ToolFails(FAILED, f"umount: {mount.directory}: target is busy.")

    def mountpoint(self, call: Call) -> int:
        """mountpoint [-q] DIRECTORY."""
        names = [word for word in call.argv[1:] if not word.startswith("-")]
        return 0 if names and self._mounts.at(os.path.realpath(names[0])) else 32


def option_list(argv: list[str]) -> list[str]:
    """All that was given with -o, in order."""
    found = []
    for index, word in enumerate(argv):
        if word in ("-o", "--options"):
            found += argv[index + 1].split(",") if index + 1 < len(argv) else []
        elif word.startswith("-o") and len(word) > 2:
            found += word[2:].split(",")
        elif word.startswith("--options="):
            found += word.partition("=")[2].split(",")
    return [option for option in found if option]


def bad_options(kind: str, chosen: list[str]) -> list[str]:
    """Options that the kernel does not know for this file system."""
    own = SPECIFIC["ext" if kind.startswith("ext") else kind]
    return [each for each in chosen if not GENERAL.fullmatch(each) and not own.fullmatch(each)]
