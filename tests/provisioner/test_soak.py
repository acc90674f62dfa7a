"""The soak in small: seconds of everything at once (issue 6, point 7). Longer: python -m tests.provisioner.soak."""

from pathlib import Path

import pytest

from tests.provisioner.soak import Reading, grown, rounds


@pytest.mark.timeout(240)
def test_random_faults_and_a_kill_leave_nothing_behind(tmp_path: Path) -> None:
    """Three rounds, one of them with the process killed: one volume and one PV a claim after each, and nothing grows."""
    readings: list[Reading] = []
    for soak, found in rounds(tmp_path, 3.0, seed=20261121):
        readings.append(found)
    assert soak.kills >= 1 and soak.made > 30 and soak.deleted > 10
    memory, threads, files = grown(readings)
    assert memory < 20 and threads <= 4 and files <= 30


def test_growth_is_that_of_the_last_process() -> None:
    readings = [Reading(1, 90.0, 9, 9), *(Reading(2, 50.0 + number, 30, 40 + number) for number in range(8))]
    assert grown(readings) == (4.5, 0, 4)
