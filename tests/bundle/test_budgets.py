"""`make bundle` fails when starting the driver costs more than the worst acceptable ratio (design.md section 6)."""

from pathlib import Path

import pytest

from tests.bench import bundle as bench


@pytest.mark.timeout(300)
def test_no_call_costs_more_than_its_budget(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sixty interleaved runs of each, against the bare interpreter in the same run; the table is always printed."""
    rows = bench.measure(bundle)
    with capsys.disabled():
        print(f"\n{bench.table(rows)}")
    assert [row for row in rows if not row.kept] == []


@pytest.mark.parametrize(("median", "shortest", "kept"), [(1.1, 1.1, True), (1.4, 1.1, True), (1.1, 1.4, True),
                                                          (1.3, 1.3, False)])
def test_noise_breaks_no_budget_and_a_slower_start_does(median: float, shortest: float, kept: bool) -> None:
    assert bench.Row("init", median, shortest, 7.0, 0.9, 1.2).kept == kept
