"""A pretend FlashBlade as its owner sees it: identity, file systems to look at and to set, faults, the request log."""

from typing import Any

from simulator.box import Box
from simulator.rest import flashblade as rest
from simulator.rest.http import Reply, Request
from simulator.state.blade import BladeState, FileSystem
from simulator.switches import FlashBladeSwitches
from simulator.views import FileSystemView


class FlashBlade(Box):
    """One pretend FlashBlade; `Simulator.add_flash_blade` makes it and starts its server."""

    kind = "flash-blade"
    state: BladeState

    def answer(self, request: Request) -> Reply:
        return rest.answer(self.state, request)

    @property
    def nfs_endpoint(self) -> str:
        """The data address, as pure.json's NfsEndPoint."""
        return self.state.nfs_endpoint

    @property
    def switches(self) -> FlashBladeSwitches:
        return self.state.switches

    @property
    def file_systems(self) -> dict[str, FileSystemView]:
        """All file systems by name, destroyed ones too."""
        with self._lock:
            self.state.tick()
            return {system.name: self._view(system) for system in self.state.all()}

    def file_system(self, name: str) -> FileSystemView:
        """One file system, live or destroyed; KeyError when there is none of that name."""
        with self._lock:
            self.state.tick()
            system = self.state.find(name)
            if system is None:
                raise KeyError(f"{self.name} has no file system {name}")
            return self._view(system)

    def _view(self, system: FileSystem) -> FileSystemView:
        return FileSystemView(system.name, system.size, system.used, system.hard_limit, system.rules, system.v3,
                              system.v4_1, system.snapshot_directory, system.destroyed,
                              self.state.time_remaining(system), system.directory)

    def add_file_system(self, name: str, size: int = 0, *, rules: str = "*(rw,no_root_squash)", v3: bool = True,
                        v4_1: bool = True) -> FileSystemView:
        """Make a file system as an administrator would."""
        with self._lock:
            fields = {"size": size, "rules": rules, "v3": v3, "v4_1": v4_1}
            return self._view(self.state.change(self.state.create(name), fields))

    def set_used(self, name: str, used: int) -> None:
        """What a file system reports as its space in use, in bytes."""
        with self._lock:
            self.state.get(name).used = used

    def destroy_file_system(self, name: str) -> None:
        """Turn its protocols off and destroy it."""
        with self._lock:
            off = {"v3": False, "v4_1": False, "smb": False, "http": False}
            self.state.change(self.state.get(name), {**off, "destroyed": True})

    def exports(self) -> list[FileSystemView]:
        """The file systems that NFS serves right now."""
        with self._lock:
            self.state.tick()
            return [self._view(each) for each in self.state.all() if not each.destroyed and (each.v3 or each.v4_1)]


def entry(blade: FlashBlade, verify: bool | str) -> dict[str, Any]:
    """The blade's element of "FlashBlades" in pure.json."""
    return {"MgmtEndPoint": blade.endpoint, "APIToken": blade.token, "NfsEndPoint": blade.nfs_endpoint,
            "Labels": blade.labels, "VerifyTLS": verify}
