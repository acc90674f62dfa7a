"""What was measured, as tables in Markdown and as goals kept or not."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tests.bench.budget import Budget, measured
from tests.peers.course import Run, Start
from tests.peers.plane import LIFTED
from tests.peers.runners import CSI, CSI_TUNED, OURS

BURSTS = ("| provisioner | KCM qps/burst | claims × runs | PVs/s | bound/s | CPU ms a claim | requests a claim | MB | "
          "deleted/s |\n"
          "|---|---|---|---|---|---|---|---|---|")
STARTS = "| provisioner | first PV after, s | MB |\n|---|---|---|"


class Burst(NamedTuple):
    """Which program, and the limits of the controller manager."""

    runner: str
    limits: str


def burst_row(burst: Burst, count: int, runs: Sequence[Run]) -> str:
    """Lowest to highest of the runs, of `count` claims each."""
    cells = [spread([getattr(run, field) for run in runs]) for field in Run._fields]
    return f"| {burst.runner} | {burst.limits} | {count} × {len(runs)} | {' | '.join(cells)} |"


def start_row(runner: str, start: Start) -> str:
    """A start among many objects."""
    return f"| {runner} | {start.first:.1f} | {start.memory:.0f} |"


def spread(values: Sequence[float]) -> str:
    """Lowest to highest, "4.9–5.0", or the one value they share."""
    texts = [f"{value:.0f}" if value >= 20 else f"{value:.1f}" for value in (min(values), max(values))]
    return texts[0] if texts[0] == texts[1] else "–".join(texts)


def goals(bursts: Mapping[Burst, Sequence[Run]], starts: Mapping[str, Start]) -> list[Budget]:
    """What design.md 6 asks of us beside others, by medians, with the controller manager's limits lifted."""
    ours, csi, tuned = (bursts[Burst(runner.name, LIFTED)] for runner in (OURS, CSI, CSI_TUNED))
    return [
        measured("PVs/s ÷ csi-provisioner's default",
                 median(run.made for run in ours) / median(run.made for run in csi), "×", 40, 20, most=False),
        measured("bound/s ÷ csi-provisioner tuned",
                 median(run.bound for run in ours) / median(run.bound for run in tuned), "×", 1.2, 1, most=False),
        measured("CPU a claim", median(run.cpu for run in ours), "ms", 1.5, 2),
        measured("memory among many objects ÷ csi-provisioner's default",
                 starts[OURS.name].memory / starts[CSI.name].memory, "×", 0.4, 0.5)]


def goal_row(goal: Budget) -> str:
    """One goal, one line."""
    bound = "≤" if goal.most else "≥"
    kept = "" if goal.kept else "   NOT KEPT"
    return f"{goal.name:54} {goal.value:6.2f} {goal.unit:3} goal {bound} {goal.target:g}, worst {bound} {goal.worst:g}{kept}"
