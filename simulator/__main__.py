"""`python -m simulator`: pretend arrays to point anything at, until it is told to end."""

import contextlib
import logging
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from simulator.fabric import SOCKET
from simulator.fleet import SAMPLING_INTERVAL, Simulator
from simulator.planes import FilePlane, NoPlane, Plane
from simulator.rules import amount
from simulator.switches import FlashArraySwitches, FlashBladeSwitches

_SIZES = ("capacity", "used")
_LISTS = {"portal": "portals", "wwn": "wwns", "nvme_portal": "nvme_portals"}
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}

HELP = """Run pretend FlashArrays and FlashBlades over HTTPS until SIGTERM or Ctrl-C.

DIR gets pure.json (endpoints and tokens), ca.pem (the CA to trust) and control.sock (state, faults and clocks for
other programs; try `curl --unix-socket DIR/control.sock http://localhost/state`).

An array is NAME, or NAME and settings after commas:

\b
  fa1,capacity=10T,used=2T,label.env=dev,label.rack=22
  fa2,portal=192.0.2.31:3260,portal=[2001:db8::1]:3260,safe_mode=true
  fb1,nfs=192.0.2.201,capacity=50T

Settings: capacity, used (bytes, or with K M G T P), port, label.KEY, for FlashArrays portal, wwn, nvme_portal (each
may stand several times), for FlashBlades nfs, and the switches of simulator/switches.py.

Without any array there is one of each kind, fa1 and fb1.
"""


class Setting(click.ParamType):
    """Reads NAME[,key=value…] into a name and arguments of `add_flash_array` or `add_flash_blade`."""

    name = "array"

    def __init__(self, switches: type) -> None:
        self._switches = {field.name: field.type for field in fields(switches)}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, *settings = value.split(",")
        found: dict[str, Any] = {"name": name, "labels": {}}
        if not name:
            self.fail("give the array a name", param, ctx)
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals:
                self.fail(f"{name}: {setting!r} is no key=value", param, ctx)
            try:
                self._set(found, key, text)
            except ValueError as error:
                self.fail(f"{name}: {error}", param, ctx)
        return found

    def _set(self, found: dict[str, Any], key: str, text: str) -> None:
        if key.startswith("label."):
            found["labels"][key.removeprefix("label.")] = text
        elif key in _SIZES:
            found[key] = _size(text)
        elif key == "port":
            found[key] = int(text)
        elif key in _LISTS:
            found.setdefault(_LISTS[key], []).append(text)
        elif key == "nfs":
            found["nfs_endpoint"] = text
        elif key in self._switches:
            found[key] = _switch(self._switches[key], text)
        else:
            raise ValueError(f"there is no setting {key}")


def _size(text: str) -> int:
    found = amount(text)
    if found is None:
        raise ValueError(f"{text!r} is no size: a whole number, with K, M, G, T or P or without")
    return found


def _switch(kind: Any, text: str) -> Any:
    """Read the value of a switch by the type it has in switches.py."""
    if kind is bool:
        if text.lower() not in _FLAGS:
            raise ValueError(f"{text!r} is neither true nor false")
        return _FLAGS[text.lower()]
    if kind is float:
        return float(text)
    if kind is str:
        return text
    return int(text) if kind in (int, int | None) else tuple(text.split("+"))


@click.command(help=HELP)
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where to put files; default a new one below /tmp, removed at the end.")
@click.option("--flash-array", "flash_arrays", type=Setting(FlashArraySwitches), multiple=True, metavar="ARRAY",
              help="Add a FlashArray; may be given several times.")
@click.option("--flash-blade", "flash_blades", type=Setting(FlashBladeSwitches), multiple=True, metavar="ARRAY",
              help="Add a FlashBlade; may be given several times.")
@click.option("--plane", type=click.Choice(["none", "files"]), default="none", show_default=True,
              help="Where volumes keep their bytes: nowhere, or as sparse files in DIR/data.")
@click.option("--sampling-interval", type=click.FloatRange(min=0.01), default=SAMPLING_INTERVAL, show_default=True,
              help="Seconds over which monitors average.")
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to serve on.")
def main(directory: Path | None, flash_arrays: Sequence[dict[str, Any]], flash_blades: Sequence[dict[str, Any]],
         plane: str, sampling_interval: float, listen: str) -> None:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    if not flash_arrays and not flash_blades:
        flash_arrays, flash_blades = [{"name": "fa1"}], [{"name": "fb1"}]
    with _directory(directory) as place, _starting():
        simulator = Simulator(place, _plane(plane, place), sampling_interval=sampling_interval, host=listen)
        with simulator:
            for settings in flash_arrays:
                simulator.add_flash_array(**settings)
            for settings in flash_blades:
                simulator.add_flash_blade(**settings)
            simulator.write_pure_json(place / "pure.json")
            _tell(simulator)
            asked.wait()
    click.echo("ended")


@contextlib.contextmanager
def _directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="pretend-arrays-") as fresh:
        yield Path(fresh)


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Turn what a person can put right (a taken port, a name given twice, a read-only directory) into one line."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _plane(kind: str, directory: Path) -> Plane:
    return FilePlane(directory / "data") if kind == "files" else NoPlane()


def _tell(simulator: Simulator) -> None:
    for array in simulator.flash_arrays:
        click.echo(f"FlashArray {array.name}  https://{array.endpoint}{_labels(array.labels)}  {array.iqn}")
    for blade in simulator.flash_blades:
        click.echo(f"FlashBlade {blade.name}  https://{blade.endpoint}{_labels(blade.labels)}  nfs {blade.nfs_endpoint}")
    click.echo(f"pure.json  {simulator.directory / 'pure.json'}")
    click.echo(f"CA         {simulator.ca}")
    click.echo(f"control    {simulator.directory / SOCKET}")
    click.echo("ready; Ctrl-C ends")


def _labels(labels: dict[str, str]) -> str:
    return "".join(f"  {key}={value}" for key, value in labels.items())


if __name__ == "__main__":
    main(prog_name="python -m simulator")
