"""How what was measured is shown and judged."""

import pytest

from tests.bench import budget
from tests.peers import table
from tests.peers.course import Run, Start
from tests.peers.plane import LIFTED
from tests.peers.runners import CSI, CSI_TUNED, OURS
from tests.peers.table import Burst

SLOW, FAST = Run(4.9, 4.1, 3.3, 3.0, 68.0, 2.4), Run(150.0, 80.0, 1.4, 1.2, 60.0, 70.0)
BURSTS = {Burst(OURS.name, LIFTED): [FAST], Burst(CSI.name, LIFTED): [SLOW], Burst(CSI_TUNED.name, LIFTED): [FAST]}
STARTS = {OURS.name: Start(2.0, 90.0), CSI.name: Start(1.0, 200.0)}


@pytest.mark.parametrize("values, text", [([4.92, 5.04], "4.9–5.0"), ([4.01, 4.04], "4.0"), ([19.96], "20.0"),
                                          ([131.4, 317.6, 200], "131–318")])
def test_ranges_are_lowest_to_highest(values: list[float], text: str) -> None:
    assert table.spread(values) == text


def test_a_row_of_a_burst_has_a_cell_for_each_heading() -> None:
    row = table.burst_row(Burst(OURS.name, LIFTED), 300, [FAST, FAST._replace(bound=90.0)])
    assert row == "| ours, defaults | 1000/2000 | 300 × 2 | 150 | 80–90 | 1.4 | 1.2 | 60 | 70 |"
    assert row.count("|") == table.BURSTS.splitlines()[0].count("|")


def test_goals_are_kept_by_their_worst_acceptable_numbers() -> None:
    goals = table.goals(BURSTS, STARTS)
    assert [round(goal.value, 2) for goal in goals] == [30.61, 1.0, 1.0, 0.45]
    assert budget.status(goals) == 0 and "NOT KEPT" not in "".join(map(table.goal_row, goals))


def test_a_goal_that_is_missed_is_said_and_fails() -> None:
    goals = table.goals({**BURSTS, Burst(OURS.name, LIFTED): [FAST._replace(bound=79.0)]}, STARTS)
    assert [goal.name for goal in goals if not goal.kept] == ["bound/s ÷ csi-provisioner tuned"]
    assert budget.status(goals) == 1 and table.goal_row(goals[1]).endswith("NOT KEPT")


def test_the_median_of_the_turns_decides_not_the_best_run() -> None:
    ours, tuned = Burst(OURS.name, LIFTED), Burst(CSI_TUNED.name, LIFTED)
    runs = [FAST._replace(cpu=cpu) for cpu in (1.0, 1.5, 1.6)]
    assert not table.goals({**BURSTS, ours: runs, tuned: [FAST] * 3}, STARTS)[2].kept


def test_a_run_is_compared_with_the_one_of_its_turn() -> None:
    """A machine that gets slower costs both: 1.4 beside 2.8, then 4.2 beside 5.6."""
    ours, tuned = Burst(OURS.name, LIFTED), Burst(CSI_TUNED.name, LIFTED)
    quick, slow = (FAST._replace(cpu=1.4), FAST._replace(cpu=2.8)), (FAST._replace(cpu=4.2), FAST._replace(cpu=5.6))
    found = table.goals({**BURSTS, ours: [quick[0], slow[0]], tuned: [quick[1], slow[1]]}, STARTS)[2]
    assert round(found.value, 3) == 0.625
