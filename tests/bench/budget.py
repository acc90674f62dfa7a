"""A measured number beside the budget that design.md section 6 gives it: what every part of the bench comes to."""

from collections.abc import Iterable
from typing import NamedTuple


class Budget(NamedTuple):
    """`most` says whether `worst` is the most or the least that is acceptable; unit "×" is a ratio."""

    name: str
    value: float
    unit: str
    target: float
    worst: float
    kept: bool
    most: bool = True

    def share(self, number: float) -> float:
        """How much of what is acceptable `number` takes: 1 is just kept, more is too much."""
        if self.most:
            return number / self.worst if self.worst else float(number > 0) * 2
        return self.worst / number if number else 2.0


def measured(name: str, value: float, unit: str, target: float, worst: float, most: bool = True) -> Budget:
    """A budget that is kept as long as the number has not passed `worst`."""
    return Budget(name, value, unit, target, worst, value <= worst if most else value >= worst, most)


def status(budgets: Iterable[Budget]) -> int:
    """0 when every budget is kept."""
    return 0 if all(one.kept for one in budgets) else 1
