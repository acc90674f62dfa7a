"""A fleet of pretend arrays in one process: one loop thread, one lock, one CA, one data plane."""

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any, Self

from simulator import flasharray, flashblade
from simulator.certificates import Authority
from simulator.clock import Clock
from simulator.control import Control
from simulator.flasharray import FlashArray
from simulator.flashblade import FlashBlade
from simulator.loop import LoopThread
from simulator.monitor import Monitor
from simulator.planes import NoPlane, Plane
from simulator.rules import TiB
from simulator.server import Server
from simulator.state.array import ArrayState
from simulator.state.blade import BladeState
from simulator.switches import FlashArraySwitches, FlashBladeSwitches

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,54}[A-Za-z0-9])?")
SAMPLING_INTERVAL = 0.25               # seconds; real arrays average over longer ones


class Simulator:
    """Pretend arrays over HTTPS on `host`; a context manager, or `start` and `stop`.

        with Simulator(tmp_path) as sim:
            array = sim.add_flash_array("fa1", labels={"env": "dev"})
            sim.write_pure_json(tmp_path / "pure.json")

    All methods may be called from any thread. `directory` gets ca.pem and the control socket.
    """

    def __init__(self, directory: str | os.PathLike[str], plane: Plane | None = None, *,
                 sampling_interval: float = SAMPLING_INTERVAL, host: str = "127.0.0.1") -> None:
        self.directory = Path(directory)
        self.plane = plane or NoPlane()
        self.monitor = Monitor()
        self.sampling_interval = sampling_interval      # 0: only `sample` ends an interval
        self.lock = RLock()
        self.flash_arrays: list[FlashArray] = []
        self.flash_blades: list[FlashBlade] = []
        self._host = host
        self._numbered = 0             # FlashArrays ever added: each gets portals of its own
        self._control = Control(self)
        self._loop: LoopThread | None = None
        self._sampled = time.monotonic()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the loop thread and the control socket; arrays are added afterwards."""
        self.directory.mkdir(parents=True, exist_ok=True)
        loop = LoopThread()
        try:
            loop.run(self._control.open(self.directory))
        except BaseException:
            loop.stop()
            raise
        self.authority = Authority(self.directory / "ca.pem", "pretend arrays")
        self._tls = self.authority.server_context(self._host)
        self._loop = loop
        loop.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._sample_for_ever()))

    def stop(self) -> None:
        """Close all servers; the state can still be looked at."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        for array in self.arrays:
            array.faults.clear()
            loop.run(array.server.close())
        loop.run(self._control.close(self.directory))
        loop.stop()

    # Arrays

    @property
    def arrays(self) -> list[FlashArray | FlashBlade]:
        return [*self.flash_arrays, *self.flash_blades]

    def array(self, name: str) -> FlashArray | FlashBlade:
        """The array of that name; KeyError when there is none."""
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(f"no array {name}")

    def flash_array(self, name: str) -> FlashArray:
        array = self.array(name)
        if not isinstance(array, FlashArray):
            raise KeyError(f"{name} is no FlashArray")
        return array

    def add_flash_array(self, name: str, *, labels: Mapping[str, str] | None = None, capacity: int = 100 * TiB,
                        used: int = 0, portals: Sequence[str] | None = None, wwns: Sequence[str] = (),
                        nvme_portals: Sequence[str] = (), port: int = 0, **switches: Any) -> FlashArray:
        """Add a FlashArray and start it; `switches` are fields of FlashArraySwitches.

        `portals` are what `GET port` lists ("192.0.2.11:3260" or "[2001:db8::1]:3260"); nothing listens there, that
        is the pretend node's or the data plane's affair.
        """
        number, self._numbered = self._numbered, self._numbered + 1
        chosen = portals if portals is not None else [_address(11 + 2 * number + each) for each in range(2)]
        state = ArrayState(name, capacity=capacity, clock=Clock(), plane=self.plane, monitor=self.monitor,
                           switches=FlashArraySwitches(**switches), portals=chosen, wwns=wwns,
                           nvme_portals=nvme_portals)
        state.used = used
        array = FlashArray(state, self.lock, labels or {})
        for other in self.flash_arrays:
            state.peers[other.name], other.state.peers[name] = other.state, state
        self._serve(array, port)
        with self.lock:
            self.plane.open_array(name, array.iqn, array.portals)
            self.flash_arrays.append(array)
        return array

    def add_flash_blade(self, name: str, *, labels: Mapping[str, str] | None = None, capacity: int = 100 * TiB,
                        used: int = 0, nfs_endpoint: str | None = None, port: int = 0,
                        **switches: Any) -> FlashBlade:
        """Add a FlashBlade and start it; `switches` are fields of FlashBladeSwitches."""
        address = nfs_endpoint or f"192.0.2.{201 + len(self.flash_blades)}"
        state = BladeState(name, capacity=capacity, clock=Clock(), plane=self.plane,
                           switches=FlashBladeSwitches(**switches), nfs_endpoint=address)
        state.used = used
        blade = FlashBlade(state, self.lock, labels or {})
        self._serve(blade, port)
        self.flash_blades.append(blade)
        return blade

    def _serve(self, array: FlashArray | FlashBlade, port: int) -> None:
        if not _NAME.fullmatch(array.name):
            raise ValueError(f"{array.name!r} is no name for an array: 1-56 letters, digits and hyphens")
        if any(array.name == other.name for other in self.arrays):
            raise ValueError(f"there is an array {array.name} already")
        array.server = Server(array.answer, self.lock, self._tls, self._host, port)
        self._run(array.server.open())

    def _run(self, work: Any) -> None:
        if self._loop is None:
            work.close()
            raise RuntimeError("the simulator is not started: use it in a `with` block")
        self._loop.run(work)

    def remove(self, array: FlashArray | FlashBlade) -> None:
        """Take an array out of the fleet for good."""
        array.faults.clear()
        self.unplug(array)
        with self.lock:
            if isinstance(array, FlashBlade):
                self.flash_blades.remove(array)
                return
            self.flash_arrays.remove(array)
            for other in self.flash_arrays:
                other.state.peers.pop(array.name, None)

    def unplug(self, array: FlashArray | FlashBlade) -> None:
        """Take an array's management away: connections are cut and refused."""
        self._run(array.server.close())

    def plug(self, array: FlashArray | FlashBlade) -> None:
        """Bring an array's management back at the same endpoint."""
        self._run(array.server.open())

    # pure.json

    @property
    def ca(self) -> str:
        """The PEM file of the CA that signed all arrays' certificates."""
        return str(self.authority.path)

    def pure_json(self, verify: bool | str = True) -> dict[str, Any]:
        """The fleet as pure.json says it; `verify` True names the simulator's CA file."""
        told = self.ca if verify is True else verify
        return {"FlashArrays": [flasharray.entry(each, told) for each in self.flash_arrays],
                "FlashBlades": [flashblade.entry(each, told) for each in self.flash_blades]}

    def write_pure_json(self, path: str | os.PathLike[str], verify: bool | str = True) -> None:
        """Write pure.json readable by its owner only, since it holds tokens."""
        target = Path(path)
        staged = target.with_name(f".{target.name}.new")
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.pure_json(verify), file, indent=2)
        staged.replace(target)

    # Monitors

    def sample(self, seconds: float | None = None) -> None:
        """End a sampling interval now; `seconds` is how long it is said to have been (None: as long as it was)."""
        with self.lock:
            now = time.monotonic()
            elapsed = max(now - self._sampled, 0.001)
            self.monitor.sample(self.plane.activity(), seconds or elapsed, time.time())
            self._sampled = now

    async def _sample_for_ever(self) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(self.sampling_interval or SAMPLING_INTERVAL)
                if self.sampling_interval:
                    self.sample()


def _address(number: int) -> str:
    """A documentation address (RFC 5737) for a portal: 192.0.2.11 up to .200, then 198.51.100.*."""
    if number <= 200:
        return f"192.0.2.{number}:3260"
    return f"198.51.100.{(number - 201) % 254 + 1}:3260"
