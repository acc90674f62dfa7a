"""Device mapper maps of a pretend node, and multipathd, which makes them of paths.

What multipathd does by itself depends on find_multipaths (node-attach.md 2.4); what it is asked to do comes through
multipath_tools.py. A map is the kernel's and outlives multipathd.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from simulator.node.disks import Disk, Nodes
from simulator.node.machine import Machine
from simulator.node.scsi import Path, Scsi, block_attributes

VIRTUAL = "/sys/devices/virtual/block"
WWIDS = "/etc/multipath/wwids"
BINDINGS = "/etc/multipath/bindings"


@dataclass(eq=False)
class Map(Disk):
    """One device mapper device over the paths of a WWID."""

    wwid: str = ""                        # "3624a9370…"; stays what it was when the paths turn out to be another volume
    alias: str = ""                       # dm/name
    paths: list[Path] = field(default_factory=list)
    queueing: bool = False

    @property
    def directory(self) -> str:
        return f"{VIRTUAL}/{self.name}"


class Multipathd:
    """Maps, and the daemon's view of paths."""

    def __init__(self, machine: Machine, scsi: Scsi, nodes: Nodes) -> None:
        self._machine, self._tree, self._nodes = machine, machine.tree, nodes
        self.scsi = scsi
        self.maps: dict[str, Map] = {}                    # "dm-0" -> map
        self.known: list[Path] = []                       # paths whose udev event multipathd has seen
        self.failed: set[Path] = set()                    # paths the checker has found faulty
        self._missed = False                              # whether a path came while it did not run
        self.why_open: Callable[[Disk], str] = lambda disk: ""      # set by mounts: who uses a disk
        scsi.added.append(self._path_added)
        scsi.changed.append(self._path_changed)
        scsi.removed.append(self._path_removed)

    @property
    def runs(self) -> bool:
        return self._machine.settings.multipathd == "running"

    def of_wwid(self, wwid: str) -> Map | None:
        return next((each for each in self.maps.values() if each.wwid == wwid), None)

    def named(self, name: str) -> Map | None:
        """A map by dm name or by kernel name; not by WWID, unless that is its name."""
        name = name.removeprefix("/dev/mapper/").removeprefix("/dev/")
        return next((each for each in self.maps.values() if name in (each.alias, each.name)), None)

    # -- paths come and go

    def _path_added(self, path: Path) -> None:
        self._machine.later(self._machine.settings.udev_delay, lambda: self._path_event(path))

    def _path_event(self, path: Path) -> None:
        if path.gone or path in self.known or not path.wwid.startswith("naa."):
            return
        if not self.runs:
            self._missed = True
            return
        self.known.append(path)
        if existing := self.of_wwid(path.uuid):
            self._join(existing, path)
        elif self._wanted(path.uuid):
            self.build(path.uuid)

    def start(self) -> None:
        """multipathd was started: it looks at all paths there are."""
        self._missed = False
        for path in list(self.scsi.paths.values()):
            self._path_event(path)

    def _wanted(self, wwid: str) -> bool:
        """Whether a new map is made without being asked."""
        settings = self._machine.settings
        if wwid in settings.blacklist or self._machine.faults.map_never:
            return False
        if settings.find_multipaths in ("no", "off", "greedy") or wwid in self.wwids():
            return True
        return settings.find_multipaths in ("yes", "on", "smart") and len(self.candidates(wwid)) > 1

    def candidates(self, wwid: str) -> list[Path]:
        return [path for path in self.known if path.uuid == wwid and not path.gone and path.map is None]

    def _path_changed(self, path: Path) -> None:
        if isinstance(path.map, Map):
            self.follow(path.map)

    def _path_removed(self, path: Path) -> None:
        """multipathd takes a removed path out of its map; a map without paths goes unless something has it open."""
        self.known = [each for each in self.known if each is not path]
        self.failed.discard(path)
        if not isinstance(owner := path.map, Map):
            return
        path.map = None
        owner.paths.remove(path)
        self._tree.remove(f"{owner.directory}/slaves/{path.name}")
        if not owner.paths and not self.why_open(owner):
            self.remove(owner)
        else:
            self.follow(owner)

    # -- maps

    def build(self, wwid: str, *, any_path: bool = False) -> Map | None:
        """Make the map of a WWID of the paths that multipathd knows, or (`any_path`) that the kernel has."""
        paths = self.candidates(wwid)
        if any_path:
            paths = [path for path in self.scsi.paths.values() if path.uuid == wwid and path.map is None]
        if not paths:
            return None
        number = next(each for each in range(len(self.maps) + 1) if f"dm-{each}" not in self.maps)
        made = Map(f"dm-{number}", size=paths[0].size, wwid=wwid, alias=self.name_for(wwid), paths=[],
                   file=paths[0].file, queueing=self._machine.settings.no_path_retry == "queue")
        self._nodes.add(made)
        self._hold(made)
        self.maps[made.name] = made
        self._tree.put(made.directory, block_attributes(made) | {
            "dm/uuid": f"mpath-{wwid}\n", "dm/name": f"{made.alias}\n", "dm/suspended": "0\n"})
        for path in paths:
            self._attach(made, path)
        self._tree.link(f"/sys/dev/block/{made.number}", made.directory)
        self._tree.link(f"/sys/class/block/{made.name}", made.directory)
        self._tree.link(f"/sys/block/{made.name}", made.directory)
        self._record(wwid)
        self._machine.later(self._machine.settings.link_delay, lambda: self._link(made))
        return made

    def _link(self, made: Map) -> None:
        if not made.gone:
            self._tree.link(f"/dev/mapper/{made.alias}", made.path)
            for name in (f"dm-uuid-mpath-{made.wwid}", f"scsi-{made.wwid}", f"wwn-0x{made.wwid[1:]}"):
                self._tree.link(f"/dev/disk/by-id/{name}", made.path)

    def _hold(self, disk: Disk) -> None:
        """udev has the device open for a while after an event."""
        seconds = self._machine.settings.map_held / self._machine.settings.speed
        disk.held_until = max(disk.held_until, time.monotonic() + seconds)

    def released(self, disk: Disk) -> None:
        """A writer closed the device: udev looks at it again."""
        if isinstance(disk, Map):
            self._hold(disk)

    def _join(self, made: Map, path: Path) -> None:
        self._attach(made, path)
        self.follow(made)

    def _attach(self, made: Map, path: Path) -> None:
        if path.map is made:
            return
        path.map = made
        made.paths.append(path)
        self._tree.link(f"{made.directory}/slaves/{path.name}", f"{path.directory}/block/{path.name}")
        self._tree.link(f"{path.directory}/block/{path.name}/holders/{made.name}", made.directory)

    def follow(self, made: Map) -> None:
        """Where the map's I/O goes now: any path that works; else it waits or fails."""
        working = next((path for path in made.paths
                        if serves(path) and not path.stalled and path not in self.failed), None)
        hoped = any(path.stalled for path in made.paths)
        file = working.file if working else None
        stalled = working is None and (hoped or made.queueing)
        if (file, stalled) != (made.file, made.stalled):
            made.file, made.stalled = file, stalled
            self._nodes.update(made)
            self._machine.changed.notify_all()

    def check_paths(self) -> None:
        """The checker: paths that died or came back, as late as polling_interval."""
        if not self.runs:
            return
        if self._missed:                                  # stopped and started between two looks at the settings
            self.start()
        for path in self.known:
            if serves(path) == (path in self.failed):
                self._machine.later(self._machine.settings.polling_interval, partial(self._checked, path))

    def _checked(self, path: Path) -> None:
        if path.gone:
            return
        (self.failed.discard if serves(path) else self.failed.add)(path)
        if isinstance(path.map, Map):
            self.follow(path.map)

    def remove(self, made: Map) -> None:
        """Take the map out of the kernel."""
        self.maps.pop(made.name, None)
        made.gone = True
        for path in made.paths:
            path.map = None
            self._tree.remove(f"{path.directory}/block/{path.name}/holders/{made.name}")
        for name in (f"dm-uuid-mpath-{made.wwid}", f"scsi-{made.wwid}", f"wwn-0x{made.wwid[1:]}"):
            self._tree.remove(f"/dev/disk/by-id/{name}")
        self._nodes.remove(made)
        for gone in (f"/dev/mapper/{made.alias}", f"/sys/block/{made.name}", f"/sys/class/block/{made.name}",
                     f"/sys/dev/block/{made.number}", made.directory):
            self._tree.remove(gone)

    def in_use(self, made: Map) -> str:
        """Who has the map open; empty when it can be removed."""
        faults = self._machine.faults
        if faults.map_in_use:
            faults.map_in_use -= 1
            return "udev"
        if time.monotonic() < made.held_until:
            return "udev"
        return self.why_open(made)

    def resize(self, made: Map) -> bool:
        """Give the map the size of its paths; refused while they differ."""
        sizes = {path.size for path in made.paths}
        if len(sizes) != 1:
            return False
        self._nodes.flush(made)
        made.size = sizes.pop()
        self._nodes.update(made)
        self._tree.write(f"{made.directory}/size", f"{made.size // 512}\n")
        return True

    # -- names

    def name_for(self, wwid: str) -> str:
        settings = self._machine.settings
        if alias := settings.aliases.get(wwid):
            return alias
        if not settings.user_friendly_names:
            return wwid
        bindings = dict(line.split()[::-1] for line in self._lines(BINDINGS) if len(line.split()) == 2)
        if wwid not in bindings:
            bindings[wwid] = f"mpath{chr(97 + len(bindings))}" if len(bindings) < 26 else f"mpatha{len(bindings)}"
            self._append(BINDINGS, f"{bindings[wwid]} {wwid}")
        return bindings[wwid]

    def wwids(self) -> list[str]:
        """WWIDs that multipathd has had maps of, from /etc/multipath/wwids: survives a reboot."""
        return [line.strip("/") for line in self._lines(WWIDS) if line.startswith("/")]

    def _record(self, wwid: str) -> None:
        if wwid not in self.wwids():
            self._append(WWIDS, f"/{wwid}/")

    def forget(self, wwid: str) -> bool:
        """multipath -w."""
        lines = self._lines(WWIDS)
        if f"/{wwid}/" not in lines:
            return False
        self._tree.write(WWIDS, "".join(f"{line}\n" for line in lines if line != f"/{wwid}/"), 0o600)
        return True

    def _lines(self, path: str) -> list[str]:
        return self._tree.read(path).splitlines() if os.path.exists(self._tree.at(path)) else []

    def _append(self, path: str, line: str) -> None:
        self._tree.directory(os.path.dirname(path))
        self._tree.write(path, "".join(f"{each}\n" for each in [*self._lines(path), line]), 0o600)


def serves(path: Path) -> bool:
    """Whether the checker finds the path's LUN alive and what it was taken for (node-attach.md 2.7).

    After a rescan of a reused LUN it is both again, and a map of the old volume reads the new one.
    """
    return path.file is not None and path.unit is not None and path.unit.wwid == path.wwid
