"""A pretend node that lives in another process (`python -m simulator.node`), looked at over its socket."""

import json
import os
import socket
from typing import Any

from simulator.node.server import CONTROL, address_of
from simulator.node.views import MapInfo, MountInfo, PathInfo, SessionInfo


class RemoteNode:
    """The same questions as PretendNode's, for the node in `directory`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.path.abspath(directory)

    def ask(self, name: str, *arguments: Any) -> Any:
        """Read a property or call a method of the node; OSError or RuntimeError in the node's words."""
        request = "\0".join(("/", "remote", name, json.dumps(arguments))).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address_of(self.directory) + CONTROL)
            connection.sendall(b"%d\n%b" % (len(request), request))
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, text = answer.partition(b"\n")
        if not head.startswith(b"0 "):
            raise RuntimeError(text.decode())
        return json.loads(text)

    @property
    def sessions(self) -> list[SessionInfo]:
        return [SessionInfo(*each) for each in self.ask("sessions")]

    @property
    def paths(self) -> list[PathInfo]:
        return [PathInfo(*each) for each in self.ask("paths")]

    @property
    def maps(self) -> list[MapInfo]:
        return [MapInfo(name, alias, wwid, size, tuple(paths), queueing)
                for name, alias, wwid, size, paths, queueing in self.ask("maps")]

    @property
    def mounts(self) -> list[MountInfo]:
        return [MountInfo(directory, source, fstype, tuple(options), device, wwid)
                for directory, source, fstype, options, device, wwid in self.ask("mounts")]

    @property
    def alarms(self) -> list[str]:
        return list(self.ask("alarms"))

    @property
    def failures(self) -> list[str]:
        return list(self.ask("failures"))

    def write(self, path: str, data: str) -> None:
        self.ask("write", path, data)

    def read(self, path: str) -> str:
        return str(self.ask("read", path))

    def power_off(self) -> None:
        self.ask("power_off")

    def power_on(self) -> None:
        self.ask("power_on")

    def reboot(self) -> None:
        self.ask("reboot")

    def environment(self) -> dict[str, str]:
        return dict(self.ask("environment"))
