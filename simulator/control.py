"""The simulator's control socket, `<directory>/control.sock`: for pretend nodes and people in other processes.

HTTP with JSON in and out; only who may write the directory can connect. Try it with
`curl --unix-socket DIR/control.sock http://localhost/state`. Arguments stand in the JSON body or the query string.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.fabric import SOCKET, LocalFabric, short_path
from simulator.refusal import Refusal

if TYPE_CHECKING:
    from simulator.fleet import Simulator

Arguments = dict[str, Any]


class Control:
    """Serves the fabric, the state, faults and clocks of one simulator."""

    def __init__(self, sim: "Simulator") -> None:
        self._sim, self._fabric = sim, LocalFabric(sim)
        self._runner: web.ServerRunner | None = None
        fabric = self._fabric
        self._routes: dict[tuple[str, str], Callable[..., Any]] = {
            ("GET", "/luns"): fabric.luns,
            ("GET", "/portals"): fabric.portals,
            ("GET", "/discover"): fabric.discover,
            ("GET", "/chap"): fabric.chap,
            ("GET", "/exports"): fabric.exports,
            ("POST", "/login"): fabric.login,
            ("POST", "/logout"): fabric.logout,
            ("POST", "/io"): fabric.count,
            ("GET", "/state"): self._state,
            ("GET", "/requests"): self._requests,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("POST", "/clock"): self._advance,
            ("POST", "/portal"): self._set_portal,
            ("POST", "/switches"): self._set_switches,
            ("POST", "/used"): self._set_used,
        }

    async def open(self, directory: Path) -> None:
        listening = socket.socket(socket.AF_UNIX)
        with short_path(directory) as short:
            if _answers(f"{short}/{SOCKET}"):
                raise ValueError(f"a simulator is running in {directory} already")
            (directory / SOCKET).unlink(missing_ok=True)
            listening.bind(f"{short}/{SOCKET}")
        (directory / SOCKET).chmod(0o600)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.05)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self, directory: Path) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            (directory / SOCKET).unlink(missing_ok=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        function = self._routes.get((request.method, request.path))
        if function is None:
            known = ", ".join(f"{method} {path}" for method, path in self._routes)
            return web.json_response({"error": f"no such request; there are {known}"}, status=404)
        try:
            arguments = {**request.query, **(await request.json() if request.can_read_body else {})}
            # In a thread, so that a slow data plane stops no array's conversation.
            answer = await asyncio.to_thread(function, **arguments)
            return web.json_response(answer)
        except (Refusal, TypeError, ValueError, KeyError) as error:
            return web.json_response({"error": f"{request.method} {request.path}: {error}"}, status=400)

    def _state(self) -> Mapping[str, Any]:
        return {"flash_arrays": [_array_state(array) for array in self._sim.flash_arrays],
                "flash_blades": [_blade_state(blade) for blade in self._sim.flash_blades]}

    def _requests(self, array: str) -> list[Any]:
        return self._sim.array(array).requests

    def _add_fault(self, array: str, **what: Any) -> Mapping[str, Any]:
        fault = self._sim.array(array).faults.add(**what)
        return {"array": array, "method": fault.method, "path": fault.path}

    def _clear_faults(self, array: str) -> None:
        self._sim.array(array).faults.clear()

    def _advance(self, array: str = "", seconds: float = 0.0, speed: float | None = None) -> None:
        for each in [self._sim.array(array)] if array else self._sim.arrays:
            each.clock.advance(float(seconds))
            if speed is not None:
                each.clock.speed = float(speed)

    def _set_portal(self, array: str, portal: str, state: str) -> None:
        self._sim.flash_array(array).set_portal(portal, state)

    def _set_switches(self, array: str, **switches: Any) -> None:
        target = self._sim.array(array).switches
        for name, value in switches.items():
            if not hasattr(target, name):
                raise ValueError(f"{array} has no switch {name}")
            setattr(target, name, tuple(value) if isinstance(value, list) else value)

    def _set_used(self, array: str, used: int) -> None:
        self._sim.array(array).used = int(used)


def _answers(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(path) == 0


def _array_state(array: Any) -> Mapping[str, Any]:
    return {"name": array.name, "endpoint": array.endpoint, "iqn": array.iqn, "labels": array.labels,
            "capacity": array.capacity, "used": array.used,
            "portals": {portal: array.portal_state(portal) for portal in array.portals},
            "volumes": [{**volume._asdict(), "connections": array.connections(volume.name)}
                        for volume in array.volumes.values()],
            "hosts": [host._asdict() for host in array.hosts.values()]}


def _blade_state(blade: Any) -> Mapping[str, Any]:
    return {"name": blade.name, "endpoint": blade.endpoint, "nfs_endpoint": blade.nfs_endpoint,
            "labels": blade.labels, "capacity": blade.capacity, "used": blade.used,
            "file_systems": [system._asdict() for system in blade.file_systems.values()]}
