"""What importing costs: a call-out of the driver lives for milliseconds, so modules it must not pay for are named."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"dataclasses", "inspect", "json", "re", "typing", "logging", "subprocess", "pathlib", "ssl", "http.client",
         "urllib3", "requests", "purestorage", "hashlib", "enum", "collections"}


def imported(statement: str, *flags: str) -> set[str]:
    """The modules that a bare interpreter has loaded after `statement`, beyond those it starts with."""
    def loaded(code: str) -> set[str]:
        line = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-I", *flags, "-c", line], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return set(done.stdout.split())
    return loaded(statement) - loaded("pass")


def test_errors_names_and_units_import_nothing() -> None:
    found = imported("import arrays.errors, arrays.names, arrays.units", "-S")
    assert found == {"arrays", "arrays.errors", "arrays.names", "arrays.units"}


def test_the_fleet_does_without_the_dear_ones() -> None:
    found = imported("import arrays.fleet", "-S") & HEAVY
    assert found <= {"json", "re", "enum", "typing", "collections"}         # json itself wants most of these


@pytest.mark.parametrize("module", ["arrays.flasharray", "arrays.flashblade"])
def test_a_client_imports_no_http_before_its_first_call(module: str) -> None:
    found = imported(f"import {module}", "-S")
    assert not found & {"ssl", "http.client", "urllib3", "requests", "purestorage", "dataclasses", "inspect", "logging"}


@pytest.mark.parametrize("statement", [
    "from arrays.purestorage_session import PurestorageSession",
    "from arrays.flashblade_session import FlashBladeSession"])
def test_the_sessions_do_without_distutils(statement: str) -> None:
    """setuptools' stand-in for it takes 100 ms, and Python 3.12 has none; what looks for it later still finds it."""
    found = imported(f"{statement}; import distutils.version as real; assert real.StrictVersion")
    assert "requests" in found
    assert not {name for name in imported(statement) if name.split(".")[0] in ("distutils", "setuptools")}


def test_the_sessions_warn_nobody() -> None:
    """Two warnings of the library's age come up with it: invalid escapes and, where it is found, distutils."""
    imported("from arrays.purestorage_session import PurestorageSession", "-W", "error::DeprecationWarning:arrays")
