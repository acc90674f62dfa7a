"""`make bench-peers`: our provisioner beside those users could pick instead, on one real API server.

csi-provisioner with a plugin that waits as long as the simulated array, and a FlexVolume provisioner of a few lines on
sig-storage-lib, at their defaults and tuned; the controller manager at its defaults and with its limits lifted. Exit
status 1 when a goal is missed.
"""

import datetime
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

import click

from tests.bench import budget
from tests.cluster import cluster as clusters
from tests.cluster import components
from tests.peers import course, runners, table
from tests.peers.course import Run, Start
from tests.peers.plane import DEFAULTS, LIFTED, Plane
from tests.peers.runners import OURS, RUNNERS, Runner
from tests.peers.table import Burst


@click.command(help=__doc__)
@click.option("--rounds", default=7, show_default=True, help="Runs of the quick ones with the limits lifted, in turns.")
@click.option("--claims", default=300, show_default=True, help="Claims of a quick run.")
@click.option("--few", default=40, show_default=True, help="Claims of a slow run: 4 or 5 a second.")
@click.option("--many", default=10_000, show_default=True, help="PVs, and claims, to start among; 0: not tried.")
@click.option("--only", default="", metavar="TEXT", help="Only provisioners with this in their name; no goals then.")
def main(rounds: int, claims: int, few: int, many: int, only: str) -> None:
    """See the module."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))        # what was made is removed all the same
    chosen = [runner for runner in RUNNERS if only in runner.name]
    with clusters.reserved():
        plane = Plane(os.environ.get("K8S", ""))
        try:
            plane.up_without_nodes(runner.provisioner for runner in RUNNERS)
            runners.start_arrays(plane)
            runners.unpack(plane)
            version = components.kubernetes(plane.version).version("k8s.io/kubernetes")
            click.echo(f"{datetime.date.today()}, Kubernetes {version}, {os.cpu_count()} cores\n\n{table.BURSTS}")
            bursts = {**_bursts(plane, DEFAULTS, [(runner, few) for runner in chosen]),
                      **_bursts(plane, LIFTED, _turns(chosen, rounds, claims, few))}
            starts = _starts(plane, chosen, many) if many else {}
        except RuntimeError as error:                               # what did not come, or who said no, in a sentence
            raise click.ClickException(str(error)) from None
        finally:
            clusters.down()
    clusters.assert_nothing_left()
    if many and not only:
        goals = table.goals(bursts, starts)
        click.echo("\n" + "\n".join(map(table.goal_row, goals)))
        sys.exit(budget.status(goals))


def _turns(chosen: list[Runner], rounds: int, claims: int, few: int) -> Iterator[tuple[Runner, int]]:
    """Who has how many claims to serve, in which order: the slow ones once, the quick ones in turns."""
    yield from ((runner, few) for runner in chosen if not runner.quick)
    for _ in range(rounds):
        yield from ((runner, claims) for runner in chosen if runner.quick)


def _bursts(plane: Plane, limits: str, turns: Iterable[tuple[Runner, int]]) -> dict[Burst, list[Run]]:
    """One burst for each turn, with the controller manager so limited."""
    plane.restart_manager(limits)
    found: dict[Burst, list[Run]] = defaultdict(list)
    counts = {}
    for runner, count in turns:
        burst = Burst(runner.name, limits)
        found[burst].append(course.burst(plane, runner, count))
        counts[burst] = count
    for burst, runs in found.items():
        click.echo(table.burst_row(burst, counts[burst], runs))
    return found


def _starts(plane: Plane, chosen: list[Runner], many: int) -> dict[str, Start]:
    """A start of each among so many PVs and claims; the controller manager would need minutes to bind them."""
    plane.stop_manager()
    course.fill(plane, OURS, many)
    click.echo(f"\nA start among {many:,} PVs and {many:,} claims:\n\n{table.STARTS}")
    found = {}
    for runner in chosen:
        found[runner.name] = course.start(plane, runner)
        click.echo(table.start_row(runner.name, found[runner.name]))
    return found


if __name__ == "__main__":
    main()
