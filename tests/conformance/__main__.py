"""`make conformance`: Kubernetes' own end-to-end tests of storage against us, on a cluster of two nodes.

Which specs apply is decided by what definition.py claims for block and for file. Exit status 1 when a spec fails.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click

from tests.cluster import components, manifests
from tests.cluster.installed import installed
from tests.cluster.product import NAMESPACE
from tests.cluster.world import World
from tests.conformance import definition, images, outcome, suite

RESULTS = Path(__file__).resolve().parents[2] / "build/conformance"
KINDS = tuple(definition.DRIVERS)
Outcome = tuple[list[outcome.Spec], float]      # of a kind's specs, and after how many seconds


@click.command(help=__doc__)
@click.argument("kinds", nargs=-1, type=click.Choice(KINDS))
@click.option("--serial", is_flag=True, help="The specs that must run alone: stress, provisioning and deletion at scale.")
@click.option("--only", default="", metavar="REGEX", help="Only specs whose name matches this as well.")
@click.option("--procs", default=6, show_default=True, help="Specs of a kind that run at once; they mostly wait.")
def main(kinds: tuple[str, ...], serial: bool, only: str, procs: int) -> None:
    """See the module."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))        # the cluster is removed all the same
    programs = components.binaries(components.E2E)
    archives = images.archives(programs)
    failed = 0
    with installed(os.environ.get("K8S", ""), archives) as world:
        _label(world)
        _try(world)
        for group in definition.side_by_side(kinds or KINDS, alone=serial):
            _set(world, definition.SETTINGS.get(group[0], {}))
            run = partial(_run, world, programs, serial, only, 1 if serial else procs)
            for kind, (specs, seconds) in zip(group, _at_once(run, group)):
                click.echo(outcome.table(kind, specs, seconds))
                failed += sum(spec.state == "failed" for spec in specs)
        refused = world.audit.refused()
        if refused:
            click.echo(f"requests the provisioner's role does not allow: {', '.join(sorted(set(refused)))}")
    sys.exit(bool(failed or refused))


def _at_once(run: Callable[[str], Outcome], kinds: list[str]) -> list[Outcome]:
    """What came of each kind; told to end, the runs end too."""
    with ThreadPoolExecutor(len(kinds)) as pool:
        try:
            return list(pool.map(run, kinds))
        except BaseException:
            suite.interrupt()
            raise


def _run(world: World, programs: Path, serial: bool, only: str, procs: int, kind: str) -> Outcome:
    """What came of a kind's specs, and after how many seconds."""
    began = time.monotonic()
    folder = RESULTS / (f"{kind}-serial" if serial else kind)
    report = suite.run(world, programs, folder, definition.write(folder, kind), serial=serial,
                       only=definition.FOCUS.get(kind, "") + only, procs=procs)
    return outcome.read(report), time.monotonic() - began


def _label(world: World) -> None:
    """Racks, as the arrays have them in pure.json."""
    for node in world.cluster.nodes:
        number = re.sub(r"\D", "", node.name)
        world.cluster.kubectl("label", "node", node.name, f"{definition.TOPOLOGY}=rack-{number}", "--overwrite")


def _try(world: World) -> None:
    """One claim of each kind is bound: where none is, each spec of the suite would wait five minutes to say so."""
    for kind in ("block", "file"):
        world.apply(manifests.claim(f"trial-{kind}", "default", storage_class=f"pure-{kind}"))
        world.bound(f"trial-{kind}", "default")
        world.delete("pvc", f"trial-{kind}", "default")


def _set(world: World, settings: dict[str, str]) -> None:
    """Give the provisioner these settings, and none of another definition's."""
    every = {name for each in definition.SETTINGS.values() for name in each}
    world.cluster.kubectl("-n", NAMESPACE, "set", "env", "deployment/pure-provisioner",
                          *[f"{name}={settings[name]}" if name in settings else f"{name}-" for name in sorted(every)])
    world.product.wait()


if __name__ == "__main__":
    main()
