"""The simulator inside the arrays' guest: management over HTTPS, the data plane on LIO and the NFS server.

It lives in the agent's process, so that tests reach its state by one call.
"""

import subprocess
import time
from typing import Any

from simulator.fleet import Simulator
from tests.lab.inside import arrays, fcoe, lio

DIRECTORY = "/srv/simulator"
SAMPLING = 2.0                               # seconds; shorter than a real array's, long enough to meet a slow writer


class Fleet:
    """The one simulator of this guest, its initiators that may log in anywhere, and what is exported."""

    simulator: Simulator
    exported: dict[str, str] = {}            # file system -> its line in /etc/exports.d


def start(address: str) -> None:
    """Run the simulator on this address, on the plane that `arrays.bare` made."""
    Fleet.simulator = Simulator(DIRECTORY, arrays.Bare.plane, host=address, sampling_interval=SAMPLING)
    Fleet.simulator.start()


def add_flash_array(name: str, portals: list[str], initiators: list[str], **more: Any) -> str:
    """Add a FlashArray that lets these initiators log in; returns its IQN."""
    array = Fleet.simulator.add_flash_array(name, portals=portals, **more)
    for initiator in initiators:
        arrays.Bare.plane.know(name, initiator)
    return array.iqn


def add_fc_array(name: str, wwpns: list[str], initiators: list[str]) -> None:
    """Add a FlashArray with FC ports only, on this machine's FCoE cards."""
    fcoe.up(["a", "b"])
    arrays.Bare.plane.open_fc(name, wwpns, initiators)
    Fleet.simulator.add_flash_array(name, portals=[], wwns=wwpns)


def add_flash_blade(name: str, nfs_endpoint: str, **more: Any) -> None:
    Fleet.simulator.add_flash_blade(name, nfs_endpoint=nfs_endpoint, **more)


def names() -> list[str]:
    return [array.name for array in Fleet.simulator.arrays]


def pure_json(names: list[str]) -> dict[str, Any]:
    """pure.json with these arrays; their certificates are verified by the CA, which is returned beside it."""
    whole = Fleet.simulator.pure_json(verify="/etc/pure/ca.pem")
    wanted = {Fleet.simulator.array(name).endpoint for name in names}
    with open(Fleet.simulator.ca) as file:
        return {"ca": file.read(), "json": {kind: [entry for entry in entries if entry["MgmtEndPoint"] in wanted]
                                            for kind, entries in whole.items()}}


def ask(array: str, attribute: str, *args: Any, **kwargs: Any) -> Any:
    """An attribute or a method's value of one pretend array, as JSON."""
    found = getattr(Fleet.simulator.array(array), attribute)
    return _plain(found(*args, **kwargs) if callable(found) else found)


def add_fault(array: str, **what: Any) -> None:
    Fleet.simulator.array(array).faults.add(**what)


def clear_faults(array: str) -> None:
    Fleet.simulator.array(array).faults.clear()


def unplug(array: str) -> None:
    Fleet.simulator.unplug(Fleet.simulator.array(array))


def plug(array: str) -> None:
    Fleet.simulator.plug(Fleet.simulator.array(array))


def pause_target(array: str, seconds: float) -> None:
    """The array's target restarts: all its sessions end, and it is back after some seconds."""
    group = arrays.Bare.plane.group(array)
    lio.put(f"{group.path}/enable", "0")
    time.sleep(seconds)
    group.enable()


def break_from(serial: str, byte: int | None) -> None:
    """See LioPlane.break_from."""
    arrays.Bare.plane.break_from(serial, byte)


def set_chap(array: str, host: str, initiator: str, user: str, password: str) -> None:
    """The host object asks for CHAP, on the management side and at the target."""
    Fleet.simulator.flash_array(array).set_chap(host, host_user=user, host_password=password)
    arrays.Bare.plane.group(array).chap(initiator, user, password)


def export_all(blade: str) -> None:
    """Bring the NFS server's exports in line with the file systems of the blade."""
    for system in Fleet.simulator.array(blade).exports():
        Fleet.exported[system.name] = f"/{system.name} {system.rules}\n"
    gone = set(Fleet.exported) - {system.name for system in Fleet.simulator.array(blade).exports()}
    for name in gone:
        del Fleet.exported[name]
    with open(f"/etc/exports.d/{blade}.exports", "w") as file:
        file.writelines(Fleet.exported.values())
    subprocess.run(["exportfs", "-ra"], check=True)


def nfs_dark(address: str, dark: bool) -> None:
    """The NFS server's address answers nothing at all, or again."""
    lio.firewall(f"{address}:2049", dark)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    return value
