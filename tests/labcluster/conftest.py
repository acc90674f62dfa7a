"""One scene for the whole story: the tests of this folder tell it in the order of the file."""

from collections.abc import Iterator

import pytest

from tests.cluster.machine import Lacking
from tests.labcluster.disk import CACHE
from tests.labcluster.scene import Scene, played, report

FAILURES = CACHE / "last-failures.txt"


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    """Three guests, control plane, product; removed at the end, whatever happened."""
    CACHE.mkdir(parents=True, exist_ok=True)
    FAILURES.unlink(missing_ok=True)
    try:
        with played() as made:
            yield made
    except Lacking as lack:
        pytest.exit(str(lack), returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """A failed test leaves pods, events and the ends of all logs in FAILURES."""
    result = yield
    if result.failed:
        with FAILURES.open("a") as file:
            file.write(f"==== {item.nodeid} ({call.when})\n{result.longreprtext}\n")
            if scene := item.funcargs.get("scene"):
                file.writelines(f"---- {title}\n{text}\n" for title, text in report(scene))
        result.sections.append(("more", f"pods, events and logs: {FAILURES}"))
    return result
